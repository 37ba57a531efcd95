#!/bin/bash
# Two packages of one source, and what debhelper is told about building them: fixtures/debian/pair in a copy of a root file
# system.
#
#   pair.sh ROOT OWN PROJECT
#
# Runs as root in a mount and process namespace of its own (debhelper.rs starts it so). ROOT has debhelper and is only read.
# OWN is the Debian package of mkpkg. Exit status: 0 all is well, 1 it is not, 2 this script, the network, or a build.
set -euo pipefail
trap 'echo "pair.sh: line $LINENO failed" >&2; exit 2' ERR
base=$1 own=$2 project=$3

# shellcheck source=tests/real/copy.sh
. "$(dirname "$0")/copy.sh"
# shellcheck source=tests/real/faults.sh
. "$(dirname "$0")/faults.sh"
make_copy "$base"
cp -R "$project" "$root/srv/pair"

environment=(PIP_CERT=/etc/ssl/certs/ca-certificates.crt PIP_DISABLE_PIP_VERSION_CHECK=1)
environment+=(DPKG_DEB_COMPRESSOR_TYPE=gzip DPKG_DEB_COMPRESSOR_LEVEL=1)
# there VARIABLE=VALUE... PROGRAM...: runs it in the source
there() { inside env -C /srv/pair "${environment[@]}" "$@"; }
must 'installing mkpkg' install_mkpkg "$own"

# --- what runs is what is told: debhelper says which, without running them -------------------------------------------
# commands VARIABLE=VALUE... OPTIONS OF dh_mkpkg: what it would run, one a line
commands() {
    local variables=()
    while [[ ${1:-} == *=* ]]; do variables+=("$1"); shift; done
    there "${variables[@]}" dh_mkpkg --no-act --verbose "$@" | sed -n 's/^\tmkpkg //p'
}
# chosen PACKAGES OPTIONS: whether OPTIONS choose just PACKAGES
chosen() {
    local found
    found=$(commands "${@:2}" | sed -n 's,.*--destdir debian/\([^ ]*\).*,\1,p' | paste -sd ' ')
    [ "$found" = "$1" ] || fault "dh_mkpkg ${*:2} chose \`$found\`, not \`$1\`"
}
chosen 'acme-yaml acme-idna'
chosen acme-idna -pacme-idna
chosen acme-idna -Nacme-yaml
chosen acme-yaml -a
chosen acme-idna -i
chosen 'acme-yaml acme-idna' -a -i

# said TEXT OR NONE, WHETHER IT IS THERE, then as for commands
said() {
    local found=no
    if commands "${@:3}" -pacme-yaml | grep -qF -- "$1"; then found=yes; fi
    [ "$found" = "$2" ] || fault "\`$1\` in what ${*:3} runs: $found, not $2"
}
said '--config mkpkg-acme-yaml.toml' yes
said '--jobs' no
said '--jobs 2' yes DEB_BUILD_OPTIONS=parallel=2
said 'check=\[\]' no
said 'check=\[\]' yes DEB_BUILD_OPTIONS=nocheck
said '--offline' yes -pacme-yaml -- --offline

# --- a build of both -------------------------------------------------------------------------------------------------
must build there DEB_BUILD_OPTIONS='nocheck parallel=2' DH_VERBOSE=1 dpkg-buildpackage -b -us -uc
# A note, which mkpkg has only with --verbose.
note='note: the package is for x86_64 alone'
[[ $log == *"$note"* ]] || fault 'DH_VERBOSE does not make mkpkg tell more' "$log"
has() { [ -e "$scratch/$1/$2" ] || fault "$1 has no /$2"; }
has_not() { [ ! -e "$scratch/$1/$2" ] || fault "$1 has /$2"; }
for package in acme-yaml acme-idna; do
    deb=$(find "$root/srv" -name "${package}_*.deb")
    dpkg-deb -x "$deb" "$scratch/$package"
    declare "${package/-/_}=$(dpkg-deb -f "$deb" Architecture Depends | paste -sd ' ')"
done
[[ ${acme_yaml:?} == *': amd64 '*libc6*python3.11* ]] || fault 'acme-yaml' "$acme_yaml"
[[ ${acme_idna:?} == *': all '*python3.11* && $acme_idna != *libc6* ]] || fault 'acme-idna' "$acme_idna"
site=lib/python3.11/site-packages
has acme-yaml "opt/acme-yaml/$site/yaml"
has_not acme-yaml srv
has acme-idna "srv/acme-idna/$site/idna"
has_not acme-idna opt

# --- without nocheck, the check decides ------------------------------------------------------------------------------
if log=$(there dh_mkpkg -pacme-yaml 2>&1); then fault 'the check was not run' "$log"; fi
[[ $log == *'the check was run'* ]] || fault 'another error than that of the check' "$log"
[[ $log != *"$note"* ]] || fault 'mkpkg tells more without DH_VERBOSE' "$log"
exit $((faults > 0))
