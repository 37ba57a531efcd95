#!/bin/bash
# The scriptlets of `acme`, a package that scripts.rs makes, in a copy of a root file system.
#
#   scripts.sh twice ROOT SCRIPTS        each script, twice with every number of versions, under dash and bash: silent
#   scripts.sh moved ROOT OLD NEW        an upgrade in which a directory becomes a link, and a link a directory
#   scripts.sh live ROOT DIR             its life under rpm and systemd. DIR has 1.0.rpm, 1.1.rpm and 1.2.rpm: 1.0 has a
#                                        unit `old` that the others drop, they have `late`, and 1.2 has `later`
#
# Runs as root in a mount and process namespace of its own. ROOT has rpm, for `live` systemd, and is only read. Prints
# what is wrong. Exit status: 0 nothing, 1 the package, 2 this script.
set -Eeuo pipefail
trap 'echo "scripts.sh: line $LINENO failed" >&2; exit 2' ERR
mode=$1 dir=$3 newer=${4:-}
here=$(dirname "$0")/..

# shellcheck source=tests/real/copy.sh
. "$here/copy.sh"
# shellcheck source=tests/real/guest.sh
. "$here/guest.sh"
# shellcheck source=tests/real/faults.sh
. "$here/faults.sh"
make_copy "$2"
# Debian's rpm 4 refuses to install without this option; rpm 6 does not know it.
options=(--dbpath /var/lib/rpm --nodeps)
if inside rpm --force-debian --version >/dev/null 2>&1; then options+=(--force-debian); fi

about=$mode

