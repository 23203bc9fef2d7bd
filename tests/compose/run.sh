#!/usr/bin/env bash
# Plays examples/compose as its README says, word for word, with podman and images that are made here. `docker` is in it a program that
# hands `docker compose` to podman-compose. Needs Debian or Ubuntu, root and network namespaces; elsewhere it says so and is skipped.
set -euo pipefail
cd "$(dirname "$0")/../.."

. scripts/tools.sh
if [[ $(uname -s) != Linux ]]; then why='it needs Linux'
elif [[ $(id -u) -ne 0 ]]; then why='it needs root: podman makes containers, and networks for them'
elif ! unshare --net true 2>/dev/null; then why='it needs network namespaces, and this machine allows none'
fi
[[ -z ${why-} ]] || {
    unavailable 'make compose' "$why"
    exit
}
scripts/setup.sh
need git python3 curl node npm ip unshare podman podman-compose runc buildah catatonit netavark aardvark-dns iptables prometheus || {
    skip 'make compose' "$unmet cannot be installed"
    exit
}
. scripts/containers.sh
scripts/images.sh compose

bin=$(mktemp -d)
clean_up() {
    trap - EXIT INT TERM
    mapfile -t containers < <(podman ps --all --quiet --filter label=io.podman.compose.project=compose 2>/dev/null)
    ((${#containers[@]} == 0)) || podman rm --force --time 0 "${containers[@]}" >/dev/null 2>&1
    podman network rm --force compose_default >/dev/null 2>&1 || true
    podman volume prune --force >/dev/null 2>&1 || true
    rm -rf "$bin"
}
trap clean_up EXIT INT TERM

# Its own lines about what it runs would stand among the output that the README shows.
cat >"$bin/docker" <<'DOCKER'
#!/usr/bin/env bash
set -euo pipefail
[[ $1 == compose ]]
exec podman-compose --in-pod false "${@:2}" 2> >(grep -v '^\(podman\|exit code\|using podman\|\*\*\)' >&2)
DOCKER
chmod +x "$bin/docker"
set -a
# shellcheck source=/dev/null
. target/pod/compose.env
set +a
PATH=$bin:$PATH scripts/test_guides.py examples/compose/README.md
