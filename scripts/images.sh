#!/usr/bin/env bash
# Builds the images callgate:0.1.0 and email-service:latest from their Dockerfiles where no registry of images can be reached:
# the base images are made of this machine's own files. Needs root, buildah and runc. Compiled things are kept in target/pod, so
# a second run takes seconds. Prints nothing on standard output. CALLGATE_PROFILE=quick builds a larger and slower program sooner.
#
# `images.sh compose` makes those of examples/compose too, and writes the names of its two ready-made ones into target/pod/compose.env.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/.."
. scripts/tools.sh
need git node npm buildah runc
. scripts/containers.sh

cargo_home=${CARGO_HOME:-$HOME/.cargo}
rustup_home=${RUSTUP_HOME:-$HOME/.rustup}
# The image is built without rust-toolchain.toml, and the default of this machine's rustup may be another compiler.
toolchain=$(sed -nE 's/^channel = "(.*)"$/\1/p' rust-toolchain.toml)
node=$(scripts/tools.sh find node)
profile=${CALLGATE_PROFILE:-release}

say() { echo "images: $*" >&2; }

# Makes an image of an empty one that a function fills, which gets its directory, and prints its name. It is kept until the
# function, what it is made of or an option changes.
base() { # NAME FUNCTION CONTENT [OPTION OF buildah config]…
    local name fill=$2 container root
    name=$1:$({ declare -f "$fill" && echo "${*:3}"; } | sha256sum | cut -c 1-16)
    shift 3
    echo "$name"
    buildah images --quiet "$name" >/dev/null 2>&1 && return
    say "making the base image $name"
    container=$(buildah from scratch)
    root=$(buildah mount "$container")
    "$fill" "$root"
    buildah umount "$container" >/dev/null
    buildah config "$@" "$container"
    buildah commit --quiet --rm "$container" "$name" >/dev/null
}

# Holds nothing: /usr and the toolchains are mounted into it for the time of a build.
build_root() {
    mkdir -p "$1"/{usr,etc/ssl,etc/alternatives,root,tmp,proc,sys,dev}
    chmod 1777 "$1/tmp"
    local directory
    for directory in bin sbin lib lib32 lib64 libx32; do
        [[ ! -L /$directory ]] || ln -s "usr/$directory" "$1/$directory"
    done
    echo 'root:x:0:0:root:/root:/bin/sh' >"$1/etc/passwd"
}

# Node.js and the shared libraries it needs.
node_root() {
    mkdir -p "$1/tmp" "$1/etc"
    chmod 1777 "$1/tmp"
    install -D "$node" "$1/usr/bin/node"
    local library
    while read -r library; do
        install -D "$library" "$1$library"
    done < <(ldd "$node" | grep -oE '/[^ ]+')
}

