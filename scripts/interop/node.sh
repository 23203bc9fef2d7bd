#!/usr/bin/env bash
# Prints what the script makes that its first argument names and that is beside this one. The libraries are installed once, into
# target/interop. Exit code 69: that cannot be done here.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
. scripts/tools.sh
have node npm || { echo "missing: $unmet" >&2 && exit 69; }
home=$PWD/target/interop/node
mkdir -p "$PWD/target/interop"
# Tests call this at the same time.
exec 9>"$home.lock"
flock 9
if ! cmp -s "$here/package.json" "$home/installed.json"; then
    rm -rf "$home"
    mkdir -p "$home"
    cp "$here/package.json" "$home/package.json"
    npm install --prefix "$home" --no-package-lock --no-audit --no-fund --silent >&2 ||
        { echo "npm cannot install the packages of package.json" >&2 && exit 69; }
    cp "$here/package.json" "$home/installed.json"
fi
# A module looks for others beside itself.
cp "$here/$1" "$home/$1"
script=$home/$1
shift
flock --unlock 9
exec node "$script" "$@"
