#!/usr/bin/env bash
# Plays examples/compose as its README says, word for word, with images that are made here. `docker` is in it a program that hands
# `docker compose` to podman-compose, or (`run.sh docker`) to docker-compose with a Docker daemon of its own, which Debian has without the
# plug-in. Needs Debian or Ubuntu, root and network namespaces; elsewhere it says so and is skipped.
set -euo pipefail
cd "$(dirname "$0")/../.."

. scripts/tools.sh
engine=${1:-podman}
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
[[ $engine != docker ]] || need dockerd docker-compose || {
    skip 'make compose with Docker' "$unmet cannot be installed"
    exit
}
. scripts/containers.sh
scripts/images.sh compose

bin=$(mktemp -d)
# Ends the daemon, if it runs, with its containers.
end_daemon() {
    local daemon
    daemon=$(cat "$bin/pid" 2>/dev/null) || return 0
    kill "$daemon" 2>/dev/null || return 0
    while [[ -f $bin/pid ]] && kill -0 "$daemon" 2>/dev/null; do sleep 0.2; done
}
clean_up() {
    trap - EXIT INT TERM
    if [[ $engine == docker ]]; then
        end_daemon
        rm -rf "$bin"
        return
    fi
    mapfile -t containers < <(podman ps --all --quiet --filter label=io.podman.compose.project=compose 2>/dev/null)
    ((${#containers[@]} == 0)) || podman rm --force --time 0 "${containers[@]}" >/dev/null 2>&1
    podman network rm --force compose_default >/dev/null 2>&1 || true
    podman volume prune --force >/dev/null 2>&1 || true
    rm -rf "$bin"
}
trap clean_up EXIT INT TERM

if [[ $engine == docker ]]; then
    cat >"$bin/daemon" <<DAEMON
#!/bin/sh
exec dockerd --data-root $bin/data --exec-root $bin/exec --pidfile $bin/pid --host unix://$bin/docker.sock >$bin/log 2>&1
DAEMON
    chmod +x "$bin/daemon"
    # A first time, to see whether it starts, and to give it the images, which it keeps.
    unshare --net sh -c "ip link set lo up && exec $bin/daemon" &
    for _ in {1..100}; do
        [[ ! -S $bin/docker.sock ]] || break
        sleep 0.2
    done
    [[ -S $bin/docker.sock ]] || {
        unavailable 'make compose with Docker' "its daemon does not start here: $(tail -n 1 "$bin/log")"
        exit
    }
    # Docker's names of local images have no host.
    mapfile -t images < <(sed -E 's/.*=//' target/pod/compose.env && printf 'localhost/%s\n' callgate:0.1.0 email-service:latest \
        callgate-example-{issuer,better-auth}:latest)
    for image in "${images[@]}"; do
        buildah push --quiet "$image" "docker-archive:$bin/image.tar:${image#localhost/}"
        curl --silent --show-error --fail --output /dev/null --unix-socket "$bin/docker.sock" --header 'Content-Type: application/x-tar' \
            --data-binary "@$bin/image.tar" 'http://docker/images/load?quiet=1'
        rm "$bin/image.tar"
    done
    sed -i 's|=localhost/|=|' target/pod/compose.env
    end_daemon
    cat >"$bin/docker" <<'DOCKER'
#!/usr/bin/env bash
set -euo pipefail
[[ $1 == compose ]]
bin=$(dirname "$0")
# In the README's own network, and not as one of the processes that it must have stopped.
if [[ ! -S $bin/docker.sock ]]; then
    setsid "$bin/daemon" &
    until [[ -S $bin/docker.sock ]]; do sleep 0.2; done
fi
# Without the second it calls a program `docker` for `exec`, which is this one.
export DOCKER_HOST=unix://$bin/docker.sock COMPOSE_INTERACTIVE_NO_CLI=1
exec docker-compose "${@:2}"
DOCKER
else
    cat >"$bin/docker" <<'DOCKER'
#!/usr/bin/env bash
set -euo pipefail
[[ $1 == compose ]]
# Its own lines about what it runs would stand among the output that the README shows.
exec podman-compose --in-pod false "${@:2}" 2> >(grep -v '^\(podman\|exit code\|using podman\|\*\*\)' >&2)
DOCKER
fi
chmod +x "$bin/docker"
set -a
# shellcheck source=/dev/null
. target/pod/compose.env
set +a
PATH=$bin:$PATH scripts/test_guides.py examples/compose/README.md
