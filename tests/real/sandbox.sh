#!/bin/bash
# Whether acme-web, which has Django, psycopg2 and cffi, answers from within the sandboxes.
#
#   sandbox.sh ROOT DEB ARCHIVES
#
# Runs as root in a mount and process namespace of its own (services.rs starts it so). ROOT is only read. DEB has a
# service for each sandbox: that of port 8000 is `standard`, that of port 8001 `strict`. ARCHIVES keeps what apt downloads
# for the next run. Exit status: 0 both answer, 1 one does not, 2 this script or the network.
set -Eeuo pipefail
trap '[ "$BASH_SUBSHELL" != 0 ] || { echo "sandbox.sh: line $LINENO failed" >&2; exit 2; }' ERR
root=$1 deb=$2 archives=$3
here=$(dirname "$0")

# shellcheck source=tests/real/copy.sh
. "$here/copy.sh"
# shellcheck source=tests/real/guest.sh
. "$here/guest.sh"

make_copy "$root"
install -m 644 "$deb" "$root/srv/package.deb"
install -m 644 "$here/services/client.py" "$root/srv/"
install_needs "$archives" /srv/package.deb || exit
boot

log=$(guest apt-get -q -y install /srv/package.deb 2>&1) || { echo "$log"; exit 1; }
faults=0
for unit in acme-web-standard.service:8000 acme-web-strict.service:8001; do
    if ! answer=$(guest python3 -B /srv/client.py ask "${unit#*:}" 2>&1) || [[ $answer != *'</html>'* ]]; then
        echo "${unit%:*} does not answer: ${answer##*$'\n'}"
        guest journalctl -q --no-pager -o cat -u "${unit%:*}" | tail -n 40
        faults=1
    fi
    echo "exposure of ${unit%:*}: $(guest systemd-analyze security --no-pager "${unit%:*}" | sed -n 's/.*exposure level for .*: \([0-9.]*\) .*/\1/p')"
done
exit "$faults"
