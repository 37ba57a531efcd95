#!/bin/bash
# The life of acme-notes (fixtures/projects/acme-notes) with releases side by side, on a Debian release with systemd.
#
#   releases.sh deb|rpm ROOT DIR ARCHIVES
#
# Runs as root in a mount and process namespace of its own (services.rs starts it so). ROOT is only read, and has rpm for
# packages of that format. DIR has the packages of 1.0, 1.1 and 1.2 with `layout = "releases"`, and one of 1.0 that is
# plain and earlier. ARCHIVES keeps what apt downloads for the next run. Prints the steps, and what is wrong after
# `FAULT`. Exit status: 0 nothing, 1 the packages, 2 this script or the network.
set -Eeuo pipefail
trap '[ "$BASH_SUBSHELL" != 0 ] || { echo "releases.sh: line $LINENO failed" >&2; exit 2; }' ERR
format=$1 root=$2 dir=$3 archives=$4
here=$(dirname "$0")

# shellcheck source=tests/real/copy.sh
. "$here/copy.sh"
# shellcheck source=tests/real/guest.sh
. "$here/guest.sh"
# shellcheck source=tests/real/faults.sh
. "$here/faults.sh"
# shellcheck source=tests/real/life.sh
. "$here/life.sh"

home=/opt/acme-notes
# what Debian lacks and rpm makes, and what rpm leaves without a purge
ignored+=($'etc/sysconfig\t' $'usr/share/licenses\t' $'var/lib/rpm(-state)?[/\t]' var/lib/systemd/timers/)
running=(acme-notes.service acme-notes-plain.service)

# --- what is done, in the words of each package manager --------------------------------------------------------------

# names of packages come with their version: acme-notes=1.1-1
deb_get() { apt install "$@"; }
deb_take() { apt purge "$@"; }
# Debian's rpm has no repositories: what an application needs is named with it.
rpm_get() {
    local files=() name
    for name in "$@"; do
        name=${name%-*}
        files+=("/srv/acme-notes-${name#*=}-1.noarch.rpm" "/srv/acme-notes-${name#*=}-${name#*=}-1.noarch.rpm")
    done
    guest rpm "${rpm[@]}" -U --oldpackage --replacepkgs "${files[@]}" 2>&1
}
rpm_take() { guest rpm "${rpm[@]}" -e "$@" 2>&1; }
rpm=(--dbpath /var/lib/rpm --nodeps --force-debian)

# done_well WHAT...: it succeeds, and does not complain
done_well() {
    local log
    log=$("${format}_$1" "${@:2}") || fault "$* fails" "$log"
    log=$(grep -av 'warning: downgrading\|created as .*rpmnew\|saved as .*rpmsave' <<<"$log" || true)
    if grep -aE '[Ww]arning|[Tt]raceback|[Ff]ailed|No such file|not found|rror:' <<<"$log" >/dev/null; then fault "$* complains" "$log"; fi
}
move_to() { done_well get "$package=$1-1"; }
# the one command, and the one after it
choose() {
    guest update-alternatives --set "$package-release" "$home/releases/$1" >/dev/null || fault "$1 cannot be chosen"
    guest systemctl try-restart 'acme-notes*.service'
}

# --- what must hold --------------------------------------------------------------------------------------------------

current_is() { is 'the current release' "$(guest readlink -f $home/current)" "$home/releases/$1"; }
releases_are() { is 'the releases' "$(guest ls $home/releases | xargs)" "$*"; }
# runs VERSION: it is current and answers, by its own files
runs() {
    local unit
    current_is "$1"
    is 'the answer' "$(ask_all)" "$1 Hello"
    for unit in "${enabled[@]}"; do unit_is "$unit" 'active enabled'; done
    is 'the command' "$(guest readlink -f /usr/bin/acme-notes-check)" "$home/releases/$1/bin/acme-notes-check"
    settled
}
# What is in the database is on the disk as it was packed.
whole() {
    local found
    if [ "$format" = deb ]; then
        found=$(guest dpkg -V "$@" 2>&1 | grep -v ' c /etc') || true
        found+=$(guest dpkg --audit 2>&1) || true
    else
        found=$(guest rpm "${rpm[@]}" -V "$@" 2>&1 | grep -v ' c /etc') || true
    fi
    [ -z "$found" ] || fault 'files are not as they were packed' "$found"
}

