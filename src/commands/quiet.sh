#!/bin/sh
# Stands in for the shell of recipes while make reads rules. What $(shell ...) asks for is run: make reads its output. Lines
# of recipes, which make runs even with -n if they begin with + or call make, write where make does, and are not run.
[ -e "/proc/$PPID/fd/1" ] || exit 1
# shellcheck disable=SC3013 # dash and busybox have it
[ /proc/self/fd/1 -ef "/proc/$PPID/fd/1" ] || exec "${MKPKG_SHELL:-/bin/sh}" "$@"
case $2 in
    mkpkg-environment) exec env -0 >"$MKPKG_ENVIRONMENT" ;;
esac
# Before there is a goal, it was to make a file that is included.
exit "${MKPKG_STATUS:-0}"
