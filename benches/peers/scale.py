"""What one more connection, one more remembered token and one more issuer cost Callgate in memory, in KiB each."""

import socket
import time

import checks
import machine
from products import GUARD, TOKENS, Callgate

CONNECTIONS, REMEMBERED, ISSUERS = 4_000, 10_000, 100


def measure(upstream):
    """Each cost alone, as {what: KiB}, and the memory with all the connections, in MiB."""
    with _ready(Callgate(), upstream) as running:
        before = machine.memory(running.pids())
        held = [_ask(running.port, checks.token("ES256")) for _ in range(CONNECTIONS)]
        time.sleep(0.5)
        idle = machine.memory(running.pids())
        connection = (idle - before) / CONNECTIONS
        for one in held:
            one.close()
    with _ready(Callgate(), upstream) as running:
        with open(TOKENS / "ES256.txt", encoding="ascii") as lines:
            tokens = [line.strip() for line, _ in zip(lines, range(REMEMBERED))]
        # Once with one token, so that what every load takes is there already.
        _show(running.port, tokens[:1] * REMEMBERED)
        before = machine.memory(running.pids())
        # A token is remembered when it is shown the second time.
        _show(running.port, tokens * 2)
        token = (machine.memory(running.pids()) - before) / REMEMBERED
    with _ready(Callgate(), upstream) as running:
        before = machine.memory(running.pids())
    with _ready(Callgate(issuers=ISSUERS), upstream) as running:
        issuer = (machine.memory(running.pids()) - before) / (ISSUERS - 1)
    more = {what: mib * 1024 for what, mib in [("connection", connection), ("token", token), ("issuer", issuer)]}
    return more, idle


def _ready(product, upstream):
    running = product.start(GUARD, upstream.tcp)
    if checks.wait_until_ready(running, checks.token("ES256")) is None:
        raise RuntimeError(running.complaint())
    return running


def _show(port, tokens):
    """One after another, on connections that are not yet closed for their number of requests."""
    for start in range(0, len(tokens), 5_000):
        first, *rest = tokens[start:start + 5_000]
        with _ask(port, first) as connection:
            for token in rest:
                _again(connection, token)


def _ask(port, token):
    connection = socket.create_connection(("127.0.0.1", port), timeout=5)
    _again(connection, token)
    return connection


def _again(connection, token):
    head = f"POST /send HTTP/1.1\r\nHost: email\r\nAuthorization: Bearer {token}\r\nContent-Length: 2\r\n\r\n{{}}"
    connection.sendall(head.encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(4096) or b"closed\r\n\r\n"
    if not answer.startswith(b"HTTP/1.1 202"):
        raise RuntimeError(f"no 202: {answer[:300]!r}")
