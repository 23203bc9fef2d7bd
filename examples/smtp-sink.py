#!/usr/bin/env python3
"""An SMTP server that keeps every mail and delivers none, for tests and trying things out.

    smtp-sink.py --smtp 127.0.0.1:2525 --http 127.0.0.1:8025

GET / on the second address answers the mails as JSON, oldest first; DELETE / forgets them.
"""

import argparse
import email
import email.policy
import json
import signal
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MAILS: list[dict[str, str]] = []
MAIL_LIMIT = 100_000
LINE_LIMIT = 64 * 1024


class Smtp(socketserver.StreamRequestHandler):
    """As much of RFC 5321 as a client needs that sends in the clear."""

    timeout = 300

    def say(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self) -> None:
        self.say("220 sink ready")
        while line := self.rfile.readline(LINE_LIMIT):
            verb = line.split(b":")[0].strip().upper()
            if verb.startswith((b"EHLO", b"HELO")):
                self.say("250 sink")
            elif verb == b"DATA":
                self.say("354 go on, end with a dot")
                self.keep(self.body())
                self.say("250 kept")
            elif verb == b"QUIT":
                self.say("221 bye")
                return
            elif verb in (b"MAIL FROM", b"RCPT TO", b"RSET", b"NOOP"):
                self.say("250 ok")
            else:
                self.say("502 not here")

    def body(self) -> bytes:
        lines = []
        while (line := self.rfile.readline(LINE_LIMIT)) not in (b".\r\n", b""):
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines)

    def keep(self, raw: bytes) -> None:
        mail = email.message_from_bytes(raw, policy=email.policy.default)
        text = mail.get_content().strip() if mail.get_content_type() == "text/plain" else ""
        if len(MAILS) < MAIL_LIMIT:
            MAILS.append({"from": mail["from"], "to": mail["to"], "subject": mail["subject"], "text": text})


class Http(BaseHTTPRequestHandler):
    def answer(self, body: object) -> None:
        data = json.dumps(body).encode() + b"\n"
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        self.answer(MAILS)

    def do_DELETE(self) -> None:
        MAILS.clear()
        self.answer(MAILS)

    def log_message(self, format: str, *args: object) -> None:
        pass


class SmtpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smtp", type=address, default=("127.0.0.1", 2525), metavar="HOST:PORT")
    parser.add_argument("--http", type=address, default=("127.0.0.1", 8025), metavar="HOST:PORT")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with SmtpServer(arguments.smtp, Smtp) as smtp, ThreadingHTTPServer(arguments.http, Http) as http:
        threading.Thread(target=smtp.serve_forever, daemon=True).start()
        print(f"SMTP on {smtp.server_address}, mails on {http.server_address}", file=sys.stderr, flush=True)
        try:
            http.serve_forever()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