# --- the life, one step after the other ------------------------------------------------------------------------------

fresh_install() {
    begin 'fresh install'
    move_to 1.0
    runs 1.0
    releases_are 1.0
    whole acme-notes acme-notes-1.0
    [ "$faults" = 0 ] || exit 1
}

upgrade() {
    local before
    begin upgrade
    before=$(pids)
    move_to 1.1
    runs 1.1
    restarted "$before"
    releases_are 1.0 1.1
    whole acme-notes acme-notes-1.0 acme-notes-1.1
}

roll_back() {
    local before
    begin 'roll back, and reinstall'
    before=$(pids)
    choose 1.0
    runs 1.0
    restarted "$before"
    # A release that is offered again does not become the current one.
    if [ "$format" = deb ]; then
        done_well get --reinstall acme-notes-1.1=1.1-1
        runs 1.0
    fi
    move_to 1.1
    [ "$format" = rpm ] || done_well get --reinstall "$package=1.1-1"
    runs 1.1
}

failing_check() {
    local before log
    begin 'a check that fails'
    # even where an administrator asked for the best of all
    guest update-alternatives --quiet --auto "$package-release"
    before=$(pids)
    guest touch /etc/acme-notes/broken
    log=$("${format}_get" "$package=1.2-1") && [ "$format" = deb ] && fault 'it does not fail' "$log"
    [[ $log == *'acme-notes-check: /etc/acme-notes/broken is in the way of 1.2'* ]] || fault 'it does not say why' "$log"
    kept "$before"
    runs 1.1
    # Unit files are those of the new version, which systemd has not read.
    guest systemctl restart acme-notes-plain.service acme-notes.service 2>/dev/null
    runs 1.1
    releases_are 1.0 1.1 1.2
}

recovery() {
    local log
    begin recovery
    guest rm /etc/acme-notes/broken
    if [ "$format" = deb ]; then
        log=$(guest dpkg --configure -a 2>&1) || fault 'dpkg --configure' "$log"
    else
        move_to 1.2
    fi
    runs 1.2
    unit_is acme-notes-late.service 'active enabled'
    whole acme-notes acme-notes-1.0 acme-notes-1.1 acme-notes-1.2
}

downgrade() {
    begin downgrade
    guest systemctl --quiet disable --now acme-notes-late.service
    move_to 1.0
    runs 1.0
    move_to 1.2
    runs 1.2
    guest systemctl --quiet enable --now acme-notes-late.service
}

clean_up() {
    local plan log
    begin 'clean up'
    if [ "$format" = deb ]; then
        plan=$(apt -s -o 'APT::NeverAutoRemove::=^acme-notes-[0-9]' autoremove) || fault 'apt autoremove' "$plan"
        is 'what apt would remove' "$(grep '^Remv' <<<"$plan" || true)" ''
        guest apt-mark -q manual acme-notes-1.0 >/dev/null
        apt autoremove --purge >/dev/null || fault 'apt autoremove'
        releases_are 1.0 1.2
    fi
    # What is current by choice stays, whoever wants it gone, until another one is chosen.
    choose 1.0
    runs 1.0
    guest $home/releases/1.0/bin/python -O -c 'import acme_notes.wsgi, gunicorn.app.wsgiapp'
    if log=$("${format}_take" acme-notes-1.0); then fault 'the current release goes' "$log"; fi
    [[ $log == *'acme-notes-1.0 is the current release of acme-notes: '* ]] || fault 'nothing says why it stays' "$log"
    runs 1.0
    choose 1.2
    runs 1.2
    done_well take acme-notes-1.0
    current_is 1.2
    guest test ! -e $home/releases/1.0 || fault 'something is left' "$(guest find $home/releases/1.0)"
}

