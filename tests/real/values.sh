#!/bin/bash
# What processes of a package get of what its configuration and an administrator wrote.
#
#   values.sh ROOT DEB ARCHIVES VARIABLES
#
# Runs as root in a mount and process namespace of its own (values.rs starts it so). ROOT is only read. DEB is of the
# package `acme-values`, whose services and check write what they got into /var/lib/acme-values/NAME.json. VARIABLES
# becomes its environment file. ARCHIVES keeps what apt downloads for the next run. Prints for each of those files its
# name and what is in it, and for each service its name and description as systemd knows it, all on lines of their own.
# Exit status: 0 the package was installed, 1 it was not, 2 this script or the network.
set -Eeuo pipefail
trap '[ "$BASH_SUBSHELL" != 0 ] || { echo "values.sh: line $LINENO failed" >&2; exit 2; }' ERR
root=$1 deb=$2 archives=$3 variables=$4
here=$(dirname "$0")

# shellcheck source=tests/real/copy.sh
. "$here/copy.sh"
# shellcheck source=tests/real/guest.sh
. "$here/guest.sh"

make_copy "$root"
install -m 644 "$deb" "$root/srv/package.deb"
install_needs "$archives" /srv/package.deb || exit
boot

log=$(guest apt-get -q -y install /srv/package.deb 2>&1) || { echo "$log"; exit 1; }
cat "$variables" >"$root/etc/default/acme-values"
log=$(guest apt-get -q -y --reinstall -o Dpkg::Options::=--force-confold install /srv/package.deb 2>&1) || { echo "$log"; exit 1; }
for file in "$root"/var/lib/acme-values/*.json; do
    basename "$file" .json
    cat "$file"
done
for unit in $(guest systemctl list-units --all --no-legend --plain 'acme-values*.service' | cut -d' ' -f1); do
    echo "$unit"
    property "$unit" Description
done
