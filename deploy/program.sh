#!/usr/bin/env bash
# Builds the program that the image holds: static, so that no shared library is needed, and laid out by the profile of a load
# (deploy/profile/, written by `make profile`) if there is one for this compiler's LLVM. From the same sources in the same place,
# with the same compiler, the same bytes.
#
#     deploy/program.sh FILE [PROFILE]                       PROFILE: of Cargo.toml
#     PROFILE_GENERATE=1 deploy/program.sh FILE [PROFILE]    a slow program, which writes such a profile when it ends
set -euo pipefail
file=$(realpath -m "$1")
profile=${2:-release}
cd "$(dirname "$0")/.."
target_directory=$(realpath -m "${CARGO_TARGET_DIR:-target}")

host=$(rustc --print host-tuple)
llvm=$(deploy/profile/llvm.sh)
profile_data=deploy/profile/llvm-$llvm.profdata
export RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
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

# With --target, the flags are for the program and not for what runs while it is built.
cargo build --locked --profile "$profile" --bin callgate --target "$host"
install -D -m 755 "$target_directory/$host/$profile/callgate" "$file"
