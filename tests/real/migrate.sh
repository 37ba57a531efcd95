#!/bin/bash
# From dh-virtualenv to mkpkg: builds projects with both in a copy of a root file system, compares what both make, and takes
# a host from the one to the other.
#
#   migrate.sh ROOT MKPKG FIXTURES CACHE ARCHIVES
#
# Runs as root in a mount and process namespace of its own (migrate.rs starts it so). ROOT has dh-virtualenv and systemd and
# is only read, as is FIXTURES; migrate/ says what differs between recipes. CACHE and ARCHIVES keep for the next run what
# dh-virtualenv made and pip and apt downloaded. Prints a table of what both packages have, and what is wrong after `FAULT`. Exit status: 0 nothing, 1
# packages differ, or a host is worse off, 2 this script, the network, or a build.
set -Eeuo pipefail
trap '[ "$BASH_SUBSHELL" != 0 ] || { echo "migrate.sh: line $LINENO failed" >&2; exit 2; }' ERR
base=$1 mkpkg=$2 fixtures=$3 cache=$4 archives=$5
here=$(dirname "$0")
recipes=(synapse-like sentry-like wlanpi-like jupyterhub-like paasta-like st2-like mold-like)

# shellcheck source=tests/real/copy.sh
. "$here/copy.sh"
# shellcheck source=tests/real/guest.sh
. "$here/guest.sh"
# shellcheck source=tests/real/faults.sh
. "$here/faults.sh"
# shellcheck source=tests/real/life.sh
. "$here/life.sh"
# shellcheck source=tests/real/migrate/hosts.sh
. "$here/migrate/hosts.sh"

# --- both packages ---------------------------------------------------------------------------------------------------

