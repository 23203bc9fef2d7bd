"""This machine: its cores, what a process costs, which programs are needed. Figures come from the kernel, never from a
product's own words."""

import functools
import os
import platform
import re
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "target" / "peers"
TOOLS = ROOT / "scripts" / "tools.sh"

# What is running, as `make` calls it.
name = "bench-peers"

# What no package has; the environment names a build of it.
BUILT_ELSEWHERE = [("nginx auth_jwt", "nginx_auth_jwt", "-v"), ("pingap", "pingap", "--version")]

TICK = 1e6 / os.sysconf("SC_CLK_TCK")


def cores():
    """The core of the product that is measured, and the others, which carry the load and the upstream."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        sys.exit(f"{name}: it takes two cores, one for the product and one for the load.")
    return allowed[-1], allowed[:-1]


def need(*programs):
    """Installs programs that are missing."""
    if subprocess.run([TOOLS, "need", *programs], check=False).returncode != 0:
        sys.exit(f"{name}: it cannot run without them.")


@functools.cache
def find(program):
    """The path of a program, also where only root looks; another build of it if the environment names one: HAPROXY=/path."""
    return os.environ.get(program.upper()) or run([TOOLS, "find", program]).strip()


def run(command):
    """Runs a command that must succeed; shows what it said only if it does not."""
    ended = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=ROOT)
    if ended.returncode != 0:
        sys.exit(f"bench-peers: {' '.join(map(str, command))} failed:\n{ended.stdout}{ended.stderr}")
    return ended.stdout + ended.stderr


def say(text):
    print(f"{name}: {text}", flush=True)


def free_port():
    """A TCP port of the loopback that nobody uses."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def family(pid):
    """A process and all its descendants."""
    found, children = [pid], {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            if fields := _stat(int(entry.name)):
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    for parent in found:
        found.extend(children.get(parent, []))
    return found


def cpu(pids):
    """The CPU time that processes have used, user and kernel, in microseconds."""
    used = [fields for fields in map(_stat, pids) if fields]
    return sum(int(fields[11]) + int(fields[12]) for fields in used) * TICK


def memory(pids, field="VmRSS"):
    """Resident memory of processes in MiB, now (VmRSS) or at its highest (VmHWM)."""
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        if match := re.search(rf"^{field}:\s+(\d+) kB", text, re.M):
            total += int(match[1])
    return total / 1024


def _stat(pid):
    """The fields of /proc/PID/stat after the name, which may hold spaces."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def description():
    """Machine and versions, as (what, which) pairs."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*:\s*(.*)", cpuinfo)
    first = lambda command, pattern: (re.search(pattern, run(command)) or ["?"])[0]
    return [
        ("processor", f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores"),
        ("kernel", platform.release()),
        ("Rust", first(["rustc", "--version"], r"(?<=rustc )\S+")),
        ("Callgate", first(["git", "describe", "--always", "--dirty"], r"\S+")),
        ("nginx", first([find("nginx"), "-v"], r"(?<=nginx/)\S+")),
        *[(name, first([find(program), option], r"\d+\.\d+\.\d+")) for name, program, option in BUILT_ELSEWHERE
          if os.environ.get(program.upper())],
        ("HAProxy", first([find("haproxy"), "-v"], r"\d+\.\d+\S+")),
        ("Envoy", first([find("envoy"), "--version"], r"\d+\.\d+\.\d+(?=/)")),
        ("wrk", first(["sh", "-c", "wrk -v || true"], r"\d+\.\d+\S*")),
        ("h2load", first(["h2load", "--version"], r"(?<=nghttp2/)\S+")),
    ]
