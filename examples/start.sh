#!/usr/bin/env bash
# Starts the examples together: an issuer (:4000), an SMTP server that keeps its mails (:2525, :8025), the email service (:3000)
# and Callgate before it (:8080, :9901). It says when all are ready. Ctrl-C, or SIGTERM, ends them. `callgate` must be on the PATH.
#
#     start.sh [DIRECTORY]
#
# Everything that they write is in DIRECTORY, by default a new one: sidecar.toml (that of the examples, unless there is one), the
# issuer's keys and clients, and a log of each program.
set -euo pipefail
directory=$(realpath -m "${1:-$(mktemp --directory)}")
mkdir -p "$directory"
cd "$(dirname "$0")"
[[ -e $directory/sidecar.toml ]] || cp sidecar.toml "$directory"

trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT
trap exit INT TERM

export KEYS_FILE=$directory/keys.json CLIENTS_FILE=$directory/clients
declare -A name_of
start() { # NAME COMMAND…
    "${@:2}" >"$directory/$1.log" 2>&1 &
    name_of[$!]=$1
}
email_service() {
    cd nestjs-email
    [[ -d node_modules ]] || npm ci --silent
    npm run --silent build
    PORT=3000 HOST=127.0.0.1 exec node dist/main.js
}
start issuer issuer/start.sh
start mails ./smtp-sink.py
start email email_service
callgate run --config "$directory/sidecar.toml" >"$directory/audit.log" 2>"$directory/callgate.log" &
name_of[$!]=callgate

# A program that has ended says why in its last line.
all_run() {
    local pid name
    for pid in "${!name_of[@]}"; do
        kill -0 "$pid" 2>/dev/null && continue
        name=${name_of[$pid]}
        printf 'start: %s has ended. The last line of %s:\n%s\n' "$name" "$directory/$name.log" "$(tail -n 1 "$directory/$name.log")" >&2
        return 1
    done
}
until curl --silent --fail --output /dev/null http://127.0.0.1:9901/readyz && grep --quiet successfully "$directory/email.log"; do
    sleep 0.2
    all_run
done
echo "ready; see $directory"
wait -n
all_run
