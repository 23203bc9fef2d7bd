// Two issuers as their documentation sets them up, under their own defaults: an oidc-provider with the client `billing`, and a
// better-auth with one user. Prints the URL of each with a token of its own, and serves until its standard input ends.

import { createServer } from 'node:http';
import { once } from 'node:events';

// What the libraries say goes to standard error.
const print = console.log;
console.log = console.info = console.warn = console.error;
const { default: Provider } = await import('oidc-provider');
const { betterAuth } = await import('better-auth');
const { memoryAdapter } = await import('better-auth/adapters/memory');
const { toNodeHandler } = await import('better-auth/node');
const { jwt } = await import('better-auth/plugins');

// Listens, so that an issuer can be told its own URL before it is made.
async function serve(handler) {
  const server = createServer((request, response) => handler()(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${server.address().port}`;
}

// The client gets its token by its own credentials (RFC 6749 section 4.4), as a JWT (RFC 9068).
async function oidcProvider() {
  let callback;
  const url = await serve(() => callback);
  const provider = new Provider(url, {
    clients: [{ client_id: 'billing', client_secret: 'for this test alone', grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }],
    features: {
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({ scope: 'send', audience: 'email-service', accessTokenFormat: 'jwt' }),
      },
    },
  });
  callback = provider.callback();
  const answer = await fetch(`${url}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa('billing:for+this+test+alone')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', resource: 'https://email.example', scope: 'send' }),
  });
  const { access_token: token } = await answer.json();
  return { url, token };
}

// The user signs up, and its session gets a JWT.
async function betterAuthServer() {
  let handler;
  const url = await serve(() => handler);
  const auth = betterAuth({
    baseURL: url,
    secret: 'a secret that is for this test alone',
    database: memoryAdapter({ user: [], session: [], account: [], verification: [], jwks: [] }),
    emailAndPassword: { enabled: true },
    plugins: [jwt()],
  });
  handler = toNodeHandler(auth);
  const signedUp = await fetch(`${url}/api/auth/sign-up/email`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: url },
    body: JSON.stringify({ name: 'billing', email: 'billing@example.org', password: 'for this test alone' }),
  });
  const cookie = signedUp.headers.getSetCookie().map((line) => line.split(';')[0]).join('; ');
  const { user } = await signedUp.json();
  const { token } = await (await fetch(`${url}/api/auth/token`, { headers: { cookie } })).json();
  return { url, token, user: user.id };
}

const made = { oidc_provider: await oidcProvider(), better_auth: await betterAuthServer() };
print(JSON.stringify(made));
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
