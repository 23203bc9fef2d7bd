"""Makes keys, a JWK Set and tokens for every algorithm with joserfc under its own defaults, and prints them as JSON.

Arguments: issuer, audience, and the time for which the tokens are made, in seconds since 1970.
"""

import json
import sys

import joserfc
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey

issuer, audience, now = sys.argv[1], sys.argv[2], int(sys.argv[3])

KINDS = {
    "RS": lambda alg: RSAKey.generate_key(2048, {"alg": alg, "use": "sig"}),
    "PS": lambda alg: RSAKey.generate_key(2048, {"alg": alg, "use": "sig"}),
    "ES": lambda alg: ECKey.generate_key(f"P-{alg[2:].replace('512', '521')}", {"alg": alg, "use": "sig"}),
    "Ed": lambda alg: OKPKey.generate_key("Ed25519", {"alg": alg, "use": "sig"}),
}
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA"]
keys = {alg: KINDS[alg[:2]](alg) for alg in ALGORITHMS}
for key in keys.values():
    # The thumbprint (RFC 7638) is the name that the library gives to a key.
    key.ensure_kid()


def token(alg, **changes):
    """A token for five minutes; a claim that is None is left out."""
    claims = {"iss": issuer, "aud": audience, "sub": "billing", "iat": now, "exp": now + 300} | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode({"alg": alg, "kid": keys[alg].kid}, claims, keys[alg], algorithms=[alg])


tokens = []
for alg in ALGORITHMS:
    tokens += [
        {"alg": alg, "what": "good", "token": token(alg), "verdict": "-> billing"},
        {"alg": alg, "what": "for several", "token": token(alg, aud=["x", audience]), "verdict": "-> billing"},
        {"alg": alg, "what": "expired", "token": token(alg, exp=now - 300), "verdict": "token_expired"},
        {"alg": alg, "what": "for another", "token": token(alg, aud="x"), "verdict": "audience_mismatch"},
        {"alg": alg, "what": "without exp", "token": token(alg, exp=None), "verdict": "claim_missing"},
        {"alg": alg, "what": "not yet valid", "token": token(alg, nbf=now + 300), "verdict": "token_not_yet_valid"},
    ]
claims = {"iss": issuer, "aud": audience, "sub": "billing", "exp": now + 300}
secret = jwt.encode({"alg": "HS256"}, claims, OctKey.generate_key(256))
tokens.append({"alg": "HS256", "what": "an HMAC", "token": secret, "verdict": "algorithm_refused"})

document = KeySet(list(keys.values())).as_dict(private=False)
json.dump({"by": f"joserfc {joserfc.__version__}", "keys": document, "tokens": tokens}, sys.stdout)
