// A token issuer for trying things out: OAuth 2.0 client credentials (RFC 6749 §4.4) for JWT access tokens (RFC 9068).
// A caller is a client; its id becomes the token's `sub`. The resource `urn:service:NAME` becomes the audience NAME.
//
//     ISSUER    its own URL, the tokens' `iss`        (http://127.0.0.1:4000)
//     LISTEN    address to listen on                  (127.0.0.1:4000)
//     CLIENTS   id=secret, separated by commas
//     TOKEN_TTL lifetime of a token in seconds        (300)
//     KEYS_FILE see keys.js
//     TLS       a directory with server.crt, server.key and ca.pem: listens with TLS, wants from each client a certificate of
//               that authority, and ties its tokens to it (RFC 8705)

import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { readFileSync, watchFile } from 'node:fs';
import Provider, { errors } from 'oidc-provider';

import * as signing from './keys.js';

const issuer = process.env.ISSUER ?? 'http://127.0.0.1:4000';
const [host, port] = (process.env.LISTEN ?? '127.0.0.1:4000').split(/:(?=\d+$)/);
const tls = process.env.TLS;
const ttl = Number(process.env.TOKEN_TTL ?? 300);
const clients = (process.env.CLIENTS ?? '').split(',').filter(Boolean).map((pair) => pair.split('='));

if (clients.length === 0) {
  console.error('CLIENTS is empty: name at least one client, id=secret');
  process.exit(2);
}

const configure = ({ signer, keys }) => ({
  jwks: { keys },
  clients: clients.map(([client_id, client_secret]) => ({
    client_id,
    client_secret,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    // The default would ask for an RSA key.
    id_token_signed_response_alg: 'ES256',
    tls_client_certificate_bound_access_tokens: tls !== undefined,
  })),
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    mTLS: {
      enabled: true,
      certificateBoundAccessTokens: true,
      getCertificate: (context) => context.socket.getPeerX509Certificate?.(),
    },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo(_context, resource) {
        const audience = /^urn:service:([a-z0-9-]+)$/.exec(resource)?.[1];
        if (audience === undefined) throw new errors.InvalidTarget('ask for resource=urn:service:NAME');
        return {
          scope: '',
          audience,
          accessTokenTTL: ttl,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'ES256', kid: signer } },
        };
      },
    },
  },
});

const handler = () => new Provider(issuer, configure(signing.read())).callback();

signing.init();
let current = handler();
watchFile(signing.file, { interval: 200 }, () => {
  try {
    current = handler();
    console.error('The keys were read again.');
  } catch (error) {
    console.error(`The keys cannot be used, the old ones stay: ${error.message}`);
  }
});

const serve = (request, response) => {
  response.on('finish', () => console.error(`${request.method} ${request.url} ${response.statusCode}`));
  current(request, response);
};
const file = (name) => readFileSync(`${tls}/${name}`);
const server = tls
  ? createTlsServer({ cert: file('server.crt'), key: file('server.key'), ca: file('ca.pem'), requestCert: true }, serve)
  : createServer(serve);
server.listen(Number(port), host, () => console.error(`Issuing as ${issuer} on ${host}:${port}`));
process.on('SIGTERM', () => process.exit(0));
process.on('SIGINT', () => process.exit(0));
