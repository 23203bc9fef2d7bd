"""Counts the instructions of whole requests in the real program with callgrind: `make bench-requests`. What 300 requests cost is taken
off what 1,300 cost, so that the start does not count. CALLGATE_BEFORE names another build of Callgate to compare with.

The count is the program's own; what the kernel does for it is not in it. A copy of many bytes in one go (`rep movsb`) counts as one
instruction for each byte, although a processor needs a thirtieth of that."""

import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "target/requests"
PROGRAM, TOKENS = WORK / "callgate", WORK / "tokens"
FEW, MANY = 300, 1300
PATIENCE_S = 60

# What the requests carry: the file of tokens, and whether each has another one.
WORKLOADS = {
    "one remembered token": ("ES256", False),
    "every ES256 token new": ("ES256", True),
    "every RS256 token new": ("RS256", True),
    "bad RS256 signature": ("bad-RS256", True),
    "no token": (None, False),
}


class Messages:
    """A connection that is read message by message; all have a `Content-Length` or no body."""

    def __init__(self, connection):
        self.connection, self.buffered = connection, b""

    def head(self):
        """The head of the next message, whose body is read away; none at the end."""
        while b"\r\n\r\n" not in self.buffered:
            if not self.fill():
                return None
        head, _, self.buffered = self.buffered.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        length = int(length[1]) if length else 0
        while len(self.buffered) < length:
            if not self.fill():
                return None
        self.buffered = self.buffered[length:]
        return head

    def status(self):
        head = self.head()
        return int(head.split(b" ", 2)[1]) if head else 0

    def fill(self):
        piece = self.connection.recv(65536)
        self.buffered += piece
        return piece


def serve(connection):
    """An upstream that accepts everything."""
    messages = Messages(connection)
    while messages.head() is not None:
        connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok")


def upstream():
    listener = socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def configuration(directory, upstream_port):
    file = directory / "sidecar.toml"
    file.write_text(f"""
[listen]
address = "unix:{directory}/listen"
[upstream]
address = "127.0.0.1:{upstream_port}"
[admin]
address = "127.0.0.1:0"
[[issuers]]
issuer = "https://auth.internal.example"
audiences = ["email-service"]
algorithms = ["RS256", "ES256"]
keys = {{ file = "{TOKENS}/jwks.json" }}
[log]
level = "warn"
[audit]
file = "/dev/null"
""")
    return file


def connect(path, program):
    """A connection to the program, as soon as it listens."""
    end = time.monotonic() + PATIENCE_S
    while True:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
            return connection
        except OSError:
            connection.close()
            if program.poll() is not None or time.monotonic() > end:
                sys.exit("bench-requests: the program does not listen.")
            time.sleep(0.1)


def count(binary, upstream_port, tokens, requests):
    """The instructions of a run with so many requests, and the statuses of their answers."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={directory}/counts", binary, "run", "--config"]
        program = subprocess.Popen([*command, configuration(directory, upstream_port)], stderr=subprocess.DEVNULL)
        connection = connect(directory / "listen", program)
        answers, statuses = Messages(connection), set()
        for number in range(requests):
            token = tokens[number % len(tokens)] if tokens else None
            field = f"Authorization: Bearer {token}\r\n" if token else ""
            connection.sendall(f"POST /send HTTP/1.1\r\nHost: email\r\n{field}Content-Length: 64\r\n\r\n{'x' * 64}".encode())
            statuses.add(answers.status())
        connection.close()
        program.terminate()
        program.wait(PATIENCE_S)
        total = re.search(r"^(?:totals|summary): (\d+)", (directory / "counts").read_text(), re.M)
        return int(total[1]), statuses


def main():
    WORK.mkdir(parents=True, exist_ok=True)
    subprocess.run([ROOT / "deploy/program.sh", PROGRAM], check=True)
    subprocess.run([ROOT / "target/debug/examples/peers_tokens", TOKENS, str(MANY)], check=True)
    builds = {"now": PROGRAM}
    if before := os.environ.get("CALLGATE_BEFORE"):
        builds["before"] = Path(before).resolve()
    port = upstream()
    print("| request | instructions | before | ratio |\n|---|--:|--:|--:|")
    for title, (file, is_new) in WORKLOADS.items():
        tokens = (TOKENS / f"{file}.txt").read_text().split() if file else []
        tokens = tokens if is_new else tokens[:1]
        wanted = {202} if file and not file.startswith("bad") else {401}
        found = {}
        for name, binary in builds.items():
            (few, one), (many, other) = (count(binary, port, tokens, requests) for requests in (FEW, MANY))
            if one | other != wanted:
                sys.exit(f"bench-requests: {title}: the answers were {one | other}, not {wanted}.")
            found[name] = (many - few) / (MANY - FEW)
        before = found.get("before")
        ratio = f"{found['now'] / before:.2f}" if before else ""
        print(f"| {title} | {found['now']:,.0f} | {f'{before:,.0f}' if before else ''} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
