#!/usr/bin/env bash
# Prints what mint.py makes. Its libraries are installed once, into target/interop.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=$here/../../target/interop/python
if ! cmp -s "$here/requirements.txt" "$home/installed.txt"; then
    rm -rf "$home"
    python3 -m venv "$home" >&2
    "$home/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt" >&2
    cp "$here/requirements.txt" "$home/installed.txt"
fi
exec "$home/bin/python" "$here/mint.py" "$@"
