"""The image's program in the image's own root, with a name server beside it: a static program brings its own resolver."""

import os
import shutil
import socket
import stat
import struct
import subprocess
import tempfile
import threading
from pathlib import Path

from beside import HOST
from pod import run

IMAGE = "localhost/callgate:0.1.0"
NAME = "keys.issuer.example"


def serve_name(server: socket.socket) -> None:
    """Answers every question for NAME's IPv4 address with HOST, and all others with nothing."""
    while True:
        try:
            query, client = server.recvfrom(512)
        except OSError:
            return
        end = query.index(b"\0", 12) + 5
        question = query[12:end]
        known = question == b"".join(bytes([len(label)]) + label.encode() for label in NAME.split(".")) + b"\0\0\x01\0\x01"
        head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, int(known), 0, 0)
        answer = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(HOST) if known else b""
        server.sendto(head + question + answer, client)


class Named:
    """Callgate with keys at a URL that names its host. `log` is what it wrote."""

    def __init__(self, sidecar_toml: str) -> None:
        self.server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.server.bind((HOST, 53))
        threading.Thread(target=serve_name, args=(self.server,), daemon=True).start()
        self.directory = tempfile.TemporaryDirectory()
        root = Path(self.directory.name, "root")
        shutil.copytree(run("podman", "image", "mount", IMAGE).strip(), root)
        run("podman", "image", "unmount", IMAGE)
        # What every runtime gives a container.
        (root / "dev").mkdir(exist_ok=True)
        for device, minor in [("null", 3), ("random", 8), ("urandom", 9)]:
            os.mknod(root / "dev" / device, stat.S_IFCHR | 0o666, os.makedev(1, minor))
            (root / "dev" / device).chmod(0o666)
        (root / "etc/resolv.conf").write_text(f"nameserver {HOST}\n")
        (root / "sidecar.toml").write_text(sidecar_toml)
        chroot = ["/usr/sbin/chroot", "--userspec=65532:65532", str(root), "/callgate", "run", "--config", "/sidecar.toml"]
        self.log = Path(self.directory.name, "log")
        self.process = subprocess.Popen(chroot, stdout=subprocess.DEVNULL, stderr=self.log.open("w"), env={})

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        self.server.close()
        self.directory.cleanup()
