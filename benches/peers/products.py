"""The products that are compared, each with the configuration that makes it ask the same of a token: signature by a local
key, issuer, audience, expiry; and pass the caller on in X-Caller-Service. Every one runs one worker thread, keeps
connections to the upstream, and writes no access log. (Callgate's audit record has no switch: it is written, to nowhere.)"""

import json
import os
import subprocess
import time
from pathlib import Path

import machine
from built import ALGORITHMS, PROGRAM, TOKENS
from machine import ROOT, WORK

ISSUER = "https://auth.internal.example"
AUDIENCE = "email-service"

# How a product is set up: to pass everything on, or to ask for a token.
OPEN, GUARD = "open", "guard"


class Product:
    """One product. `start` gives a running one."""

    name = ""
    modes = (OPEN, GUARD)
    # Where prior-knowledge HTTP/2 is spoken: on the same port, on another one, or not at all (None).
    http2 = None
    # How the upstream is reached: as each workload says (None), or always over its Unix socket.
    transport = None
    # The cores it may use; by default the one of what is measured.
    cores = None
    # Whether it can reach an upstream on a Unix socket.
    unix = True

    def command(self, mode, upstream, directory, port, http2_port):
        """Writes the configuration and gives the command to run."""
        raise NotImplementedError

    def start(self, mode, upstream):
        return Running(self, mode, upstream)


