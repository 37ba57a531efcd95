# Many units, wheels at hand; for migrate.sh to source.
# shellcheck shell=bash disable=SC2034,SC2154
packages=(storm)
command='storm' prints='storm 3.8.1'
both() { inside "${building[@]}" python3 -m pip -q download -d "${PWD#"$root"}/wheels" -r "${PWD#"$root"}/wheels/wanted.txt"; }
finish() {
    # The socket is opened anew, and interrupts its service.
    sed -i 's/ListenStream = "127.0.0.1:9101"/ListenStream = ["127.0.0.1:9101", "127.0.0.1:9102"]/' mkpkg.toml
    inside "${building[@]}" python3 -m pip -q wheel --no-deps -w "${PWD#"$root"}/wheels" "${PWD#"$root"}"
}
differs=('others +/usr/lib/tmpfiles.d/storm-dirs.conf: makes the empty directories in /var that dh_installdirs packs')