purge() {
    begin 'remove everything'
    guest $home/current/bin/python -O -c 'import acme_notes.wsgi, gunicorn.app.wsgiapp'
    if [ "$format" = deb ]; then
        log=$(apt purge --autoremove "$package") || fault 'apt purge' "$log"
        if grep -aE 'not empty so not removed|[Ww]arning' <<<"$log" >/dev/null; then fault 'apt purge complains' "$log"; fi
    else
        done_well take acme-notes acme-notes-1.1 acme-notes-1.2
    fi
    guest rm -rf /var/log/acme-notes-scripts
    is 'units systemd knows' "$(guest systemctl list-units --all --no-legend 'acme-notes*')" ''
    guest test ! -e $home || fault 'the directory stays' "$(guest find $home)"
    guest test ! -h /etc/alternatives/acme-notes-release || fault 'the alternative stays'
    if [ "$format" = rpm ]; then
        # rpm knows no purge: what was written and edited stays.
        guest rm -rf /var/lib/acme-notes /var/cache/acme-notes /var/log/acme-notes /etc/acme-notes
    fi
    nothing_left acme-notes
}

# the plain package of the version before all
plain() {
    if [ "$format" = deb ]; then
        deb_get "$package=1.0-0"
    else
        guest rpm "${rpm[@]}" -U --oldpackage /srv/acme-notes-1.0-0.noarch.rpm 2>&1
    fi
}

other_layout() {
    local before log
    begin 'from the plain layout, and back'
    log=$(plain) || fault 'the plain package fails' "$log"
    is 'the answer' "$(ask_all)" '1.0 Hello'
    before=$(pids)
    move_to 1.1
    runs 1.1
    restarted "$before"
    is 'what is there' "$(guest ls $home | xargs)" 'current releases'
    whole acme-notes acme-notes-1.1
    log=$(plain) || fault 'the plain package fails' "$log"
    is 'the answer' "$(ask_all)" '1.0 Hello'
    whole acme-notes acme-notes-1.1
    done_well take acme-notes
    whole acme-notes-1.1
    done_well take acme-notes-1.1
    guest test ! -e $home || fault 'the directory stays' "$(guest find $home)"
}

# as images and containers are made
without_systemd() {
    local log
    begin 'install and upgrade in a chroot'
    halt
    for version in 1.0 1.1; do
        log=$(inside apt-get -q -y install "$package=$version-1" 2>&1) || fault "apt install $version" "$log"
        if grep -aE 'System has not been booted|[Ff]ailed|[Ww]arning|rror' <<<"$log" >/dev/null; then fault 'apt complains' "$log"; fi
    done
    is 'the current release' "$(inside readlink -f $home/current)" $home/releases/1.1
    log=$(inside apt-get -q -y purge --autoremove "$package" 2>&1) || fault 'apt purge' "$log"
    [ ! -e "$root$home" ] || fault 'the directory stays'
}

# A repository of the packages, so that apt brings the release with the application.
repository() {
    local deb
    for deb in "$root"/srv/*.deb; do
        dpkg-deb -f "$deb"
        printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$(basename "$deb")" "$(stat -c %s "$deb")" "$(sha256sum "$deb" | cut -d' ' -f1)"
    done >"$root/srv/Packages"
    rm -rf "$root"/etc/apt/sources.list.d/*
    echo 'deb [trusted=yes] file:/srv ./' >"$root/etc/apt/sources.list"
    inside apt-get -q update >/dev/null 2>&1
}

make_copy "$root"
mkdir -p "$root/srv"
cp "$dir"/*."$format" "$here/services/client.py" "$root/srv/"
chmod -R a+rX "$root/srv"
if [ "$format" = deb ]; then
    install_needs "$archives" /srv/acme-notes_1.2-1_all.deb /srv/acme-notes-1.2_1.2-1_all.deb || exit
    repository
fi
boot
snapshot >"$scratch/before"
accounts=$(guest cut -d: -f1 /etc/passwd | sort)

fresh_install
upgrade
roll_back
failing_check
recovery
downgrade
clean_up
purge
other_layout
[ "$format" = rpm ] || without_systemd
begin 'the end'
[ "$faults" = 0 ] || exit 1
