#!/bin/bash
# The life of acme-notes (fixtures/projects/acme-notes) on a Debian release, under apt and systemd.
#
#   services.sh ROOT DIR ARCHIVES
#
# Runs as root in a mount and process namespace of its own (services.rs starts it so). ROOT is only read. DIR has
# 1.0.deb, 1.1.deb and 1.2.deb: 1.0 has a conffile that later ones lack, 1.2 a service that earlier ones lack. ARCHIVES
# keeps what apt downloads for the next run. Prints numbers, and what is wrong after `FAULT`. Exit status: 0 nothing,
# 1 the package, 2 this script or the network.
set -Eeuo pipefail
trap '[ "$BASH_SUBSHELL" != 0 ] || { echo "services.sh: line $LINENO failed" >&2; exit 2; }' ERR
root=$1 dir=$2 archives=$3
here=$(dirname "$0")

# shellcheck source=tests/real/copy.sh
. "$here/copy.sh"
# shellcheck source=tests/real/guest.sh
. "$here/guest.sh"
# shellcheck source=tests/real/faults.sh
. "$here/faults.sh"
# shellcheck source=tests/real/life.sh
. "$here/life.sh"

etc=/etc/acme-notes

# --- the life, one step after the other ------------------------------------------------------------------------------

fresh_install() {
    local entry
    begin 'fresh install'
    move_to 1.0
    unit_is acme-notes.service 'inactive static'
    unit_is acme-notes-tick.service 'inactive static'
    serves 1.0
    said "$(line before-install install '>1.0-1'; line after-install install '>1.0-1')"
    # Without a service there is nothing to live with.
    [ "$faults" = 0 ] || exit 1
    entry=$(guest getent passwd acme-notes | cut -d: -f6-)
    is 'home and shell' "$entry" /var/lib/acme-notes:/usr/sbin/nologin
    is 'the state directory' "$(guest stat -c '%U:%G' /var/lib/acme-notes)" acme-notes:acme-notes
    is 'who runs it' "$(guest ps -o user= -p "$(property acme-notes-plain.service MainPID)")" acme-notes
    guest systemctl -q enable --now acme-notes-worker@1.service
    unit_is acme-notes-worker@1.service 'active enabled'
    guest systemctl start acme-notes-tick.service || fault 'the service of the timer fails'
    is 'the tick' "$(guest cat /var/lib/acme-notes/ticks)" 1.0
}

