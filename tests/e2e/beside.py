"""What stands beside the pod: the issuer and the SMTP sink of examples/, as processes in our network namespace."""

import base64
import json
import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from pod import ROOT, run

HOST = "198.51.100.1"
ISSUER = f"http://{HOST}:4000"
SINK = f"http://{HOST}:8025"
SECRETS = {"billing": "billing-secret", "reports": "reports-secret"}


class Beside:
    def __init__(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        keys = Path(self.directory.name, "keys.json")
        self.environment = {
            **os.environ,
            "KEYS_FILE": str(keys),
            "ISSUER": ISSUER,
            "LISTEN": f"{HOST}:4000",
            "CLIENTS": ",".join(f"{name}={secret}" for name, secret in SECRETS.items()),
        }
        self.keys("init")
        log = open(Path(self.directory.name, "log"), "w")
        issuer = ["node", str(ROOT / "examples/issuer/issuer.js")]
        sink = [str(ROOT / "examples/smtp-sink.py"), "--smtp", f"{HOST}:2525", "--http", f"{HOST}:8025"]
        self.processes = [
            subprocess.Popen(command, env=self.environment, stdout=log, stderr=log) for command in (issuer, sink)
        ]
        wait("the issuer", lambda: fetch(f"{ISSUER}/jwks"))
        wait("the sink", lambda: fetch(SINK) == [])

    def keys(self, command: str) -> str:
        return subprocess.run(
            ["node", str(ROOT / "examples/issuer/keys.js"), command],
            env=self.environment, check=True, capture_output=True, text=True, timeout=30,
        ).stdout

    def published(self) -> list[str]:
        return [key["kid"] for key in fetch(f"{ISSUER}/jwks")["keys"]]

    def token(self, client: str = "billing", service: str = "email-service") -> str:
        """A new access token, by client credentials."""
        form = urllib.parse.urlencode({"grant_type": "client_credentials", "resource": f"urn:service:{service}"})
        basic = base64.b64encode(f"{client}:{SECRETS[client]}".encode()).decode()
        return fetch(f"{ISSUER}/token", form.encode(), {"Authorization": f"Basic {basic}"})["access_token"]

    def mails(self) -> list[dict]:
        return fetch(SINK)

    def end(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(10)
        self.directory.cleanup()


def fetch(url: str, body: bytes | None = None, headers: dict | None = None):
    with urllib.request.urlopen(urllib.request.Request(url, body, headers or {}), timeout=5) as response:
        return json.load(response)


def wait(what: str, condition, seconds: float = 30):
    """The condition's first true value; errors count as false."""
    until = time.monotonic() + seconds
    problem = None
    while time.monotonic() < until:
        try:
            if value := condition():
                return value
        except (OSError, RuntimeError, urllib.error.URLError) as error:
            problem = error
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {seconds} s ({problem})")
