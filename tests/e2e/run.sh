#!/usr/bin/env bash
# Builds the images, and plays with the Deployment of deploy/example in a podman pod, the issuer and the SMTP sink beside it.
# Needs Debian or Ubuntu, root and network namespaces; elsewhere it says so and is skipped. Everything runs in a network namespace that is made for
# it and leads nowhere; everything that was started is gone afterwards. Built things stay in target/pod.
set -euo pipefail
cd "$(dirname "$0")/../.."

began=$SECONDS

. scripts/tools.sh
if [[ $(uname -s) != Linux ]]; then why='it needs Linux'
elif [[ $(id -u) -ne 0 ]]; then why='it needs root: podman makes the pod, and networks for it'
elif ! unshare --net true 2>/dev/null; then why='it needs network namespaces, and this machine allows none'
fi
[[ -z ${why-} ]] || {
    unavailable 'make e2e' "$why"
    exit
}
scripts/setup.sh
need git python3 node npm kubectl ip nsenter podman runc buildah catatonit netavark helm-python-sdk || {
    skip 'make e2e' "$unmet cannot be installed"
    exit
}

. scripts/containers.sh
namespace=$(basename "$run_directory")
scripts/images.sh
echo "e2e: images after $((SECONDS - began)) s"
[[ -d examples/issuer/node_modules ]] || npm ci --prefix examples/issuer --silent

clean_up() {
    trap - EXIT INT TERM
    mapfile -t pods < <(podman pod ps --quiet 2>/dev/null)
    ((${#pods[@]} == 0)) || podman pod rm --force --time 0 "${pods[@]}" >/dev/null 2>&1
    podman volume prune --force >/dev/null 2>&1 || true
    ip netns delete "$namespace" 2>/dev/null || true
    rm -rf tests/e2e/.changed-* "$run_directory"
}
trap clean_up EXIT INT TERM
# What a run left behind that was killed.
ip netns delete "$namespace" 2>/dev/null || true

ip netns add "$namespace"
inside=(nsenter "--net=/run/netns/$namespace")
"${inside[@]}" ip link set lo up
"${inside[@]}" ip link add pods type bridge
"${inside[@]}" ip address add 198.51.100.1/24 dev pods
"${inside[@]}" ip link set pods up

timeout --kill-after 20 300 "${inside[@]}" python3 tests/e2e/play.py
echo "e2e: done after $((SECONDS - began)) s"
