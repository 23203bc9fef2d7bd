#!/usr/bin/env bash
# Writes deploy/profile/llvm-VERSION.profdata: which ways Callgate takes under the workloads of `make bench-peers`. The image's
# build lays the program out by it. It is of the compiler's own LLVM, and worth writing anew when the way of a request through the
# program has changed, the compiler, or what scripts/profiled.sh prints; an old one costs speed and nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/tools.sh
need python3

llvm=$(deploy/profile/llvm.sh)
component=$(rustc --print sysroot)/lib/rustlib/$(rustc --print host-tuple)/bin/llvm-profdata
if [[ -x $component ]]; then
    merge=$component
else
    need "llvm-profdata-$llvm" || {
        echo "profile: it takes llvm-profdata of LLVM $llvm. rustup component add llvm-tools has it too." >&2
        exit 1
    }
    merge=llvm-profdata-$llvm
fi

work=$PWD/target/profile
rm -rf "$work/raw"
echo 'profile: building an instrumented program; this takes some minutes.'
PROFILE_GENERATE=1 deploy/program.sh "$work/callgate"
python3 benches/peers/train.py "$work/callgate" "$work/raw"
mkdir -p deploy/profile
"$merge" merge --sparse --output "deploy/profile/llvm-$llvm.profdata" "$work/raw"
scripts/profiled.sh >deploy/profile/for
echo "profile: deploy/profile/llvm-$llvm.profdata, $(($(stat --format %s "deploy/profile/llvm-$llvm.profdata") / 1024)) KiB."
