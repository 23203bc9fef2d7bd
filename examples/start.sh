#!/usr/bin/env bash
# Starts the examples together: an issuer (:4000), an SMTP server that keeps its mails (:2525, :8025), the email service (:3000)
# and Callgate before it (:8080, :9901). It says when all are ready; what they log is in examples/logs. Ctrl-C ends them.
# `callgate` must be on the PATH.
set -euo pipefail
cd "$(dirname "$0")"

trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT
trap exit INT TERM
mkdir -p logs

issuer/start.sh >logs/issuer.log 2>&1 &
./smtp-sink.py 2>logs/sink.log &
(
    cd nestjs-email
    [[ -d node_modules ]] || npm ci --silent
    npm run --silent build
    PORT=3000 HOST=127.0.0.1 exec node dist/main.js
) >logs/email.log 2>&1 &
callgate run --config sidecar.toml >logs/audit.log 2>logs/callgate.log &

until curl --silent --fail --output /dev/null http://127.0.0.1:9901/readyz && grep --quiet successfully logs/email.log; do
    sleep 0.2
    running=$(jobs -pr | wc -l)
    ((running == 4)) || { echo 'start: one of them has ended; see examples/logs' >&2 && exit 1; }
done
echo 'ready'
wait
