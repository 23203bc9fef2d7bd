"""The good callers and a kubelet, as a process of its own. `callers.py PORT ADMIN TOKEN` answers each line `go SECONDS` on its
standard input with a line of JSON: what became of the requests that were due in this time."""

import collections
import json
import socket
import sys
import threading
import time

CALLERS = 8
# Requests per second of each caller, and probes per second.
RATE = 12
PROBES = 4
PATIENCE = 10
BODY = b'{"to":"ada@example.org","template":"welcome"}'


class Caller:
    """One caller. It keeps its connection, or opens one for each request."""

    def __init__(self, port, request, keeps):
        self.port, self.request, self.keeps, self.connection = port, request, keeps, None

    def ask(self):
        """Returns the status. A kept connection that was closed meanwhile is replaced, as every client does."""
        is_kept = self.connection is not None
        try:
            return self.exchange()
        except OSError:
            self.close()
            if not is_kept:
                raise
            return self.exchange()

    def exchange(self):
        if self.connection is None:
            self.connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        self.connection.sendall(self.request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.receive()
        head, _, body = answer.partition(b"\r\n\r\n")
        fields = head.lower()
        length = int(fields.split(b"content-length:")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += self.receive()
        if not self.keeps or b"connection: close" in fields:
            self.close()
        return int(head.split(b" ", 2)[1])

    def receive(self):
        piece = self.connection.recv(65536)
        if not piece:
            raise ConnectionResetError("closed without an answer")
        return piece

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None


def run(caller, rate, end, good, results):
    """Asks at a steady rate: what is late is asked at once, and its lateness counts."""
    due = time.monotonic()
    while due < end:
        time.sleep(max(0, due - time.monotonic()))
        if time.monotonic() > end + PATIENCE:
            # Those before it have taken too long.
            results.append((False, "late", time.monotonic() - due))
            due += 1 / rate
            continue
        try:
            status = caller.ask()
        except (OSError, ValueError, IndexError) as error:
            status = type(error).__name__
            caller.close()
        results.append((status == good, str(status), time.monotonic() - due))
        due += 1 / rate


def round_of(port, admin, token, seconds):
    post = f"POST /send HTTP/1.1\r\nHost: email\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(BODY)}\r\n\r\n"
    probe = b"GET /livez HTTP/1.1\r\nHost: email\r\nConnection: close\r\n\r\n"
    requests, probes = [], []
    end = time.monotonic() + seconds
    threads = [
        threading.Thread(target=run, args=(Caller(port, post.encode() + BODY, number % 2 == 0), RATE, end, 202, requests))
        for number in range(CALLERS)
    ]
    threads.append(threading.Thread(target=run, args=(Caller(admin, probe, False), PROBES, end, 200, probes)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times = sorted(took for is_good, _, took in requests if is_good)
    return {
        "asked": len(requests),
        "good": sum(is_good for is_good, _, _ in requests),
        "p50": times[len(times) // 2] if times else None,
        "p99": times[len(times) * 99 // 100] if times else None,
        "other": collections.Counter(status for is_good, status, _ in requests if not is_good),
        "probes": len(probes),
        "alive": sum(is_good for is_good, _, _ in probes),
    }


def main():
    port, admin, token = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    for line in sys.stdin:
        print(json.dumps(round_of(port, admin, token, float(line.split()[1]))), flush=True)


main()
