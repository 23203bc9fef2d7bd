"""What the optional parts of Callgate cost: switched off, on and idle, and at work. `make bench-features`, which see."""

import argparse
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.dirname(__file__))

import checks
import load
import machine
from built import PROGRAM, TOKENS
from machine import WORK
from products import GUARD, Callgate, Upstream

NOTHING = "[reload]\nwatch = false"

# What is added to the smallest configuration. The collector of the traces does not exist: they are made, and dropped.
VARIANTS = [
    ("everything off", NOTHING),
    ("everything off, again", NOTHING),
    ("the file watched", "[reload]\nwatch = true"),
    ("an empty deny-list, watched", f'{NOTHING}\n[revocation]\nfile = "{WORK}/nobody.jsonl"'),
    ("a path that is only reported", f'{NOTHING}\n[[report]]\npath = "/other"\nmethods = ["POST"]'),
    ("tracing, no request sampled", f'{NOTHING}\n[tracing]\nendpoint = "http://127.0.0.1:9"\nsample = 0'),
    ("tracing, every request sampled", f'{NOTHING}\n[tracing]\nendpoint = "http://127.0.0.1:9"\nsample = 100'),
]

IDLE_SECONDS = 10


def main():
    parser = argparse.ArgumentParser(prog="bench-features", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of load, each time")
    options = parser.parse_args()
    if not PROGRAM.exists() or not (TOKENS / "jwks.json").exists():
        sys.exit("bench-features: run make bench-peers once before: it builds what is measured and makes the tokens.")
    (WORK / "nobody.jsonl").write_text("")
    workload = next(w for w in load.workloads(["ES256"], 0) if w.key == "hot ES256")
    found = {name: [] for name, _ in VARIANTS}
    with Upstream() as upstream:
        for number in range(1, options.rounds + 1):
            print(f"Round {number} of {options.rounds}.", flush=True)
            for name, more in VARIANTS:
                found[name].append(measure(Callgate(more=more), upstream, workload, options.seconds, number == 1))
    print(f"\n{'':32}{'us CPU per request':>20}{'to the first':>14}{'idle, MiB':>11}{'idle, ms CPU per s':>20}")
    first = None
    for name, runs in found.items():
        cpu = statistics.median(run["cpu"] for run in runs)
        first = first or cpu
        print(f"{name:32}{cpu:20.1f}{cpu / first:14.2f}{runs[0]['idle']:11.1f}{runs[0]['idle_cpu']:20.2f}")


def measure(product, upstream, workload, seconds, idle):
    with product.start(GUARD, upstream.tcp) as running:
        if checks.wait_until_ready(running, checks.token("ES256")) is None:
            sys.exit(f"bench-features: {running.complaint()}")
        pids = running.pids()
        memory, before = machine.memory(pids), machine.cpu(pids)
        if idle:
            time.sleep(IDLE_SECONDS)
        idle_cpu = (machine.cpu(pids) - before) / 1e3 / IDLE_SECONDS
        before = machine.cpu(pids)
        answer = load.drive(workload, running, seconds)
        if isinstance(answer, str):
            sys.exit(f"bench-features: {answer}")
        return {"cpu": (machine.cpu(pids) - before) / answer[0], "idle": memory, "idle_cpu": idle_cpu}


if __name__ == "__main__":
    main()
