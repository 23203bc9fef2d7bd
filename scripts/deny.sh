#!/usr/bin/env bash
# Checks the dependencies by deny.toml: licences, versions that are there twice, where they come from, and known vulnerabilities,
# where the database of those can be fetched.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/tools.sh
need cargo-deny || {
    skip 'the check of the dependencies' "$unmet cannot be installed"
    exit
}
cargo deny --locked --log-level error check --hide-inclusion-graph licenses bans sources
if timeout 60 cargo deny --locked fetch db >/dev/null 2>&1; then
    cargo deny --locked --log-level error check --disable-fetch advisories
else
    unavailable 'the check for known vulnerabilities' "cargo deny's database of advisories cannot be fetched from here"
fi
