#!/bin/bash
# Runs mkpkg in a throw-away copy of a root file system, so that a package is made by the interpreter it is for.
#
#   on_release.sh ROOT MKPKG DIR OUT ARGUMENT...
#
# Runs as root in a mount and process namespace of its own. DIR is /srv there; packages are written into OUT.
set -euo pipefail
root=$1 mkpkg=$2 dir=$3 out=$4
shift 4

# shellcheck source=tests/real/copy.sh
. "$(dirname "$0")/copy.sh"
make_copy "$root"
mount --bind "$dir" "$root/srv"
mount --bind "$out" "$root/mnt"
# The release may be older than this host: the binary brings the C library it was linked with.
mkdir "$root/tmp/host"
mapfile -t libraries < <(ldd "$mkpkg" | grep -o '/[^ ]*')
cp -L "$mkpkg" "${libraries[@]}" "$root/tmp/host/"
loader=$(basename "$(printf '%s\n' "${libraries[@]}" | grep '/ld-')")
inside "/tmp/host/$loader" --library-path /tmp/host "/tmp/host/$(basename "$mkpkg")" "$@" --output /mnt
