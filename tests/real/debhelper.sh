#!/bin/bash
# debhelper with mkpkg: builds a project with dpkg-buildpackage and with mkpkg alone in a copy of a root file system, compares
# both packages, and installs, runs and purges the first.
#
#   debhelper.sh ROOT OWN PROJECT NAME COMMAND PRINTS
#
# Of a PROJECT with a recipe of dh-virtualenv, the words of the recipe are changed for debhelper, and it is imported for mkpkg
# alone; then what is compared are the environment, the commands, and that no relation is lost.
#
# Runs as root in a mount and process namespace of its own (debhelper.rs starts it so). ROOT has debhelper and is only read.
# OWN is the Debian package of mkpkg. COMMAND must print PRINTS once the package NAME is installed. Exit status: 0 all is
# well, 1 it is not, 2 this script, the network, or a build.
set -euo pipefail
trap 'echo "debhelper.sh: line $LINENO failed" >&2; exit 2' ERR
base=$1 own=$2 project=$3 name=$4 command=$5 prints=$6

# shellcheck source=tests/real/copy.sh
. "$(dirname "$0")/copy.sh"
# shellcheck source=tests/real/faults.sh
. "$(dirname "$0")/faults.sh"
make_copy "$base"
cp -R "$project" "$root/srv/dh"
cp -R "$project" "$root/srv/alone"
prepare='rm -r debian' parts=(.)
if grep -q dh_virtualenv "$root/srv/dh/debian/rules"; then
    sed -i 's/--with python-virtualenv/--with mkpkg/; s/dh_virtualenv/dh_mkpkg/' "$root/srv/dh/debian/rules"
    prepare='mkpkg init --from-debian debian' parts=(./opt ./usr/bin)
fi

environment=(env PIP_CERT=/etc/ssl/certs/ca-certificates.crt PIP_DISABLE_PIP_VERSION_CHECK=1)
# What debhelper takes from the changelog.
environment+=(SOURCE_DATE_EPOCH="$(dpkg-parsechangelog -l "$project/debian/changelog" -S Timestamp)")
# What is compared does not depend on it.
environment+=(DPKG_DEB_COMPRESSOR_TYPE=gzip DPKG_DEB_COMPRESSOR_LEVEL=1 MKPKG_COMPRESSION=gzip:1)

# --- both packages ---------------------------------------------------------------------------------------------------
must update inside apt-get -q update
must 'installing mkpkg' install_mkpkg "$own"
must dh inside "${environment[@]}" bash -c 'cd /srv/dh && dpkg-buildpackage -b -us -uc'
if [ "${parts[0]}" = . ] && grep -E '^dpkg-gencontrol: warning' <<<"$log"; then fault 'dpkg-gencontrol warns'; fi
dh=$(find "$root/srv" -maxdepth 1 -name '*.deb')
[ "$(wc -l <<<"$dh")" = 1 ] || fault 'one package was expected' "$dh"
must mkpkg inside "${environment[@]}" bash -c "cd /srv/alone && $prepare && mkpkg deb -o /srv/out ."
alone=$(find "$root/srv/out" -name '*.deb')

# --- what is in them -------------------------------------------------------------------------------------------------
unpacked() {
    dpkg-deb -R "$1" "$2"
    touch "$2/DEBIAN/conffiles"
    # Made by each in its own words.
    rm -f "$2/usr/share/doc/$name/"{copyright,changelog.Debian.gz} "$2/usr/share/lintian/overrides/$name"
}
listed() { (cd "$1" && find "${parts[@]}" -path ./DEBIAN -prune -o -printf '%y %m %U:%G %p %l\n' | LC_ALL=C sort -k 4); }
field() { dpkg-deb -f "$1" "$2" | sed 's/, /\n/g' | LC_ALL=C sort; }
unpacked "$dh" "$scratch/dh"
unpacked "$alone" "$scratch/alone"
differing=$(diff <(listed "$scratch/dh") <(listed "$scratch/alone") || true)
[ -z "$differing" ] || fault 'paths, modes or owners differ' "$differing"
for part in "${parts[@]}"; do
    differing=$(diff -rq --no-dereference --exclude DEBIAN "$scratch/dh/$part" "$scratch/alone/$part" || true)
    [ -z "$differing" ] || fault 'contents differ' "$differing"
done
lost=$(comm -13 <(field "$dh" Depends) <(field "$alone" Depends))
[ -z "$lost" ] || fault 'relations are lost' "$lost"
differing=$(diff <(sort "$scratch/dh/DEBIAN/conffiles") <(sort "$scratch/alone/DEBIAN/conffiles") || true)
[ -z "$differing" ] || fault 'conffiles differ' "$differing"
if [ "${parts[0]}" = . ]; then
    for one in Package Version Architecture Section Depends Recommends; do
        differing=$(diff <(field "$dh" $one) <(field "$alone" $one) || true)
        [ -z "$differing" ] || fault "$one differs" "$differing"
    done
fi
for made in shlibs symbols; do
    [ ! -e "$scratch/dh/DEBIAN/$made" ] || fault "debhelper made $made of what is inside" "$(cat "$scratch/dh/DEBIAN/$made")"
done
if grep -s ldconfig "$scratch/dh/DEBIAN/triggers"; then fault 'debhelper made a trigger of what is inside'; fi
printf '  %s: %s files, %s\n' "$name" "$(wc -l <"$scratch/dh/DEBIAN/md5sums")" "$(field "$dh" Depends | paste -sd,)"

# --- on a host -------------------------------------------------------------------------------------------------------
cp "$dh" "$root/tmp/new.deb"
must install inside apt-get -q -y --no-install-recommends -o Acquire::Retries=3 install /tmp/new.deb
output=$(inside bash -c "cd / && $command" 2>&1) || fault "\`$command\` failed" "$output"
[[ $output == *"$prints"* ]] || fault "\`$command\` did not print \`$prints\`" "$output"
while read -r _ _ _ unit; do
    inside env DPKG_MAINTSCRIPT_PACKAGE="$name" deb-systemd-helper --quiet was-enabled "$(basename "$unit")" || fault "$unit was not enabled"
done < <(listed "$scratch/dh" | grep -E '/systemd/system/[^@/]+\.service ' || true)
must purge inside apt-get -q -y purge "$name"
left=$(find "$root/opt" -mindepth 1 "$root/etc/$name" "$root/etc/systemd/system" -name "*$name*" 2>/dev/null || true)
[ -z "$left" ] || fault 'a purge left something' "$left"
exit $((faults > 0))
