#!/bin/bash
# From a fresh clone to a package: installs what is needed, builds mkpkg, packages the Django fixture into dist/.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/prerequisites.sh --build
command -v cargo >/dev/null || { echo "cargo is missing: install Rust $(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) or newer" >&2; exit 1; }
cargo build --release
mkpkg=${CARGO_TARGET_DIR:-target}/release/mkpkg
deb=$("$mkpkg" deb fixtures/projects/acme-web -o dist)

cat >&2 <<END

Built $deb. Install and try it with:

    sudo apt install $(realpath "$deb")
    acme --version
END
