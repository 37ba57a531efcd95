# A package of a template; for migrate.sh to source.
# shellcheck shell=bash disable=SC2034
packages=(mold-tool)
command='mold-tool' prints='mold-tool 1.2.0'
differs=('modules -packaging: no requirement of the application, but of wheel')
