#!/bin/bash
# rpmbuild with mkpkg's macros: builds a project with a spec file and with `mkpkg rpm` alone in a copy of a root file system.
#
#   macros.sh ROOT OWN OUT PROJECT SPEC COMMAND PRINTS
#
# Runs as root in a mount and process namespace of its own (macros.rs starts it so). ROOT has rpmbuild and pip, and is only
# read. OWN is the Debian package of mkpkg. The packages are left in OUT/built and OUT/alone. The first of them that SPEC
# makes is installed, and erased; in between COMMAND must print PRINTS. Exit status: 0 all is well, 1 it is not, 2 this
# script, the network, or a build.
set -euo pipefail
trap 'echo "macros.sh: line $LINENO failed" >&2; exit 2' ERR
base=$1 own=$2 out=$3 project=$4 spec=$5 command=$6 prints=$7

# shellcheck source=tests/real/copy.sh
. "$(dirname "$0")/../copy.sh"
# shellcheck source=tests/real/faults.sh
. "$(dirname "$0")/../faults.sh"
make_copy "$base"
cp "$spec" "$root/srv/package.spec"
mkdir -p "$root/srv/top/SOURCES"
name=$(sed -n 's/^Name: *//p' "$spec")-$(sed -n 's/^Version: *//p' "$spec")
cp -R "$project" "$root/srv/$name"
rm -rf "$root/srv/$name/debian"
tar -C "$root/srv" -czf "$root/srv/top/SOURCES/$name.tar.gz" "$name"

environment=(env PIP_CERT=/etc/ssl/certs/ca-certificates.crt PIP_DISABLE_PIP_VERSION_CHECK=1 SOURCE_DATE_EPOCH=1764000000)

must 'installing mkpkg' install_mkpkg "$own"
# Nothing that BuildRequires names is in the database of rpm here: dpkg has it.
build=(rpmbuild -bb --nodeps -D '_topdir /srv/top' -D '_binary_payload w1.gzdio' /srv/package.spec)
must rpmbuild inside "${environment[@]}" "${build[@]}"
if grep -E '^(warning|error): ' <<<"$log" | grep -v ': absolute symlink: '; then fault 'rpmbuild warns'; fi
must mkpkg inside "${environment[@]}" bash -c "mkpkg rpm --compression gzip:1 -o /srv/alone /srv/$name"
mkdir -p "$out/built" "$out/alone"
cp "$root"/srv/top/RPMS/*/*.rpm "$out/built"
cp "$root"/srv/alone/*.rpm "$out/alone"

# Debian's rpm 4 refuses to install without this option; rpm 6 does not know it.
rpm=(rpm --dbpath /var/lib/rpm --nodeps)
if inside rpm --force-debian --version >/dev/null 2>&1; then rpm+=(--force-debian); fi
cp "$out"/built/*.rpm "$root/tmp/"
for file in "$out"/built/*.rpm; do
    log=$(inside "${rpm[@]}" -i "/tmp/$(basename "$file")" 2>&1) || fault 'it is not installed' "$log"
    [ -z "$log" ] || fault 'rpm -i is not silent' "$log"
done
output=$(inside bash -c "cd / && $command" 2>&1) || fault "\`$command\` failed" "$output"
[[ $output == *"$prints"* ]] || fault "\`$command\` did not print \`$prints\`" "$output"
for file in "$out"/built/*.rpm; do
    installed=$(rpm -qp --nosignature --qf '%{NAME}' "$file")
    log=$(inside "${rpm[@]}" -V "$installed" 2>&1) || fault 'what is installed is not what was packed' "$log"
    log=$(inside "${rpm[@]}" -e "$installed" 2>&1) || fault 'it is not erased' "$log"
done
left=$(find "$root/opt" -mindepth 1)
[ -z "$left" ] || fault 'something is left' "$left"
exit $((faults > 0))
