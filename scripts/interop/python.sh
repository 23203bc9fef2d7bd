#!/usr/bin/env bash
# Prints what the script makes that its first argument names and that is beside this one. The libraries are installed once, into
# target/interop. Exit code 69: that cannot be done here.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
. scripts/tools.sh
have python3 venv || { echo "missing: $unmet" >&2 && exit 69; }
home=$PWD/target/interop/python
if ! cmp -s "$here/requirements.txt" "$home/installed.txt"; then
    rm -rf "$home"
    python3 -m venv "$home" >&2
    "$home/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt" >&2 ||
        { echo "pip cannot install PyJWT and joserfc" >&2 && exit 69; }
    cp "$here/requirements.txt" "$home/installed.txt"
fi
mint=$here/$1
shift
exec "$home/bin/python" "$mint" "$@"
