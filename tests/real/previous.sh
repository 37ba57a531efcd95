#!/bin/bash
# An upgrade with dpkg or rpm alone, in a throw-away copy of a root file system; what the packages require is not there.
#
#   previous.sh deb|rpm ROOT OLD NEW PATH...
#
# Runs as root in a mount and process namespace of its own. ROOT has the program, and is only read. Installs OLD, appends
# a line to every file among the PATHs whose name begins with `edited`, upgrades to NEW and prints what there is of each
# PATH and of the names that package managers give to what they keep of it: its type, and the target of a link. Then
# removes the package and fails if anything is left of the PATHs but what rpm keeps for the administrator.
set -euo pipefail
trap 'echo "previous.sh: line $LINENO failed" >&2; exit 2' ERR
format=$1 root=$2 old=$3 new=$4
shift 4

# shellcheck source=tests/real/copy.sh
. "$(dirname "$0")/copy.sh"
make_copy "$root"
cp "$old" "$root/tmp/old"
cp "$new" "$root/tmp/new"

# Debian's rpm 4.18 refuses to install without this option, which later ones do not know.
rpm=(rpm --dbpath /var/lib/rpm)
if inside rpm --force-debian --version >/dev/null 2>&1; then rpm+=(--force-debian); fi

quiet() {
    local log
    log=$(inside "$@" 2>&1) || { printf '%s failed:\n%s\n' "$*" "$log" >&2; exit 1; }
}
install_package() {
    case $format in
        deb) quiet dpkg --force-depends -i "$1" ;;
        rpm) quiet "${rpm[@]}" --nodeps -U "$1" ;;
    esac
}
remove_package() {
    case $format in
        deb) quiet dpkg --purge acme ;;
        rpm) quiet "${rpm[@]}" -e acme ;;
    esac
}
list() {
    local path
    for path; do
        find "$root$path" "$root$path".* -maxdepth 0 -printf '%p %y %l\n' 2>/dev/null || true
    done | sed "s#^$root##; s# \$##"
}

install_package /tmp/old
for path; do case $path in */edited) echo edited >>"$root$path" ;; esac; done
install_package /tmp/new
list "$@"
remove_package
left=$(list "$@" | grep -Ev '\.rpm(save|moved) ' || true)
[ -z "$left" ] || { printf 'left behind:\n%s\n' "$left" >&2; exit 1; }
