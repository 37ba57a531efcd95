#!/bin/bash
# What a test found wrong, for scripts to source: `faults` counts it, and `about` says with each what was looked at.

faults=0 about=''
# fault WHAT [OUTPUT]
fault() {
    printf 'FAULT %s%s\n' "${about:+$about: }" "$1"
    [ -z "${2:-}" ] || printf '%s\n' "$2" | tail -n 40 | sed 's/^/    /'
    faults=$((faults + 1))
}
is() { [ "$2" = "$3" ] || fault "$1 is \`$2\`, not \`$3\`"; }
# must WHAT COMMAND...: leaves in `log` what it said, and ends with 2 if it fails, as the rest means nothing then
must() {
    log=$("${@:2}" 2>&1) || { printf '%s failed:\n%s\n' "$1" "$(tail -n 60 <<<"$log")" >&2; exit 2; }
}
