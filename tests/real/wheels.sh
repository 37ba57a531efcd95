#!/bin/bash
# Makes wheels with pip in a throw-away copy of a root file system, which has what their sdists are built with.
#
#   wheels.sh ROOT LOCK OUT CACHE
#
# Runs as root in a mount namespace of its own. LOCK lists distributions by hash. CACHE keeps what pip fetched and built
# for the next run. Certificates and pip's configuration are the host's.
set -euo pipefail
root=$1 lock=$2 out=$3 cache=$4

# shellcheck source=tests/real/copy.sh
. "$(dirname "$0")/copy.sh"
make_copy "$root"
# the links there are absolute
rm -rf "$root/etc/ssl/certs"
cp -rL /etc/ssl/certs "$root/etc/ssl/certs"
for file in /etc/pip.conf "$HOME/.config/pip/pip.conf" "$HOME/.pip/pip.conf"; do
    [ ! -f "$file" ] || cp "$file" "$root/etc/pip.conf"
done
cp "$lock" "$root/tmp/requirements.txt"
mkdir "$root/tmp"/{out,cache}
mount --bind "$out" "$root/tmp/out"
mount --bind "$cache" "$root/tmp/cache"
# Optimisation takes most of the time, and changes little of what is linked.
inside env CFLAGS=-O1 CXXFLAGS=-O1 PIP_CACHE_DIR=/tmp/cache PIP_DISABLE_PIP_VERSION_CHECK=1 \
    python3 -m pip wheel --quiet --no-deps --require-hashes -r /tmp/requirements.txt -w /tmp/out >&2
