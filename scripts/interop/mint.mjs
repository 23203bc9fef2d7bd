// Makes keys, a JWK Set and tokens for every algorithm with jose, and prints them as JSON.
//
// Arguments: issuer, audience, and the time for which the tokens are made, in seconds since 1970.

import { readFile } from 'node:fs/promises';
import * as jose from 'jose';

const [issuer, audience, time] = process.argv.slice(2);
const now = Number(time);
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'];

const keys = new Map();
for (const alg of algorithms) {
  keys.set(alg, await jose.generateKeyPair(alg, { extractable: true }));
}

// A token for five minutes; a claim that is undefined is left out.
function token(alg, changes = {}) {
  const claims = { iss: issuer, aud: audience, sub: 'billing', iat: now, exp: now + 300, ...changes };
  return new jose.SignJWT(claims).setProtectedHeader({ alg, kid: alg, typ: 'at+jwt' }).sign(keys.get(alg).privateKey);
}

const document = [];
const tokens = [];
for (const alg of algorithms) {
  document.push({ ...(await jose.exportJWK(keys.get(alg).publicKey)), kid: alg, alg, use: 'sig' });
  tokens.push(
    { alg, what: 'good', token: await token(alg), verdict: '-> billing' },
    { alg, what: 'for several', token: await token(alg, { aud: ['x', audience] }), verdict: '-> billing' },
    { alg, what: 'expired', token: await token(alg, { exp: now - 300 }), verdict: 'token_expired' },
    { alg, what: 'for another', token: await token(alg, { aud: 'x' }), verdict: 'audience_mismatch' },
    { alg, what: 'without exp', token: await token(alg, { exp: undefined }), verdict: 'claim_missing' },
    { alg, what: 'not yet valid', token: await token(alg, { nbf: now + 300 }), verdict: 'token_not_yet_valid' },
  );
}

const claims = { iss: issuer, aud: audience, sub: 'billing', exp: now + 300 };
const hmac = await new jose.SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(new Uint8Array(64));
tokens.push({ alg: 'HS256', what: 'an HMAC', token: hmac, verdict: 'algorithm_refused' });
tokens.push({ alg: 'none', what: 'no signature', token: new jose.UnsecuredJWT(claims).encode(), verdict: 'algorithm_refused' });

const encrypted = await new jose.EncryptJWT(claims).setProtectedHeader({ alg: 'dir', enc: 'A128GCM' }).encrypt(new Uint8Array(16));
tokens.push({ alg: 'dir', what: 'encrypted', token: encrypted, verdict: 'token_malformed' });

const { dependencies } = JSON.parse(await readFile(new URL('package.json', import.meta.url)));
console.log(JSON.stringify({ by: `jose ${dependencies.jose}`, keys: { keys: document }, tokens }));
