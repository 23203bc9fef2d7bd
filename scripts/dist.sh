#!/usr/bin/env bash
# Packs a release for machines without Rust and without containers, into target/dist: a tarball with the static program, completions,
# manual pages, the systemd unit, the licence texts of what is in the program, its bill of materials (CycloneDX), and checksums. The same
# commit with the same compilers gives the same bytes.
#
#     scripts/dist.sh            builds the program (CALLGATE_PROFILE, by default release)
#     scripts/dist.sh PROGRAM    packs one that deploy/program.sh has built
#
# Prints the path of the tarball.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/.."
. scripts/tools.sh
need python3 cmake cc >&2

target=$(rustc --print host-tuple)
version=$(sed -nE '0,/^version = /s/^version = "(.*)"$/\1/p' Cargo.toml)
name=callgate-$version-${target%%-*}-linux
dist=$PWD/target/dist
out=$dist/$name
rm -rf "$out" "$out.tar.gz" "$out.tar.gz.sha256"
mkdir -p "$out"/{completions,man,licenses,systemd}

if [[ -n ${1-} ]]; then
    install -m 755 "$1" "$out/callgate"
else
    deploy/program.sh "$out/callgate" "${CALLGATE_PROFILE:-release}" >&2
fi
"$out/callgate" completions bash >"$out/completions/callgate.bash"
"$out/callgate" completions zsh >"$out/completions/_callgate"
"$out/callgate" completions fish >"$out/completions/callgate.fish"
"$out/callgate" man "$out/man" >&2
deploy/licenses.sh >"$out/licenses/THIRD-PARTY.txt"
scripts/sbom.py "$out/callgate" "$target" >"$out/callgate.cdx.json"
cp deploy/systemd/* "$out/systemd/"
cp sidecar.toml CHANGELOG.md "$out/"
cat >"$out/README.txt" <<README
Callgate $version for Linux on ${target%%-*}: one static program, no library needed.

    sha256sum --check SHA256SUMS
    install --mode 755 callgate /usr/local/bin/callgate
    install --mode 644 man/*.1 /usr/local/share/man/man1/
    install --mode 644 completions/callgate.bash /usr/share/bash-completion/completions/callgate

sidecar.toml has every key, "callgate init" writes a first one for your issuer, and systemd/README.md says how it is run on a VM.
callgate.cdx.json is the bill of materials, licenses/THIRD-PARTY.txt has the licences of what is in the program.
No licence of Callgate itself is granted yet: without one, nobody but its owners may use, copy or change it.
README
(cd "$out" && find . -type f ! -name SHA256SUMS -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum >"$dist/sums" && mv "$dist/sums" SHA256SUMS)

# Nothing of the machine and of the moment: no owner, no order of the file system, one time for all.
find "$out" -type d -exec chmod 755 {} +
find "$out" -type f ! -name callgate -exec chmod 644 {} +
time=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
tar --create --directory "$dist" --sort=name --mtime="@$time" --owner=0 --group=0 --numeric-owner --format=ustar "$name" |
    gzip --no-name --best >"$out.tar.gz"
(cd "$dist" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
echo "$out.tar.gz"
