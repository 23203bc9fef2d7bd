"""Puts the comparison's workloads on a Callgate that writes a profile of what it does: `make profile`, which see."""

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, os.path.dirname(__file__))

import built
import checks
import load
import machine
from machine import say
from products import ALGORITHMS, Callgate, Upstream


def main():
    parser = argparse.ArgumentParser(prog="train", description=__doc__)
    parser.add_argument("program", type=Path, help="built with PROFILE_GENERATE")
    parser.add_argument("profiles", type=Path, help="where it writes, a file each time it ends")
    parser.add_argument("--seconds", type=int, default=2, help="of load, each time")
    options = parser.parse_args()
    machine.name = "profile"
    machine.need("nginx", "wrk", "h2load", "taskset")
    built.tools("peers_tokens")
    built.tokens(count := built.tokens_for(options.seconds))
    callgate = Callgate(program=options.program.resolve())
    with Upstream() as upstream:
        for number, workload in enumerate(load.workloads(ALGORITHMS, count), 1):
            profile = options.profiles.resolve() / f"{number}.profraw"
            os.environ["LLVM_PROFILE_FILE"] = str(profile)
            with callgate.start(workload.mode, upstream.address(callgate, workload.transport)) as running:
                if checks.wait_until_ready(running, checks.accepted(callgate, workload.mode)) is None:
                    sys.exit(f"profile: {running.complaint()}")
                answer = load.drive(workload, running, options.seconds)
            if isinstance(answer, str):
                sys.exit(f"profile: {workload.key}: {answer}")
            if not profile.exists():
                sys.exit(f"profile: {workload.key}: Callgate ended without writing its profile")
            say(f"{workload.title}: {answer[0]} requests")


if __name__ == "__main__":
    main()
