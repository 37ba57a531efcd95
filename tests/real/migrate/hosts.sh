#!/bin/bash
# What migrate.sh does on a host with systemd; it sources this, and has made `root` with what dh-virtualenv made in /srv/old,
# mkpkg in /srv/out, and, for another place, in /srv/moved. Functions of life.sh tell what is wrong.

# shellcheck disable=SC2034,SC2154  # those of migrate.sh, copy.sh and life.sh
ignored+=(var/cache/man/)
units=(
    hall-server.service airpi.service airpi.socket classroom.service parcel-agent.service parcel-agent.timer
    storm-timers.service stormauth.service stormapi.service stormapi.socket stormrunner@1.service
)
# what an upgrade restarts; of airpi it says not to
restarted=(hall-server.service parcel-agent.service stormapi.service stormrunner@1.service)

# files DIRECTORY PACKAGE...: its .deb files, as the guest names them
files() { local name; for name in "${@:2}"; do (cd "$root" && echo "$1/${name}"_*.deb | sed 's,^,/,'); done; }
states() {
    local unit
    for unit in "${units[@]}"; do
        echo "$unit $(property "$unit" ActiveState) $(guest systemctl is-enabled "$unit" 2>/dev/null || true)"
    done
}
pids() { local unit; for unit in "${units[@]}"; do echo "$unit $(property "$unit" MainPID)"; done; }
pid() { awk -v unit="$1" '$1 == unit {print $2}' <<<"$2"; }
# What the process of a service wrote first: its version, and where it runs.
says() { guest journalctl -q --no-pager -o cat "_PID=$(property "$1" MainPID)" | head -n 1; }
# sound PACKAGE...: all is well with them
sound() {
    local found
    found=$(guest dpkg --audit 2>&1) || true
    [ -z "$found" ] || fault 'dpkg --audit' "$found"
    found=$(guest dpkg -V "$@" 2>&1 | grep -v ' c /etc') || true
    [ -z "$found" ] || fault 'dpkg -V' "$found"
    settled
}
# strays PACKAGE...: what no package owns in their environments, and links that lead nowhere
strays() {
    local package found
    for package; do
        found=$(guest dpkg -L "$package" | sed -n 's,^\(.*\)/pyvenv\.cfg$,\1,p' | while IFS= read -r prefix; do
            # Services that run as root write byte code once they have started.
            comm -23 <(guest find -H "$prefix" -xdev ! -newer /srv/upgrade | LC_ALL=C sort) <(guest dpkg -L "$package" | LC_ALL=C sort)
            guest find "$prefix/" /usr/bin -xdev -xtype l -printf 'leads nowhere: %p\n'
        done)
        [ -z "$found" ] || fault "$package leaves" "$found"
    done
}
# The command of each recipe prints what it should.
all_run() {
    local command prints found
    while IFS=$'\t' read -r command prints; do
        found=$(guest bash -c "cd / && $command" 2>&1) || fault "\`$command\` failed" "$found"
        [[ $found == *"$prints"* ]] || fault "\`$command\` did not print \`$prints\`" "$found"
    done < <(printf '%s\n' "${runs[@]}")
}
gone() { local path; for path; do [ ! -e "$root$path" ] || fault "there still is $path" "$(find "$root$path" | head -n 30)"; done; }

# --- one place -------------------------------------------------------------------------------------------------------

