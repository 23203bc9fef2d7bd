#!/usr/bin/env bash
# Shows that a release can be built again: two clean clones of HEAD, in directories of different depth and with no file in common, give
# the same tarball. CALLGATE_PROFILE=quick takes seven minutes, release a quarter of an hour.
set -euo pipefail
cd "$(dirname "$0")/.."
[[ -z $(git status --porcelain) ]] || echo 'reproducible: NOTE: only what is committed is tried.' >&2

# Somebody may go on committing meanwhile.
commit=$(git rev-parse HEAD)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sums=()
for clone in "$work/one" "$work/another/much/deeper/place"; do
    began=$SECONDS
    git clone --quiet --no-hardlinks . "$clone"
    git -C "$clone" reset --quiet --hard "$commit"
    tarball=$(umask "0$((22 + 5 * ${#sums[@]}))" && env --unset CARGO_TARGET_DIR "$clone/scripts/dist.sh")
    sums+=("$(sha256sum "$tarball" "${tarball%.tar.gz}/callgate" | cut -c 1-64 | paste -sd ' ')")
    echo "reproducible: ${sums[-1]} after $((SECONDS - began)) s in $clone"
done
if [[ ${sums[0]} != "${sums[1]}" ]]; then
    diff --recursive --brief "$work/one/target/dist" "$work/another/much/deeper/place/target/dist" >&2 || true
    echo '0 passed, 1 failed'
    exit 1
fi
echo '1 passed, 0 failed'