units_are_sound() {
    local unit found most score
    begin 'systemd-analyze'
    mapfile -t units < <(guest dpkg -L "$package" | grep '^/usr/lib/systemd/system/.*\.')
    for unit in "${units[@]}"; do
        found=$(guest systemd-analyze verify "${unit/@./@1.}" 2>&1) || true
        [ -z "$found" ] || fault "systemd-analyze verify $unit" "$found"
    done
    # What is looked at differs between releases of systemd; the numbers of the documentation are those of 252.
    for unit in acme-notes.service:32 acme-notes-plain.service:32 acme-notes-worker@1.service:13 acme-notes-tick.service:13; do
        most=${unit##*:} unit=${unit%:*}
        score=$(guest systemd-analyze security --no-pager "$unit" | sed -n 's/.*exposure level for .*: \([0-9.]*\) .*/\1/p')
        echo "    exposure of $unit: $score"
        [[ $(property "$unit" Id) != '' && $score =~ ^[0-9]+\.[0-9]$ ]] || fault "no exposure of $unit"
        if [[ $(guest systemctl --version) == 'systemd 252'* ]] && [ "${score/./}" -gt "$most" ]; then fault "exposure of $unit is $score"; fi
    done
}

reinstall() {
    local before
    begin reinstall
    before=$(pids)
    change --reinstall install /srv/1.0.deb
    serves 1.0
    restarted "$before"
    said "$(line before-upgrade upgrade '1.0-1>1.0-1'; line after-upgrade upgrade '1.0-1>1.0-1')"
}

upgrade_with_edits() {
    local before
    begin 'upgrade with edited configuration'
    guest sed -i 's/Hello/Howdy/' $etc/notes.ini
    guest sh -c 'echo "ACME_NOTES_EDIT=1" >>/etc/default/acme-notes'
    before=$(pids)
    options=(-o Dpkg::Options::=--force-confold)
    move_to 1.1
    options=()
    serves 1.1 Howdy
    restarted "$before"
    guest grep -q ACME_NOTES_EDIT /etc/default/acme-notes || fault 'the edit of the environment is lost'
    # dpkg leaves what a new version no longer has, and says so in its database.
    if guest test -e $etc/old.ini; then
        # shellcheck disable=SC2016
        guest dpkg-query -W -f '${Conffiles}' "$package" | grep -q "$etc/old.ini .* obsolete" || fault 'the old conffile is not obsolete'
    fi
    said "$(line before-upgrade upgrade '1.0-1>1.1-1'; line after-upgrade upgrade '1.0-1>1.1-1')"
}

downgrade() {
    local before
    begin downgrade
    before=$(pids)
    options=(-o Dpkg::Options::=--force-confold)
    move_to 1.0
    options=()
    serves 1.0 Howdy
    restarted "$before"
    guest sed -i 's/Howdy/Hello/' $etc/notes.ini
    guest rm -f $etc/notes.ini.dpkg-dist
    said "$(line before-upgrade upgrade '1.1-1>1.0-1'; line after-upgrade upgrade '1.1-1>1.0-1')"
}

decisions_of_an_administrator() {
    begin 'units an administrator disabled, masked or stopped'
    guest systemctl -q disable --now acme-notes-plain.service
    guest systemctl stop acme-notes-tick.timer acme-notes.socket acme-notes.service
    guest systemctl -q mask acme-notes-tick.timer
    move_to 1.1
    unit_is acme-notes-plain.service 'inactive disabled'
    unit_is acme-notes-tick.timer 'inactive masked'
    unit_is acme-notes.socket 'active enabled'
    guest systemctl -q unmask acme-notes-tick.timer
    guest systemctl -q enable --now acme-notes-plain.service acme-notes-tick.timer
    change --reinstall install /srv/1.1.deb
    serves 1.1
    guest rm -f /var/log/acme-notes-scripts
}

service_that_cannot_start() {
    begin 'a service that cannot start'
    guest sh -c 'echo "ACME_NOTES_MIGRATION=broken" >>/etc/default/acme-notes'
    change --reinstall install /srv/1.1.deb
    status_is 'ii 1.1-1'
    [ "$(property acme-notes-plain.service ActiveState)" != active ] || fault 'it runs'
    is 'the other service' "$(ask 8080)" '1.1 Hello'
    guest sed -i /ACME_NOTES/d /etc/default/acme-notes
    guest systemctl reset-failed
    change --reinstall install /srv/1.1.deb
    serves 1.1
    guest rm -f /var/log/acme-notes-scripts
}

check_that_fails() {
    local before
    begin 'a check that fails'
    before=$(pids)
    guest touch $etc/broken
    guest sh -c 'echo "ACME_NOTES_SITE=Toledo" >>/etc/default/acme-notes'
    fails_to 1.2 'acme-notes-check: /etc/acme-notes/broken is in the way of 1.2, says acme-notes of Toledo'
    status_is 'iF 1.2-1'
    kept "$before"
    is 'the answer' "$(ask_all)" '1.1 Hello'
    settled
    guest sed -i /ACME_NOTES/d /etc/default/acme-notes
    guest rm $etc/broken
    move_to 1.0
    serves 1.0
    restarted "$before"
    guest rm -f /var/log/acme-notes-scripts
}

snippet_that_fails() {
    local before log
    begin 'a snippet that fails after unpacking'
    before=$(pids)
    guest touch $etc/fail-after-upgrade
    fails_to 1.1 'after-upgrade fails, as it was told to'
    status_is 'iF 1.1-1'
    kept "$before"
    is 'the answer' "$(ask_all)" '1.0 Hello'
    guest rm $etc/fail-after-upgrade
    log=$(guest dpkg --configure -a 2>&1) || fault 'dpkg --configure' "$log"
    serves 1.1
    restarted "$before"
    guest rm -f /var/log/acme-notes-scripts
}

upgrade_that_is_given_up() {
    local before
    begin 'a snippet that fails before unpacking'
    before=$(pids)
    guest touch $etc/fail-before-upgrade
    fails_to 1.2 'before-upgrade fails, as it was told to'
    serves 1.1
    kept "$before"
    guest rm $etc/fail-before-upgrade
    guest rm -f /var/log/acme-notes-scripts
}

skip_a_version() {
    local before
    begin 'upgrades that skip a version'
    move_to 1.0
    before=$(pids)
    move_to 1.2
    serves 1.2
    restarted "$before"
    is 'the answer at the new address' "$(ask 8083)" '1.2 Hello'
    enabled+=(acme-notes-late.service)
    unit_is acme-notes-late.service 'active enabled'
    guest rm -f /var/log/acme-notes-scripts
}

upgrade_under_load() {
    local log
    begin 'upgrade under load'
    move_to 1.0
    guest python3 -B /srv/client.py press /srv/stop 8080 /run/acme-notes.sock 8081 >"$scratch/pressure" 2>&1 &
    sleep 1
    move_to 1.1
    sleep 1
    guest touch /srv/stop
    wait $! || fault 'the client' "$(cat "$scratch/pressure")"
    sed 's/^/    /' "$scratch/pressure"
    serves 1.1
    for log in 8080 /run/acme-notes.sock; do
        grep -qE "^$log: [0-9]{3,} requests, 0 failed, .* versions 1\.0 1\.1 *$" "$scratch/pressure" || fault "requests to $log were lost" "$(cat "$scratch/pressure")"
    done
    guest rm -f /var/log/acme-notes-scripts
}

removal_that_is_given_up() {
    local log
    begin 'a snippet that fails before removing'
    guest touch $etc/fail-before-remove
    if log=$(apt remove "$package"); then fault 'apt does not fail' "$log"; fi
    [[ $log == *'before-remove fails, as it was told to'* ]] || fault 'apt does not say why' "$log"
    serves 1.2
    unit_is acme-notes-worker@1.service 'active enabled'
    guest rm $etc/fail-before-remove
    guest rm -f /var/log/acme-notes-scripts
}

remove() {
    local unit left log
    begin remove
    guest dpkg -L "$package" | sort >"$scratch/listed"
    # shellcheck disable=SC2016
    guest dpkg-query -W -f '${Conffiles}\n' "$package" | awk 'NF {print $1}' >"$scratch/conffiles"
    log=$(apt remove "$package") || fault 'apt remove' "$log"
    if grep -aE 'not empty so not removed|[Ww]arning' <<<"$log" >/dev/null; then fault 'apt remove complains' "$log"; fi
    status_is 'rc 1.2-1'
    for unit in "${running[@]}" "${enabled[@]}"; do
        is "$unit" "$(property "$unit" ActiveState) $(property "$unit" LoadState)" 'inactive not-found'
    done
    settled
    is 'processes that stay' "$(guest ps -u acme-notes -o args= || true)" ''
    left=$(grep -vxFf "$scratch/conffiles" "$scratch/listed" | while IFS= read -r path; do [ ! -f "$root$path" ] || echo "$path"; done)
    [ -z "$left" ] || fault 'files stay' "$left"
    guest test -e $etc/notes.ini || fault 'the configuration is gone'
    guest test -e /var/lib/acme-notes/requests || fault 'the state is gone'
    said "$(line before-remove remove '>1.2-1'; line after-remove remove '>1.2-1')"
}

install_after_remove() {
    begin 'install after remove'
    move_to 1.2
    serves 1.2
    guest systemctl start acme-notes-worker@1.service
    # dpkg remembers the version it removed, whose state is still there.
    said "$(line before-install install '>1.2-1'; line after-upgrade upgrade '1.2-1>1.2-1')"
}

purge() {
    local log
    begin 'purge after running as root and as the service'
    # With other optimisation Python looks for byte code the package does not have, and as root it writes some.
    for user in root acme-notes; do
        guest setpriv --reuid="$user" --regid="$user" --clear-groups env STATE_DIRECTORY=/tmp \
            /opt/acme-notes/bin/python -O -c 'import acme_notes.wsgi, acme_notes.cli, gunicorn.app.wsgiapp' || fault "it does not run as $user"
    done
    guest systemctl -q disable acme-notes-worker@1.service
    log=$(apt purge "$package") || fault 'apt purge' "$log"
    if grep -aE 'not empty so not removed|[Ww]arning' <<<"$log" >/dev/null; then fault 'apt purge complains' "$log"; fi
    guest rm -f /var/log/acme-notes-scripts
    is 'units systemd knows' "$(guest systemctl list-units --all --no-legend 'acme-notes*' && guest systemctl list-unit-files --no-legend 'acme-notes*')" ''
    settled
    nothing_left acme-notes
}

# as images and containers are made
install_without_systemd() {
    local log before
    begin 'install in a chroot'
    halt
    enabled=(acme-notes.socket acme-notes-plain.service acme-notes-tick.timer)
    for version in 1.0 1.1; do
        log=$(inside apt-get -q -y install "/srv/$version.deb" 2>&1) || fault "apt install $version" "$log"
        if grep -aE 'System has not been booted|[Ff]ailed|[Ww]arning|rror' <<<"$log" >/dev/null; then fault 'apt complains' "$log"; fi
    done
    is 'processes that run' "$(pgrep -f /opt/acme-notes || true)" ''
    is 'what is enabled' "$(inside systemctl is-enabled "${enabled[@]}" | sort -u)" enabled
    begin 'the first boot of what was made in a chroot'
    boot
    running=(acme-notes.service acme-notes-plain.service)
    serves 1.1
    before=$(pids)
    begin 'install where policy forbids to start anything'
    guest sh -c 'printf "#!/bin/sh\nexit 101\n" >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d'
    move_to 1.2
    kept "$before"
    is 'the service that is new' "$(property acme-notes-late.service ActiveState)" inactive
    halt
    begin 'remove and purge in a chroot'
    log=$(inside apt-get -q -y purge "$package" 2>&1) || fault 'apt purge' "$log"
    if grep -aE 'System has not been booted|[Ff]ailed|[Ww]arning|rror' <<<"$log" >/dev/null; then fault 'apt complains' "$log"; fi
    rm -f "$root/usr/sbin/policy-rc.d" "$root/var/log/acme-notes-scripts"
}

make_copy "$root"
mkdir -p "$root/srv"
cp "$dir"/*.deb "$here/services/client.py" "$root/srv/"
chmod -R a+rX "$root/srv"
install_needs "$archives" /srv/1.2.deb || exit
# Lists of packages nobody needs any more make apt slow.
rm -rf "$root"/var/lib/apt/lists/* "$root"/etc/apt/sources.list.d/*
: >"$root/etc/apt/sources.list"
boot
snapshot >"$scratch/before"
accounts=$(guest cut -d: -f1 /etc/passwd | sort)

fresh_install
units_are_sound
reinstall
upgrade_with_edits
downgrade
decisions_of_an_administrator
service_that_cannot_start
check_that_fails
snippet_that_fails
upgrade_that_is_given_up
upgrade_under_load
skip_a_version
removal_that_is_given_up
remove
install_after_remove
purge
install_without_systemd
begin 'the end'
[ "$faults" = 0 ] || exit 1
