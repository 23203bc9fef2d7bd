#!/usr/bin/env python3
"""Prints the software bill of materials of a program in CycloneDX 1.6: every crate in it by version, licence and checksum, what needs
what, the standard library and the C library. The same program gives the same text.

    sbom.py PROGRAM TARGET
"""

import hashlib
import json
import re
import subprocess
import sys
import tomllib
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The depth, the package, whether it is expanded elsewhere.
LINE = re.compile(r"(\d+) (\S+) v(\S+)(?: \([^|]*\))?\|([^|]*?)( \(\*\))?")


def run(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def crates(target: str) -> tuple[dict[str, str], dict[str, set[str]]]:
    """The licence of each crate in the program, and which ones it needs; both by `name@version`."""
    tree = run("cargo", "tree", "--locked", "--edges", "normal", "--target", target, "--prefix", "depth", "--format", " {p}|{l}")
    licences, needs, path = {}, {}, []
    for line in tree.splitlines():
        match = LINE.fullmatch(line)
        assert match, f"cargo tree prints {line!r}"
        depth, crate = int(match[1]), f"{match[2]}@{match[3]}"
        licences[crate] = match[4].replace("/", " OR ")
        needs.setdefault(crate, set())
        del path[depth:]
        if path:
            needs[path[-1]].add(crate)
        path.append(crate)
    return licences, needs


def main() -> int:
    program, target = Path(sys.argv[1]), sys.argv[2]
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    checksums = {f"{package['name']}@{package['version']}": package.get("checksum") for package in lock["package"]}
    licences, needs = crates(target)
    own, *_ = licences
    components = []
    for crate in sorted(licences.keys() - {own}):
        name, version = crate.split("@")
        components.append({
            "type": "library",
            "bom-ref": crate,
            "name": name,
            "version": version,
            "licenses": [{"expression": licences[crate]}],
            "hashes": [{"alg": "SHA-256", "content": checksums[crate]}],
            "purl": f"pkg:cargo/{name}@{version.replace('+', '%2B')}",
        })
    libraries = {
        "rust-std": (run("rustc", "--version").split()[1], "MIT OR Apache-2.0"),
        "glibc": (run("getconf", "GNU_LIBC_VERSION").split()[1], "LGPL-2.1-or-later"),
    }
    for name, (version, licence) in libraries.items():
        components.append(
            {"type": "library", "bom-ref": name, "name": name, "version": version, "licenses": [{"expression": licence}]}
        )
    needs[own] |= set(libraries)
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": "callgate",
                "version": own.split("@")[1],
                "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(program.read_bytes()).hexdigest()}],
                "properties": [{"name": "callgate:target", "value": target}],
            }
        },
        "components": components,
        "dependencies": [{"ref": crate, "dependsOn": sorted(needs[crate])} for crate in sorted(needs)],
    }
    # A number of its own for each content, and no other.
    bom["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bom, sort_keys=True))}"
    print(json.dumps(bom, indent=1, sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
