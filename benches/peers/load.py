"""The load: wrk for requests as fast as they are answered, h2load for HTTP/2 and for a steady rate. Both run beside the
upstream, never on the product's core."""

import json
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import machine
from machine import WORK
from products import GUARD, OPEN, TOKENS

CONNECTIONS = 64
BODY = WORK / "body.json"


@dataclass(frozen=True)
class Workload:
    """What is sent to a product, and what must come back."""

    key: str
    title: str
    mode: str = GUARD
    alg: str = "ES256"
    # The file of tokens, and how many of them are sent in turn; "-" sends none.
    tokens: str = "-"
    count: int = 1
    status: int = 202
    transport: str = "tcp"

    def file(self):
        return "-" if self.tokens == "-" else TOKENS / f"{self.tokens}.txt"

    def first_token(self):
        if self.tokens == "-":
            return None
        with open(self.file(), encoding="ascii") as lines:
            return lines.readline().strip()


@dataclass
class Result:
    """One run of one workload on one product. Times in microseconds, memory in MiB."""

    rate: float
    cpu: float
    p50: float
    p99: float
    ready: float
    idle: float
    peak: float


def workloads(algorithms, all_tokens):
    """Every workload. `all_tokens` is how many different tokens there are for each algorithm."""
    yield Workload("open", "no authentication", OPEN)
    for alg in algorithms:
        yield Workload(f"hot {alg}", f"one {alg} token", alg=alg, tokens=alg)
        yield Workload(f"turn {alg}", f"1,000 {alg} tokens in turn", alg=alg, tokens=alg, count=1000)
        yield Workload(f"new {alg}", f"every {alg} token new", alg=alg, tokens=alg, count=all_tokens)
        yield Workload(f"bad {alg}", f"{alg}, bad signature", alg=alg, tokens=f"bad-{alg}", count=1000, status=401)
    yield Workload("none", "no token", status=401)
    yield Workload("many", "10,000 ES256 tokens in turn", tokens="ES256", count=10_000)
    yield Workload("open unix", "no authentication, upstream on a Unix socket", OPEN, transport="unix")
    yield Workload("hot unix", "one ES256 token, upstream on a Unix socket", tokens="ES256", transport="unix")
    yield Workload("open h2", "no authentication, HTTP/2 in", OPEN, transport="h2")
    yield Workload("hot h2", "one ES256 token, HTTP/2 in", tokens="ES256", transport="h2")
    yield Workload("none h2", "no token, HTTP/2 in", status=401, transport="h2")
    yield Workload("bad h2", "ES256, bad signature, HTTP/2 in", tokens="bad-ES256", status=401, transport="h2")


def steady(workload, running, seconds, rate):
    """Puts so many requests per second of a workload over HTTP/1 on a product. Returns as `drive`."""
    return h2load(running.port, workload.first_token(), seconds, http1=True, rate=rate, status=workload.status)


def drive(workload, running, seconds):
    """Puts a workload on a product. Returns (requests, seconds, p50, p99), or a complaint."""
    if workload.transport == "h2":
        port = running.http2_port if running.product.http2 == "other" else running.port
        return h2load(port, workload.first_token(), seconds, status=workload.status)
    return wrk(workload, running.port, seconds)


def wrk(workload, port, seconds):
    said = _beside(_walk(f"127.0.0.1:{port}", workload.file(), workload.count, seconds), seconds)
    result = next((line for line in said.splitlines() if line.startswith("result ")), None)
    if result is None:
        return f"wrk said: {said[-300:]}"
    result = json.loads(result.removeprefix("result "))
    count = result["requests"]
    refused = count if workload.status >= 400 else 0
    if not count or abs(result["refused"] - refused) > count * 0.001:
        return f"of {count} answers {result['refused']} were refusals, and {refused} should have been"
    if workload.count > 1000 and workload.key.startswith("new") and count > workload.count:
        return f"{count} requests for {workload.count} tokens: not every token was new; raise TOKENS"
    return count, result["seconds"], result["p50"], result["p99"]


def h2load(port, token, seconds, http1=False, rate=None, status=202):
    """`rate`: requests per second over all connections, for a load that does not wait for the product."""
    BODY.write_text('{"to":"ada@example.org","template":"welcome","text":"' + "x" * 970 + '"}')
    connections = 16 if rate else CONNECTIONS // 4
    log = WORK / "run" / "h2load.log"
    log.unlink(missing_ok=True)
    command = ["h2load", "-t1", f"-c{connections}", "-m1" if http1 else "-m4", "-D", seconds, "-d", BODY,
               "--log-file", log, "-H", "content-type: application/json"]
    command += ["--h1"] if http1 else []
    command += [f"--rps={rate / connections:.3f}"] if rate else []
    command += ["-H", f"authorization: Bearer {token}"] if token else []
    said = _beside([*command, f"http://127.0.0.1:{port}/send"], seconds)
    # Each line: when it began, its status, how long it took; times in microseconds.
    rows = [line.split("\t") for line in log.read_text().splitlines()] if log.exists() else []
    times = sorted(int(row[2]) for row in rows if row[1] == str(status))
    if not times or len(times) < len(rows) * 0.999:
        return f"of {len(rows)} answers over {'HTTP/1.1' if http1 else 'HTTP/2'} {len(times)} were {status}: {said[-300:]}"
    return len(times), float(seconds), times[len(times) // 2], times[int(len(times) * 0.99)]


@contextmanager
def background(upstream, seconds):
    """Keeps the other cores as busy as they are while a product is measured, for at most so long."""
    process = subprocess.Popen(_off_the_core(_walk(upstream.tcp, "-", 1, seconds)), stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def _walk(address, tokens, count, seconds):
    """wrk, with the tokens of a file in turn."""
    return ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "5s", "-s", Path(__file__).with_name("walk.lua"),
            f"http://{address}/send", "--", tokens, count]


def _off_the_core(command):
    """A command on the cores that no product has."""
    _, others = machine.cores()
    return ["taskset", "-c", ",".join(map(str, others)), *map(str, command)]


def _beside(command, seconds):
    command = _off_the_core(command)
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=float(seconds) + 60)
    except subprocess.TimeoutExpired:
        return f"{command[3]} did not end"
    return ended.stdout + ended.stderr
