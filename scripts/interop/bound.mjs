// An oidc-provider whose tokens are bound to their client's key or certificate, under its own defaults but for what turns that on,
// and clients by openid-client. The argument is a directory with ca.pem, and server, client and other, each as .crt and .key.
// Prints the issuer's URL, reads a line with the addresses of Callgate, without and with TLS, and prints how it answered the clients.

import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';

// What the libraries say goes to standard error.
const print = console.log;
console.log = console.info = console.warn = console.error;
const { default: Provider } = await import('oidc-provider');
const client = await import('openid-client');
const { Agent, fetch: undiciFetch } = await import('undici');

const [directory] = process.argv.slice(2);
const file = (name) => readFile(`${directory}/${name}`, 'utf8');
const pair = async (name) => ({ cert: await file(`${name}.crt`), key: await file(`${name}.key`) });
const ca = await file('ca.pem');
const SECRET = 'for this test alone';
const SERVICE = new URL('https://mail.example/send');

async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
}

let answer;
const handler = (request, response) => answer(request, response);
const url = `http://127.0.0.1:${await listen(createServer(handler))}`;
const tls = { ...(await pair('server')), ca, requestCert: true, rejectUnauthorized: true };
const tlsUrl = `https://localhost:${await listen(createTlsServer(tls, handler))}`;
const registered = (client_id, more) => ({
  client_id, client_secret: SECRET, grant_types: ['client_credentials'], redirect_uris: [], response_types: [], ...more,
});
const provider = new Provider(url, {
  clients: [
    registered('with-key', { dpop_bound_access_tokens: true }),
    registered('with-certificate', { tls_client_certificate_bound_access_tokens: true }),
    registered('with-nothing', {}),
  ],
  discovery: { mtls_endpoint_aliases: { token_endpoint: `${tlsUrl}/token` } },
  features: {
    clientCredentials: { enabled: true },
    dPoP: { enabled: true },
    mTLS: { enabled: true, certificateBoundAccessTokens: true, getCertificate: (ctx) => ctx.socket.getPeerX509Certificate?.() },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: () => ({ scope: 'send', audience: 'email-service', accessTokenFormat: 'jwt' }),
    },
  },
});
answer = provider.callback();
print(JSON.stringify({ url }));

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const addresses = JSON.parse((await lines.next()).value);

// With this certificate, if there is one. The service is where Callgate listens; for the client it has its name outside.
const fetching = (certificate, service) => {
  const dispatcher = new Agent({ connect: { ca, servername: 'localhost', ...certificate } });
  return (target, options) => undiciFetch(String(target).replace(SERVICE.origin, service), { ...options, dispatcher });
};
async function configured(id, certificate, service) {
  const options = { execute: [client.allowInsecureRequests], [client.customFetch]: fetching(certificate, service) };
  const metadata = certificate ? { client_secret: SECRET, use_mtls_endpoint_aliases: true } : SECRET;
  return client.discovery(new URL(url), id, metadata, client.ClientSecretBasic(SECRET), options);
}
const granted = (config, options) =>
  client.clientCredentialsGrant(config, { resource: 'https://email.example', scope: 'send' }, options);

const told = [];
async function tell(what, asked) {
  const add = async (response, error) => {
    const { reason = null, request_id = null } = response && response.status !== 202 ? await response.json() : {};
    told.push({ what, status: response?.status ?? 0, reason, request_id, error });
  };
  try {
    await add(await asked);
  } catch (error) {
    // A challenge is an exception of this library, with the answer as its cause.
    await add(error.response, String(error.cause?.code ?? error.cause ?? error));
  }
}
const ask = (config, token, options) =>
  client.fetchProtectedResource(config, token, SERVICE, 'POST', '{}', new Headers({ 'content-type': 'application/json' }), options);

// Bound to a key.
const keyed = await configured('with-key', undefined, addresses.plain);
const handle = client.getDPoPHandle(keyed, await client.randomDPoPKeyPair());
const another = client.getDPoPHandle(keyed, await client.randomDPoPKeyPair());
const { access_token: proven, token_type: type } = await granted(keyed, { DPoP: handle });
await tell('key: a proof', ask(keyed, proven, { DPoP: handle }));
await tell('key: another proof', ask(keyed, proven, { DPoP: handle }));
await tell('key: a proof of another key', ask(keyed, proven, { DPoP: another }));
await tell('key: as Bearer', ask(keyed, proven));
const field = { method: 'POST', headers: { authorization: `DPoP ${proven}` }, body: '{}' };
await tell('key: no proof', fetching(undefined, addresses.plain)(SERVICE, field));

// Bound to a certificate.
const certified = await configured('with-certificate', await pair('client'), addresses.tls);
const { access_token: certificate } = await granted(certified);
const elsewhere = await configured('with-certificate', await pair('other'), addresses.tls);
await tell('certificate: it', ask(certified, certificate));
await tell('certificate: it again', ask(certified, certificate));
await tell('certificate: another one', ask(elsewhere, certificate));
const twice = client.getDPoPHandle(certified, await client.randomDPoPKeyPair());
await tell('certificate: it, with a proof of a key', ask(certified, certificate, { DPoP: twice }));
await tell('certificate: none on the way to a proxy', ask(keyed, certificate));
const bare = await configured('with-nothing', undefined, addresses.tls);
await tell('certificate: none', ask(bare, certificate));

// Bound to nothing.
const { access_token: free } = await granted(bare);
await tell('nothing: as Bearer', ask(keyed, free));
await tell('nothing: with a proof', ask(keyed, free, { DPoP: another }));
print(JSON.stringify({ type, told }));
process.exit(0);
