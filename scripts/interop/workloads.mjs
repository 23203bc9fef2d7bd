// Makes workload identity tokens and their proofs (draft-ietf-wimse-workload-creds, draft-ietf-wimse-wpt) with jose and prints them as JSON, with
// what Callgate must say of each. Argument: the URL of the request.

import { SignJWT, exportJWK, generateKeyPair } from 'jose';
import { createHash, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';

const [url] = process.argv.slice(2);
const { version } = JSON.parse(await readFile(new URL('node_modules/jose/package.json', import.meta.url)));
const hash = (text) => createHash('sha256').update(text).digest('base64url');
const issuer = await generateKeyPair('ES256', { extractable: true });
const keys = { keys: [{ ...(await exportJWK(issuer.publicKey)), kid: 'issuer', use: 'sig' }] };
const now = Math.floor(Date.now() / 1000);

const requests = [];
for (const alg of ['ES256', 'Ed25519', 'EdDSA', 'RS256', 'PS256']) {
  const own = await generateKeyPair(alg, { extractable: true });
  const other = await generateKeyPair(alg, { extractable: true });
  const jwk = { ...(await exportJWK(own.publicKey)), alg };
  const token = (cnf, typ = 'wit+jwt') =>
    new SignJWT({ cnf })
      .setProtectedHeader({ alg: 'ES256', kid: 'issuer', typ })
      .setSubject('wimse://example.com/billing')
      .setExpirationTime('5m')
      .sign(issuer.privateKey);
  const proof = (wit, claims = {}, header = {}, key = own.privateKey) =>
    new SignJWT({ aud: url, exp: now + 60, jti: randomUUID(), wth: hash(wit), ...claims })
      .setProtectedHeader({ alg, typ: 'wpt+jwt', ...header })
      .sign(key);
  const wit = await token({ jwk });
  const add = (what, verdict, made, fields = {}, of = wit) =>
    requests.push({ alg, what, verdict, token: of, proof: made, fields });
  const bearer = { Authorization: 'Bearer of-a-user' };
  add('good', '-> wimse://example.com/billing', await proof(wit));
  add('with a query', '-> wimse://example.com/billing', await proof(wit, { aud: `${url}?a=b` }));
  add('with an access token', '-> wimse://example.com/billing', await proof(wit, { ath: hash('of-a-user') }), bearer);
  add('with an access token that is not covered', 'proof_invalid', await proof(wit), bearer);
  add('of another key', 'proof_invalid', await proof(wit, {}, {}, other.privateKey));
  add('for another URL', 'proof_invalid', await proof(wit, { aud: 'https://eve.example/send' }));
  add('for another token', 'proof_invalid', await proof(`${wit}x`));
  add('of another type', 'proof_invalid', await proof(wit, {}, { typ: 'dpop+jwt' }));
  add('over', 'proof_expired', await proof(wit, { exp: now - 1 }));
  add('for too long', 'proof_expired', await proof(wit, { exp: now + 3600 }));
  const nameless = await token({ jwk: await exportJWK(own.publicKey) });
  add('of a key without alg', 'claim_invalid', await proof(nameless), {}, nameless);
  const plain = await token({ jwk }, 'JWT');
  add('of another kind of token', 'type_refused', await proof(plain), {}, plain);
}
console.log(JSON.stringify({ by: `jose ${version}`, keys, requests }));
