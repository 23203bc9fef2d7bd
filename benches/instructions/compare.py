"""Counts the instructions of each step with callgrind and compares them with baseline.json: `make bench-instructions`. A
count does not depend on how busy the machine is, only on the code, the compiler and the processor's instruction set."""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
BASELINE = HERE / "baseline.json"

# What a count may differ from the baseline without anybody having changed anything: allocators and linkers vary a little.
TOLERANCE = 0.02

# What a proof may cost over its signature, and what a remembered token with nothing to verify may cost where proofs are configured.
PROOF_OVER_SIGNATURE = 1.15
WITHOUT_SIGNATURE = 100


def main():
    program = build()
    steps = output([program, "--list"]).split("\n")
    baseline = json.loads(BASELINE.read_text())
    known, compiler = baseline["instructions"], output(["rustc", "--version"]).split()[1]
    found = {step: count(program, step) for step in steps if step}

    def is_more(step):
        return found[step] > known.get(step, 0) * (1 + TOLERANCE)

    # Dates are written anew when a second begins, and one may have begun.
    found |= {step: min(found[step], count(program, step)) for step in found if is_more(step)}
    more = [step for step in found if is_more(step)]
    less = [step for step in found if found[step] < known.get(step, 0) * (1 - TOLERANCE)]
    print(f"{'step':22}{'instructions':>14}{'baseline':>12}{'change':>9}")
    for step, figure in found.items():
        change = f"{figure / known[step] - 1:+.1%}" if known.get(step) else "new"
        print(f"{step:22}{figure:14,}{known.get(step, 0):12,}{change:>9}")
    if broken := broken_bounds(found):
        sys.exit(f"bench-instructions: {broken}")
    if "--update" in sys.argv[1:]:
        BASELINE.write_text(json.dumps({"rustc": compiler, "instructions": found}, indent=1) + "\n")
        print(f"bench-instructions: written to {BASELINE.name}; commit it with what changed it.")
    elif baseline["rustc"] != compiler:
        why = f"the baseline was made with rustc {baseline['rustc']}, this is {compiler}"
        subprocess.run([HERE.parents[1] / "scripts/tools.sh", "unavailable", "the comparison of instructions", why], check=True)
    elif more:
        sys.exit(f"bench-instructions: more than the baseline: {', '.join(more)}. If it is worth it: UPDATE=1.")
    elif less:
        print(f"bench-instructions: less than the baseline: {', '.join(less)}. Keep it: UPDATE=1.")


def broken_bounds(found):
    """Which bound the cost of bound tokens breaks, each against a remembered token where none may be bound; none if all hold."""
    over = {kind: found[f"decide {kind}"] - found["decide remembered"] for kind in ("where bound", "certificate", "dpop")}
    share = over["dpop"] / found["signature ES256"]
    print(f"\nover a remembered token: bearer {over['where bound']:+,}, certificate {over['certificate']:+,}, "
          f"DPoP {over['dpop']:+,}: {share:.3f} of a signature")
    if share > PROOF_OVER_SIGNATURE:
        return f"a DPoP proof costs more than {PROOF_OVER_SIGNATURE} signatures."
    if max(over["where bound"], over["certificate"]) > WITHOUT_SIGNATURE:
        return f"a token without a proof costs more than {WITHOUT_SIGNATURE} instructions more where proofs are configured."
    return None


def build():
    """Builds the steps and gives their program."""
    command = ["cargo", "bench", "--quiet", "--no-run", "--bench", "instructions", "--message-format=json"]
    # The function that is counted is found by its name.
    messages = map(json.loads, output(command, CARGO_PROFILE_BENCH_STRIP="none").splitlines())
    return next(message["executable"] for message in messages
                if message.get("target", {}).get("name") == "instructions" and message.get("executable"))


def count(program, step):
    with tempfile.TemporaryDirectory() as directory:
        into = Path(directory) / "counts"
        output(["valgrind", "--tool=callgrind", "--toggle-collect=*measured*", f"--callgrind-out-file={into}", program, step])
        found = int(re.search(r"^totals: (\d+)", into.read_text(), re.M)[1])
        if not found:
            sys.exit(f"bench-instructions: callgrind did not find what it should count in '{step}'.")
        return found


def output(command, **environment):
    ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
    if ended.returncode != 0:
        sys.exit(f"bench-instructions: {' '.join(command)} failed:\n{ended.stderr}")
    return ended.stdout


if __name__ == "__main__":
    main()
