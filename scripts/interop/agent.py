"""A SPIFFE agent with the published workload.proto, as py-spiffe carries it, and JWT-SVIDs of joserfc.

Argument: the path of its socket. It prints {"good": token, "forged": token} once it listens, and ends when its standard input does.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
from joserfc import jwt
from joserfc.jwk import ECKey
from spiffe._proto import workload_pb2, workload_pb2_grpc

DOMAIN = "spiffe://example.org"
key, stranger = (ECKey.generate_key("P-256", {"kid": "jwt-1"}) for _ in range(2))


class Agent(workload_pb2_grpc.SpiffeWorkloadAPIServicer):
    """Gives one bundle, and keeps the stream open."""

    def FetchJWTBundles(self, request, context):
        if ("workload.spiffe.io", "true") not in context.invocation_metadata():
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "security header missing")
        document = json.dumps({"keys": [key.as_dict(private=False)]}).encode()
        yield workload_pb2.JWTBundlesResponse(bundles={"spiffe://other.org": b'{"keys":[]}', DOMAIN: document})
        while context.is_active():
            time.sleep(0.1)


def svid(signer):
    now = int(time.time())
    claims = {"sub": DOMAIN + "/billing", "aud": ["email"], "iat": now, "exp": now + 300}
    return jwt.encode({"alg": "ES256", "kid": "jwt-1", "typ": "JWT"}, claims, signer)


server = grpc.server(ThreadPoolExecutor(max_workers=4))
workload_pb2_grpc.add_SpiffeWorkloadAPIServicer_to_server(Agent(), server)
server.add_insecure_port("unix:" + sys.argv[1])
server.start()
print(json.dumps({"good": svid(key), "forged": svid(stranger)}), flush=True)
sys.stdin.read()
server.stop(None)
