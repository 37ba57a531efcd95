#!/bin/bash
# The life of one package in a throw-away copy of a root file system, under rpm alone: install, upgrade, remove.
#
#   rpm_file.sh ROOT OLD NEW PREFIX
#
# Runs as root in a mount and process namespace of its own. What the package depends on is not there, but for the shell
# that its scripts run in. Prints what is wrong. Exit status: 0 nothing, 1 the package.
set -euo pipefail
root=$1 old=$2 new=$3 prefix=$4

scratch=$(mktemp -d)
leave() {
    local status=$?
    umount --recursive --lazy "$scratch" || true
    rmdir "$scratch"
    exit "$status"
}
trap leave EXIT
mount -t tmpfs -o size=80% tmpfs "$scratch"
mkdir "$scratch"/{upper,work,root,home}
mount -t overlay overlay -o "lowerdir=$root,upperdir=$scratch/upper,workdir=$scratch/work" "$scratch/root"
root=$scratch/root
# Distributions with rpm have it in a package of their own.
mkdir -p "$root/usr/share/licenses"
export HOME=$scratch/home LC_ALL=C.UTF-8

rpm() { command rpm --root "$root" --dbpath /var/lib/rpm "$@"; }
change() {
    local said
    said=$(rpm --force-debian --nodeps "$@" 2>&1) || { echo "rpm $*: $said"; exit 1; }
    [ -z "$said" ] || { echo "rpm $* says: $said"; exit 1; }
}
sound() {
    local said
    said=$(rpm -V --nodeps "$package" 2>&1) || { echo "$1: rpm -V: $said"; exit 1; }
}
listing() {
    find "$root" -xdev -mindepth 1 -path "$root/var/lib/rpm" -prune -o -printf '%P\t%y %m %u:%g %l\n' | LC_ALL=C sort
}
# what Python writes that looks for byte code the package does not have
stray() {
    local cache
    cache=$(find "$root$prefix" -type d -name __pycache__ | head -n 1)
    [ -n "$cache" ] || { echo "no byte code below $prefix"; exit 1; }
    touch "$cache/stray.cpython-311.opt-1.pyc" "$cache/stray.cpython-311.pyc"
}

rpm --initdb
package=$(command rpm --dbpath "$HOME/db" -qp --qf '%{NAME}' "$old")
listing >"$scratch/before"
change -i "$old"
sound install
stray
change -U "$new"
sound upgrade
left=$(find "$root$prefix" -name 'stray.*')
[ -z "$left" ] || { echo "upgrade: byte code stays: $left"; exit 1; }
stray
change -e "$package"
listing >"$scratch/after"
diff "$scratch/before" "$scratch/after" || { echo 'erase: the file system differs from before'; exit 1; }