# --- twice -----------------------------------------------------------------------------------------------------------
twice() {
    local script shell count said
    mkdir "$root/scripts" "$root/etc/sysconfig"
    cp "$dir"/* "$root/scripts/"
    echo "GREETING='it is \$(id)'" >"$root/etc/sysconfig/acme"
    for shell in dash bash; do
        for script in prein postin posttrans preun postun; do
            for count in 0 1 1 2 2 3 3 0; do
                said=$(inside "$shell" "/scripts/$script" "$count" 2>&1) || fault "$shell $script $count fails" "$said"
                [ -z "$said" ] || fault "$shell $script $count is not silent" "$said"
            done
        done
    done
    is account "$(inside getent passwd acme | cut -d: -f5-)" "Acme - it's:/var/lib/acme:/sbin/nologin"
}

# --- moved -----------------------------------------------------------------------------------------------------------
moved() {
    local said
    cp "$dir" "$root/old.rpm"
    cp "$newer" "$root/new.rpm"
    inside rpm "${options[@]}" -i /old.rpm
    # since 4.19, from what the package provides
    if [ -e "$root/usr/lib/rpm/sysusers.sh" ]; then
        is account "$(inside getent passwd acme | cut -d: -f5,6)" "Acme - it's:/var/lib/acme"
    fi
    echo mine >"$root/opt/acme/data\" .. x/mine"
    mkdir "$root/opt/acme/data\" .. x.rpmmoved"
    said=$(inside rpm "${options[@]}" -U /new.rpm 2>&1) || fault 'the upgrade fails' "$said"
    [ -z "$said" ] || fault 'the upgrade is not silent' "$said"
    is 'the link' "$(readlink "$root/opt/acme/data\" .. x")" shared
    is 'the directory' "$(cat "$root/opt/acme/media/file")" 2
    [ ! -h "$root/opt/acme/media" ] || fault 'the link is still there'
    is 'what was left of the old directory' "$(ls "$root/opt/acme/data\" .. x.rpmmoved.1")" "$(printf 'file\nmine')"
    said=$(inside rpm "${options[@]}" -V acme 2>&1) || fault 'rpm -V' "$said"
}

# --- live ------------------------------------------------------------------------------------------------------------
running=(acme.service acme-plain.service acme-worker@1.service)
links=/etc/systemd/system

# change TEXT ARGUMENTS...: rpm says TEXT, and nothing if that is empty
change() {
    local want=$1 said
    shift
    said=$(guest rpm "${options[@]}" "$@" 2>&1) || [ -n "$want" ] || fault "rpm $*" "$said"
    [ -n "$want" ] || said=$(grep -vE '^Job for acme-bad.service failed|^See "systemctl status acme-bad' <<<"$said") || said=''
    if [ -n "$want" ] && [[ $said != *"$want"* ]]; then fault "rpm $* does not say \`$want\`" "$said"; fi
    if [ -z "$want" ] && [ -n "$said" ]; then fault "rpm $* says" "$said"; fi
}
upgrade() { change "$1" -U --oldpackage --replacepkgs "/srv/$2.rpm"; }
pids() { local unit; for unit in "${running[@]}"; do echo "$unit $(property "$unit" MainPID)"; done; }
unit_is() {
    local found
    found="$(property "$1" ActiveState) $(guest systemctl is-enabled "$1" 2>/dev/null || true)"
    [ "$found" = "$2" ] || fault "$1 is \`$found\`, not \`$2\`" "$(guest journalctl -q --no-pager -o cat -n 9 -u "$1" 2>&1)"
}
restarted() {
    local unit pid now
    while read -r unit pid; do
        now=$(property "$unit" MainPID)
        if [ "$now" = 0 ] || [ "$now" = "$pid" ]; then fault "$unit was not restarted: $pid, then $now"; fi
    done <<<"$1"
}
said() {
    is 'what the snippets wrote' "$(cat "$root/var/log/acme-said" 2>/dev/null || true)" "$(printf '%s rpm acme\n' "$@")"
    rm -f "$root/var/log/acme-said"
}
no_notes() { [ ! -e "$root/var/lib/rpm-state/acme" ] || fault 'notes are left' "$(find "$root/var/lib/rpm-state")"; }

live() {
    local before opened
    cp "$dir"/*.rpm "$root/srv/"
    mkdir -p "$root/etc/systemd/system-preset"
    printf 'disable %s\n' acme-tick.timer acme-shut.socket >"$root/etc/systemd/system-preset/00-admin.preset"
    boot

    about=install
    # What a package that mkpkg did not make leaves, and what is an administrator's.
    mkdir -p "$root/opt/acme/gone/__pycache__"
    touch "$root/opt/acme/gone/__pycache__/x.cpython-311.pyc" "$root/opt/acme/mine"
    change '' -i /srv/1.0.rpm
    is 'what is in the prefix' "$(ls "$root/opt/acme")" "$(printf 'mine\nversion')"
    rm "$root/opt/acme/mine"
    said 'before-install install 1.0-1' 'after-install install 1.0-1'
    unit_is acme.socket 'active enabled'
    unit_is acme-plain.service 'active enabled'
    unit_is acme-old.service 'active enabled'
    unit_is acme-tick.timer 'inactive disabled'
    unit_is acme-idle.service 'inactive disabled'
    unit_is acme-bad.service 'failed enabled'
    unit_is acme.service 'inactive static'
    is 'the directory' "$(guest stat -c %U /run/acme)" acme
    no_notes

    about=reinstall
    guest systemctl enable --quiet --now acme-worker@1.service 2>/dev/null
    guest systemctl start acme.service
    before=$(pids)
    upgrade '' 1.0
    restarted "$before"
    said 'before-upgrade upgrade 1.0-1' 'after-upgrade upgrade 1.0-1'
    unit_is acme-tick.timer 'inactive disabled'
    no_notes

    about='upgrade, with what an administrator did'
    echo '# mine' >>"$root/etc/sysconfig/acme"
    guest systemctl stop acme-plain.service
    guest systemctl disable --quiet acme-plain.service
    running=(acme.service acme-worker@1.service)
    before=$(pids)
    # Its socket, which is new in 1.1, is not to be opened here.
    guest systemctl start acme-shut.service
    # Somebody else's words for the same opening.
    printf '[Unit]\nAfter=local-fs.target\n[Socket]\nRemoveOnStop=yes\nListenStream = /run/acme.sock\n' >"$root/usr/lib/systemd/system/acme.socket"
    opened=$(property acme.socket ActiveEnterTimestampMonotonic)
    upgrade "warning: /etc/sysconfig/acme created as /etc/sysconfig/acme.rpmnew" 1.1
    restarted "$before"
    is 'when the socket was opened' "$(property acme.socket ActiveEnterTimestampMonotonic)" "$opened"
    unit_is acme-plain.service 'inactive disabled'
    unit_is acme-late.service 'active enabled'
    unit_is acme-shut.socket 'inactive disabled'
    unit_is acme-shut.service 'active static'
    is 'the dropped unit' "$(property acme-old.service ActiveState)" inactive
    [ ! -h "$root$links/multi-user.target.wants/acme-old.service" ] || fault 'the dropped unit is enabled'
    is 'the configuration' "$(tail -n 1 "$root/etc/sysconfig/acme")" '# mine'
    rm "$root/etc/sysconfig/acme.rpmnew" "$root/var/log/acme-said"
    no_notes

    about='failing check'
    guest systemctl enable --quiet --now acme-plain.service
    running+=(acme-plain.service acme-late.service)
    before=$(pids)
    touch "$root/etc/acme-broken"
    upgrade 'no service was started or restarted' 1.2
    is 'what runs' "$(pids)" "$before"
    unit_is acme-later.service 'inactive disabled'

    about='recovery'
    rm "$root/etc/acme-broken"
    rm -f "$root/etc/sysconfig/acme.rpmnew"
    upgrade '' 1.2
    restarted "$before"
    unit_is acme-later.service 'active enabled'
    no_notes

    about=downgrade
    rm -f "$root/var/log/acme-said"
    # an older version does not know of units that newer ones have
    guest systemctl disable --quiet --now acme-later.service acme-late.service
    running=(acme.service acme-plain.service acme-worker@1.service)
    before=$(pids)
    upgrade "warning: /etc/sysconfig/acme created as /etc/sysconfig/acme.rpmnew" 1.0
    restarted "$before"
    unit_is acme-old.service 'active enabled'
    said 'before-upgrade upgrade 1.0-1' 'after-upgrade upgrade 1.0-1'
    guest systemctl --quiet disable acme-old.service
    guest systemctl --quiet mask acme-old.service

    about='failing before-remove'
    touch "$root/etc/acme-fail-before-remove"
    before=$(pids)
    change 'before-remove failed with status 1' -e acme
    restarted "$before"
    unit_is acme.socket 'active enabled'
    unit_is acme-worker@1.service 'active enabled'
    rm "$root/etc/acme-fail-before-remove"

    about=remove
    change 'warning: /etc/sysconfig/acme saved as /etc/sysconfig/acme.rpmsave' -e acme
    said 'before-remove remove 1.0-1' 'after-remove remove 1.0-1'
    for unit in acme.socket acme-tick.timer acme-bad.service "${running[@]}"; do
        is "$unit" "$(property "$unit" ActiveState) $(property "$unit" LoadState)" 'inactive not-found'
    done
    is 'what is left of links' "$(find "$root$links" -name 'acme*' -printf '%f %l\n')" 'acme-old.service /dev/null'
    guest id acme >/dev/null || fault 'the account is gone'
    no_notes
    rm "$root$links/acme-old.service"

    about='install with a failing check'
    touch "$root/etc/acme-broken"
    change 'a check failed with status 1' -i /srv/1.1.rpm
    unit_is acme-plain.service 'inactive disabled'
    about='upgrade after it'
    rm "$root/etc/acme-broken"
    upgrade '' 1.2
    for unit in acme.socket acme-plain.service acme-late.service acme-later.service; do unit_is $unit 'active enabled'; done
    no_notes
}

"$mode"
[ "$faults" = 0 ] || exit 1
