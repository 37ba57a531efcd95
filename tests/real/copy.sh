#!/bin/bash
# A writable copy of a root file system, for scripts that run as root in a mount namespace of their own to source. The
# copy is gone when they end.
#
#   make_copy ROOT                        sets `root`, the copy, and `scratch`, the directory it lies in
#   inside PROGRAM...                     runs a program in it, with what an administrator's shell has
#   install_mkpkg FILE                    installs mkpkg's own package, and what pip trusts
#   install_kept ARCHIVES PACKAGE...      installs with apt; ARCHIVES keeps what it downloads for the next run
#   install_needs ARCHIVES FILE...        the same of what .deb files in the copy need; says why when it fails, and
#                                         returns 1 if apt refuses them, 2 if it cannot get what they need

make_copy() {
    scratch=$(mktemp -d)
    trap leave EXIT
    mount -t tmpfs -o size=80% tmpfs "$scratch"
    mkdir "$scratch"/{upper,work,root}
    mount -t overlay overlay -o "lowerdir=$1,upperdir=$scratch/upper,workdir=$scratch/work" "$scratch/root"
    root=$scratch/root
    rm -f "$root/etc/resolv.conf"
    cp /etc/resolv.conf /etc/hosts "$root/etc/"
    furnish_copy
}

# what programs expect to be mounted
furnish_copy() {
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
    mkdir "$root/tmp/home"
}

leave() {
    local status=$?
    if declare -F halt >/dev/null; then halt; fi
    umount --recursive --lazy "$scratch" || true
    rmdir "$scratch"
    exit "$status"
}

# nothing of the caller's, above all no PYTHONDONTWRITEBYTECODE
inside() {
    env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp/home TERM=dumb LC_ALL=C.UTF-8 \
        DEBIAN_FRONTEND=noninteractive ${http_proxy:+"http_proxy=$http_proxy"} ${https_proxy:+"https_proxy=$https_proxy"} \
        chroot "$root" "$@" </dev/null
}

install_mkpkg() {
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
    cp "$1" "$root/tmp/mkpkg.deb"
    inside dpkg --force-unsafe-io -i /tmp/mkpkg.deb
}

install_kept() {
    local archives=$1 log file name
    shift
    local apt=(inside apt-get -q -y --no-install-recommends -o Acquire::Retries=3 install "$@")
    cp -n "$archives"/*.deb "$root/var/cache/apt/archives/" 2>/dev/null || true
    log=$("${apt[@]}" 2>&1) || { inside apt-get -q update >/dev/null 2>&1 || true; log=$("${apt[@]}" 2>&1); } ||
        { printf '%s\n' "$log"; return 1; }
    for file in "$root"/var/cache/apt/archives/*.deb; do
        name=$(basename "$file")
        if [ -e "$file" ] && [ ! -e "$archives/$name" ]; then cp "$file" "$archives/.$name.$$" && mv "$archives/.$name.$$" "$archives/$name"; fi
    done
}

install_needs() {
    local archives=$1 file plan own needs
    shift
    plan=$(inside apt-get -s --no-install-recommends install "$@" 2>&1) ||
        { printf 'apt refuses %s:\n%s\n' "$*" "$plan" | tail -n 40; return 1; }
    own=$(for file; do dpkg-deb -f "$root$file" Package; done)
    mapfile -t needs < <(sed -n 's/^Inst \([^ ]*\) .*/\1/p' <<<"$plan" | grep -vxF "$own" || true)
    [ ${#needs[@]} = 0 ] || install_kept "$archives" "${needs[@]}" || return 2
}