# recipe NAME: what is particular about it
know() {
    packages=() command='' prints='' changed=() differs=() nocheck='' init=''
    both() { :; }
    recipe() { :; }
    finish() { :; }
    again() { :; }
    # shellcheck source=/dev/null
    . "$here/migrate/$1.sh"
}
building=(
    env PIP_CERT=/etc/ssl/certs/ca-certificates.crt PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CACHE_DIR=/srv/pip
    # What is compared does not depend on it.
    DPKG_DEB_COMPRESSOR_TYPE=gzip DPKG_DEB_COMPRESSOR_LEVEL=1 MKPKG_COMPRESSION=gzip:1
)
# with_dh_virtualenv NAME, with_mkpkg NAME: packages go to /srv/old and /srv/out
with_dh_virtualenv() {
    local kept
    # What mkpkg is does not matter for these, so they are kept for the next run.
    kept=$cache/$1-$({ basename "$base"; cat "$here/migrate/$1.sh"; cd "$fixtures" && find "$1" -type f -exec sha256sum {} + | sort; } |
        sha256sum | cut -c -16)
    if [ ! -d "$kept" ]; then
        mkdir "$root/srv/old/$1"
        cp -R "$fixtures/$1" "$root/srv/old/$1/project"
        (cd "$root/srv/old/$1/project" && both && recipe)
        inside "${building[@]}" DEB_BUILD_OPTIONS="noautodbgsym $nocheck" sh -ec "cd /srv/old/$1/project && dpkg-buildpackage -d -b -us -uc"
        rm -rf "$cache/$1"-*
        mkdir "$kept.part"
        cp "$root/srv/old/$1"/*.deb "$kept.part"
        mv "$kept.part" "$kept"
    fi
    cp "$kept"/*.deb "$root/srv/old/"
}
with_mkpkg() {
    local file flags
    cp -R "$fixtures/$1" "$root/srv/new/$1"
    (cd "$root/srv/new/$1" && both)
    # shellcheck disable=SC2086
    inside "${building[@]}" /srv/mkpkg init --from-debian "/srv/new/$1/debian" $init
    (cd "$root/srv/new/$1" && finish)
    for file in "$root/srv/new/$1"/mkpkg*.toml; do
        # The first line of a configuration tells how to build it.
        flags=$(sed -n 's/^#  *mkpkg deb \(.*\)\.$/\1/p' "$file")
        inside "${building[@]}" sh -ec "cd /srv/new/$1 && /srv/mkpkg deb $flags -o /srv/out ."
    done
    (cd "$root/srv/new/$1" && again)
}
build_all() {
    local name how
    for name in "${recipes[@]}"; do
        for how in with_dh_virtualenv with_mkpkg; do
            while [ "$(jobs -pr | wc -l)" -ge "$(nproc)" ]; do wait -n || true; done
            (know "$name" && "$how" "$name" && touch "$scratch/$how-$name.done") >"$scratch/$how-$name" 2>&1 &
        done
    done
    wait
    for name in "${recipes[@]}"; do
        for how in with_dh_virtualenv with_mkpkg; do
            [ -e "$scratch/$how-$name.done" ] && continue
            printf '%s %s:\n' "$how" "$name"
            tail -n 60 "$scratch/$how-$name"
            exit 2
        done
    done >&2
}

# --- what is in them -------------------------------------------------------------------------------------------------

# list PACKAGE: its paths, those that go by two names under one
list() { dpkg-deb --fsys-tarfile "$1" | tar -t | sed 's,^\./,/,; s,^/lib/,/usr/lib/,; s,\(/man/.*\)\.gz$,\1,' | LC_ALL=C sort; }
conffiles() { dpkg-deb -I "$1" conffiles 2>/dev/null | LC_ALL=C sort || true; }
relations() { dpkg-deb -f "$1" "$2" | tr ',' '\n' | sed 's/^ *//; s/[ (|:].*//' | LC_ALL=C sort -u; }
commands() { sed -n 's,^/usr/bin/\(.\),\1,p'; }
units() { sed -n 's,^/usr/lib/systemd/system/\(.\),\1,p'; }
# What else is outside of the environment, but for what each package has of its own.
others() { grep -vE "^($prefix|/usr/bin|/usr/lib/systemd/system|/usr/share/(lintian/|doc/$package/(changelog|copyright|$package\.cdx\.json)))|/\$" || true; }
# Commands and modules of the environment, but for pip and its kin.
programs() { sed -n "s,^$prefix/bin/\([^/]*\)\$,\1,p" | grep -vxE '[Aa]ctivate.*|python[0-9.]*|(pip|wheel|easy_install)-?[0-9.]*' || true; }
modules() {
    sed -n "s,^$prefix/lib/python3[.0-9]*/site-packages/\([^/]\+\).*,\1,p" | LC_ALL=C sort -u |
        grep -vxE '(pip|setuptools|wheel)(-.*)?|pkg_resources|_?distutils.*|__pycache__|_virtualenv.*|.*\.dist-info' || true
}

row() { printf '  %-10s | %-60s | %s\n' "$1" "$(paste -sd' ' <<<"$2")" "$(paste -sd' ' <<<"$3")"; }
# accept WHAT ITEM...: each must be in `differs`, with the reason
accept() {
    local what=$1 item entry
    shift
    for item; do
        for entry in "${differs[@]}"; do
            [[ $entry == "$what $item: "* ]] || continue
            printf '  %-10s   %s\n' '' "${entry#* }"
            met+=("$entry")
            continue 2
        done
        fault "$what differ: $item"
    done
}
# compare WHAT OLD NEW: what one side lacks
compare() {
    local items
    row "$@"
    mapfile -t items < <(comm -3 <(sed '/^$/d' <<<"$2") <(sed '/^$/d' <<<"$3") | sed 's/^[^\t]/-&/; s/^\t/+/')
    accept "$1" "${items[@]}"
}
# superset FIELD OLD NEW: ours may need more than theirs, and no less; python3 is there as python3.11
superset() {
    local items
    mapfile -t items < <(comm -23 <(relations "$2" "$1" | grep -vxE 'python3|python3-minimal') <(
        { relations "$3" "$1"; [ "$1" != Depends ] || echo "$interpreter"; } | LC_ALL=C sort -u) | sed '/^$/d; s/^/-/')
    accept "$1" "${items[@]}"
}
compare_packages() {
    local name package old new prefix had has entry what interpreter
    # What it needs comes with it: dh-virtualenv may have a copy of it scanned.
    interpreter=$(inside apt-cache depends --recurse --important --installed python3.11 |
        sed -n 's/^ *|\?[A-Za-z]*Depends: //p; s/^[a-z].*/&/p')
    for name in "${recipes[@]}"; do
        know "$name"
        begin "$name"
        [ ${#changed[@]} = 0 ] || printf '  changed    | %s\n' "${changed[@]}"
        met=()
        runs+=("$command"$'\t'"$prints")
        for package in "${packages[@]}"; do
            all+=("$package")
            old=$(echo "$root/srv/old/${package}"_*.deb) new=$(echo "$root/srv/out/${package}"_*.deb)
            row "$package" "dh-virtualenv $(dpkg-deb -f "$old" Version)" "mkpkg $(dpkg-deb -f "$new" Version)"
            prefix=$(find "$root/srv/new/$name" \( -name mkpkg.toml -o -name "mkpkg-$package.toml" \) -exec sed -n 's/^prefix = "\(.*\)"$/\1/p' {} +)
            had=$(list "$old") has=$(list "$new")
            grep -qx "$prefix/" <<<"$had" || fault "dh-virtualenv has no $prefix"
            for what in commands units others programs modules; do
                compare "$what" "$($what <<<"$had")" "$($what <<<"$has")"
            done
            compare conffiles "$(conffiles "$old")" "$(conffiles "$new")"
            for what in Depends Recommends; do
                row "$what" "$(dpkg-deb -f "$old" $what)" "$(dpkg-deb -f "$new" $what)"
                superset $what "$old" "$new"
            done
            dpkg --compare-versions "$(dpkg-deb -f "$new" Version)" ge "$(dpkg-deb -f "$old" Version)" || fault 'the version is lower'
        done
        for entry in "${differs[@]}"; do
            [[ $'\n'$(printf '%s\n' "${met[@]}")$'\n' == *$'\n'"$entry"$'\n'* ]] || fault "they do not differ: $entry"
        done
    done
}

make_copy "$base"
mkdir -p "$root"/srv/{old,new,out,moved,pip} "$cache/pip"
all=() met=() runs=()
mount --bind "$cache/pip" "$root/srv/pip"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
cp "$mkpkg" "$root/srv/mkpkg"
begin builds
build_all
compare_packages
# shellcheck disable=SC2046
install_needs "$archives" $(files srv/old "${all[@]}") || exit
# shellcheck disable=SC2046
install_needs "$archives" $(files srv/out "${all[@]}") || exit
# Lists of packages nobody needs any more make apt slow.
rm -rf "$root"/var/lib/apt/lists/* "$root"/etc/apt/sources.list.d/*
: >"$root/etc/apt/sources.list"
boot
snapshot >"$scratch/before"
accounts=$(guest cut -d: -f1 /etc/passwd | sort)
in_place "${all[@]}"
purge "${all[@]}"
afresh "${all[@]}"
in_other_places
begin 'the end'
[ "$faults" = 0 ] || exit 1
