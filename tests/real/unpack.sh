#!/bin/bash
# Installs a package with dpkg alone in a throw-away copy of a root file system, and copies one directory out.
#
#   unpack.sh ROOT DEB DIRECTORY OUT
#
# Runs as root in a mount namespace of its own. What the package depends on is not there.
set -euo pipefail
root=$1 deb=$2 directory=$3 out=$4

# shellcheck source=tests/real/copy.sh
. "$(dirname "$0")/copy.sh"
make_copy "$root"
cp "$deb" "$root/tmp/package.deb"
inside dpkg --force-depends -i /tmp/package.deb >&2
cp -a "$root/$directory" "$out"
