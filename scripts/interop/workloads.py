"""Makes workload identity tokens and their proofs (draft-ietf-wimse-workload-creds, draft-ietf-wimse-wpt) with joserfc, and prints them as JSON, with
what Callgate must say of each.

Argument: the URL of the request.
"""

import base64
import hashlib
import json
import sys
import time
import uuid

import joserfc
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey

(url,) = sys.argv[1:]

REGISTRY = jws.JWSRegistry(algorithms=["ES256", "EdDSA"], strict_check_header=False)
WHO = "spiffe://example.com/billing"


def hash_of(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def sign(header: dict, claims: dict, key: ECKey | OKPKey) -> str:
    return jws.serialize_compact(header, json.dumps(claims), key, algorithms=[header["alg"]], registry=REGISTRY)


def key_for(alg: str) -> ECKey | OKPKey:
    return ECKey.generate_key("P-256") if alg == "ES256" else OKPKey.generate_key("Ed25519")


issuer = ECKey.generate_key("P-256")
now = int(time.time())
requests = []
for alg in ("ES256", "EdDSA"):
    own = key_for(alg)
    jwk = own.as_dict(private=False) | {"alg": alg}
    wit = sign({"alg": "ES256", "kid": "issuer", "typ": "wit+jwt"}, {"sub": WHO, "exp": now + 300, "cnf": {"jwk": jwk}}, issuer)
    good = {"aud": url, "exp": now + 60, "wth": hash_of(wit)}
    for what, verdict, changes, fields in (
        ("good", f"-> {WHO}", {}, {}),
        ("with a part of a second", f"-> {WHO}", {"exp": time.time() + 60}, {}),
        ("with a transaction token", f"-> {WHO}", {"tth": hash_of("t.x.n")}, {"Txn-Token": "t.x.n"}),
        ("with another token", f"-> {WHO}", {"oth": {"x-user": hash_of("u")}}, {"X-User": "u"}),
        ("with a transaction token that is not covered", "proof_invalid", {}, {"Txn-Token": "t.x.n"}),
        ("with another token that is not there", "proof_invalid", {"oth": {"x-user": hash_of("u")}}, {}),
        ("for another URL", "proof_invalid", {"aud": "https://eve.example/send"}, {}),
        ("for another token", "proof_invalid", {"wth": hash_of("a.b.c")}, {}),
        ("over", "proof_expired", {"exp": now - 1}, {}),
    ):
        proof = sign({"alg": alg, "typ": "wpt+jwt"}, good | {"jti": str(uuid.uuid4())} | changes, own)
        made = {"alg": alg, "what": what, "verdict": verdict, "token": wit, "proof": proof, "fields": fields}
        requests.append(made)

keys = {"keys": [issuer.as_dict(private=False) | {"kid": "issuer", "use": "sig"}]}
json.dump({"by": f"joserfc {joserfc.__version__}", "keys": keys, "requests": requests}, sys.stdout)
