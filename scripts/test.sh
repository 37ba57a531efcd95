#!/bin/bash
# Installs what the tests need and runs all of them, those with real tools included; a tool that is missing fails.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/prerequisites.sh --test
command -v cargo >/dev/null || { echo "cargo is missing: install Rust $(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) or newer" >&2; exit 1; }
# All but snippets, which have no first line.
find . -path ./target -prune -o -path ./fixtures/projects -prune -o -name '*.sh' -exec shellcheck -x rpm/mkpkg-rpm .ci/run {} +
MKPKG_REAL=1 cargo test "$@"
