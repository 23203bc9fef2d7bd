#!/usr/bin/env node
// Prints a token of the issuer beside it, for the email service or the one that is named, as the client that is named first in
// CLIENTS or by the argument.
//
//     token.js [CLIENT [SERVICE]]

const port = (process.env.LISTEN ?? '127.0.0.1:4000').split(':').at(-1);
const clients = new Map((process.env.CLIENTS ?? '').split(',').map((pair) => pair.split('=')));
const [client = clients.keys().next().value, service = 'email-service'] = process.argv.slice(2);

const answer = await fetch(`http://127.0.0.1:${port}/token`, {
  method: 'POST',
  headers: { authorization: `Basic ${btoa(`${client}:${clients.get(client) ?? ''}`)}` },
  body: new URLSearchParams({ grant_type: 'client_credentials', resource: `urn:service:${service}` }),
});
const { access_token: token, error_description: why } = await answer.json();
if (token === undefined) {
  console.error(`no token for ${client}: ${answer.status} ${why}`);
  process.exit(1);
}
console.log(token);