# An administrator decides, root runs what is there, and the interpreter is replaced: what hosts are like after a while.
live_with() {
    local package prefix file
    guest systemctl -q disable --now storm-timers.service parcel-agent.timer
    guest systemctl -q disable --now stormauth.service
    guest systemctl -q mask stormauth.service
    guest systemctl -q enable --now stormapi.socket
    guest systemctl start stormapi.service stormrunner@1.service
    for file in "${conffiles[@]}"; do echo '# edited' >>"$root$file"; done
    for package; do
        prefix=$(guest dpkg -L "$package" | sed -n 's,^\(.*\)/pyvenv\.cfg$,\1,p')
        [ -z "$prefix" ] || guest "$prefix/bin/python" -O -c 'import click, click.testing, click.decorators' || fault "$package does not run"
    done
    echo 'mine' >"$root/opt/venvs/hall-server/notes"
    # dh-virtualenv follows a new interpreter, and keeps the one before.
    cp -p "$root/usr/bin/python3.11" "$scratch/python"
    cp -p "$scratch/python" "$root/usr/bin/python3.11,new"
    echo >>"$root/usr/bin/python3.11,new"
    mv "$root/usr/bin/python3.11,new" "$root/usr/bin/python3.11"
    guest /var/lib/dpkg/info/storm.postinst triggered /usr/bin/python3.11
    cp -p "$scratch/python" "$root/usr/bin/python3.11,new"
    mv "$root/usr/bin/python3.11,new" "$root/usr/bin/python3.11"
    guest test -e '/opt/stackstorm/storm/bin/python3.11,orig' || fault 'dh-virtualenv did not follow its interpreter'
}
in_place() {
    local all=("$@") before were unit conffiles
    begin 'on a host: what dh-virtualenv made'
    # shellcheck disable=SC2046
    change install $(files srv/old "${all[@]}")
    fresh=$(states)
    all_run
    # shellcheck disable=SC2016
    mapfile -t conffiles < <(guest dpkg-query -W -f '${Conffiles}\n' "${all[@]}" | awk 'NF {print $1}')
    guest debconf-show hall-server-py3 | grep -q hall-server/name || fault 'debconf asked nothing'
    live_with "${all[@]}"
    before=$(states) were=$(pids)
    awk '{print "    " $0}' <<<"$before"
    begin 'an upgrade to what mkpkg made'
    # systemd has it by another name, which dpkg does not know to be the same.
    touch "$root/srv/upgrade"
    expected="warning: unable to delete old directory '/usr/lib/systemd/system-generators'"
    options=(-o Dpkg::Options::=--force-confold)
    # shellcheck disable=SC2046
    change install $(files srv/out "${all[@]}")
    options=()
    sound "${all[@]}"
    all_run
    is 'what units are' "$(states)" "$before"
    for unit in "${restarted[@]}"; do
        [ "$(property "$unit" MainPID)" != "$(pid "$unit" "$were")" ] || fault "$unit was not restarted"
    done
    is 'the process of airpi.service' "$(property airpi.service MainPID)" "$(pid airpi.service "$were")"
    is 'what hall-server says' "$(says hall-server.service)" 'hall-server 1.99.0 /opt/venvs/hall-server'
    is 'what stormapi says' "$(says stormapi.service)" 'storm 3.8.1 /opt/stackstorm/storm'
    is "an administrator's file" "$(cat "$root/opt/venvs/hall-server/notes")" mine
    rm "$root/opt/venvs/hall-server/notes"
    strays "${all[@]}"
    for file in "${conffiles[@]}"; do grep -qx '# edited' "$root$file" || fault "an edit of $file is lost"; done
    is 'what debconf remembers' "$(guest debconf-show hall-server-py3)" ''
    is 'copies of configuration' "$(find "$root/etc" -name '*.dpkg-*')" ''
}
purge() {
    begin 'a purge'
    guest systemctl -q unmask stormauth.service
    guest systemctl -q disable --now stormapi.socket
    change purge "$@"
    settled
    # Homes of accounts that scripts of the recipes made stay, as they did.
    rm -rf "$root/var/lib/hall-server"
    nothing_left airpi hall storm
}

# What a host gets that never had a package of dh-virtualenv.
afresh() {
    begin 'a fresh installation of what mkpkg made'
    # shellcheck disable=SC2046
    change install $(files srv/out "$@")
    sound "$@"
    is 'what units are' "$(states)" "$fresh"
    purge "$@"
}

# --- other places ----------------------------------------------------------------------------------------------------

# to_another_place MADE-BY-MKPKG PLACE [COMMAND]: an administrator ran COMMAND after the package was installed
to_another_place() {
    local before
    change install "$(files srv/old hall-server-py3)"
    if [ -n "${3:-}" ]; then guest sh -ec "$3"; fi
    guest systemctl restart hall-server.service
    guest /opt/venvs/hall-server/bin/python -O -c 'import click, click.testing'
    before=$(property hall-server.service MainPID)
    touch "$root/srv/upgrade"
    change install "$1"
    sound hall-server-py3
    is 'what hall-server says' "$(says hall-server.service)" "hall-server 1.99.0 $2"
    [ "$(property hall-server.service MainPID)" != "$before" ] || fault 'the service was not restarted'
    is 'the command' "$(guest hall_register)" 'hall-server 1.99.0'
    strays hall-server-py3
}
in_other_places() {
    begin 'an upgrade to another prefix'
    to_another_place "$(files srv/moved hall-server-py3)" /opt/hall
    gone /opt/venvs
    change purge hall-server-py3
    gone /opt/hall
    begin 'an upgrade where /opt/venvs is a link'
    to_another_place "$(files srv/out hall-server-py3)" /opt/venvs/hall-server 'mv /opt/venvs /srv/venvs && ln -s /srv/venvs /opt/venvs'
    change purge hall-server-py3
    gone /srv/venvs/hall-server
    rm -rf "$root/opt/venvs" "$root/srv/venvs"
    begin 'an upgrade where the prefix is a link'
    to_another_place "$(files srv/out hall-server-py3)" /opt/venvs/hall-server \
        'mv /opt/venvs/hall-server /srv/hall && ln -s /srv/hall /opt/venvs/hall-server'
    change purge hall-server-py3
    is 'what is left' "$(find "$root/srv/hall" -mindepth 1)" ''
    rm -rf "$root/opt/venvs" "$root/srv/hall" "$root/var/lib/hall-server"
    nothing_left airpi hall storm
}
