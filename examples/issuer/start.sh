#!/usr/bin/env bash
# Sets the issuer up and runs it: dependencies, two clients with secrets of their own.
# The secrets are printed, and kept for the next start in the file that CLIENTS_FILE names, by default .clients here.
set -euo pipefail
cd "$(dirname "$0")"

[[ -d node_modules ]] || npm ci --silent
clients_file=${CLIENTS_FILE:-.clients}
if [[ ! -e $clients_file ]]; then
    (umask 077 && printf 'billing=%s,reports=%s\n' "$(openssl rand -hex 16)" "$(openssl rand -hex 16)" >"$clients_file")
fi
CLIENTS=${CLIENTS:-$(cat "$clients_file")}
export CLIENTS
echo "Clients (id=secret): $CLIENTS"
exec node issuer.js
