# A script that calls dh_virtualenv, debconf, what is recommended only; for migrate.sh to source.
# shellcheck shell=bash disable=SC2034,SC2154
packages=(hall-server-py3)
command='hall_register' prints='hall-server 1.9'
changed=('Debian 12 has no poetry that exports: what it would export is there')
init=--run-rules
recipe() { printf 'click==8.1.8\npsycopg2==2.9.10\n' >exported_requirements.txt; }
finish() {
    # No version of mkpkg's is as high as 1.98.0+bookworm1.
    sed -i 's/1\.98\.0/1.99.0/' pyproject.toml hall/__init__.py
    # What the script does beside asking debconf.
    echo 'adduser --quiet --system --group --home /var/lib/hall-server hall' >debian/mkpkg/account
    echo 'echo PURGE | debconf-communicate hall-server-py3' >debian/mkpkg/forget
    sed -i 's,^\[scripts\]$,&\nafter-install = "debian/mkpkg/account"\nafter-upgrade = "debian/mkpkg/forget",' mkpkg.toml
}
differs=(
    'commands -hall_new_user: a link to a command of another name, which a human judges'
    'units +hall-worker@.service: debhelper installs it with a --name of its own only; it is installed now'
    'others +/etc/default/hall-server: debhelper installs it with --name only; it is installed now'
    'conffiles +/etc/default/hall-server: see above'
    'modules -lxml: of --preinstall, which a human judges'
    'modules -mock: of --preinstall'
)
# The same at another place.
again() {
    sed -i 's,/opt/venvs/hall-server,/opt/hall,' debian/*.service
    inside "${building[@]}" sh -ec "cd ${PWD#"$root"} && /srv/mkpkg deb --set prefix=/opt/hall -o /srv/moved ."
}
