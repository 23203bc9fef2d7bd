#!/usr/bin/env bash
# Builds what the image holds into a directory: the program, static, so that no shared library is needed; the trust roots; the
# licence texts of everything in the program. From the same sources in the same place, with the same compiler, the same bytes.
#
#     deploy/build.sh DIRECTORY [PROFILE]
set -euo pipefail
out=$(realpath -m "$1")
profile=${2:-release}
cd "$(dirname "$0")/.."

# With --target, the flags are for the program and not for what runs while it is built.
target=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
cargo build --locked --profile "$profile" --bin callgate --target "$target"
target_directory=${CARGO_TARGET_DIR:-target}
install -D -m 755 "$target_directory/$target/$profile/callgate" "$out/callgate"
install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$out/etc/ssl/certs/ca-certificates.crt"
mkdir -p "$out/licenses"
deploy/licenses.sh >"$out/licenses/THIRD-PARTY.txt"
