#!/usr/bin/python3
"""Compares an audit of the yardstick with decompressing its payload alone, and measures its memory.

usage: benches/audit.py [--runs N]

Builds the yardstick as .deb files with zstd and with xz, and as an .rpm. Then, in turns, decompresses the payload of each
with zstd(1) or xz(1) on one thread and audits the package on all. Prints medians, their ratio, and the greatest memory.
The goals: at most 2.5 times the time, and less than 200 MB; ends with 1 when one is missed. What lies in a file system
of memory does not count. Needs 2 GB in /dev/shm, else in TMPDIR.
"""

import argparse
import os
import statistics
import subprocess
import sys

from common import YARDSTICK, mkpkg, room, run, timed, wheels_of

PACKAGES = {"deb zstd": ["deb", "zstd:9"], "deb xz": ["deb", "xz:6"], "rpm zstd": ["rpm", "zstd:9"]}


def build(program, work, wheels, name):
    """The package, and the command that decompresses its payload."""
    form, compression = PACKAGES[name]
    out = os.path.join(work, name.replace(" ", "-"))
    command = [program, form, YARDSTICK, "--wheelhouse", wheels, "--quiet", "--python", "3.11", "-o", out]
    run(*command, "--compression", compression, stdout=subprocess.DEVNULL)
    package = os.path.join(out, os.listdir(out)[0])
    payload = os.path.join(out, "payload")
    if form == "deb":
        names = run("ar", "t", package, capture_output=True, text=True).stdout.split()
        with open(payload, "wb") as file:
            run("ar", "p", package, names[2], stdout=file)
    else:
        with open(package, "rb") as file:
            data = file.read()
        with open(payload, "wb") as file:
            file.write(data[data.index(b"\x28\xb5\x2f\xfd") :])
    tool = "xz" if compression.startswith("xz") else "zstd"
    return package, [tool, "-d", "-c", "-q", payload]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    program = mkpkg()
    missed = False
    with room(2 << 30) as work:
        options = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "TMPDIR": work}}
        wheels = os.path.join(work, "wheels")
        wheels_of(os.path.join(YARDSTICK, "requirements.txt"), wheels)
        for name in PACKAGES:
            package, decompress = build(program, work, wheels, name)
            audit = [program, "audit", "--fail-on", "never", package]
            alone, audits = [], []
            for _ in range(runs):
                alone.append(timed(*decompress, **options)[0])
                audits.append(timed(*audit, **options))
            seconds = statistics.median(seconds for seconds, _ in audits)
            memory = max(memory for _, memory in audits)
            floor = statistics.median(alone)
            print(f"{name:9} {floor:5.2f} s alone {seconds:5.2f} s audit  {seconds / floor:4.2f}  {memory:4.0f} MB", flush=True)
            missed |= seconds / floor > 2.5 or memory >= 200
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
