#!/bin/bash
# What the rpm of a Debian release makes of an .rpm: verifies, queries, installs, verifies, erases it with rpm alone.
#
#   debian.sh ROOT RPM [KEY]
#
# ROOT is a root file system with rpm in it, and is only read. RPM is signed if a public KEY is given. Runs as root in a
# mount and process namespace of its own. What the package requires is not there. Prints what is wrong. Exit status: 0
# nothing, 1 the package, 2 this script.
set -euo pipefail
trap 'echo "debian.sh: line $LINENO failed" >&2; exit 2' ERR
root=$1 file=$2 key=${3:-}

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
cp "$file" "$root/package.rpm"
inside() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 chroot "$root" "$@" </dev/null; }
# Debian's rpm 4 refuses to install without this option; rpm 6 does not know it.
options=(--dbpath /var/lib/rpm)
if inside rpm --force-debian --version >/dev/null 2>&1; then options+=(--force-debian); fi

# shellcheck source=tests/real/faults.sh
. "$(dirname "$0")/../faults.sh"
about=$(inside rpm --version)
# silent ARGUMENTS...: rpm has nothing to say
silent() {
    local log
    log=$(inside rpm "${options[@]}" "$@" 2>&1) || fault "rpm $* failed" "$log"
    [ -z "$log" ] || fault "rpm $* is not silent" "$log"
}
good='digests OK'
if [ -n "$key" ]; then
    cp "$key" "$root/key"
    inside rpmkeys --dbpath /var/lib/rpm --import /key
    good='digests signatures OK'
fi
log=$(inside rpm --dbpath /var/lib/rpm -K /package.rpm 2>&1) || fault 'rpm -K failed' "$log"
[[ $log == *" $good" ]] || fault 'rpm -K' "$log"
log=$(inside rpm --dbpath /var/lib/rpm -qp --xml /package.rpm 2>&1 >/dev/null) || fault 'rpm -qp --xml failed' "$log"
[ -z "$log" ] || fault 'rpm -qp' "$log"
name=$(inside rpm --dbpath /var/lib/rpm -qp --qf '%{NAME}' /package.rpm 2>/dev/null) || { fault 'rpm -qp failed' "$name"; exit 1; }
silent -i --nodeps /package.rpm
silent -V --nodeps "$name"
silent -e "$name"
[ "$faults" = 0 ] || exit 1
