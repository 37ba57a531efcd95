#!/bin/bash
# Installs with apt what this repository needs beyond Rust and git, on Debian 12 or newer.
#
#   scripts/prerequisites.sh [--build]   to compile mkpkg and build packages with it
#   scripts/prerequisites.sh --test      the same, and what the tests judge packages with
#   scripts/prerequisites.sh --bench     to build, and other tools that benches/peers.py compares it with
#
# Works as root, or through sudo. When everything is there it only looks, and needs no network.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

build=(
    ca-certificates git
    gcc libc6-dev                                    # linker for Rust, compiler for the C codecs
    python3 python3-pip python3-venv                 # the target interpreter, and pip to fetch wheels
)
tests=(
    dpkg dpkg-dev apt-utils debsums lintian python3-debian  # judges of a package
    mmdebstrap util-linux mount systemd-container    # root file systems, namespaces, booted ones
    rpm rpm2cpio python3-rpm rpmlint dnf zypper     # judges of an .rpm
    createrepo-c busybox-static cpio libarchive-tools
    gnupg sq                                         # make a key, and sign with it
    faketime shellcheck
    chromium chromium-driver python3-selenium        # a browser that reads reports
    binutils file tar xz-utils zstd
    g++ make pkgconf python3-dev                     # to build the sdists the tests package:
    libacl1-dev liblz4-dev libssl-dev libxxhash-dev libzstd-dev
)

peers=(dh-virtualenv virtualenv debhelper dpkg-dev rpm zstd xz-utils)

case ${1:---build} in
    --build) wanted=("${build[@]}") ;;
    --bench) wanted=("${build[@]}" "${peers[@]}") ;;
    --test) wanted=("${build[@]}" "${tests[@]}") ;;
    *) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac

missing() {
    local package
    for package in "${wanted[@]}"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
    done
}
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}
apt() {
    as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -q -y \
        -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@" >&2
}
fresh_lists() {
    [ -n "$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -mtime -1 -print -quit 2>/dev/null)" ]
}

mapfile -t packages < <(missing)
[ ${#packages[@]} -gt 0 ] || exit 0
command -v apt-get >/dev/null || { echo "apt-get is missing; install by other means: ${packages[*]}" >&2; exit 1; }
if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    echo "run as root, or install sudo; missing: ${packages[*]}" >&2
    exit 1
fi
echo "installing ${packages[*]}" >&2
update=''
fresh_lists || update=yes
for attempt in 1 2 3 4 5 6 7 8; do
    # Another apt may hold a lock for long, or delete what this one has just downloaded.
    if [ -n "$update" ]; then apt update || true; fi
    if apt install --no-install-recommends "${packages[@]}"; then break; fi
    echo "attempt $attempt failed" >&2
    update=yes
    sleep $((attempt * 3))
done
mapfile -t packages < <(missing)
[ ${#packages[@]} -eq 0 ] || { echo "not installed: ${packages[*]}" >&2; exit 1; }
