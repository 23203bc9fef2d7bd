#!/usr/bin/env bash
# Sets the issuer up and runs it: dependencies, a signing key, two clients with secrets of their own.
# The secrets are printed, and kept in .clients for the next start.
set -euo pipefail
cd "$(dirname "$0")"

[[ -d node_modules ]] || npm ci --silent
node keys.js init
if [[ ! -e .clients ]]; then
    (umask 077 && printf 'billing=%s,reports=%s\n' "$(openssl rand -hex 16)" "$(openssl rand -hex 16)" >.clients)
fi
CLIENTS=${CLIENTS:-$(cat .clients)}
export CLIENTS
echo "Clients (id=secret): $CLIENTS"
exec node issuer.js
