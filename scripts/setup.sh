#!/usr/bin/env bash
# Installs what Callgate's build needs and a fresh Debian or Ubuntu with Rust lacks: cmake and a C compiler. It also unpacks,
# without installing it, the Prometheus that some tests ask; without it they are skipped, and say so.
# On other systems it says what to install, and fails only if something is missing.
set -euo pipefail

if ! command -v cargo >/dev/null; then
    echo 'setup: Rust is missing. Install it with rustup and run this again.' >&2
    exit 1
fi

# Unpacked and not installed: the package would start a service on this machine.
fetch_prometheus() {
    local tools target
    target=$(cd "$(dirname "$0")/.." && pwd)/target
    tools="$target/tools"
    if command -v promtool >/dev/null && command -v prometheus >/dev/null; then return; fi
    if [ -x "$tools/usr/bin/promtool" ]; then return; fi
    if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then return; fi
    mkdir -p "$tools"
    if (cd "$tools" && apt-get download -qq prometheus && dpkg-deb -x prometheus_*.deb .) >/dev/null 2>&1; then
        echo 'setup: unpacked Prometheus into target/tools, for the tests of the alerts and the dashboard.'
    else
        echo 'setup: Prometheus cannot be fetched; the tests that ask it will be skipped.'
    fi
    rm -f "$tools"/prometheus_*.deb
}
fetch_prometheus

missing=()
command -v cmake >/dev/null || missing+=(cmake)
command -v cc >/dev/null || missing+=(build-essential)
if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi

if ! command -v apt-get >/dev/null; then
    echo 'setup: please install cmake and a C compiler (cc) with make, then run this again:' >&2
    echo '  Fedora: dnf install cmake gcc make    Alpine: apk add cmake build-base    macOS: brew install cmake' >&2
    exit 1
fi

echo "setup: installing ${missing[*]}, which the build needs."
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "setup: not root and no sudo; please run as root: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
echo "setup: installed ${missing[*]}."
