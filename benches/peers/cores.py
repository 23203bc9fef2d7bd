"""What more cores cost: CPU time and wake-ups for each request at one rate, on one core and on more. `make bench-cores`, which see."""

import argparse
import os
import statistics
import sys
from pathlib import Path

sys.path.insert(0, os.path.dirname(__file__))

import checks
import load
import machine
from built import PROGRAM, TOKENS
from products import GUARD, Callgate, Upstream

WORKLOADS = ["none", "hot ES256", "many"]

# Requests per second: all cores together are idle for a part of the time, as in a pod.
RATE = 4_000


def main():
    parser = argparse.ArgumentParser(prog="bench-cores", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of load, each time")
    options = parser.parse_args()
    if not PROGRAM.exists() or not (TOKENS / "jwks.json").exists():
        sys.exit("bench-cores: run make bench-peers once before: it builds what is measured and makes the tokens.")
    core, others = machine.cores()
    sets = [",".join(map(str, [core, *others][:count])) for count in range(1, len(others) + 2)]
    chosen = [workload for workload in load.workloads(["ES256"], 0) if workload.key in WORKLOADS]
    found = {(workload.key, cores): [] for workload in chosen for cores in sets}
    with Upstream() as upstream:
        for number in range(1, options.rounds + 1):
            print(f"Round {number} of {options.rounds}.", flush=True)
            for workload in chosen:
                for cores in sets:
                    found[workload.key, cores].append(measure(workload, cores, upstream, options.seconds))
    print(f"\n{'':32}{'cores':>8}{'us CPU per request':>22}{'to one core':>14}{'wake-ups per request':>24}")
    for workload in chosen:
        for cores in sets:
            runs, first = found[workload.key, cores], found[workload.key, sets[0]]
            ratio = statistics.median(run[0] / one[0] for run, one in zip(runs, first))
            cpu, wakes = (statistics.median(run[which] for run in runs) for which in (0, 1))
            print(f"{workload.title:32}{cores.count(',') + 1:8}{cpu:22.1f}{ratio:14.2f}{wakes:24.2f}")


def measure(workload, cores, upstream, seconds):
    product = Callgate()
    product.cores = cores
    with product.start(GUARD, upstream.tcp) as running:
        if checks.wait_until_ready(running, checks.token("ES256")) is None:
            sys.exit(f"bench-cores: {running.complaint()}")
        pids = running.pids()
        cpu, wakes = machine.cpu(pids), wake_ups(pids)
        answer = load.steady(workload, running, seconds, RATE)
        if isinstance(answer, str):
            sys.exit(f"bench-cores: {answer}")
        return (machine.cpu(pids) - cpu) / answer[0], (wake_ups(pids) - wakes) / answer[0]


def wake_ups(pids):
    """How often threads of these processes have gone to sleep, and so were woken."""
    count = 0
    for pid in pids:
        for status in Path(f"/proc/{pid}/task").glob("*/status"):
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
            count += int(fields["voluntary_ctxt_switches"])
    return count


if __name__ == "__main__":
    main()
