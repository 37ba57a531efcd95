#!/bin/sh
# Stands in for dh_virtualenv while rules are run: writes down arguments and variables, and does nothing.
{
    for word; do
        printf '=%s\0' "$word"
    done
    for name in $MKPKG_VARIABLES; do
        eval "value=\${$name-}"
        [ -z "$value" ] || printf '$%s=%s\0' "$name" "$value"
    done
    printf '.\0'
} >>"$MKPKG_CALLS"
