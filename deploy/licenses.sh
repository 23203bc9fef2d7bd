#!/usr/bin/env bash
# Prints the licences of all that is in the program: which crate has which, then each text once.
set -euo pipefail
cd "$(dirname "$0")/.."

sources=("${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/)
texts=$(mktemp -d)
trap 'rm -rf "$texts"' EXIT

echo "Callgate contains the following crates. The texts of their licences follow, each once."
echo
while IFS='|' read -r name version license; do
    version=${version#v}
    files=0
    for source in "${sources[@]}"; do
        directory=$source$name-$version
        [[ -d $directory ]] || continue
        # The C sources inside some crates have licences of their own, deeper down.
        while IFS= read -r file; do
            hash=$(sha256sum "$file" | cut -c 1-12)
            echo "$name $version: ${file#"$directory"/}" >>"$texts/$hash.of"
            [[ -e $texts/$hash.text ]] || cp "$file" "$texts/$hash.text"
            files=$((files + 1))
        done < <(find "$directory" -type f \( -iname 'licen[cs]e*' -o -iname 'copying*' -o -iname 'notice*' \) | LC_ALL=C sort)
    done
    note=
    ((files > 0)) || note='  (the crate comes without a text; see the one of that name below)'
    echo "$name $version  $license$note"
done < <(cargo tree --locked --edges normal --prefix none --format '{p}|{l}' |
    sed -E 's/^([^ ]+) (v[^ |]+)[^|]*\|/\1|\2|/; s/ \(\*\)$//' | LC_ALL=C sort -u | grep -v '^callgate|')

cat <<'BESIDE'

Beside the crates, it holds Rust's standard library (MIT OR Apache-2.0) and, linked statically, the GNU C library
(LGPL-2.1-or-later): whoever passes the program on must let the receiver link it anew with another version of that library, which
deploy/program.sh does from the sources.
BESIDE

for text in "$texts"/*.text; do
    printf '\n%s\n' '--------------------------------------------------------------------------------'
    LC_ALL=C sort -u "${text%.text}.of"
    echo
    tr -d '\r' <"$text"
done

# Debian's own copy; elsewhere the C library's sources have it.
lgpl=/usr/share/common-licenses/LGPL-2.1
if [[ -f $lgpl ]]; then
    printf '\n%s\nthe GNU C library\n\n' '--------------------------------------------------------------------------------'
    cat "$lgpl"
fi
