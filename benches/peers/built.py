"""What is built before anything is measured: Callgate as its image holds it, the tools, the tokens."""

import time

import machine
from machine import ROOT, WORK, say

PROGRAM = WORK / "callgate"
TOKENS = WORK / "tokens"
ALGORITHMS = ["RS256", "ES256", "EdDSA"]

# More than any product here can verify in a second on one core.
TOKENS_PER_SECOND = 24_000

HALF_DAY = 12 * 3600


def callgate():
    machine.run([ROOT / "deploy/program.sh", PROGRAM])


def tools(*names):
    machine.run(["cargo", "build", "--release", *[word for name in names for word in ("--example", name)]])


def tokens_for(seconds):
    """How many tokens last so long if none comes twice."""
    return max(10_000, TOKENS_PER_SECOND * seconds)


def tokens(count):
    """Makes the tokens if there are too few or they soon expire."""
    last = TOKENS / "jwks.json"
    fresh = last.exists() and time.time() - last.stat().st_mtime < HALF_DAY
    if not fresh or sum(1 for _ in open(TOKENS / "ES256.txt", "rb")) < count:
        say(f"Making {count} tokens for each of {', '.join(ALGORITHMS)}.")
        machine.run([ROOT / "target/release/examples/peers_tokens", TOKENS, count])
