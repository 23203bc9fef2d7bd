"""What stands around an attack: the service, an issuer that hangs, Callgate within its memory, and the good callers."""

import json
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from attacks import HANGING, ISSUER

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
PYTHON = [sys.executable, "-B"]


def memory_limit():
    """What a pod gets, in bytes."""
    text = (ROOT / "deploy/component/sidecar.yaml").read_text()
    return int(re.search(r"limits:\s+(?:#.*\s+)?memory: (\d+)Mi", text)[1]) << 20


def default_connections():
    """The default of `limits.connections`, as the program's own schema says it."""
    schema = json.loads(subprocess.check_output([binary(), "schema"]))
    found = re.search(r'"connections": ?(\d+)', json.dumps(schema))
    return int(found[1]) if found else 10_000


def binary():
    return os.environ.get("CALLGATE", str(ROOT / "target/release/callgate"))


class Memory:
    """A bound on a process's memory: a control group, or where there is none, a bound on its data."""

    def __init__(self, limit):
        self.limit, self.group = limit, None
        base = Path("/sys/fs/cgroup")
        own = f"callgate-attack-{os.getpid()}"
        for parent, key in [(base, "memory.max"), (base / "memory", "memory.limit_in_bytes")]:
            group = parent / own
            try:
                if not (parent / "cgroup.procs").exists():
                    continue
                group.mkdir()
                # Opened without being made: a group without the controller has no such file.
                with open(group / key, "r+") as file:
                    file.write(str(limit))
                for swap, value in [("memory.swap.max", 0), ("memory.memsw.limit_in_bytes", limit)]:
                    if (group / swap).exists():
                        (group / swap).write_text(str(value))
                self.group = group
                return
            except OSError:
                if group.exists():
                    group.rmdir()

    def enter(self):
        """Bounds the process that calls this."""
        if self.group:
            (self.group / "cgroup.procs").write_text(str(os.getpid()))
        else:
            resource.setrlimit(resource.RLIMIT_DATA, (self.limit, self.limit))

    def text(self):
        return "a control group" if self.group else "RLIMIT_DATA"

    def peak(self):
        """The most memory that was charged to the group, the kernel's for its sockets included, in MiB."""
        for name in ("memory.peak", "memory.max_usage_in_bytes"):
            if self.group and (self.group / name).exists():
                return int((self.group / name).read_text()) / (1 << 20)
        return None

    def remove(self):
        """Takes the group away, once the kernel has noticed that its process is gone."""
        for _ in range(100):
            try:
                if self.group:
                    self.group.rmdir()
                return
            except OSError:
                time.sleep(0.05)


class Stage:
    """Everything for one attack, up and ready."""

    def __init__(self, tokens, memory, connections, hanging=False, audit=None, unread_log=False):
        self.memory, self.connections, self.resident = memory, connections, 0.0
        self.directory = tempfile.TemporaryDirectory()
        self.token = (tokens / "ES256.txt").read_text().splitlines()[0]
        self.port, self.admin = free_port(), free_port()
        self.service, service = helper("upstream.py")
        self.hanging, issuer = helper("upstream.py", "--hang") if hanging else (None, 0)
        config = Path(self.directory.name) / "sidecar.toml"
        config.write_text(self.configuration(service, tokens / "jwks.json", issuer, audit, unread_log))
        # An end that nobody reads, or a file.
        self.pipes = os.pipe()
        self.log = open(Path(self.directory.name) / "log", "wb+")
        self.process = subprocess.Popen(
            [binary(), "run", "--config", config],
            stdout=self.pipes[1] if audit else subprocess.DEVNULL if unread_log else self.log,
            stderr=self.pipes[1] if unread_log else self.log,
            preexec_fn=memory.enter,
        )
        if hanging:
            self.wait_for("/livez")
        else:
            self.wait_for("/readyz")
        command = [*PYTHON, HERE / "callers.py", str(self.port), str(self.admin), self.token]
        self.callers = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def configuration(self, service, keys, hanging, audit, unread_log):
        text = f"""
[listen]
address = "127.0.0.1:{self.port}"
[upstream]
address = "127.0.0.1:{service}"
[admin]
address = "127.0.0.1:{self.admin}"
[[issuers]]
issuer = "{ISSUER}"
audiences = ["email-service"]
algorithms = ["ES256"]
keys = {{ file = "{keys}" }}
"""
        if hanging:
            text += f"""
[[issuers]]
issuer = "{HANGING}"
audiences = ["email-service"]
algorithms = ["ES256"]
keys = {{ url = "http://127.0.0.1:{hanging}/keys" }}
"""
        for path in ("/public", "/drop"):
            text += f'\n[[public]]\npath = "{path}"\nmethods = ["GET", "POST"]\n'
        if audit:
            text += f'\n[audit]\nwhen_full = "{audit}"\n'
        if unread_log:
            text += '\n[log]\nlevel = "debug"\n'
        return text

    def wait_for(self, path):
        for _ in range(600):
            if self.process.poll() is not None:
                break
            try:
                if urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=2).status == 200:
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        self.log.seek(0)
        sys.exit(f"attack: Callgate is not ready:\n{self.log.read().decode()[-2000:]}")

    def begin_calls(self, seconds):
        self.callers.stdin.write(f"go {seconds}\n")
        self.callers.stdin.flush()

    def calls(self):
        return json.loads(self.callers.stdout.readline())

    def is_alive(self):
        return self.process.poll() is None

    def cpu(self):
        """The CPU time that it has used, user and kernel, in seconds; none of a process that has died."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak(self):
        """The most memory it has had resident when this was last asked while it lived, in MiB."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
            self.resident = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024
        except (OSError, TypeError):
            pass
        return self.resident

    def end(self):
        for process in (self.callers, self.process, self.service, self.hanging):
            if process:
                process.kill()
                process.wait()
        for descriptor in self.pipes:
            os.close(descriptor)
        self.log.close()
        self.directory.cleanup()


def helper(name, *arguments):
    """Starts a server of this directory; returns it with its port."""
    process = subprocess.Popen([*PYTHON, HERE / name, *arguments], stdout=subprocess.PIPE, text=True)
    return process, int(process.stdout.readline())


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
