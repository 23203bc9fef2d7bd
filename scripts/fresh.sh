#!/usr/bin/env bash
# Shows that a fresh machine passes CI. It makes a minimal Debian root with nothing but git, make and the Rust toolchains of this
# machine, clones HEAD into it, and runs README's `make demo ONCE=1` and .ci/run there. It ends with what was installed on the way
# and how long each step took. Needs root, apt-get and namespaces. What the packages are fetched through (apt's sources and
# settings, the clients' files and variables, certificates) is taken over from this machine.
#
# FRESH_STEPS='manifests e2e' runs these steps of .ci/run alone; FRESH_KEEP=1 leaves the root in target/fresh for a look.
#
# shellcheck disable=SC2016  # formats of other programs, and what another shell does
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/tools.sh

give_up() {
    printf '\n  !! make fresh: NOT DONE, NOTHING WAS SHOWN: %s\n\n' "$*" >&2
    exit 1
}
[[ $(uname -s) == Linux && $(id -u) -eq 0 ]] || give_up 'a root is made on Linux, as root'
need apt-get mmdebstrap git unshare nsenter || give_up "$unmet cannot be installed"
have rustup || give_up 'the toolchains that are copied are those of rustup'
unshare --mount --pid --fork true 2>/dev/null || give_up 'this machine does not allow mounts and processes of their own'
[[ -z $(git status --porcelain) ]] || echo 'fresh: NOTE: only what is committed is tried.' >&2

work=$PWD/target/fresh
root=$work/root
doing='' began=0 times=()
now() { # WHAT IS BEGUN
    [[ -z $doing ]] || times+=("$((SECONDS - began))"$'\t'"$doing")
    doing=$1 began=$SECONDS
    [[ -z $doing ]] || echo "fresh: $doing"
}

