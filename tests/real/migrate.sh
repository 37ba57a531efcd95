#!/bin/bash
# From dh-virtualenv to mkpkg: builds a project with both in a copy of a root file system, installs and runs the one, upgrades
# it to the other, and compares them.
#
#   migrate.sh ROOT MKPKG PROJECT COMMAND PRINTS
#
# Runs as root in a mount and process namespace of its own (migrate.rs starts it so). ROOT has dh-virtualenv and is only
# read, as is PROJECT. COMMAND must print PRINTS before the upgrade and after it. Prints a table of what both packages
# have. Exit status: 0 they agree, 1 they do not, 2 this script, the network, or a build.
set -euo pipefail
trap 'echo "migrate.sh: line $LINENO failed" >&2; exit 2' ERR
base=$1 mkpkg=$2 project=$3 command=$4 prints=$5

# shellcheck source=tests/real/copy.sh
. "$(dirname "$0")/copy.sh"
make_copy "$base"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
cp "$mkpkg" "$root/tmp/mkpkg"
cp -R "$project" "$root/srv/old"
cp -R "$project" "$root/srv/new"

faults=0
fault() {
    printf 'fault: %s\n' "$1"
    [ -z "${2:-}" ] || printf '%s\n' "$2" | tail -n 40 | sed 's/^/    /'
    faults=$((faults + 1))
}
step() {
    local log
    log=$("${@:2}" 2>&1) || { printf '%s failed:\n%s\n' "$1" "$(tail -n 60 <<<"$log")" >&2; exit 2; }
}
pip=(env PIP_CERT=/etc/ssl/certs/ca-certificates.crt PIP_DISABLE_PIP_VERSION_CHECK=1)
if [ -d "$root/srv/old/wheels" ]; then
    for copy in old new; do
        step wheels inside "${pip[@]}" python3 -m pip -q download -d "/srv/$copy/wheels" -r "/srv/$copy/wheels/wanted.txt"
    done
    step own inside "${pip[@]}" python3 -m pip -q wheel --no-deps -w /srv/new/wheels /srv/new
fi

step update inside apt-get -q update

# --- both packages ---------------------------------------------------------------------------------------------------
step dh inside "${pip[@]}" bash -c 'cd /srv/old && dpkg-buildpackage -d -b -us -uc'
old=$(find "$root/srv" -maxdepth 1 -name '*.deb' ! -name '*-dbgsym_*')
report=$(inside /tmp/mkpkg init --from-debian /srv/new/debian 2>&1) || { printf '%s\n' "$report" >&2; exit 2; }
# The first line of a configuration tells how to build it.
flags=$(sed -n 's/^#  *mkpkg deb \(.*\)\.$/\1/p' "$root/srv/new/mkpkg.toml")
step mkpkg inside "${pip[@]}" bash -c "cd /srv/new && /tmp/mkpkg deb $flags -o /srv/out ."
new=$(find "$root/srv/out" -name '*.deb')

# --- what is in them -------------------------------------------------------------------------------------------------
contents() { dpkg-deb --fsys-tarfile "$1" | tar -t | sed 's,^\./,/,' | LC_ALL=C sort; }
field() { dpkg-deb -f "$1" "$2"; }
paths() { contents "$1" | grep -E "$2" || true; }
conffiles() { dpkg-deb -I "$1" conffiles 2>/dev/null | LC_ALL=C sort || true; }
names() { field "$1" Depends | tr ',' '\n' | sed 's/^ *//; s/[ (|:].*//' | LC_ALL=C sort -u; }
row() { printf '  %-14s | %-60s | %s\n' "$1" "$(paste -sd' ' <<<"$2")" "$(paste -sd' ' <<<"$3")"; }
same() {
    row "$1" "$2" "$3"
    [ "$2" = "$3" ] || fault "$1 differ"
}
row '' dh-virtualenv mkpkg
same name "$(field "$old" Package)" "$(field "$new" Package)"
row version "$(field "$old" Version)" "$(field "$new" Version)"
prefix=$(sed -n 's/^prefix = "\(.*\)"$/\1/p' "$root/srv/new/mkpkg.toml")
same prefix "$(paths "$old" "^$prefix/\$")" "$(paths "$new" "^$prefix/\$")"
same commands "$(paths "$old" '^/usr/bin/.')" "$(paths "$new" '^/usr/bin/.')"
units='systemd/system/[^/]+\.(service|socket|timer|mount)$'
same units "$(paths "$old" "$units" | sed 's,.*/,,')" "$(paths "$new" "$units" | sed 's,.*/,,')"
same conffiles "$(conffiles "$old")" "$(conffiles "$new")"
row Depends "$(names "$old")" "$(names "$new")"
# What the interpreter needs comes with it: dh-virtualenv may have a copy of it scanned.
interpreter() {
    inside apt-cache depends --recurse --important --installed python3.11 | sed -n 's/^ *|\?[A-Za-z]*Depends: //p; s/^[a-z].*/&/p'
}
lost=$(comm -23 <(names "$old" | grep -vxE 'python3|python3-minimal' || true) <({ names "$new"; interpreter; } | LC_ALL=C sort -u))
[ -z "$lost" ] || fault 'relations are lost' "$lost"
inside dpkg --compare-versions "$(field "$new" Version)" ge "$(field "$old" Version)" || fault 'the version is lower'

# --- one after the other ---------------------------------------------------------------------------------------------
check() {
    local output
    output=$(inside bash -c "cd / && $command" 2>&1) || { fault "$1: \`$command\` failed" "$output"; return; }
    [[ $output == *"$prints"* ]] || fault "$1: \`$command\` did not print \`$prints\`" "$output"
}
cp "$old" "$root/tmp/old.deb"
cp "$new" "$root/tmp/new.deb"
apt=(apt-get -q -y --no-install-recommends -o Acquire::Retries=3 install)
step install inside "${apt[@]}" /tmp/old.deb
check 'before the upgrade'
conffile=$(conffiles "$old" | grep '^/etc/[a-z]*-*[a-z]*/' | head -n 1 || true)
[ -z "$conffile" ] || echo '# edited' >>"$root$conffile"
step upgrade inside "${apt[@]}" /tmp/new.deb
check 'after the upgrade'
[ -z "$conffile" ] || grep -q '# edited' "$root$conffile" || fault "an edit of $conffile is lost"
name=$(field "$new" Package)
left=$(comm -23 <(cd "$root" && find ".$prefix" | sed 's/^\.//' | LC_ALL=C sort) <(inside dpkg -L "$name" | LC_ALL=C sort))
[ -z "$left" ] || fault 'the upgrade left something' "$left"
step purge inside apt-get -q -y purge "$name"
[ ! -e "$root$prefix" ] || fault 'a purge left something' "$(find "$root$prefix")"
exit $((faults > 0))
