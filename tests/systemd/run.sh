#!/usr/bin/env bash
# Plays deploy/systemd/README.md in a systemd of its own: systemd-nspawn boots this machine's /usr, read-only, with everything else empty.
# Needs Debian or Ubuntu, root and namespaces; elsewhere it says so and is skipped. CALLGATE: the program, by default the debug build.
set -euo pipefail
cd "$(dirname "$0")/../.."

. scripts/tools.sh
if [[ $(uname -s) != Linux ]]; then why='it needs Linux'
elif [[ $(id -u) -ne 0 ]]; then why='it needs root: systemd is the first process of a container'
fi
[[ -z ${why-} ]] || {
    unavailable 'make systemd' "$why"
    exit
}
need python3 node npm systemd-nspawn systemd-analyze || {
    skip 'make systemd' "$unmet cannot be installed"
    exit
}
[[ -d examples/issuer/node_modules ]] || npm ci --prefix examples/issuer --silent
[[ -d examples/nestjs-email/node_modules ]] || npm ci --prefix examples/nestjs-email --silent
npm run --prefix examples/nestjs-email --silent build

work=$(mktemp -d)
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
cp -r deploy examples tests "$work/"
install -D "${CALLGATE:-target/debug/callgate}" "$work/target/release/callgate"
# Where programs and libraries of this machine are, besides /usr.
install "$(realpath "$(scripts/tools.sh find node)")" "$work/node"
binds=()
prefix=$(python3 -c 'import sys; print(sys.base_prefix)')
[[ $prefix == /usr ]] || binds+=(--bind-ro="$prefix")

nspawn=(systemd-nspawn --quiet --directory=/ --volatile=yes --private-network --register=no --keep-unit --settings=no --link-journal=no
    --machine="callgate-$$" --tmpfs=/usr/local/bin --bind="$work:/callgate")
"${nspawn[@]}" /usr/bin/true 2>"$work/said" </dev/null || {
    unavailable 'make systemd' "this machine does not allow systemd-nspawn: $(tail -n 1 "$work/said")"
    exit
}
status=0
timeout --kill-after 10 150 "${nspawn[@]}" "${binds[@]}" --bind-ro="$work/tests/systemd/play.service:/etc/systemd/system/play.service" \
    --setenv="PYTHON=$(python3 -c 'import os, sys; print(os.path.realpath(sys.executable))')" --boot \
    systemd.firstboot=no systemd.unit=play.service systemd.show_status=no systemd.mask=systemd-networkd-wait-online.service </dev/null >"$work/console" 2>&1 || status=$?
cat "$work/out" 2>/dev/null || true
if ((status != 0)); then
    tail -n 30 "$work/console" >&2
    echo "systemd: 0 passed, 1 failed"
    exit 1
fi
