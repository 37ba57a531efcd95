#!/bin/bash
# A root file system with systemd as its process 1, for scripts to source that run as root in a mount and process
# namespace of their own and have made a copy to boot (copy.sh). The root file system needs systemd-sysv and dbus.
#
#   boot                                  starts systemd in `root`, without a network; returns when all has started
#   guest PROGRAM...                      runs a program there, with what an administrator's shell has
#   halt                                  shuts down; `inside` of copy.sh works again. Called by `leave`, too
#   property UNIT NAME                    prints a property of a unit

# shellcheck disable=SC2154  # `scratch` and `root` are those of copy.sh
booted=''   # systemd's process id, as this script sees it

boot() {
    local nspawn attempt state
    machine=mkpkg-$(basename "$scratch" | tr -dc '[:alnum:]')
    # that of this namespace, not of the host
    mount -t proc proc /proc
    umount --recursive "$root/proc" "$root/dev" "$root/tmp"
    quiet_machine
    # Where the host mounts control groups the old way, the guest gets the new one all the same: systemd 247 to 257 have it.
    umount --recursive /sys/fs/cgroup 2>/dev/null || true # where it is mounted at all
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    mkdir "/sys/fs/cgroup/$machine"
    (
        echo "$BASHPID" >"/sys/fs/cgroup/$machine/cgroup.procs"
        exec systemd-nspawn --boot --quiet --register=no --keep-unit --private-network --console=pipe --link-journal=no \
            --resolv-conf=off --timezone=off --machine="$machine" --directory="$root"
    ) </dev/null >"$scratch/console" 2>&1 &
    nspawn=$!
    for ((attempt = 0; attempt < 600; attempt++)); do
        kill -0 "$nspawn" 2>/dev/null || break
        booted=$(awk '{print $1}' "/proc/$nspawn/task/$nspawn/children" 2>/dev/null) || true
        if [ -n "$booted" ] && guest test -S /run/dbus/system_bus_socket 2>/dev/null; then break; fi
        booted=''
        sleep 0.1
    done
    [ -n "$booted" ] || { echo 'the guest does not boot:'; tail -n 30 "$scratch/console"; return 2; }
    state=$(guest timeout 60 systemctl is-system-running --wait) ||
        { echo "the guest is $state:"; guest systemctl --failed --no-legend --plain; return 2; }
}

# What changes files on its own, or waits for a network, is masked; the machine has been started before.
quiet_machine() {
    local unit
    for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
        fstrim.timer systemd-networkd.service systemd-resolved.service systemd-timesyncd.service; do
        ln -sf /dev/null "$root/etc/systemd/system/$unit"
    done
    echo 6d6b706b672d746573742d6d61636869 >"$root/etc/machine-id"
}

guest() {
    nsenter --target "$booted" --all --root --wd -- env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        HOME=/root TERM=dumb LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive SYSTEMD_COLORS=0 SYSTEMD_URLIFY=0 SYSTEMD_PAGER=cat \
        "$@" </dev/null
}

halt() {
    local attempt
    [ -n "${machine:-}" ] || return 0
    [ -z "$booted" ] || guest systemctl poweroff >/dev/null 2>&1 || true
    booted=''
    for ((attempt = 0; attempt < 150; attempt++)); do
        grep -q 'populated 1' "/sys/fs/cgroup/$machine/cgroup.events" || break
        sleep 0.1
    done
    [ "$attempt" -lt 150 ] || echo 1 >"/sys/fs/cgroup/$machine/cgroup.kill" || true
    wait
    find "/sys/fs/cgroup/$machine" -depth -type d -exec rmdir {} + || true
    furnish_copy
    machine=''
}

property() { guest systemctl show --property="$2" --value "$1"; }