# The lines of the distribution's own packages among apt's sources, and how apt fetches.
make_root() {
    local release origin sources settings=$work/apt.conf
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    origin=$(. /etc/os-release && echo "${ID^}")
    apt-get update -qq
    mapfile -t sources < <(apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' \
        "Origin: $origin" | sort -u)
    ((${#sources[@]} > 0)) || give_up "apt-get has no source of $origin's packages"
    apt-config dump | grep -E '^Acquire::(http|https|Check|Retries|Force)' >"$settings" || true
    mmdebstrap --quiet --mode=root --variant=minbase --include=ca-certificates,git,make --aptopt="$settings" "$release" "$root" "${sources[@]}"
    cp -p /etc/resolv.conf /etc/hosts "$root/etc/"
    if compgen -G '/usr/local/share/ca-certificates/*' >/dev/null; then
        cp -rp /usr/local/share/ca-certificates/* "$root/usr/local/share/ca-certificates/"
        chroot "$root" update-ca-certificates >/dev/null 2>&1
    fi
    local file
    for file in /etc/pip.conf /etc/npmrc /usr/etc/npmrc "$HOME"/{.npmrc,.config/pip/pip.conf,.pip/pip.conf} "${CARGO_HOME:-$HOME/.cargo}"/config{,.toml}; do
        [[ ! -f $file ]] || install -D -m "$(stat -c %a "$file")" "$file" "$root${file/#$HOME\//\/root/}"
    done
}

# rustup's names for its toolchains' programs, and nothing else that cargo may have installed.
copy_toolchains() {
    local bin=$root/root/.cargo/bin name
    mkdir -p "$bin" "$root/root/.rustup"
    install "$(scripts/tools.sh find rustup)" "$bin/rustup"
    for name in cargo cargo-clippy cargo-fmt clippy-driver rustc rustdoc rustfmt; do
        ln -s rustup "$bin/$name"
    done
    tar -C "${RUSTUP_HOME:-$HOME/.rustup}" --exclude=./toolchains/*/share/doc --exclude=./tmp --exclude=./downloads -c . | tar -C "$root/root/.rustup" -x
}

# The root becomes the / of namespaces of its own, so that all mounts and processes in it end with them. They end when this
# script does, however it does: the first process waits for the end of its input.
enter() {
    coproc holder {
        exec unshare --mount --pid --fork --kill-child --propagation private bash -euc '
            mount --bind "$0" "$0"
            cd "$0"
            mount -t proc proc proc
            mount --rbind /sys sys
            mount --rbind /dev dev
            mount -t tmpfs tmpfs dev/shm
            mount -t tmpfs tmpfs run
            mkdir -p old
            pivot_root . old
            cd /
            umount -l old
            rmdir old
            echo ready
            read -r _' "$root" 2>&1
    }
    local said
    read -r said <&"${holder[0]}" || true
    [[ $said == ready ]] || give_up "the root cannot be entered: $said"
    inside=$(tr -d ' ' <"/proc/$holder_PID/task/$holder_PID/children")
}

# What the clients of the package registries look at, and nothing else of our environment.
variables() {
    local name value
    while IFS= read -r name; do
        value=${!name}
        # A path of this machine alone would only be warned of.
        [[ $value == /* && ! -e $root$value ]] || printf '%s=%s\0' "$name" "$value"
    done < <(compgen -e | grep -iE '^((https?|no|all)_proxy|SSL_CERT_(FILE|DIR)|CURL_CA_BUNDLE|REQUESTS_CA_BUNDLE|NODE_EXTRA_CA_CERTS|(PIP|NPM_CONFIG|CARGO_HTTP|CARGO_NET|CARGO_REGISTRIES|CARGO_SOURCE)_.*|RUSTUP_AUTO_INSTALL)$')
}

as_user() { # COMMAND…
    local environment
    mapfile -d '' environment < <(variables)
    nsenter --target "$inside" --mount --pid --root env -i -C /root/callgate HOME=/root LANG=C.UTF-8 TERM=dumb \
        PATH=/root/.cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "${environment[@]}" "$@" </dev/null
}

packages() { chroot "$root" dpkg-query --show --showformat '${Package} ${Version}\n'; }

clean_up() {
    trap - EXIT INT TERM
    [[ -z $doing ]] || echo "fresh: failed while $doing." >&2
    if [[ -n ${holder_PID-} ]]; then
        kill -KILL "$holder_PID" 2>/dev/null || true
        wait "$holder_PID" 2>/dev/null || true
    fi
    [[ -n ${FRESH_KEEP-} ]] || rm -rf --one-file-system "$root"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

rm -rf --one-file-system "$work"
mkdir -p "$work"
now 'making the root'
make_root
now 'copying the toolchains and the project'
copy_toolchains
git clone --quiet --no-hardlinks . "$root/root/callgate"
packages >"$work/before"
enter

status=0
if [[ -z ${FRESH_STEPS-} ]]; then
    now 'make demo ONCE=1'
    as_user make demo ONCE=1 || status=$?
fi
if ((status == 0)); then
    now ".ci/run ${FRESH_STEPS-}"
    # shellcheck disable=SC2086  # several words
    as_user bash .ci/run ${FRESH_STEPS-} 2>&1 | tee "$work/ci.log" || status=$?
fi
now ''

packages >"$work/after"
comm -13 <(sort "$work/before") <(sort "$work/after") >"$work/packages"
printf '\nfresh: what was installed on the way (target/fresh/packages lists all %s new packages of Debian):\n' "$(wc -l <"$work/packages")"
sed 's/^/  /' "$root/root/callgate/target/tools/installed" 2>/dev/null | expand -t 24 || true
printf '\nfresh: how long each step took:\n'
printf '%s\n' "${times[@]}" | while IFS=$'\t' read -r seconds what; do printf '  %6s s  %s\n' "$seconds" "$what"; done
sed -nE 's/^ci: (make .*) took ([0-9]+) s\.$/\2\t  \1/p' "$work/ci.log" 2>/dev/null |
    while IFS=$'\t' read -r seconds what; do printf '  %6s s    %s\n' "$seconds" "$what"; done
printf '\n'
sed -nE '/^ci: (skipped, and why|nothing was skipped|  )/s/^ci: /fresh: /p' "$work/ci.log" 2>/dev/null || true
if ((status != 0)); then
    echo "fresh: failed."
    false
fi
echo "fresh: passed${FRESH_STEPS:+ (only $FRESH_STEPS)}."
