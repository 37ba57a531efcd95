# Options behind dh, a distribution built from source; for migrate.sh to source.
# shellcheck shell=bash disable=SC2034
packages=(watchtower.io)
command='/opt/watchtower/bin/watchtower' prints='watchtower 9.1.0'
changed=('setuptools has no command test since its release 72: nocheck')
nocheck=nocheck
differs=(
    'others -/etc/cron.d/watchtower.io: cron passes over names with a dot'
    'others +/etc/cron.d/watchtower_io: and so it runs now'
    'conffiles -/etc/cron.d/watchtower.io: see above'
    'conffiles +/etc/cron.d/watchtower_io: see above'
    'programs -cygdb: of --preinstall, which a human judges'
    'programs -cython: of --preinstall'
    'programs -cythonize: of --preinstall'
    'modules -Cython: of --preinstall'
    'modules -cython.py: of --preinstall'
    'modules -pyximport: of --preinstall'
    'modules -psycopg2-2.9.10.egg-info: setup.py install, which no wheel needs'
)
