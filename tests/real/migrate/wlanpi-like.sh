# A service with its socket, a distribution built from source; for migrate.sh to source.
# shellcheck shell=bash disable=SC2034
packages=(airpi)
command='/opt/airpi/bin/airpi && /opt/airpi/bin/python -c "import dbus"' prints='airpi 1.3.0'
changed=('for this machine, not for arm64 alone')
both() { sed -i 's/^Architecture: arm64/Architecture: any/' debian/control; }
differs=(
    'units +spare.service: debhelper installs it with --name only; it is installed now'
    'others +/usr/lib/sysusers.d/airpi.conf: debhelper installs it since compatibility level 14'
    'others +/usr/lib/tmpfiles.d/airpi.conf: debhelper installs it since compatibility level 13'
)
