#!/usr/bin/env bash
# Runs the fuzz targets, each for some seconds (20, or the first argument), or those that are named after it.
# It needs a nightly toolchain, which no package has, and cargo-fuzz, which is installed. Without them it says so loudly and ends
# well, unless FUZZ_REQUIRED is set.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/tools.sh

seconds=${1:-20}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(sed -n '/^\[\[bin/,$s/^name = "\(.*\)"/\1/p' fuzz/Cargo.toml)

# Asked so that rustup does not fetch a toolchain that nobody wanted.
rustup toolchain list 2>/dev/null | grep -E '^nightly(-[a-z]|$)' >/dev/null || {
    unavailable 'fuzzing' 'there is no nightly toolchain (rustup toolchain install nightly)'
    exit "${FUZZ_REQUIRED:-0}"
}
need cargo-fuzz || {
    skip 'fuzzing' 'cargo-fuzz cannot be installed'
    exit "${FUZZ_REQUIRED:-0}"
}

# One build for all: cargo then has both hands free.
cargo +nightly fuzz build

# No input may take seconds, hundreds of megabytes, or a single large piece of memory.
# What was freed is kept back for a while to find its users: a little of it, or it counts for most of the memory.
export ASAN_OPTIONS=quarantine_size_mb=32
limits=(-timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=64 -max_len=16384)
for target in "${targets[@]}"; do
    echo "fuzz: $target for $seconds s."
    case $target in
    claims | deny_list | jwk_set | proof) words=(-dict=fuzz/dictionaries/json.dict) ;;
    config | head) words=("-dict=fuzz/dictionaries/$target.dict") ;;
    *) words=() ;;
    esac
    # New finds go to the first directory; the committed seeds are only read.
    mkdir -p "target/fuzz/$target"
    log=target/fuzz/$target.log
    if ! cargo +nightly fuzz run "$target" "target/fuzz/$target" "fuzz/corpus/$target" -- \
        "${limits[@]}" "${words[@]}" -max_total_time="$seconds" -print_final_stats=1 -print_funcs=0 -verbosity=0 \
        >"$log" 2>&1; then
        cat "$log" >&2
        exit 1
    fi
    sed -n "s/^stat::number_of_executed_units: */fuzz: $target, inputs: /p" "$log"
done
echo "fuzz: ${#targets[@]} targets ran without a find."
