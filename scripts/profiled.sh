#!/usr/bin/env bash
# Prints what a profile of Callgate is made for: the compiler, and each package with its version and features. The names of the
# functions in a profile hold a hash of all that.
set -euo pipefail
cd "$(dirname "$0")/.."
{
    rustc -vV
    cargo tree --locked --edges normal,build --prefix none --format '{p} {f}' | sed 's| (/[^)]*)||; s| (\*)$||' | sort -u
} | sha256sum | cut -c 1-16
