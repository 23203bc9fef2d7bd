#!/usr/bin/env bash
# Prints the version of the compiler's LLVM, which a profile is named for: only that one reads it for sure.
set -euo pipefail
rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p'
