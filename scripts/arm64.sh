#!/usr/bin/env bash
# Builds the static program for arm64 with Debian's compilers, and runs the acceptance tests against it in qemu's emulation, one after
# another. The emulator does not know a socket option that connections to a port ask for, so services listen on Unix sockets.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/tools.sh

target=aarch64-unknown-linux-gnu
need aarch64-linux-gnu-gcc aarch64-linux-gnu-g++ qemu-aarch64-static || {
    skip 'make arm64' "$unmet cannot be installed"
    exit
}
rustup target add "$target" || {
    skip 'make arm64' "there is no Rust for $target"
    exit
}

# Without optimization it is built soon.
TARGET=$target deploy/program.sh target/arm64/program "${CALLGATE_PROFILE:-quick}"
cat >target/arm64/callgate <<EOF
#!/bin/sh
exec $(scripts/tools.sh find qemu-aarch64-static) $PWD/target/arm64/program "\$@"
EOF
chmod +x target/arm64/callgate

tests=$(cargo test --no-run --test acceptance 2>&1 | tee /dev/stderr | sed -nE 's/.*Executable .*\((.*)\)/\1/p')
CARGO_BIN_EXE_callgate=$PWD/target/arm64/callgate CALLGATE_TEST_UPSTREAM=unix "$tests" --test-threads 1 "$@"
