#!/bin/bash
# Makes a root file system of another machine: libraries and dpkg's database, and nothing that is run.
#
#   foreign.sh DIR ARCH PACKAGE...      DIR must not exist
#
# For root. Packages are those of Debian 12, unpacked but not configured.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

root=$1 arch=$2
shift 2
packages=$(IFS=,; echo "$*")
# shellcheck disable=SC2016
main=${MKPKG_MIRROR:-$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' |
    awk '$2 == "bookworm" && $3 == "main" && !uri {uri = $1} END {print uri}')}
mmdebstrap --quiet --mode=root --arch="$arch" --variant=extract --skip=cleanup --include="libc-bin,$packages" \
    --aptopt='Acquire::Retries "3"' bookworm "$root" "deb $main bookworm main" >&2

database=$root/var/lib/dpkg
for deb in "$root"/var/cache/apt/archives/*.deb; do
    name=$database/info/$(dpkg-deb -f "$deb" Package):$arch
    dpkg-deb --fsys-tarfile "$deb" | tar -t | sed -e 's,^\.,,' -e 's,\(.\)/$,\1,' >"$name.list"
    control=$(mktemp -d)
    dpkg-deb -e "$deb" "$control"
    for file in shlibs symbols; do
        [ ! -e "$control/$file" ] || cp "$control/$file" "$name.$file"
    done
    rm -r "$control"
    { dpkg-deb -f "$deb"; echo "Status: install ok installed"; echo; } >>"$database/status"
done
