#!/bin/bash
# The functions with which services.sh and releases.sh look at acme-notes (fixtures/projects/acme-notes), for scripts to
# source that have made a copy to boot (copy.sh, guest.sh) and count what is wrong (faults.sh).

# shellcheck disable=SC2154  # `scratch` and `root` are those of copy.sh
package=acme-notes
# what runs or waits wherever the package is installed; the service of a socket comes with the first request
enabled=(acme-notes.socket acme-notes-plain.service acme-notes-tick.timer)
running=(acme-notes.service acme-notes-plain.service acme-notes-worker@1.service)

begin() {
    about=$1
    printf '%3d s  %s\n' "$SECONDS" "$about"
    # An administrator does not upgrade five times within ten seconds; systemd would start nothing any more
    # (systemd.unit(5), "StartLimitBurst=").
    [ -z "${machine:-}" ] || guest systemctl reset-failed
}

# --- what is done ----------------------------------------------------------------------------------------------------

# apt WHAT...: as an administrator without a terminal, who keeps a configuration that was edited
apt() {
    guest apt-get -q -y --no-install-recommends --allow-downgrades "${options[@]}" "$@" 2>&1
}
options=()
expected='warning: downgrading' # a pattern of what apt may complain of
change() {
    local log
    log=$(apt "$@") || { fault "apt $*" "$log"; guest dpkg --configure -a >/dev/null 2>&1 || true; }
    log=$(grep -avE "$expected" <<<"$log")
    if grep -aE '[Ww]arning|[Tt]raceback|Failed to |No such file|not found' <<<"$log" >/dev/null; then fault "apt $* complains" "$log"; fi
}
move_to() { change install "/srv/$1.deb"; }
# fails_to VERSION TEXT: apt fails, and says why
fails_to() {
    local log
    if log=$(apt install "/srv/$1.deb"); then fault "apt does not fail" "$log"; fi
    [[ $log == *"$2"* ]] || fault "apt does not say \`$2\`" "$log"
}
ask() { guest python3 -B /srv/client.py ask "$1" 2>&1 | tail -n 1; }
ask_all() { local address; for address in 8080 /run/acme-notes.sock 8081; do ask $address; done | sort -u; }
pids() { local unit; for unit in "${running[@]}"; do echo "$unit $(property "$unit" MainPID)"; done; }

# --- what must hold --------------------------------------------------------------------------------------------------

status_is() {
    local found
    # shellcheck disable=SC2016
    found=$(guest dpkg-query -W -f '${db:Status-Abbrev}${Version}' "$package" 2>&1) || true
    [[ $found == "$1" ]] || fault "dpkg's status is \`$found\`, not \`$1\`"
}
unit_is() {
    local found
    found="$(property "$1" ActiveState) $(guest systemctl is-enabled "$1" 2>/dev/null || true)"
    [ "$found" = "$2" ] || fault "$1 is \`$found\`, not \`$2\`" "$(guest journalctl -q --no-pager -o cat -n 15 -u "$1" 2>&1)"
}
settled() {
    local failed
    failed=$(guest systemctl --failed --no-legend --plain)
    [ -z "$failed" ] || fault 'units have failed' "$failed"
}
# serves VERSION [GREETING]: all is well with an installed package
serves() {
    local unit found
    status_is "ii $1-1"
    found=$(guest dpkg --audit 2>&1) || true
    [ -z "$found" ] || fault 'dpkg --audit' "$found"
    found=$(guest dpkg -V "$package" 2>&1 | grep -v ' c /etc') || true
    [ -z "$found" ] || fault 'dpkg -V' "$found"
    is 'the answer' "$(ask_all)" "$1 ${2:-Hello}"
    for unit in "${enabled[@]}"; do unit_is "$unit" 'active enabled'; done
    for unit in "${running[@]}"; do is "$unit" "$(property "$unit" NRestarts)" 0; done
    settled
}
# restarted WHEN-IT-WAS, kept WHEN-IT-WAS: each running service got a new process, or has the one it had
restarted() {
    local unit pid now
    while read -r unit pid; do
        now=$(property "$unit" MainPID)
        if [ "$pid" = 0 ] || [ "$now" = 0 ] || [ "$now" = "$pid" ]; then fault "$unit was not restarted: $pid, then $now"; fi
    done <<<"$1"
}
kept() { is 'what runs' "$(pids)" "$1"; }
# said LINES: what the snippets wrote since the last call
said() {
    is 'what the snippets wrote' "$(guest cat /var/log/acme-notes-scripts 2>/dev/null || true)" "$1"
    guest rm -f /var/log/acme-notes-scripts
}
line() { echo "$1: $2 acme-notes $3 deb acme-notes /opt/acme-notes"; }

# --- every path that a package could leave, with its type, mode, owner, and size and time or target ------------------
ignored=(
    srv/ 'var/(cache|lib)/apt/' 'var/log/(apt/|dpkg\.log|alternatives\.log|journal/|wtmp|btmp|lastlog)' 'var/cache/(debconf|ldconfig)/'
    etc/ld.so.cache 'var/lib/dpkg/(status|available|lock|lock-frontend|triggers/.*|updates/.*|diversions|statoverride)(-old)?'
    'etc/(passwd|group|shadow|gshadow|subuid|subgid)-?'$'\t' etc/.pwd.lock var/lib/systemd/random-seed 'usr/lib/python3[.0-9]*/(.*/)?__pycache__'
    var/lib/systemd/timers$'\t' # systemd's, for stamps of timers
    opt$'\t' # dpkg removes it when it is empty
)
snapshot() {
    find "$root" -xdev -mindepth 1 \( -path "$root/proc" -o -path "$root/dev" -o -path "$root/tmp" -o -path "$root/run" \) -prune \
        -o -type d -printf '%P\t%y %m %u:%g\n' -o -type f -printf '%P\t%y %m %u:%g %s %T@\n' -o -printf '%P\t%y %u:%g %l\n' |
        grep -avE "^($(IFS='|'; echo "${ignored[*]}"))" | LC_ALL=C sort
}
# nothing_left ACCOUNT...: as it was before all, but for these accounts
nothing_left() {
    local left
    snapshot >"$scratch/after"
    left=$(diff --unchanged-line-format= --old-line-format='was: /%L' --new-line-format='is:  /%L' "$scratch/before" "$scratch/after" || true)
    [ -z "$left" ] || fault 'the file system differs from before' "$left"
    left=$(comm -13 <(echo "$accounts") <(guest cut -d: -f1 /etc/passwd | sort) | xargs)
    is 'accounts that stay' "$left" "$*"
}
