#!/bin/bash
# The life of one package in a throw-away copy of a root file system: install with apt, run, remove, install, purge.
#
#   lifecycle.sh ROOT DEB CHECKS ARCHIVES
#
# Runs as root in a mount and process namespace of its own (lifecycle.rs starts it so). ROOT is only read. CHECKS has
# one check a line: text the output must contain, a tab, a shell command that must succeed. ARCHIVES keeps what apt
# downloads for the next run. Prints what is wrong. Exit status: 0 nothing, 1 the package, 2 this script or the network.
set -euo pipefail
trap 'echo "lifecycle.sh: line $LINENO failed" >&2; exit 2' ERR
root=$1 deb=$2 checks=$3 archives=$4

# shellcheck source=tests/real/copy.sh
. "$(dirname "$0")/copy.sh"
# shellcheck source=tests/real/faults.sh
. "$(dirname "$0")/faults.sh"
make_copy "$root"
cp "$deb" "$root/tmp/package.deb"
chmod 644 "$root/tmp/package.deb"
package=$(dpkg-deb --field "$deb" Package)

about=$package
apt=(apt -q -y --no-install-recommends)

# --- what the package needs comes first, so that its own traces can be told from theirs -----------------------------
install_needs "$archives" /tmp/package.deb || exit

# --- every path that a package could leave, with its type, mode, owner, and size and time or target ----------------
ignored=(
    'var/(cache|lib)/apt/' 'var/log/(apt/|dpkg\.log|alternatives\.log)' 'var/cache/(debconf|ldconfig)/' etc/ld.so.cache
    'var/lib/dpkg/(status|available|lock|lock-frontend|triggers/.*|updates/.*|diversions|statoverride)(-old)?'
    'etc/(passwd|group|shadow|gshadow|subuid|subgid)-?' 'usr/lib/python3[.0-9]*/(.*/)?__pycache__' opt$'\t'
)
snapshot() {
    find "$root" -xdev -mindepth 1 \( -path "$root/proc" -o -path "$root/dev" -o -path "$root/tmp" -o -path "$root/run" \) -prune \
        -o -type d -printf '%P\t%y %m %u:%g\n' -o -type f -printf '%P\t%y %m %u:%g %s %T@\n' -o -printf '%P\t%y %u:%g %l\n' |
        grep -avE "^($(IFS='|'; echo "${ignored[*]}"))" | LC_ALL=C sort
}
snapshot >"$scratch/before"

# --- install, look, run, look again ----------------------------------------------------------------------------------
sound() {
    local found
    # shellcheck disable=SC2016
    found=$(inside dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>&1) || true
    [ "$found" = 'ii ' ] || fault "$1: dpkg's status is \`$found\`"
    found=$(inside dpkg --audit 2>&1) || true
    [ -z "$found" ] || fault "$1: dpkg --audit" "$found"
    found=$(inside dpkg -V "$package" 2>&1) || true
    [ -z "$found" ] || fault "$1: dpkg -V" "$found"
    found=$(debsums --root="$root" --all --silent "$package" 2>&1) || true
    [ -z "$found" ] || fault "$1: debsums" "$found"
}
install() {
    local log
    log=$(inside "${apt[@]}" install /tmp/package.deb 2>&1) || { fault "$1: apt install" "$log"; exit 1; }
    if grep -aE '^(dpkg: )?warning' <<<"$log" >/dev/null; then fault "$1: warnings" "$log"; fi
    sound "$1"
}
# run_checks WHEN [COUNT]: all of them, or the first few
run_checks() {
    local want command output first=''
    while IFS=$'\t' read -r want command; do
        output=$(inside timeout 120 bash -c "cd \"\$(mktemp -d)\" && $command" 2>&1) ||
            { fault "$1: \`$command\` failed with status $?" "$output"; continue; }
        [[ $output == *"$want"* ]] || fault "$1: \`$command\` did not print \`$want\`" "$output"
        # With other optimisation Python looks for byte code the package does not have, and as root it writes some.
        [ -z "$first" ] || continue
        first=yes
        inside timeout 120 bash -c "cd \"\$(mktemp -d)\" && export PYTHONOPTIMIZE=1 && $command" >/dev/null 2>&1 || true
    done < <(head -n "${2:--0}" "$checks")
}
install install
run_checks 'after install'
sound 'after running'
log=$(inside "${apt[@]}" --reinstall install /tmp/package.deb 2>&1) || fault 'reinstall' "$log"
sound 'after reinstall'

# --- remove, and nothing is there; install and purge, and nothing was ever there ------------------------------------
inside dpkg -L "$package" >"$scratch/listed"
# shellcheck disable=SC2016
inside dpkg-query -W -f '${Conffiles}\n' "$package" | awk 'NF {print $1}' >"$scratch/conffiles"
log=$(inside "${apt[@]}" remove "$package" 2>&1) || fault remove "$log"
if grep -aE 'not empty so not removed' <<<"$log" >/dev/null; then fault 'remove: directories stay' "$log"; fi
left=$(grep -vxFf "$scratch/conffiles" "$scratch/listed" | while IFS= read -r path; do [ ! -f "$root$path" ] || echo "$path"; done)
[ -z "$left" ] || fault 'remove: files stay' "$left"
install 'install after remove'
run_checks 'after install after remove' 1
log=$(inside "${apt[@]}" purge "$package" 2>&1) || fault purge "$log"
snapshot >"$scratch/after"
left=$(diff --unchanged-line-format= --old-line-format='was: /%L' --new-line-format='is:  /%L' "$scratch/before" "$scratch/after" || true)
[ -z "$left" ] || fault 'purge: the file system differs from before' "$left"
[ "$faults" = 0 ] || exit 1
