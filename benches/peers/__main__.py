"""Compares Callgate with other proxies on this machine: `make bench-peers`, which see. Everything runs on the loopback, one
product at a time, round by round, and ends by itself."""

import argparse
import json
import os
import subprocess
import sys
import time
from contextlib import nullcontext
from datetime import datetime, timezone

sys.path.insert(0, os.path.dirname(__file__))

import built
import checks
import load
import machine
import report
import scale
from machine import ROOT, WORK, say
from products import ALGORITHMS, FLOORS, GUARD, OPEN, TOKENS, Upstream, all_products

# From this on the figures are written into docs/; below they are a trial.
ROUNDS_MIN, SECONDS_MIN = 5, 3


def main():
    options = parse()
    began = time.time()
    machine.need("nginx", "haproxy", "envoy", "wrk", "h2load", "taskset")
    say("Building Callgate and the tools; the first time takes some minutes.")
    built.tools(*(floor.example for floor in FLOORS), "peers_tokens", "peers_verification")
    built.callgate()
    built.tokens(options.tokens)
    bars, readings = {}, {"verification": [], "runs": {}, "steady": {}}
    with Upstream() as upstream:
        products = [p for p in all_products() if wanted(p.name, options.products)]
        say("Checking that each product answers rightly.")
        can = {product.name: checks.probe(product, upstream) for product in products}
        chosen = [w for w in load.workloads(ALGORITHMS, options.tokens) if wanted(w.key, options.workloads)]
        for number in range(1, options.rounds + 1):
            say(f"Round {number} of {options.rounds}.")
            readings["verification"].append({"alone": verification(), "beside": verification(beside=upstream)})
            for workload in chosen:
                for product in products:
                    if is_able(can[product.name], product, workload):
                        measure(product, workload, upstream, options.seconds, readings["runs"])
        steady(products, can, upstream, options, readings)
        if any(product.name == report.OURS for product in products):
            readings["scale"], readings["idle_connections"] = scale.measure(upstream)
            say(f"One more costs, in KiB: {readings['scale']}")
    readings |= {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"), "machine": machine.description(),
        "rounds": options.rounds, "seconds": options.seconds, "load": os.getloadavg(),
        "took": time.time() - began, "products": [product.name for product in products],
        "workloads": [(workload.key, workload.title) for workload in chosen],
    }
    WORK.mkdir(parents=True, exist_ok=True)
    (WORK / "readings.json").write_text(json.dumps(readings, indent=1))
    whole = not options.products and not options.workloads
    final = whole and options.rounds >= ROUNDS_MIN and options.seconds >= SECONDS_MIN
    written = [*report.write(readings, ROOT / "docs" if final else WORK), *([report.write_readme(readings)] if final else [])]
    say(f"Written: {', '.join(str(path.relative_to(ROOT)) for path in written)}."
        + ("" if final else " A trial: docs/ keeps its figures."))


def parse():
    parser = argparse.ArgumentParser(prog="bench-peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of load, each time")
    parser.add_argument("--products", default="", help="only those whose name holds one of these, comma-separated")
    parser.add_argument("--workloads", default="", help="likewise for the workloads' keys")
    options = parser.parse_args()
    options.tokens = built.tokens_for(options.seconds)
    return options


def wanted(name, filters):
    return not filters or any(part.strip().lower() in name.lower() for part in filters.split(","))


def is_able(can, product, workload):
    """Whether a workload makes sense for a product and it passed the checks for it."""
    if workload.mode == OPEN:
        able = (OPEN, None) in can
    elif workload.tokens == "-":
        # The cache has no part in this one.
        able = (GUARD, "none") in can and product.name != "Envoy cached"
    else:
        able = (GUARD, workload.alg) in can
    if workload.transport == "unix" and (not product.unix or product.transport == "unix"):
        # What always has such an upstream has its figure in another row.
        return False
    return able and (workload.transport != "h2" or (workload.mode, "h2") in can)


def verification(beside=None):
    """What a signature costs by itself: on a machine that does nothing else, or beside a load like the products', which here
    goes to the upstream at once."""
    core, _ = machine.cores()
    tool = ["taskset", "-c", str(core), ROOT / "target/release/examples/peers_verification", TOKENS, "0.5"]
    with load.background(beside, seconds=5) if beside else nullcontext():
        return json.loads(machine.run(tool))


def measure(product, workload, upstream, seconds, runs):
    """One fresh process, one workload, one result. A failure is said and leaves a gap."""
    with product.start(workload.mode, upstream.address(product, workload.transport)) as running:
        ready = checks.wait_until_ready(running, checks.accepted(product, workload.mode))
        if ready is None:
            say(f"NOTE: {product.name} did not start for {workload.key}: {running.complaint()}")
            return
        pids = running.pids()
        idle, before = machine.memory(pids), machine.cpu(pids)
        answer = load.drive(workload, running, seconds)
        used, peak = machine.cpu(pids) - before, machine.memory(pids, "VmHWM")
    if isinstance(answer, str):
        say(f"NOTE: {product.name}, {workload.key}: {answer}")
        return
    count, duration, p50, p99 = answer
    result = load.Result(count / duration, used / count, p50, p99, ready * 1e3, idle, peak)
    runs.setdefault(workload.key, {}).setdefault(product.name, []).append(vars(result))
    print(f"    {workload.key:11} {product.name:15} {result.rate:8.0f}/s  {result.cpu:6.1f} us CPU  p50 {p50:6.0f}  "
          f"p99 {p99:6.0f}  ready {result.ready:4.0f} ms  {idle:5.1f} to {peak:5.1f} MiB", flush=True)


def steady(products, can, upstream, options, readings):
    """p99 at half load: one rate for all, half of what Callgate managed with one ES256 token, sent without waiting."""
    fastest = readings["runs"].get("hot ES256", {}).get("Callgate")
    if not fastest:
        return
    rate = report.median([run["rate"] for run in fastest]) / 2
    readings["steady_rate"] = rate
    token = checks.token("ES256")
    say(f"Half load: {rate:.0f} requests per second.")
    for _ in range(options.rounds):
        for product in products:
            guarded = (GUARD, "ES256") in can[product.name]
            if not guarded and product not in FLOORS:
                continue
            with product.start(GUARD if guarded else OPEN, upstream.address(product)) as running:
                if checks.wait_until_ready(running, token) is None:
                    continue
                answer = load.h2load(running.port, token, options.seconds, http1=True, rate=rate)
            if isinstance(answer, str):
                say(f"NOTE: {product.name} at half load: {answer}")
                continue
            count, duration, p50, p99 = answer
            row = {"rate": count / duration, "p50": p50, "p99": p99}
            readings["steady"].setdefault(product.name, []).append(row)
            print(f"    half load   {product.name:15} {row['rate']:8.0f}/s  p50 {p50:6.0f}  p99 {p99:6.0f}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"bench-peers: {error}")