class Running:
    """A product at work on its core, in a directory of its own."""

    def __init__(self, product, mode, upstream):
        self.product = product
        self.directory = WORK / "run" / product.name.replace(" ", "-")
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port, self.http2_port = machine.free_port(), machine.free_port()
        core, _ = machine.cores()
        command = product.command(mode, upstream, self.directory, self.port, self.http2_port)
        self.log = self.directory / "log"
        with open(self.log, "wb") as log:
            self.began = time.perf_counter()
            self.process = subprocess.Popen(
                ["taskset", "-c", product.cores or str(core), *map(str, command)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, cwd=self.directory)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(3)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def pids(self):
        return machine.family(self.process.pid)

    def complaint(self):
        return self.log.read_text(errors="replace")[-2000:]


class Floor(Product):
    """A library, and a proxy in a hundred lines that passes everything on: what a proxy made of it costs at least."""

    modes = (OPEN,)

    def __init__(self, name, example):
        self.name, self.example = name, example

    def command(self, mode, upstream, directory, port, http2_port):
        return [ROOT / "target/release/examples" / self.example, f"127.0.0.1:{port}", upstream]


FLOORS = [Floor("hyper bare", "hyper_proxy"), Floor("Pingora bare", "bare_proxy")]


class Callgate(Product):
    name = "Callgate"
    http2 = "same"

    def __init__(self, issuers=1, more="", program=PROGRAM):
        self.issuers, self.more, self.program = issuers, more, program

    def command(self, mode, upstream, directory, port, http2_port):
        public = '[[public]]\npath = "/send"\nmethods = ["POST"]\n' if mode == OPEN else ""
        algorithms = json.dumps(ALGORITHMS)
        more = "".join(f"""
[[issuers]]
issuer = "https://auth-{number}.internal.example"
audiences = ["{AUDIENCE}"]
algorithms = {algorithms}
keys = {{ file = "{TOKENS}/jwks.json" }}""" for number in range(1, self.issuers)) + f"\n{self.more}"
        (directory / "sidecar.toml").write_text(f"""
[listen]
address = "127.0.0.1:{port}"
[upstream]
address = "{upstream}"
[admin]
address = "127.0.0.1:0"
[[issuers]]
issuer = "{ISSUER}"
audiences = ["{AUDIENCE}"]
algorithms = {algorithms}
keys = {{ file = "{TOKENS}/jwks.json" }}
{more}
[log]
level = "warn"
[audit]
file = "/dev/null"
{public}""")
        return [self.program, "run", "--config", directory / "sidecar.toml"]


class CallgateUnix(Callgate):
    """With the service on a Unix socket, as a pod should have it."""

    name = "Callgate, Unix socket"
    transport = "unix"


class CallgateBefore(Callgate):
    """Another build of Callgate, for a comparison in one run: CALLGATE_BEFORE says where it is."""

    name = "Callgate before"


class Nginx(Product):
    """nginx as Debian has it: no JWT. It can only refuse a request that has no Authorization field, which gives the price
    of a refusal."""

    name = "nginx"
    http2 = "other"

    program = "nginx"

    def guard(self):
        return 'if ($http_authorization = "") { return 401; }'

    def http(self):
        return ""

    def command(self, mode, upstream, directory, port, http2_port):
        guard = self.guard() if mode == GUARD else ""
        (directory / "nginx.conf").write_text(f"""
daemon off; worker_processes 1; pid {directory}/pid; error_log {directory}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 1000000000; client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
    {self.http()}
    upstream email {{ server {upstream}; keepalive 128; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{port}; listen 127.0.0.1:{http2_port} http2;
        location / {{
            {guard}
            proxy_pass http://email; proxy_http_version 1.1; proxy_set_header Connection "";
        }}
    }}
}}
""")
        return [machine.find(self.program), "-c", directory / "nginx.conf", "-p", directory]


class NginxJwt(Nginx):
    """nginx with the open module ngx_http_auth_jwt. Debian does not package it: NGINX_AUTH_JWT says where an nginx is that was built
    with it."""

    name = "nginx auth_jwt"
    modes = (GUARD,)
    program = "nginx_auth_jwt"

    def http(self):
        return f"auth_jwt_claim_set $caller sub; auth_jwt_key_file {TOKENS}/jwks.json;"

    def guard(self):
        return (f'auth_jwt "email"; auth_jwt_require_claim iss eq {ISSUER}; auth_jwt_require_claim aud eq {AUDIENCE};'
                " proxy_set_header X-Caller-Service $caller;")


class HAProxy(Product):
    name = "HAProxy"
    http2 = "other"

    def command(self, mode, upstream, directory, port, http2_port):
        guard = ""
        if mode == GUARD:
            verify = "\n".join(
                f'    http-request deny deny_status 401 if {{ var(txn.alg) -m str {alg} }} !{{ var(txn.token),jwt_verify('
                f'txn.alg,"{TOKENS}/{alg}.pem") -m int 1 }}' for alg in ["RS256", "ES256"])
            guard = f"""
    http-request set-var(txn.token) http_auth_bearer
    http-request deny deny_status 401 unless {{ var(txn.token) -m found }}
    http-request set-var(txn.alg) var(txn.token),jwt_header_query('$.alg')
    http-request deny deny_status 401 unless {{ var(txn.alg) -m str RS256 ES256 }}
{verify}
    http-request deny deny_status 401 unless {{ var(txn.token),jwt_payload_query('$.iss') -m str {ISSUER} }}
    http-request deny deny_status 401 unless {{ var(txn.token),jwt_payload_query('$.aud') -m str {AUDIENCE} }}
    http-request set-var(txn.now) date()
    http-request deny deny_status 401 if {{ var(txn.token),jwt_payload_query('$.exp','int'),sub(txn.now) -m int lt 0 }}
    http-request set-header X-Caller-Service %[var(txn.token),jwt_payload_query('$.sub')]"""
        upstream = upstream.replace("unix:", "unix@")
        (directory / "haproxy.cfg").write_text(f"""
global
    nbthread 1
    maxconn 4096
defaults
    mode http
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    http-reuse always
frontend in
    bind 127.0.0.1:{port}
    bind 127.0.0.1:{http2_port} proto h2
{guard}
    default_backend email
backend email
    server email {upstream}
""")
        return [machine.find("haproxy"), "-db", "-f", directory / "haproxy.cfg"]


class Envoy(Product):
    name = "Envoy"
    http2 = "same"
    cache = None

    def command(self, mode, upstream, directory, port, http2_port):
        filters = [{"name": "router", "typed_config": _typed("filters.http.router.v3.Router")}]
        if mode == GUARD:
            provider = {
                "issuer": ISSUER, "audiences": [AUDIENCE], "local_jwks": {"filename": f"{TOKENS}/jwks.json"},
                "claim_to_headers": [{"header_name": "X-Caller-Service", "claim_name": "sub"}],
            }
            if self.cache:
                provider["jwt_cache_config"] = {"jwt_cache_size": self.cache}
            jwt = {
                **_typed("filters.http.jwt_authn.v3.JwtAuthentication"), "providers": {"issuer": provider},
                "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "issuer"}}],
            }
            filters.insert(0, {"name": "jwt", "typed_config": jwt})
        manager = {
            **_typed("filters.network.http_connection_manager.v3.HttpConnectionManager"),
            "stat_prefix": "in", "codec_type": "AUTO", "http_filters": filters,
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
                {"match": {"prefix": "/"}, "route": {"cluster": "email"}}]}]},
        }
        if upstream.startswith("unix:"):
            address = {"pipe": {"path": upstream.removeprefix("unix:")}}
        else:
            address = _address(upstream.split(":")[1])
        endpoint = {"endpoint": {"address": address}}
        config = {"static_resources": {
            "listeners": [{"name": "in", "address": _address(port),
                           "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]}],
            "clusters": [{"name": "email", "type": "STATIC", "connect_timeout": "2s",
                          "load_assignment": {"cluster_name": "email", "endpoints": [{"lb_endpoints": [endpoint]}]}}],
        }}
        (directory / "envoy.json").write_text(json.dumps(config, indent=1))
        quiet = ["--log-level", "warning", "--disable-hot-restart"]
        return [machine.find("envoy"), "-c", directory / "envoy.json", "--concurrency", "1", *quiet]


class EnvoyCached(Envoy):
    name = "Envoy cached"
    modes = (GUARD,)
    cache = 10_000


class Pingap(Product):
    """The other proxy on Pingora that judges tokens: `cargo install pingap`. Its plugin takes a key with its one algorithm."""

    name = "pingap"
    unix = False
    program = "pingap"
    http2 = "same"

    def command(self, mode, upstream, directory, port, http2_port):
        plugins, guard = "", ""
        if mode == GUARD:
            plugins = 'plugins = ["guard"]'
            guard = f"""
[plugins.guard]
category = "jwt"
header = "Authorization"
algorithm = "ES256"
public_key = "$FILE:{TOKENS}/ES256.pem"
issuers = ["{ISSUER}"]
audiences = ["{AUDIENCE}"]
leeway = "0s"
claims_to_headers = ["sub:X-Caller-Service"]"""
        (directory / "pingap.toml").write_text(f"""
[basic]
threads = 1
log_level = "warn"
pid_file = "{directory}/pid"
upgrade_sock = "{directory}/upgrade.sock"
upstream_keepalive_pool_size = 128
[upstreams.email]
addrs = ["{upstream}"]
[locations.all]
upstream = "email"
path = "/"
{plugins}
[servers.in]
addr = "127.0.0.1:{port}"
threads = 1
enabled_h2 = true
locations = ["all"]
{guard}
""")
        return [machine.find(self.program), "-c", directory / "pingap.toml"]


def _typed(name):
    return {"@type": f"type.googleapis.com/envoy.extensions.{name}"}


def _address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": int(port)}}


def all_products():
    """Every product that can run here. The order is the report's."""
    products = [*FLOORS, Callgate(), CallgateUnix()]
    if before := os.environ.get("CALLGATE_BEFORE"):
        products.append(CallgateBefore(program=Path(before).resolve()))
    products.append(Nginx())
    for product in [NginxJwt(), Pingap()]:
        if os.environ.get(product.program.upper()):
            products.append(product)
        else:
            machine.say(f"NOTE: {product.name} is packaged nowhere; {product.program.upper()}=/path names a build of it.")
    return [*products, HAProxy(), Envoy(), EnvoyCached()]


class Upstream:
    """The service behind: an nginx that answers 202 to everything and says which caller it was told, on TCP and on a Unix
    socket, beside the load on the other cores."""

    def __enter__(self):
        directory = WORK / "run" / "upstream"
        directory.mkdir(parents=True, exist_ok=True)
        self.tcp = f"127.0.0.1:{machine.free_port()}"
        socket = directory / "socket"
        socket.unlink(missing_ok=True)
        self.unix = f"unix:{socket}"
        (directory / "nginx.conf").write_text(f"""
daemon off; worker_processes 1; pid {directory}/pid; error_log {directory}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 1000000000; client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
    server {{
        listen {self.tcp} backlog=4096; listen {self.unix};
        add_header X-Upstream "saw caller '$http_x_caller_service'" always;
        return 202;
    }}
}}
""")
        _, others = machine.cores()
        self.process = subprocess.Popen(
            ["taskset", "-c", ",".join(map(str, others)), machine.find("nginx"), "-c", directory / "nginx.conf",
             "-p", directory])
        return self

    def address(self, product, transport="tcp"):
        """Where a product reaches it, if the load has no other wish."""
        return self.unix if "unix" in (transport, product.transport) else self.tcp

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(5)
