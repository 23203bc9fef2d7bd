// Makes DPoP proofs with the library `dpop` for Node and prints them as JSON, with what Callgate must say of each. Arguments: the method,
// the URL and the token that they are for.

import * as DPoP from 'dpop';
import { readFile } from 'node:fs/promises';

const [method, url, token] = process.argv.slice(2);
const { version } = JSON.parse(await readFile(new URL('node_modules/dpop/package.json', import.meta.url)));
const proofs = [];
for (const alg of ['ES256', 'Ed25519', 'PS256', 'RS256']) {
  const keys = await DPoP.generateKeyPair(alg);
  const jkt = await DPoP.calculateThumbprint(keys.publicKey);
  const add = async (what, verdict, ...of) => {
    proofs.push({ alg, what, jkt, verdict, proof: await DPoP.generateProof(keys, ...of) });
  };
  await add('good', 'proven', url, method, undefined, token);
  await add('with a query', 'proven', `${url}?a=b`, method, undefined, token);
  await add('with a nonce that nobody asked for', 'proven', url, method, 'nonce', token);
  await add('for another method', 'proof_invalid', url, 'GET', undefined, token);
  await add('for another URL', 'proof_invalid', 'https://eve.example/send', method, undefined, token);
  await add('for another token', 'proof_invalid', url, method, undefined, `${token}x`);
  await add('for no token', 'proof_invalid', url, method);
}
console.log(JSON.stringify({ by: `dpop ${version}`, proofs }));
