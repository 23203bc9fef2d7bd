#!/usr/bin/env bash
# Installs what Callgate's build needs and a fresh Debian or Ubuntu with Rust lacks: cmake and a C compiler. On other systems it
# says what to install, and fails only if something is missing. `setup.sh tests` also gets what the tests ask; without it some of
# them are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/tools.sh

have cargo || {
    echo 'setup: Rust is missing. Install it with rustup and run this again.' >&2
    exit 1
}
need cmake cc || {
    echo 'setup: please install cmake and a C compiler (cc) with make, then run this again:' >&2
    echo '  Fedora: dnf install cmake gcc make    Alpine: apk add cmake build-base    macOS: brew install cmake' >&2
    exit 1
}
[[ ${1-} != tests ]] || need python3 venv node npm prometheus promtool chromium-headless-shell opentelemetry-proto envoy nginx njs redis-server || echo 'setup: the tests that ask them will be skipped.' >&2
