#!/usr/bin/env python3
"""Runs the guides in docs/ as a new user would: every ```sh block, word for word and in order, in a clean copy of the project.

* A block of another language right after a ```sh block is what it prints, line by line; `…` stands for anything.
* `<!-- file: NAME -->` before a block: the block is that file.
* `<!-- not run: WHY -->` before a block: it is only read by bash -n. Every such block is listed.
* `<!-- needs: PROGRAM -->` before a block: it is run where scripts/tools.sh can get that program, and noted as skipped elsewhere.

Each guide runs in a network namespace of its own if that is allowed, so its ports are free and lead nowhere. At its end it must have
stopped what it started, removed what it wrote, and changed no file of the project.
"""

import contextlib
import functools
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"(?:<!-- ([^\n]*) -->\n)?^```(\w+)\n(.*?)^```$", re.M | re.S)
TIMEOUT_S = 180
PATH = f"{ROOT}/target/debug:{ROOT}/target/tools/bin:{os.environ['PATH']}"


def tools(*arguments: str) -> bool:
    return subprocess.run([ROOT / "scripts/tools.sh", *arguments], check=False).returncode == 0


@functools.cache
def has(program: str) -> bool:
    return tools("need", program)


class Block:
    def __init__(self, match: re.Match[str], guide: str) -> None:
        self.note, self.language, self.text = match[1] or "", match[2], match[3]
        self.start, self.end = match.start(), match.end()
        self.line = guide.count("\n", 0, match.start(2)) + 1

    def marked(self, word: str) -> str | None:
        return self.note.removeprefix(f"{word}: ") if self.note.startswith(f"{word}: ") else None


def blocks(guide: str) -> list[Block]:
    return [Block(match, guide) for match in BLOCK.finditer(guide)]


def script(guide: str, name: str) -> tuple[str, dict[int, str], list[str]]:
    """The guide as one script, which marks its output with the lines of its blocks; what these should print; what is left out."""
    lines, expected, left_out = [], {}, []
    previous = None
    for block in blocks(guide):
        place = f"{name}:{block.line}"
        if file := block.marked("file"):
            lines.append(f"cat >'{file}' <<'END OF THE FILE'\n{block.text}END OF THE FILE")
        elif block.language == "sh":
            if why := block.marked("not run"):
                subprocess.run(["bash", "-n"], input=block.text, text=True, check=True)
                left_out.append(f"{place}: {why}")
            elif (program := block.marked("needs")) and not has(program):
                if not tools("skip", f"the block at {place}", f"{program} cannot be installed"):
                    sys.exit(1)
            else:
                lines.append(f"echo '\x01{block.line}' | tee /dev/stderr\n{block.text}")
        elif previous and previous.language == "sh" and not guide[previous.end : block.start].strip():
            if not (previous.marked("not run") or (previous.marked("needs") and not has(previous.marked("needs")))):
                expected[previous.line] = block.text
        previous = block
    return "\n".join(lines), expected, left_out


def pattern(expected: str) -> re.Pattern[str]:
    """Line by line, in this order, with nothing between them but what `…` stands for."""
    lines = [re.escape(line).replace("…", ".*") for line in expected.rstrip().splitlines()]
    return re.compile("^" + "".join("(?:.*\n)*?" if line == ".*" else f"{line}\n" for line in lines), re.M)


def left_files(copy: Path) -> list[str]:
    """What is in the copy and not in the project, or not as it is there; what npm installs and builds does not count."""
    found = [path for path in copy.rglob("*") if path.is_file() and not {"node_modules", "dist"} & set(path.parts)]
    return [
        str(path.relative_to(copy))
        for path in found
        if not (original := ROOT / path.relative_to(copy)).is_file() or original.read_bytes() != path.read_bytes()
    ]


def play(path: Path) -> list[str]:
    """Runs one guide. Returns what is wrong with it."""
    name = path.name
    text, expected, left_out = script(path.read_text(), name)
    for line in left_out:
        print(f"   not run: {line}")
    if not text:
        return []
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory, "callgate")
        copy.mkdir()
        files = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True
        ).stdout
        subprocess.run(
            f"xargs -0 cp --parents --target-directory '{copy}'", shell=True, cwd=ROOT, input=files, check=True
        )
        environment = {**os.environ, "HOME": os.environ.get("HOME", "/root"), "PATH": PATH, "npm_config_offline": "true"}
        command = ["bash", "-c", f"set -euo pipefail\n{text}"]
        if os.geteuid() == 0:
            command = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *command]
        out_path, err_path = Path(directory, "out"), Path(directory, "err")
        with out_path.open("w") as out, err_path.open("w") as err:
            process = subprocess.Popen(command, cwd=copy, env=environment, stdout=out, stderr=err, start_new_session=True)
            left = []
            try:
                code = process.wait(TIMEOUT_S)
            except subprocess.TimeoutExpired:
                code = "no end"
            with contextlib.suppress(ProcessLookupError):
                # One that was just stopped may take a moment.
                for _ in range(20):
                    os.killpg(process.pid, 0)
                    time.sleep(0.1)
                os.killpg(process.pid, signal.SIGTERM)
                left.append("processes that it started")
        left += left_files(copy)
        said = {int(part.split("\n", 1)[0]): part.split("\n", 1)[1] for part in out_path.read_text().split("\x01")[1:]}
        complained = err_path.read_text().split("\x01")[-1]
    problems = [f"{name}: leaves behind {what}" for what in left if code == 0]
    if code != 0:
        last = max(said, default=0)
        problems.append(f"{name}:{last}: the block ended with {code}\n{said.get(last, '')}\n{complained}")
    for line, wanted in expected.items():
        if line in said and not pattern(wanted).search(said[line].replace("\r", "").rstrip() + "\n"):
            problems.append(f"{name}:{line}: wanted\n{wanted}\nfound\n{said[line]}")
    print(f"   {len(said)} blocks run, {len(expected)} outputs compared")
    return problems


def main() -> int:
    paths = [Path(argument).resolve() for argument in sys.argv[1:]] or sorted((ROOT / "docs").glob("*.md"))
    # The guides run without a network: the packages that they install come from npm's cache.
    if any(path.is_relative_to(ROOT / "docs") for path in paths):
        for example in ("examples/nestjs-email", "examples/issuer", "examples/any-service"):
            subprocess.run(["npm", "ci", "--silent", "--prefix", str(ROOT / example)], check=True)
    failed = passed = 0
    for path in paths:
        if not any(block.language == "sh" for block in blocks(path.read_text())):
            continue
        print(f"-- {path.name}", flush=True)
        problems = play(path)
        passed, failed = passed + (not problems), failed + bool(problems)
        for problem in problems:
            print(problem, file=sys.stderr)
    print(f"guides: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
