"""`make attack`: every attack in turn against the real program, within the memory that a pod gets, while good callers go on. It fails
if the process dies, or if fewer than 99 % of the good callers' requests or of the liveness probes are answered."""

import argparse
import asyncio
import contextlib
import resource
import subprocess
import sys
import time
from pathlib import Path

import stage
from attacks import ATTACKS, Cost
from stage import ROOT, Memory, Stage

TOKENS = ROOT / "target" / "attack"
SHARE = 0.99
QUIET_S = 2
BEGIN, END = "<!-- made by make attack -->", "<!-- until here -->"


class Spent:
    """The CPU time that Callgate and the attackers spend, in seconds. What good callers cost in a quiet time is taken off."""

    def __init__(self, scene, quiet):
        self.scene, self.quiet = scene, quiet
        self.began, self.here, self.attackers = time.monotonic(), scene.cpu(), time.process_time()

    def end(self):
        took = time.monotonic() - self.began
        self.here = max(0, self.scene.cpu() - self.here - self.quiet * took)
        self.attackers = time.process_time() - self.attackers

    def text(self, cost):
        """For each request, or each connection where there are none."""
        count = cost.requests or cost.connections
        if not count:
            return "–"
        ratio = f"{self.here / self.attackers:.2f}" if self.attackers else "–"
        return f"{self.here / count * 1e6:.0f} ({ratio})"


async def play(scene, attack, seconds, quiet):
    """Lets the attack begin, and then counts what good callers see."""
    cost, spent = Cost(), Spent(scene, quiet)
    task = asyncio.create_task(attack(scene, cost))
    await asyncio.sleep(min(3, seconds / 3))
    scene.begin_calls(seconds)
    calling = asyncio.create_task(asyncio.to_thread(scene.calls))
    while not (await asyncio.wait([calling], timeout=0.2))[0]:
        scene.peak()
    seen = calling.result()
    spent.end()
    if task.done():
        task.result()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return cost, seen, spent.text(cost)


def run(attack, needs, seconds, connections):
    memory = Memory(stage.memory_limit())
    scene = Stage(TOKENS, memory, connections, **needs)
    try:
        before = scene.cpu()
        scene.begin_calls(QUIET_S)
        quiet = scene.calls()
        cost, seen, spent = asyncio.run(play(scene, attack, seconds, (scene.cpu() - before) / QUIET_S))
        is_alive, charged = scene.is_alive(), memory.peak()
        peak = f"{scene.peak():.0f}" + (f" ({charged:.0f})" if charged else "")
        return cost, quiet, seen, spent, is_alive, peak if is_alive else f"died at {peak}"
    finally:
        scene.end()
        memory.remove()


def share(good, asked):
    return good / asked if asked else 1.0


def milliseconds(seconds):
    return "–" if seconds is None else f"{seconds * 1000:.0f}"


def judge(needs, cost, seen, is_alive):
    """What must not be, in words."""
    faults = [] if is_alive else ["the process died"]
    if needs.get("audit") != "wait" and share(seen["good"], seen["asked"]) < SHARE:
        faults.append(f"callers: {dict(seen['other'])}")
    if share(seen["alive"], seen["probes"]) < SHARE:
        faults.append(f"probes: {seen['alive']} of {seen['probes']}")
    if cost.beside[1] and share(*cost.beside) < SHARE:
        faults.append(f"on the same connection: {cost.beside[0]} of {cost.beside[1]}")
    return faults


def main():
    parser = argparse.ArgumentParser(prog="attack", description=__doc__)
    parser.add_argument("--seconds", type=float, default=25, help="how long each attack goes on")
    parser.add_argument("--only", default="", help="a part of the names of the attacks to run")
    parser.add_argument("--document", type=Path, help="put the table into this document, between its two marks")
    options = parser.parse_args()
    # As many connections as the system allows: the attackers have their own machines.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    subprocess.check_call([ROOT / "target/debug/examples/peers_tokens", TOKENS, "1"])

    connections, probe = stage.default_connections(), Memory(stage.memory_limit())
    print(f"attack: {stage.binary()} within {probe.limit >> 20} MiB ({probe.text()}).", flush=True)
    probe.remove()
    lines = [
        "| attack | what it costs the attacker | CPU here for each request or connection, µs (to the attacker's) | good callers answered "
        "| p99, quiet → attacked (ms) | probes answered | peak memory, with the kernel's (MiB) |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    print(*lines, sep="\n", flush=True)
    failed = []
    for name, attack, needs in ATTACKS:
        if options.only not in name:
            continue
        cost, quiet, seen, spent, is_alive, peak = run(attack, needs, options.seconds, connections)
        beside = f"; beside: {cost.beside[0]} of {cost.beside[1]}" if cost.beside[1] else ""
        line = (
            f"| {name} | {cost.text()} | {spent} | {seen['good']} of {seen['asked']}{beside} "
            f"| {milliseconds(quiet['p99'])} → {milliseconds(seen['p99'])} "
            f"| {seen['alive']} of {seen['probes']} | {peak} |"
        )
        lines.append(line)
        print(line, flush=True)
        failed += [f"{name}: {fault}" for fault in judge(needs, cost, seen, is_alive)]
    if options.document:
        before, rest = options.document.read_text().split(BEGIN)
        after = rest.split(END)[1]
        options.document.write_text("".join([before, BEGIN, "\n", "\n".join(lines), "\n", END, after]))
    for fault in failed:
        print(f"attack: {fault}", file=sys.stderr)
    sys.exit(bool(failed))


main()
