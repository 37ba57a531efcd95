#!/bin/bash
# Lets the loader of a root file system look at the compiled files of packages that are unpacked.
#
#   ldd.sh ROOT DIR...
#
# Runs as root in a mount namespace of its own. DIR holds `opt/` of a package. Prints what ldd -r has to complain of,
# `PACKAGE<tab>COMPLAINT` a line, where PACKAGE is the name of DIR.
set -euo pipefail
root=$1
shift

# shellcheck source=tests/real/copy.sh
. "$(dirname "$0")/copy.sh"
make_copy "$root"
for dir; do
    name=$(basename "$dir")
    cp -a "$dir/opt/." "$root/opt/"
    chmod -R a+rX "$root/opt"
    # shellcheck disable=SC2016
    inside bash -c '
        find "$0" -type f | while IFS= read -r file; do
            [ "$(head -c 4 "$file" | tail -c 3 | tr -d "\\0")" = ELF ] || continue
            ldd -r "$file" 2>&1
        done | grep "not found" | sort -u
    ' "/opt/$name" | sed "s|^|$name\t|" || true
done
