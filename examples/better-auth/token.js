#!/usr/bin/env node
// Prints a token of the issuer beside it, as the service that is named first in CLIENTS or by the argument: signs in, and asks for
// the session's JWT.
//
//     token.js [NAME]

const issuer = process.env.ISSUER ?? 'http://127.0.0.1:4001';
const port = (process.env.LISTEN ?? '127.0.0.1:4001').split(':').at(-1);
const clients = new Map((process.env.CLIENTS ?? '').split(',').map((pair) => pair.split('=')));
const name = process.argv[2] ?? clients.keys().next().value;

const here = `http://127.0.0.1:${port}/api/auth`;
const signedIn = await fetch(`${here}/sign-in/email`, {
  method: 'POST',
  headers: { 'content-type': 'application/json', origin: issuer },
  body: JSON.stringify({ email: `${name}@services.example`, password: clients.get(name) ?? '' }),
});
if (!signedIn.ok) {
  console.error(`${name} cannot sign in: ${signedIn.status} ${await signedIn.text()}`);
  process.exit(1);
}
const cookie = signedIn.headers.getSetCookie().map((line) => line.split(';')[0]).join('; ');
const { token } = await (await fetch(`${here}/token`, { headers: { cookie } })).json();
console.log(token);
