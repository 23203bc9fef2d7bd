#!/usr/bin/env python3
"""Checks a tarball of scripts/dist.sh as somebody would who gets it on another machine, and that each of its checks finds what it is for.

    check_dist.py TARBALL
"""

import hashlib
import json
import os
import re
import struct
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).resolve().parents[1]
passed = 0


def ok(what: str) -> None:
    global passed
    passed += 1
    print(f"ok: {what}")


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """With nothing of this machine's environment."""
    return subprocess.run(command, cwd=cwd, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=60)


def archive_is_of_no_machine(tarball: Path) -> None:
    noted, name = Path(f"{tarball}.sha256").read_text().split()
    assert (noted, name) == (hashlib.sha256(tarball.read_bytes()).hexdigest(), tarball.name), (noted, name)
    with tarfile.open(tarball) as archive:
        members = archive.getmembers()
    names = [member.name for member in members]
    top = tarball.name.removesuffix(".tar.gz")
    assert names == sorted(names) and all(name == top or name.startswith(f"{top}/") for name in names), names
    for member in members:
        assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", ""), (member.name, member.uid, member.uname)
        assert member.mtime == members[0].mtime and member.mode == (0o755 if member.isdir() or member.name.endswith("/callgate") else 0o644), member.name
    ok(f"{tarball.name} has its noted checksum, {len(names)} entries, and no owner")


def checksums_find_a_changed_byte(out: Path) -> None:
    assert run("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=out).returncode == 0
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()} - {"SHA256SUMS"}
    assert {line.split("  ")[1] for line in (out / "SHA256SUMS").read_text().splitlines()} == files
    page = out / "man/callgate.1"
    whole = page.read_bytes()
    page.write_bytes(whole[:-1] + b"?")
    assert run("sha256sum", "--check", "SHA256SUMS", cwd=out).returncode == 1
    page.write_bytes(whole)
    ok(f"SHA256SUMS has all {len(files)} files, and finds a changed one")


def is_static(program: bytes) -> bool:
    """Whether an ELF file of 64 bits names no interpreter: none loads libraries for it."""
    assert program[:6] == b"\x7fELF\x02\x01", "not an ELF file of 64 bits"
    offset, size, count = struct.unpack_from("<Q", program, 32)[0], *struct.unpack_from("<HH", program, 54)
    return all(struct.unpack_from("<I", program, offset + number * size)[0] != 3 for number in range(count))


def paths_of_this_machine(program: bytes) -> list[str]:
    places = {str(ROOT), os.environ.get("CARGO_HOME", str(Path.home() / ".cargo")), str(Path.home() / ".rustup")}
    return [place for place in places if place.encode() in program]


def program_is_static_and_runs(out: Path, version: str) -> None:
    program = (out / "callgate").read_bytes()
    assert is_static(program), "the program needs shared libraries"
    assert not is_static(Path(sys.executable).resolve().read_bytes()), "the check does not know a dynamic program"
    assert paths_of_this_machine(program) == [], paths_of_this_machine(program)
    assert paths_of_this_machine(program + str(ROOT).encode()) == [str(ROOT)], "the check does not find a path"
    said = run("./callgate", "--version", cwd=out)
    assert said.stdout.startswith(f"callgate {version}\n"), said
    assert run("./callgate", "check", "--config", "sidecar.toml", cwd=out).returncode == 0
    (out / "wrong.toml").write_text("[listen]\naddres = 1\n")
    assert run("./callgate", "check", "--config", "wrong.toml", cwd=out).returncode == 78
    (out / "wrong.toml").unlink()
    ok("the program is static, names no place of this machine, and checks a configuration")


def people_get_help(out: Path) -> None:
    subcommands = re.findall(r"^  ([a-z]+) ", run("./callgate", "--help", cwd=out).stdout, re.M)
    pages = {path.name for path in (out / "man").iterdir()}
    assert len(subcommands) > 8 and {f"callgate-{name}.1" for name in subcommands if name != "help"} | {"callgate.1"} <= pages, pages
    assert all(".TH callgate" in (out / "man" / page).read_text() for page in pages)
    completed = 'source completions/callgate.bash && COMP_WORDS=(callgate expl) COMP_CWORD=1 && _callgate callgate expl callgate && echo "${COMPREPLY[@]}"'
    said = run("bash", "-c", completed, cwd=out)
    assert said.stdout.split() == ["explain"], said
    assert "#compdef callgate" in (out / "completions/_callgate").read_text()
    assert "complete -c callgate" in (out / "completions/callgate.fish").read_text()
    ok(f"{len(pages)} manual pages, and completions that complete")


def bill_of_materials_is_whole(out: Path) -> None:
    text = (out / "callgate.cdx.json").read_text()
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(text) is None, validator.validate_str(text)
    assert validator.validate_str(text.replace('"library"', '"book"')) is not None, "the schema accepts everything"
    bom = json.loads(text)
    assert bom["metadata"]["component"]["hashes"][0]["content"] == hashlib.sha256((out / "callgate").read_bytes()).hexdigest()
    lock = {
        (package["name"], package["version"], package["checksum"])
        for package in tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
        if "checksum" in package
    }
    crates = [component for component in bom["components"] if "purl" in component]
    for crate in crates:
        assert (crate["name"], crate["version"], crate["hashes"][0]["content"]) in lock, crate
    names = {crate["name"] for crate in crates}
    # What it is built on is in it, what only tests use is not.
    assert {"pingora", "jsonwebtoken", "tokio", "aws-lc-sys"} <= names and not {"criterion", "proptest", "testkit", "jsonschema"} & names
    known = {component["bom-ref"] for component in bom["components"]} | {bom["metadata"]["component"]["bom-ref"]}
    for entry in bom["dependencies"]:
        assert {entry["ref"], *entry["dependsOn"]} <= known, entry
    licences = (out / "licenses/THIRD-PARTY.txt").read_text()
    listed = set(re.findall(r"^(\S+) (\d\S*)  ", licences, re.M))
    assert listed == {(crate["name"], crate["version"]) for crate in crates}, listed ^ {(crate["name"], crate["version"]) for crate in crates}
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in licences, "the text for the C library is missing"
    ok(f"the bill of materials is valid CycloneDX and names the {len(crates)} crates that THIRD-PARTY.txt has, as Cargo.lock has them")


def main() -> int:
    tarball = Path(sys.argv[1]).resolve()
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
    archive_is_of_no_machine(tarball)
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(["tar", "--extract", "--file", str(tarball), "--directory", directory], check=True)
        out = Path(directory, tarball.name.removesuffix(".tar.gz"))
        checksums_find_a_changed_byte(out)
        program_is_static_and_runs(out, version)
        people_get_help(out)
        bill_of_materials_is_whole(out)
    print(f"{passed} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
