#!/usr/bin/env node
// The signing keys of the issuer: a file with the newest key last, and which of them signs. The issuer re-reads it.
//
//     keys.js init     make the file with one key, unless it is there
//     keys.js add      publish a further key; the old one still signs
//     keys.js use      sign with the newest key
//     keys.js drop     stop publishing every other key
//     keys.js list     print the ids, the signing one marked

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const file = process.env.KEYS_FILE ?? fileURLToPath(new URL('./.keys.json', import.meta.url));

/** { signer: kid, keys: [private JWK, …] } */
export const read = () => JSON.parse(readFileSync(file, 'utf8'));

const generate = () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig', kid: randomBytes(6).toString('hex') };
};

// Whole or not at all: the issuer may read at any moment.
const write = (keys) => {
  const part = `${file}.part`;
  writeFileSync(part, `${JSON.stringify(keys, null, 1)}\n`, { mode: 0o600 });
  renameSync(part, file);
};

export const init = () => {
  if (existsSync(file)) return;
  const key = generate();
  write({ signer: key.kid, keys: [key] });
};

const commands = {
  init,
  add() {
    const { signer, keys } = read();
    write({ signer, keys: [...keys, generate()] });
  },
  use() {
    const { keys } = read();
    write({ signer: keys.at(-1).kid, keys });
  },
  drop() {
    const { signer, keys } = read();
    write({ signer, keys: keys.filter(({ kid }) => kid === signer) });
  },
  list() {
    const { signer, keys } = read();
    for (const { kid } of keys) console.log(kid === signer ? `${kid} signs` : kid);
  },
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const command = commands[process.argv[2]];
  if (command === undefined) {
    console.error(`usage: keys.js ${Object.keys(commands).join('|')}`);
    process.exit(2);
  }
  command();
}
