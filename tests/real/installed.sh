#!/bin/bash
# Installs packages with apt in a throw-away copy of a root file system, and copies out what relations to libraries are
# derived from: libraries, programs, and dpkg's database.
#
#   installed.sh ROOT OUT PACKAGE ...
#
# Runs as root in a mount namespace of its own.
set -euo pipefail
root=$1 out=$2
shift 2

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
root=$scratch/root
mount --rbind /dev "$root/dev"
rm -f "$root/etc/resolv.conf"
cp /etc/resolv.conf /etc/hosts "$root/etc/"
inside() {
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        ${http_proxy:+"http_proxy=$http_proxy"} ${https_proxy:+"https_proxy=$https_proxy"} chroot "$root" "$@" </dev/null
}
install() {
    inside apt-get -q -y --no-install-recommends -o Acquire::Retries=3 -o Acquire::Check-Valid-Until=false \
        -o DPkg::Options::=--force-unsafe-io install "$@"
}
install "$@" >&2 || { inside apt-get -q update >&2; install "$@" >&2; }
paths=(etc/alternatives etc/ld.so.conf etc/ld.so.conf.d etc/os-release usr/lib/os-release usr/bin var/lib/dpkg)
for name in lib lib64 usr/lib/x86_64-linux-gnu usr/lib64; do
    [ ! -e "$root/$name" ] || paths+=("$name")
done
mkdir -p "$out"
tar -C "$root" --exclude='python3*' --exclude='perl*' --exclude='*/firmware' -c "${paths[@]}" | tar -C "$out" -x
