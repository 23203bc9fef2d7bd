#!/usr/bin/env python3
"""Compares two files of manifests as a cluster would understand them: the order of the documents, the hash at the end of a
ConfigMap's name and what is only said to Helm do not count. Prints the difference; exit 1 if there is one.

    compare_manifests.py WANTED FOUND [--only KIND]
"""

import argparse
import difflib
import re
import sys

import yaml

# What `configMapGenerator` and the Helm chart append.
HASH = re.compile(r"(-callgate)-[0-9a-z]{10}\b")


def documents(path: str, kind: str | None) -> list[str]:
    """One text for each document, in the order of their kinds and names."""
    texts = []
    for document in yaml.safe_load_all(open(path)):
        if document is None or kind not in (None, document["kind"]):
            continue
        annotations = document["metadata"].get("annotations", {})
        for name in [name for name in annotations if name.startswith("helm.sh/")]:
            del annotations[name]
        if not annotations:
            document["metadata"].pop("annotations", None)
        text = yaml.safe_dump(document, sort_keys=True, width=1000)
        texts.append((document["kind"], document["metadata"].get("name", ""), HASH.sub(r"\1", text)))
    return [text for _, _, text in sorted(texts)]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("wanted")
    parser.add_argument("found")
    parser.add_argument("--only")
    arguments = parser.parse_args()
    wanted, found = documents(arguments.wanted, arguments.only), documents(arguments.found, arguments.only)
    if not wanted:
        print(f"{arguments.wanted} has nothing to compare", file=sys.stderr)
        return 1
    lines = [text.splitlines(keepends=True) for text in ("---\n".join(wanted), "---\n".join(found))]
    difference = list(difflib.unified_diff(*lines, arguments.wanted, arguments.found))
    sys.stderr.writelines(difference)
    return 1 if difference else 0


if __name__ == "__main__":
    sys.exit(main())
