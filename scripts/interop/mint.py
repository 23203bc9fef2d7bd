"""Makes keys, a JWK Set and tokens for every algorithm with PyJWT, and prints them as JSON.

Arguments: issuer, audience, and the time for which the tokens are made, in seconds since 1970.
"""

import json
import sys

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

issuer, audience, now = sys.argv[1], sys.argv[2], int(sys.argv[3])

rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
keys = {
    "RS256": (rsa_key, RSAAlgorithm),
    "RS384": (rsa_key, RSAAlgorithm),
    "RS512": (rsa_key, RSAAlgorithm),
    "PS256": (rsa_key, RSAAlgorithm),
    "PS384": (rsa_key, RSAAlgorithm),
    "PS512": (rsa_key, RSAAlgorithm),
    "ES256": (ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
    "ES384": (ec.generate_private_key(ec.SECP384R1()), ECAlgorithm),
    "ES512": (ec.generate_private_key(ec.SECP521R1()), ECAlgorithm),
    "EdDSA": (ed25519.Ed25519PrivateKey.generate(), OKPAlgorithm),
}


def token(alg, **changes):
    """A token for five minutes; a claim that is None is left out."""
    claims = {"iss": issuer, "aud": audience, "sub": "billing", "iat": now, "exp": now + 300} | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, keys[alg][0], algorithm=alg, headers={"kid": alg})


document = []
for alg, (key, algorithm) in keys.items():
    jwk = json.loads(algorithm.to_jwk(key.public_key()))
    document.append(jwk | {"kid": alg, "alg": alg, "use": "sig"})

tokens = []
for alg in keys:
    tokens += [
        {"alg": alg, "what": "good", "token": token(alg), "verdict": "-> billing"},
        {"alg": alg, "what": "for several", "token": token(alg, aud=["x", audience]), "verdict": "-> billing"},
        {"alg": alg, "what": "expired", "token": token(alg, exp=now - 300), "verdict": "token_expired"},
        {"alg": alg, "what": "for another", "token": token(alg, aud="x"), "verdict": "audience_mismatch"},
        {"alg": alg, "what": "without exp", "token": token(alg, exp=None), "verdict": "claim_missing"},
        {"alg": alg, "what": "not yet valid", "token": token(alg, nbf=now + 300), "verdict": "token_not_yet_valid"},
    ]
secret = jwt.encode({"iss": issuer, "aud": audience, "sub": "billing", "exp": now + 300}, "s" * 64, algorithm="HS256")
tokens.append({"alg": "HS256", "what": "an HMAC", "token": secret, "verdict": "algorithm_refused"})
nothing = jwt.encode({"iss": issuer, "aud": audience, "sub": "billing", "exp": now + 300}, None, algorithm="none")
tokens.append({"alg": "none", "what": "no signature", "token": nothing, "verdict": "algorithm_refused"})

json.dump({"by": f"PyJWT {jwt.__version__}", "keys": {"keys": document}, "tokens": tokens}, sys.stdout)
