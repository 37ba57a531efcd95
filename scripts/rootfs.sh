#!/bin/bash
# Prints the directory of a minimal root file system of a Debian release: essential packages, apt, and the packages
# named, with package lists. Made once a week with mmdebstrap and cached below ${XDG_CACHE_HOME:-~/.cache}/mkpkg-tests;
# never write into it.
#
#   scripts/rootfs.sh RELEASE [PACKAGE...]        bullseye, bookworm, trixie, ...
#
# For root. The mirror and the proxy are those of /etc/apt; MKPKG_MIRROR overrides the archive's address.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

release=${1:-}
[[ $release =~ ^[a-z]+$ ]] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
shift
packages=$(printf '%s\n' "$@" | sort -u | paste -sd,)
name=$release${packages:+-$(sha256sum <<<"$packages" | cut -c -8)}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/mkpkg-tests/rootfs
root=$cache/$name-$(date +%G-%V)
mkdir -p "$cache"
exec {lock}>"$cache/$name.lock"
flock "$lock"
if [ -d "$root" ]; then
    echo "$root"
    exit 0
fi

# sources: one apt source a line; suites are found by codename or by name ("bookworm", "stable")
sources() {
    local here targets
    here=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    # shellcheck disable=SC2016
    targets=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(CODENAME) $(COMPONENT)' 'Created-By: Packages')
    archive() { awk -v suite="$1" '($2 == suite || $3 == suite) && $4 == "main" {print $1; exit}' <<<"$targets"; }
    local main=${MKPKG_MIRROR:-$(archive "$here")} suite address
    [ -n "$main" ] || { echo "no mirror of Debian $here in /etc/apt; set MKPKG_MIRROR" >&2; return 1; }
    echo "deb $main $release main"
    [ "$release" != sid ] || return 0
    for suite in updates security; do
        address=$(archive "$here-$suite")
        [ -z "$address" ] || echo "deb $address $release-$suite main"
    done
}
options=(${packages:+"--include=$packages"} --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Retries "3"')
while IFS= read -r proxy; do
    options+=(--aptopt="$proxy")
done < <(apt-config dump | grep -E '^Acquire::https?::Proxy[^ ]* "[^"]+";$' || true)
mapfile -t sources < <(sources)
[ ${#sources[@]} -gt 0 ]

part=$(mktemp -d "$cache/part.XXXXXX")
trap 'rm -rf "$part"' EXIT
env -i PATH="$PATH" HOME=/root LC_ALL=C.UTF-8 TMPDIR="$part" \
    ${http_proxy:+"http_proxy=$http_proxy"} ${https_proxy:+"https_proxy=$https_proxy"} ${no_proxy:+"no_proxy=$no_proxy"} \
    mmdebstrap --quiet --mode=root --variant=minbase --skip=cleanup/apt/lists --dpkgopt=force-unsafe-io ${packages:+"--include=$packages"} "${options[@]}" \
    "$release" "$part/root" "${sources[@]}" >"$part/log" 2>&1 ||
    { tail -n 30 "$part/log" >&2; exit 1; }
mv -T "$part/root" "$root"
# Last week's is still in use by nobody after a week.
find "$cache" -maxdepth 1 -name "$name-????-??" ! -path "$root" -mtime +7 -exec rm -rf {} +
echo "$root"
