#!/usr/bin/env bash
# Builds the program that the image holds: static, so that no shared library is needed, and laid out by the profile of a load
# (deploy/profile/, written by `make profile`) if there is one for this compiler's LLVM. From the same sources with the same compilers
# the same bytes, wherever they lie: `make reproducible` shows it.
#
#     deploy/program.sh FILE [PROFILE]                       PROFILE: of Cargo.toml
#     PROFILE_GENERATE=1 deploy/program.sh FILE [PROFILE]    a slow program, which writes such a profile when it ends
#     TARGET=aarch64-unknown-linux-gnu deploy/program.sh …   for another architecture, with Debian's compiler for it
set -euo pipefail
file=$(realpath -m "$1")
profile=${2:-release}
cd "$(dirname "$0")/.."
target_directory=$(realpath -m "${CARGO_TARGET_DIR:-target}")

target=${TARGET:-$(rustc --print host-tuple)}
llvm=$(deploy/profile/llvm.sh)
profile_data=deploy/profile/llvm-$llvm.profdata
# Where the sources lie stands in messages and debug information, and is no part of the program. The last that fits counts.
places=("$PWD=/callgate" "$target_directory=/callgate/target" "${CARGO_HOME:-$HOME/.cargo}=/cargo")
export RUSTFLAGS="-C target-feature=+crt-static ${places[*]/#/--remap-path-prefix=}"
# The same for C, for this target alone: what runs while the program is built stays as it is.
export "CFLAGS_${target//-/_}=${places[*]/#/-ffile-prefix-map=}"
if [[ -n ${PROFILE_GENERATE-} ]]; then
    RUSTFLAGS+=" -C profile-generate"
elif [[ $profile != release ]]; then
    : # Made to be built soon, not to be fast.
elif [[ -f $profile_data ]]; then
    # Cargo looks at the names of flags' files, not at what is in them.
    copy=$target_directory/profile/$(sha256sum "$profile_data" | cut -c 1-16).profdata
    install -D -m 644 "$profile_data" "$copy"
    # What has changed since is built as if it had no profile; a word about each is of no use.
    RUSTFLAGS+=" -C profile-use=$copy -C llvm-args=-no-pgo-warn-mismatch"
else
    echo "program: there is no profile for LLVM $llvm: Callgate will be some 15 % slower. \`make profile\` writes one." >&2
fi

# Debian's names for its compilers have no vendor.
if [[ $target != "$(rustc --print host-tuple)" ]]; then
    upper=${target//-/_}
    export "CARGO_TARGET_${upper^^}_LINKER=${target/-unknown/}-gcc"
fi

# With --target, the flags are for the program and not for what runs while it is built.
cargo build --locked --profile "$profile" --bin callgate --target "$target"
install -D -m 755 "$target_directory/$target/$profile/callgate" "$file"
