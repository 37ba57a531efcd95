#!/bin/bash
# Installs a package with dpkg alone in a throw-away copy of a root file system, and copies one directory out.
#
#   unpack.sh ROOT DEB DIRECTORY OUT
#
# Runs as root in a mount namespace of its own. What the package depends on is not there.
set -euo pipefail
root=$1 deb=$2 directory=$3 out=$4

scratch=$(mktemp -d)
leave() {
    local status=$?
    umount --recursive --lazy "$scratch" || true
    rmdir "$scratch"
    exit "$status"
}
trap leave EXIT
mount -t tmpfs -o size=80% tmpfs "$scratch"
mkdir "$scratch"/{upper,work,root}
mount -t overlay overlay -o "lowerdir=$root,upperdir=$scratch/upper,workdir=$scratch/work" "$scratch/root"
cp "$deb" "$scratch/root/package.deb"
env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$scratch/root" dpkg --force-depends -i /package.deb >&2
cp -a "$scratch/root/$directory" "$out"
