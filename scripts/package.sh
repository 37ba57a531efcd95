#!/bin/bash
# Makes the Debian package of mkpkg itself: the program, its manual and completions, the add-on of debhelper and the macros
# for rpmbuild. Prints the path.
#
#   scripts/package.sh [DIR]                  packs target/release/mkpkg into DIR, by default dist/
#   PROGRAM=FILE scripts/package.sh [DIR]     packs another program
#
# Needs dpkg-dev, binutils and perl; no root. The time stamp is SOURCE_DATE_EPOCH, or that of the last commit; the
# maintainer is DEBFULLNAME and DEBEMAIL, as with other tools of Debian, or who made that commit.
set -euo pipefail
out=$(mkdir -p "${1:-dist}" && realpath "${1:-dist}")
program=$(realpath "${PROGRAM:-$(dirname "$0")/../${CARGO_TARGET_DIR:-target}/release/mkpkg}")
cd "$(dirname "$0")/.."
[ -x "$program" ] || { echo "there is no program at $program: run cargo build --release" >&2; exit 1; }
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)-1
maintainer="${DEBFULLNAME:-$(git log -1 --format=%an)} <${DEBEMAIL:-$(git log -1 --format=%ae)}>"
arch=$(dpkg --print-architecture)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/debian/mkpkg
umask 022
mkdir -p "$root/DEBIAN"

# put MODE PATH [FILE]: installs a file, or what comes on stdin
put() {
    mkdir -p "$root/$(dirname "$2")"
    cat "${3:--}" >"$root/$2"
    chmod "$1" "$root/$2"
}
packed() { gzip -9n; }

# --- files -----------------------------------------------------------------------------------------------------------
put 0755 usr/bin/mkpkg "$program"
strip --strip-unneeded --remove-section=.comment "$root/usr/bin/mkpkg"
"$program" man | packed | put 0644 usr/share/man/man1/mkpkg.1.gz
"$program" completions bash | put 0644 usr/share/bash-completion/completions/mkpkg
"$program" completions zsh | put 0644 usr/share/zsh/vendor-completions/_mkpkg
"$program" completions fish | put 0644 usr/share/fish/vendor_completions.d/mkpkg.fish

put 0755 usr/bin/dh_mkpkg debhelper/dh_mkpkg
put 0644 usr/share/perl5/Debian/Debhelper/Sequence/mkpkg.pm debhelper/mkpkg.pm
pod2man --section=1 --center=mkpkg --release="$version" --utf8 --date="$(date -u -d "@$SOURCE_DATE_EPOCH" +%F)" debhelper/dh_mkpkg |
    packed | put 0644 usr/share/man/man1/dh_mkpkg.1.gz

put 0644 usr/lib/rpm/macros.d/macros.mkpkg rpm/macros.mkpkg
put 0644 usr/lib/rpm/fileattrs/mkpkg.attr rpm/mkpkg.attr
put 0755 usr/lib/rpm/mkpkg-rpm rpm/mkpkg-rpm

for document in README.md docs/*.md docs/rpmlintrc; do
    put 0644 "usr/share/doc/mkpkg/$document" "$document"
done
find debian-example rpm-example -type f | LC_ALL=C sort | while read -r file; do
    put "$([ -x "$file" ] && echo 0755 || echo 0644)" "usr/share/doc/mkpkg/examples/$file" "$file"
done
packed <CHANGELOG.md | put 0644 usr/share/doc/mkpkg/changelog.gz
packed <<END | put 0644 usr/share/doc/mkpkg/changelog.Debian.gz
mkpkg ($version) unstable; urgency=medium

  * What changed is in changelog.gz.

 -- $maintainer  $(date -u -d "@$SOURCE_DATE_EPOCH" '+%a, %d %b %Y %T +0000')
END
{
    cat <<END
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: $(sed -n 's/^Copyright (c) //p' LICENSE-MIT)
License: Apache-2.0 or MIT

License: Apache-2.0
 On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.

License: MIT
END
    sed -n '/^Permission/,$p' LICENSE-MIT | sed 's/^$/./; s/^/ /'
} | put 0644 usr/share/doc/mkpkg/copyright

put 0644 usr/share/lintian/overrides/mkpkg <<'END'
# It knows the name of this program of sensible-utils, which no package may take.
mkpkg: missing-depends-on-sensible-utils
# It reads the database of another root file system, too, which dpkg-query cannot.
mkpkg: uses-dpkg-database-directly
# One of its parts is an add-on of debhelper.
mkpkg: binary-package-depends-on-toolchain-package
# Not bound for Debian.
mkpkg: initial-upload-closes-no-bugs
END

# --- what dpkg is told -----------------------------------------------------------------------------------------------
# dpkg-shlibdeps looks for this file where it runs.
printf 'Source: mkpkg\n\nPackage: mkpkg\nArchitecture: any\n' >"$work/debian/control"
libraries=$(cd "$work" && dpkg-shlibdeps -O debian/mkpkg/usr/bin/mkpkg | sed -n 's/^shlibs:Depends=//p')
size=$(du --apparent-size -sk "$root" | cut -f 1)
put 0644 DEBIAN/control <<END
Package: mkpkg
Version: $version
Architecture: $arch
Maintainer: $maintainer
Installed-Size: $size
Depends: $libraries
Recommends: python3, python3-pip
Suggests: debhelper, rpm
Provides: dh-sequence-mkpkg
Section: devel
Priority: optional
Description: $(sed -n 's/^description = "Turn \(.*\)"/turn \1/p' Cargo.toml)
 A directory with a pyproject.toml, a setup.py or a requirements file goes in;
 out comes one package, a .deb or an .rpm, with the application and all it needs
 in a virtual environment. Relations to the interpreter and to the packages with
 the libraries are derived.
 .
 This package has the add-on "mkpkg" of debhelper, and macros for spec files of
 rpmbuild, too.
END
(cd "$root" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) | put 0644 DEBIAN/md5sums
find "$work/debian/mkpkg" -newermt "@$SOURCE_DATE_EPOCH" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group --build "$root" "$out/mkpkg_${version}_$arch.deb" >&2
echo "$out/mkpkg_${version}_$arch.deb"
