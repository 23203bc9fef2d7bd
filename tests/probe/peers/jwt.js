// A bearer token of RS256, verified with njs and its WebCrypto (njs 0.7).
import fs from 'fs';

const pem = fs.readFileSync('@TOKENS@/RS256.pem').toString();
const der = Buffer.from(pem.split('\n').filter(line => !line.startsWith('-')).join(''), 'base64');

async function check(r) {
    try {
        const field = r.headersIn.Authorization || '';
        if (!field.startsWith('Bearer ')) {
            return r.return(401);
        }
        const parts = field.slice(7).split('.');
        const header = JSON.parse(Buffer.from(parts[0], 'base64url').toString());
        const claims = JSON.parse(Buffer.from(parts[1], 'base64url').toString());
        if (parts.length != 3 || header.alg != 'RS256') {
            return r.return(401);
        }
        const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
        const key = await crypto.subtle.importKey('spki', der, algorithm, false, ['verify']);
        const signature = Buffer.from(parts[2], 'base64url');
        const good = await crypto.subtle.verify(algorithm, key, signature, Buffer.from(parts[0] + '.' + parts[1]));
        if (!good || claims.iss != 'https://auth.internal.example' || claims.aud != 'email-service'
            || !(claims.exp > Date.now() / 1000)) {
            return r.return(401);
        }
        r.headersOut['X-Caller'] = claims.sub;
        r.return(204);
    } catch (e) {
        r.return(401);
    }
}

export default { check };
