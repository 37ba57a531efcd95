#!/bin/bash
# An .rpm on a stub distribution: an empty root, the repository that stub.py made, and dnf or zypper.
#
#   stub.sh FLAVOUR REPOSITORY resolve RPM          would it be installed? Prints the resolver's reason if not
#   stub.sh FLAVOUR REPOSITORY live RPM [NEWER]     its whole life; prints what is wrong
#
# Runs as root in a mount and process namespace of its own; nothing of the host's rpm, dnf or zypper is read or written.
# Exit status: 0 nothing is wrong, 1 the package is at fault, 2 this script is.
set -euo pipefail
trap 'echo "stub.sh: line $LINENO failed" >&2; exit 2' ERR
umask 022
flavour=$1 repository=$2 mode=$3 rpm=$(realpath "$4") newer=${5:+$(realpath "$5")}

# --- an empty root, gone with the namespace --------------------------------------------------------------------
scratch=$(mktemp -d)
leave() {
    local status=$?
    umount --recursive --lazy "$scratch" || true
    rmdir "$scratch"
    exit "$status"
}
trap leave EXIT
mount -t tmpfs -o mode=755,size=80% tmpfs "$scratch"
root=$scratch/root
mkdir -p "$scratch"/{home,none} "$root"/{dev,var/lib/rpm,etc/zypp/repos.d}
mknod -m 666 "$root/dev/null" c 1 3
# Debian's rpm looks for its database at home unless it is told otherwise.
echo '%_dbpath /var/lib/rpm' >"$scratch/home/.rpmmacros"
printf '[main]\ngpgcheck=0\nlocalpkg_gpgcheck=0\nclean_requirements_on_remove=0\ninstall_weak_deps=0\n' >"$scratch/dnf.conf"
printf '[stub]\nname=stub\nenabled=1\nautorefresh=1\nbaseurl=dir://%s\ntype=rpm-md\ngpgcheck=0\n' "$repository" \
    >"$root/etc/zypp/repos.d/stub.repo"

clean() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME="$scratch/home" LC_ALL=C.UTF-8 TERM=dumb "$@" </dev/null; }
rpm() { clean rpm --force-debian --root "$root" --dbpath /var/lib/rpm "$@"; }
dnf() {
    clean dnf -y --config="$scratch/dnf.conf" --noplugins --installroot="$root" --releasever=1 --repofrompath="stub,file://$repository" \
        --setopt=reposdir="$scratch/none" --setopt=cachedir="$scratch/cache" --setopt=module_platform_id=platform:stub "$@"
}
zypper() { clean env ZYPP_LOCKFILE_ROOT="$root" zypper --non-interactive --no-gpg-checks --root "$root" "$@"; }
# manage install|reinstall|upgrade|downgrade|remove|try WHAT: with the distribution's own package manager
manage() {
    local zypp=(install --no-recommends --allow-unsigned-rpm)
    case $flavour:$1 in
        suse:install|suse:upgrade) zypper "${zypp[@]}" "$2" ;;
        suse:reinstall) zypper "${zypp[@]}" --force "$2" ;;
        suse:downgrade) zypper "${zypp[@]}" --oldpackage "$2" ;;
        suse:remove) zypper remove "$2" ;;
        suse:try) zypper "${zypp[@]}" --dry-run "$2" ;;
        *:try) dnf --setopt=tsflags=test install "$2" ;;
        *) dnf "$1" "$2" ;;
    esac
}

# shellcheck source=tests/real/faults.sh
. "$(dirname "$0")/../faults.sh"
about="$(basename "$rpm") on $flavour"

# --- resolve -----------------------------------------------------------------------------------------------------
log=$(manage try "$rpm" 2>&1) || {
    reasons=$(grep -E 'nothing provides|conflicts with|obsoletes|does not have a compatible architecture' <<<"$log" |
        sed 's/^[ -]*//' | sort -u) || { printf '%s\n' "$log" >&2; exit 2; }
    fault refused "$reasons"
    exit 1
}
[ "$mode" = live ] || exit 0

# --- live --------------------------------------------------------------------------------------------------------
package=$(rpm -qp --nosignature --qf '%{NAME}' "$rpm")
complaints='[Ss]criptlet|^error:|^warning: |not found|No such file|Permission denied|syntax error|not permitted'
# What lies in the root that no package owns; parents of what is owned are not among it.
strays() {
    rpm -qal | sort -u >"$scratch/owned"
    awk '{while (sub("/[^/]*$", "") && $0 != "") print}' "$scratch/owned" | sort -u - "$scratch/owned" >"$scratch/known"
    find "$root" -mindepth 1 \( -path "$root/var/lib/rpm" -o -path "$root/var/lib/dnf" -o -path "$root/var/lib/zypp" \
        -o -path "$root/var/cache/zypp*" -o -path "$root/var/log/zypp*" -o -path "$root/var/log/dnf*.log" \
        -o -path "$root/var/log/hawkey.log" -o -path "$root/etc/zypp" -o -path "$root/etc/dnf" -o -path "$root/dev" \) -prune \
        -o -printf '/%P\n' | sort | comm -23 - "$scratch/known"
}
# sound STEP RPM: installed is that package, once, and as it was packed
sound() {
    local found
    found=$(rpm -V --nodeps "$package" 2>&1) || fault "$1: rpm -V" "$found"
    found=$(rpm -q --qf '%{VERSION}-%{RELEASE}\n' "$package")
    [ "$found" = "$(rpm -qp --nosignature --qf '%{VERSION}-%{RELEASE}\n' "$2")" ] || fault "$1: installed is" "$found"
}
step() {
    local log
    log=$(manage "$1" "$2" 2>&1) || { fault "$1" "$log"; return; }
    # dnf announces each scriptlet it runs
    log=$(grep -avE '^ *Running scriptlet: ' <<<"$log" | grep -aE "$complaints") || return 0
    fault "$1: scriptlets complain" "$log"
}
# With rpm itself nothing but scriptlets can have something to say.
silent() {
    local log
    log=$(rpm "$@" 2>&1) || fault "rpm $1 failed" "$log"
    [ -z "$log" ] || fault "rpm $1 is not silent" "$log"
}
gone() {
    local left
    left=$(rpm -q "$package" 2>&1) && fault "$1: still installed" "$left"
    left=$(strays | comm -13 "$scratch/strays" -)
    [ -z "$left" ] || fault "$1: left behind" "$left"
    left=$(rpm -Va --nodeps 2>&1 | diff "$scratch/verified" -) || fault "$1: files of others changed" "$left"
}

# All of the distribution comes first, so that what a package leaves can be told from what it needs.
rpm -i "$repository"/*/*.rpm
strays >"$scratch/strays"
rpm -Va --nodeps >"$scratch/verified" 2>&1 || true

step install "$rpm"
sound install "$rpm"
step reinstall "$rpm"
sound reinstall "$rpm"
if [ -n "$newer" ]; then
    step upgrade "$newer"
    sound upgrade "$newer"
    step downgrade "$rpm"
    sound downgrade "$rpm"
fi
step remove "$package"
gone remove

silent -i "$rpm"
if [ -n "$newer" ]; then
    silent -U "$newer"
    silent -U --oldpackage "$rpm"
fi
silent -e "$package"
gone 'rpm -e'
[ "$faults" = 0 ] || exit 1
