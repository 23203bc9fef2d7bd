#!/usr/bin/env bash
# Builds what the image holds into a directory: the program; the trust roots; the licence texts of everything in the program.
#
#     deploy/build.sh DIRECTORY [PROFILE]
set -euo pipefail
out=$(realpath -m "$1")
cd "$(dirname "$0")/.."
deploy/program.sh "$out/callgate" "${2:-release}"
install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$out/etc/ssl/certs/ca-certificates.crt"
mkdir -p "$out/licenses"
deploy/licenses.sh >"$out/licenses/THIRD-PARTY.txt"
