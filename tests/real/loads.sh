#!/bin/bash
# Installs a package alone, by apt, in a throw-away copy of a root file system, and lets the loader look at its files.
#
#   loads.sh ROOT DEB FILES ARCHIVES
#
# Runs as root in a mount namespace of its own. FILES lists the ELF files of the package. ARCHIVES keeps what apt
# downloads for the next run. Prints what ldd -r has to complain of, `FILE<tab>COMPLAINT` a line.
set -euo pipefail
root=$1 deb=$2 files=$3 archives=$4

# shellcheck source=tests/real/copy.sh
. "$(dirname "$0")/copy.sh"
make_copy "$root"
cp "$deb" "$root/tmp/package.deb"
cp "$files" "$root/tmp/files"
chmod 644 "$root/tmp"/{package.deb,files}
log=$(install_kept "$archives" /tmp/package.deb) || { printf '%s\n' "$log" >&2; exit 1; }
# Extension modules may count on what their interpreter has loaded, whose program is linked with libm. Who loads a
# library of a repaired wheel says where the ones it needs are: beside it.
# shellcheck disable=SC2016
inside bash -c '
    while IFS= read -r file; do
        [ -f "$file" ] || printf "%s\tis not installed\n" "$file"
        case $file in *.libs/*) export LD_LIBRARY_PATH=${file%/*} ;; *) unset LD_LIBRARY_PATH ;; esac
        LD_PRELOAD=libm.so.6 ldd -r "$file" 2>&1 | sed -nE "s|^.*(not found\|undefined symbol\|cannot).*|$file\t&|p"
    done </tmp/files
'
