// A token issuer for trying things out: better-auth with its JWT plugin, whose users are services. Whoever signs in as one gets a
// JWT for the email service; nobody can sign up. It keeps nothing, not even its keys; do not put it before real services.
//
//     ISSUER    its own URL, the tokens' `iss`        (http://127.0.0.1:4001)
//     LISTEN    address to listen on                  (127.0.0.1:4001)
//     CLIENTS   name=password, separated by commas
//
// The key set is below /api/auth/jwks. A token's `sub` is NAME@services.example: a user may change its name, and not its address.

import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';

import { betterAuth } from 'better-auth';
import { memoryAdapter } from 'better-auth/adapters/memory';
import { toNodeHandler } from 'better-auth/node';
import { jwt } from 'better-auth/plugins';

const issuer = process.env.ISSUER ?? 'http://127.0.0.1:4001';
const [host, port] = (process.env.LISTEN ?? '127.0.0.1:4001').split(/:(?=\d+$)/);
const clients = (process.env.CLIENTS ?? '').split(',').filter(Boolean).map((pair) => pair.split('='));

if (clients.length === 0) {
  console.error('CLIENTS is empty: name at least one service, name=password');
  process.exit(2);
}

const auth = betterAuth({
  baseURL: issuer,
  secret: randomBytes(32).toString('hex'),
  database: memoryAdapter({ user: [], session: [], account: [], verification: [], jwks: [] }),
  emailAndPassword: { enabled: true, disableSignUp: true },
  plugins: [jwt({ jwt: { audience: 'email-service', expirationTime: '5m', getSubject: ({ user }) => user.email } })],
  telemetry: { enabled: false },
});

const { internalAdapter, password } = await auth.$context;
for (const [name, secret] of clients) {
  const user = await internalAdapter.createUser({ name, email: `${name}@services.example`, emailVerified: true });
  await internalAdapter.linkAccount({ userId: user.id, accountId: user.id, providerId: 'credential', password: await password.hash(secret) });
}

const server = createServer(toNodeHandler(auth));
server.listen(Number(port), host, () => console.error(`Issuing as ${issuer} on ${host}:${port}`));
process.on('SIGTERM', () => process.exit(0));
process.on('SIGINT', () => process.exit(0));