# Python's program and library, where they are here.
python_root() {
    mkdir -p "$1/tmp" "$1/usr/bin"
    local program standard library
    read -r program standard < <(python3 -c 'import os, sys, sysconfig; print(os.path.realpath(sys.executable), sysconfig.get_path("stdlib"))')
    install -D "$program" "$1$program"
    [[ $program == /usr/bin/python3 ]] || ln -s "$program" "$1/usr/bin/python3"
    mkdir -p "$1$standard"
    tar -C "$standard" --exclude=__pycache__ --exclude=./site-packages --exclude=./test --exclude=./config-* -c . | tar -C "$1$standard" -x
    while read -r library; do
        install -D "$library" "$1$library"
    done < <(ldd "$program" "$standard"/lib-dynload/*.so | grep -oE '/[^ :]+ \(' | cut -d ' ' -f 1 | sort -u)
}

prometheus_root() {
    mkdir -p "$1"/{tmp,etc/prometheus,prometheus}
    chmod 1777 "$1/tmp" "$1/prometheus"
    install -D "$(realpath "$(scripts/tools.sh find prometheus)")" "$1/bin/prometheus"
    local library
    while read -r library; do
        install -D "$library" "$1$library"
    done < <(ldd "$1/bin/prometheus" | grep -oE '/[^ ]+')
}

mounts=(--volume /usr:/usr:ro --volume /etc/ssl:/etc/ssl:ro --volume /etc/alternatives:/etc/alternatives:ro
    --volume "$tools:$tools:ro")

environment=(--env "PATH=$cargo_home/bin:$tools/bin:/usr/local/bin:/usr/bin:/bin" --env "HOME=$HOME"
    --env "CARGO_HOME=$cargo_home" --env "RUSTUP_HOME=$rustup_home"
    --env "RUSTUP_TOOLCHAIN=$toolchain")
# npm fetches as it does outside.
[[ -z ${NODE_EXTRA_CA_CERTS-} ]] || environment+=(--env "NODE_EXTRA_CA_CERTS=$NODE_EXTRA_CA_CERTS")
[[ ! -f $HOME/.npmrc ]] || mounts+=(--volume "$HOME/.npmrc:$HOME/.npmrc:ro")
build_image=$(base localhost/base-build build_root '' "${environment[@]}")
node_image=$(base localhost/base-node node_root "$(node --version)" --env PATH=/usr/bin)

# Builds a Dockerfile with the network of this machine, for the package registries, unless the image is there and was built from
# the same files. Shows the output only of a failure.
build() { # TAG INPUT [OPTION]… CONTEXT
    local tag=$1 input=$2 log=target/pod/build.log inputs
    shift 2
    # shellcheck disable=SC2086  # several paths
    inputs=$profile-$(git ls-files --cached --others --exclude-standard $input scripts/images.sh | xargs sha256sum | sha256sum | cut -c 1-16)
    if [[ $(buildah inspect --type image --format '{{index .OCIv1.Config.Labels "inputs"}}' "$tag" 2>/dev/null) == "$inputs" ]]; then
        say "$tag is up to date"
        return
    fi
    say "building $tag"
    if ! buildah build --quiet --network host --timestamp 0 --label "inputs=$inputs" "${mounts[@]}" --tag "$tag" "$@" >"$log" 2>&1; then
        cat "$log" >&2
        say "$tag could not be built"
        exit 1
    fi
}

mkdir -p target/pod/cargo "$HOME/.npm"
build localhost/callgate:0.1.0 'Cargo.toml Cargo.lock rust-toolchain.toml src benches deploy/*.sh deploy/profile deploy/Dockerfile' --build-arg "BUILD_IMAGE=$build_image" \
    --build-arg "PROFILE=$profile" \
    --volume "$cargo_home:$cargo_home" --volume "$rustup_home:$rustup_home:ro" --volume "$PWD/target/pod/cargo:/src/target" \
    --file deploy/Dockerfile .
# What `make dist` packs where nothing else is built.
container=$(buildah from localhost/callgate:0.1.0)
install -m 755 "$(buildah mount "$container")/callgate" target/pod/callgate
buildah rm "$container" >/dev/null
build localhost/email-service:latest examples/nestjs-email --build-arg "BUILD_IMAGE=$build_image" --build-arg "RUN_IMAGE=$node_image" \
    --volume "$HOME/.npm:$HOME/.npm" examples/nestjs-email

[[ ${1-} == compose ]] || exit 0
need python3 prometheus
for issuer in issuer better-auth; do
    build "localhost/callgate-example-$issuer:latest" "examples/$issuer" --build-arg "BUILD_IMAGE=$build_image" \
        --build-arg "RUN_IMAGE=$node_image" --volume "$HOME/.npm:$HOME/.npm" "examples/$issuer"
done
cat >target/pod/compose.env <<NAMES
PYTHON_IMAGE=$(base localhost/base-python python_root "$(python3 --version)" --env PATH=/usr/bin)
PROMETHEUS_IMAGE=$(base localhost/base-prometheus prometheus_root "$(prometheus --version 2>&1)" --user 65534:65534 \
    --entrypoint '["/bin/prometheus", "--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]')
NAMES
