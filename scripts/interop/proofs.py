"""Makes DPoP proofs by hand with `cryptography` and with joserfc, and prints them as JSON, with what Callgate must say of each.

Arguments: the method, the URL and the token that they are for.
"""

import base64
import hashlib
import json
import sys
import time
import uuid

import cryptography
import joserfc
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey

method, url, token = sys.argv[1:]


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims(**changes: object) -> dict:
    ath = base64url(hashlib.sha256(token.encode()).digest())
    good = {"jti": str(uuid.uuid4()), "htm": method, "htu": url, "iat": int(time.time()), "ath": ath}
    return good | changes


class ByHand:
    """A key of `cryptography`, with the JWS written by hand."""

    def __init__(self, alg: str):
        self.alg = alg
        self.key = ec.generate_private_key(ec.SECP256R1()) if alg == "ES256" else ed25519.Ed25519PrivateKey.generate()
        public = self.key.public_key()
        if alg == "ES256":
            numbers = public.public_numbers()
            x, y = (base64url(number.to_bytes(32)) for number in (numbers.x, numbers.y))
            self.jwk = {"crv": "P-256", "kty": "EC", "x": x, "y": y}
        else:
            self.jwk = {"crv": "Ed25519", "kty": "OKP", "x": base64url(public.public_bytes_raw())}
        members = json.dumps(self.jwk, separators=(",", ":"), sort_keys=True)
        self.jkt = base64url(hashlib.sha256(members.encode()).digest())

    def sign(self, content: dict) -> str:
        header = {"typ": "dpop+jwt", "alg": self.alg, "jwk": self.jwk}
        message = ".".join(base64url(json.dumps(part).encode()) for part in (header, content))
        if self.alg == "ES256":
            r, s = decode_dss_signature(self.key.sign(message.encode(), ec.ECDSA(hashes.SHA256())))
            signature = r.to_bytes(32) + s.to_bytes(32)
        else:
            signature = self.key.sign(message.encode())
        return f"{message}.{base64url(signature)}"


class Joserfc:
    """A key of joserfc, and its JWS."""

    def __init__(self, alg: str):
        self.alg = alg
        self.key = ECKey.generate_key("P-256") if alg == "ES256" else OKPKey.generate_key("Ed25519")
        self.jkt = self.key.thumbprint()

    def sign(self, content: dict) -> str:
        header = {"typ": "dpop+jwt", "alg": self.alg, "jwk": self.key.as_dict(private=False)}
        return jws.serialize_compact(header, json.dumps(content), self.key, algorithms=[self.alg], registry=REGISTRY)


# The library's own registry knows `jwk` in a header, and asks for no other rule here.
REGISTRY = jws.JWSRegistry(algorithms=["ES256", "EdDSA"], strict_check_header=False)

proofs = []
for client in (ByHand("ES256"), ByHand("EdDSA"), Joserfc("ES256"), Joserfc("EdDSA")):
    for what, verdict, changes in (
        ("good", "proven", {}),
        ("made a moment ago", "proven", {"iat": time.time() - 5}),
        ("made long ago", "proof_expired", {"iat": int(time.time()) - 300}),
        ("made tomorrow", "proof_expired", {"iat": int(time.time()) + 86400}),
        ("for another method", "proof_invalid", {"htm": "GET"}),
        ("for another URL", "proof_invalid", {"htu": "https://eve.example/send"}),
        ("for another token", "proof_invalid", {"ath": base64url(bytes(32))}),
    ):
        proof = client.sign(claims(**changes))
        proofs.append({"alg": client.alg, "what": what, "jkt": client.jkt, "verdict": verdict, "proof": proof})

json.dump({"by": f"cryptography {cryptography.__version__} and joserfc {joserfc.__version__}", "proofs": proofs}, sys.stdout)
