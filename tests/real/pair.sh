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

# refused TEXT COMMAND...: it fails, and says TEXT
refused() {
    local log
    if log=$("${@:2}" 2>&1); then fault "\`${*:2}\` did not fail" "$log"; fi
    [[ $log == *"$1"* ]] || fault "\`${*:2}\` did not say \`$1\`" "$log"
}

# --- which packages, and what they must have -------------------------------------------------------------------------
control=$root/srv/pair/debian/control rules=$root/srv/pair/debian/rules
cp "$control" "$rules" "$scratch/"
# As with dh-virtualenv, and what has no configuration where others have one.
printf '\nPackage: %s\nArchitecture: all\nDescription: One more\n' python3-acme acme-doc >>"$control"
chosen 'acme-yaml acme-idna'
touch "$root/srv/pair/mkpkg-python3-acme.toml"
# shellcheck disable=SC2016
refused 'python3-acme has neither ${mkpkg:Depends} nor ${misc:Depends}' there dh_mkpkg --no-act
rm "$root/srv/pair/mkpkg-python3-acme.toml"
cp "$scratch/control" "$control"

# --- a project elsewhere: its configuration may lie in it, or beside debian ------------------------------------------
mkdir "$root/srv/pair/my app"
cp "$root/srv/pair/yaml.txt" "$root/srv/pair/my app/requirements.txt"
mkdir "$root/srv/aside"
for dir in 'my app' './my app/' '/srv/pair/my app' ../aside; do
    said '--config mkpkg-acme-yaml.toml' yes -D "$dir"
done
touch "$root/srv/pair/my app/mkpkg-acme-yaml.toml"
said '--config "my app/mkpkg-acme-yaml.toml"' yes -D 'my app'
mkdir "$scratch/aside"
mv "$root"/srv/pair/mkpkg-acme-* "$scratch/aside/"
rm "$root/srv/pair/my app/mkpkg-acme-yaml.toml"
said '--requirements "my app/requirements.txt"' yes -D 'my app'
said '--requirements "my app/more.txt"' yes -D 'my app' --requirements more.txt
said '--requirements /srv/pair/yaml.txt' yes -D 'my app' --requirements /srv/pair/yaml.txt
touch "$root/srv/pair/mkpkg.toml"
said '--config mkpkg.toml' yes -D 'my app'
rm -r "$root/srv/pair/mkpkg.toml" "$root/srv/pair/my app"
mv "$scratch"/aside/* "$root/srv/pair/"

# --- targets of the rules --------------------------------------------------------------------------------------------
for target in override_dh_virtualenv execute_after_dh_virtualenv-arch; do
    printf '%s:\n\ttrue\n' "$target" >>"$rules"
    refused "debian/rules has the target $target" there dh clean --no-act --with mkpkg
    cp "$scratch/rules" "$rules"
done
is 'what dh runs of dh_auto_*' "$(there dh build --no-act --with mkpkg | grep auto_ || true)" ''
printf '%s:\n\ttrue\n' override_dh_auto_configure execute_after_dh_auto_build >>"$rules"
is 'what dh runs of dh_auto_*' "$(there dh build --no-act --with mkpkg | sed -n '/auto_/s/^ *//p')" "$(cat <<'END'
debian/rules override_dh_auto_configure
dh_auto_build --buildsystem=none
debian/rules execute_after_dh_auto_build
END
)"
cp "$scratch/rules" "$rules"

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

# --- what lies in debian is debhelper's ------------------------------------------------------------------------------
must clean there dh clean
config=$root/srv/pair/mkpkg-acme-idna.toml
printf '[Service]\nExecStart=/bin/true\n' >"$root/srv/pair/debian/acme-idna.service"
printf 'echo once\n' >"$root/srv/pair/debian/acme-idna.postinst"
cp "$config" "$scratch/idna.toml"
printf '\n[services.main]\nunit = "debian/acme-idna.service"\n' >>"$config"
refused "\`services.main.unit\` names \`debian/acme-idna.service\`" there dh_mkpkg -pacme-idna
(cat "$scratch/idna.toml"; printf '\n[scripts]\nafter-install = "debian/acme-idna.postinst"\n') >"$config"
refused "\`scripts.after-install\` names \`debian/acme-idna.postinst\`" there dh_mkpkg -pacme-idna
(cat "$scratch/idna.toml"; printf '\n[services.main]\nunit = "packaging.service"\n') >"$config"
cp "$root/srv/pair/debian/acme-idna.service" "$root/srv/pair/packaging.service"
must dh_installsystemd there dh_installsystemd -pacme-idna
refused "\`debian/acme-idna/lib/systemd/system/acme-idna.service\` is there already" there dh_mkpkg -pacme-idna
cp "$scratch/idna.toml" "$config"
must 'a unit of debhelper alone' there dh_mkpkg -pacme-idna
must 'once more' there dh_mkpkg -pacme-idna
[ "$(grep -c 'added by dh_mkpkg' "$root/srv/pair/debian/acme-idna.prerm.debhelper")" = 1 ] || fault 'a script is added twice'

# --- without nocheck, the check decides ------------------------------------------------------------------------------
if log=$(there dh_mkpkg -pacme-yaml 2>&1); then fault 'the check was not run' "$log"; fi
[[ $log == *'the check was run'* ]] || fault 'another error than that of the check' "$log"
[[ $log != *"$note"* ]] || fault 'mkpkg tells more without DH_VERBOSE' "$log"
exit $((faults > 0))
