"""The service behind: answers every request with 202 and, as text, the head that came."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding"):
            while (size := int(self.rfile.readline().split(b";")[0] or b"0", 16)):
                self.rfile.read(size + 2)
            while self.rfile.readline().strip():
                pass
        shown = "\r\n".join(f"{name}: {value}" for name, value in self.headers.items()).encode("latin-1", "replace")
        self.send_response(202)
        self.send_header("Content-Length", str(len(shown)))
        self.end_headers()
        self.wfile.write(shown)

    do_POST = answer

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


def start():
    """Listens on a free port; the caller runs `serve_forever`."""
    return Server(("127.0.0.1", 0), Echo)
