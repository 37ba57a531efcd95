#!/bin/bash
# Runs a README command on a machine that has only Rust and git: a new Debian 12 root file system, made and
# thrown away, with a clone of this repository's HEAD in it.
#
#   scripts/fresh-root.sh quickstart|test [--keep]
#
# For root, with mmdebstrap. The Rust toolchain and cargo's registry come from the caller, the first read-only. The
# mirror, proxies and certificates are the host's. --keep leaves the root file system and prints where it is.
set -euo pipefail

usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
command=${1:-} keep=''
case $command in quickstart|test) ;; *) usage ;; esac
case ${2:-} in '') ;; --keep) keep=yes ;; *) usage ;; esac
[ "$(id -u)" = 0 ] || { echo "must run as root" >&2; exit 2; }

# A private mount namespace: whatever way this ends, no mount stays behind. The process namespace ends with it, too.
if [ "${MKPKG_FRESH_ROOT:-}" != inside ]; then
    exec env MKPKG_FRESH_ROOT=inside unshare --mount --propagation private --pid --fork --kill-child "$0" "$@"
fi

repo=$(realpath "$(dirname "$0")/..")
scratch=$(mktemp -d /var/tmp/mkpkg-fresh-root.XXXXXX)
root=$scratch/root
leave() {
    local status=$?
    trap - EXIT
    cd /
    umount --recursive --lazy "$root"/{proc,sys,dev,tmp,opt/rust/{rustup,cargo/registry}} 2>/dev/null || true
    umount --recursive --lazy "$root" 2>/dev/null || true
    if [ -n "$keep" ]; then
        echo "kept: $root" >&2
    else
        rm -rf --one-file-system "$scratch"
    fi
    exit "$status"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

network=()
for name in {http,https,no,all}_proxy {HTTP,HTTPS,NO,ALL}_PROXY SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE \
    CURL_CA_BUNDLE GIT_SSL_CAINFO PIP_CERT PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_DEFAULT_TIMEOUT CARGO_HTTP_CAINFO; do
    [ -z "${!name:-}" ] || network+=("$name=${!name}")
done

# --- the root file system ---------------------------------------------------------------------------------
cp -a "$("$repo/scripts/rootfs.sh" bookworm)" "$root"
rm -f "$root/etc/resolv.conf"
cp /etc/resolv.conf /etc/hosts "$root/etc/"
# A root that is no mount point cannot make namespaces of its own.
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t sysfs -o ro sysfs "$root/sys" 2>/dev/null || mount --rbind /sys "$root/sys"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
chroot "$root" env -i "${network[@]}" PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y --no-install-recommends install git ca-certificates >"$scratch/log" 2>&1 ||
    { cat "$scratch/log" >&2; exit 1; }
# a new machine has no package lists
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/archives/*.deb

# --- what the host lends: toolchain, crates, certificates, pip's configuration ---------------------
rustup=${RUSTUP_HOME:-$HOME/.rustup}
cargo=${CARGO_HOME:-$HOME/.cargo}
sysroot=$(rustc --print sysroot)
mkdir -p "$root"/opt/rust/{rustup,cargo/bin,cargo/registry}
if [ -d "$rustup/toolchains" ]; then
    mount --bind -o ro "$rustup" "$root/opt/rust/rustup"
    cp -P "$cargo"/bin/* "$root/opt/rust/cargo/bin/"
    path=/opt/rust/cargo/bin
else
    mount --bind -o ro "$sysroot" "$root/opt/rust/rustup"
    path=/opt/rust/rustup/bin
fi
for file in config config.toml; do
    [ ! -f "$cargo/$file" ] || cp "$cargo/$file" "$root/opt/rust/cargo/"
done
mkdir -p "$cargo/registry"
mount --bind "$cargo/registry" "$root/opt/rust/cargo/registry"
# the links there are absolute: to copy over them would be to write on the host
rm -rf "$root/etc/ssl/certs"
cp -rL /etc/ssl/certs "$root/etc/ssl/certs"
for file in /etc/pip.conf "$HOME/.config/pip/pip.conf" "$HOME/.pip/pip.conf"; do
    [ ! -f "$file" ] || { mkdir -p "$root/etc"; cp "$file" "$root/etc/pip.conf"; }
done
environment=(
    "${network[@]}" HOME=/root USER=root LC_ALL=C.UTF-8 TERM="${TERM:-dumb}" PATH="$path:/usr/sbin:/usr/bin:/sbin:/bin"
    CARGO_HOME=/opt/rust/cargo RUSTUP_HOME=/opt/rust/rustup RUSTUP_AUTO_INSTALL=0
)

# --- the clone, and the command ------------------------------------------------------------------------------
git clone --quiet --no-hardlinks "$repo" "$root/root/mkpkg"
# Who is in a chroot makes no user namespaces, and neither do the guests it boots: the root becomes one of its own.
# shellcheck disable=SC2016  # what is expanded there
enter='cd "$1" && pivot_root . . && umount --lazy . && cd / && shift && exec "$@"'
unshare --mount bash -c "$enter" enter "$root" \
    env -i "${environment[@]}" bash -c "cd /root/mkpkg && exec scripts/$command.sh"
echo "scripts/$command.sh passed in a fresh root" >&2
