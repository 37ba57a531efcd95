#!/bin/bash
# Runs the dpkg-shlibdeps of a root file system, once for each of many jobs.
#
#   shlibdeps.sh ROOT SOURCE
#
# Runs as root in a mount namespace of its own. SOURCE is a source package, with a built tree in debian/app. Each file in
# SOURCE/jobs has the arguments of one run, one a line. What it prints becomes SOURCE/out/JOB, or SOURCE/failed/JOB.
set -euo pipefail
root=$1 source=$2

# shellcheck source=tests/real/copy.sh
. "$(dirname "$0")/copy.sh"
make_copy "$root"
mkdir -p "$source"/{out,failed} "$root/tmp/source"
mount --bind "$source" "$root/tmp/source"
# shellcheck disable=SC2016
inside bash -c '
    cd /tmp/source
    run() {
        if xargs -x -d "\n" -a "jobs/$1" dpkg-shlibdeps -O --warnings=0 >"$out/$1" 2>"$out/$1.err"
        then mv "$out/$1" "out/$1"
        else mv "$out/$1.err" "failed/$1"
        fi
    }
    export -f run
    export out=/tmp/runs
    mkdir "$out"
    ls jobs | xargs -P "$(nproc)" -I{} bash -c "run {}"
'
