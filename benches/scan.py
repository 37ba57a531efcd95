#!/usr/bin/python3
"""Compares how long relations of the yardstick's compiled files take: mkpkg, and dpkg-shlibdeps on the same files.

usage: benches/scan.py [--runs N]

The wheels are collected and the package is built once, before the clock starts. `benches/scan.rs` then times mkpkg's
parts in one process, with two threads; dpkg-shlibdeps runs on the unpacked package, as it does in a build. Both find
the same relations, or the comparison fails. The goal: scan and relations in 0.2 s, and 30 times as fast.
"Scan, in memory" is the reading of ELF files alone; what their bytes cost to inflate is told apart, with one thread.
For a host with Debian's tools and the packages the files need (scripts/prerequisites.sh --test).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from common import ROOT, YARDSTICK, mkpkg, run, wheels_of

CONTROL = "Source: app\nMaintainer: A <a@b.example>\n\nPackage: app\nArchitecture: any\nDescription: x\n"


def said(*command, **options):
    return run(*command, stdout=subprocess.PIPE, text=True, **options).stdout


def is_elf(path):
    if os.path.islink(path):
        return False
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def shlibdeps(work, runs):
    """Seconds of each run, and the relations."""
    found = [os.path.join(base, name) for base, _, names in os.walk("debian/app") for name in names]
    files = sorted(path for path in found if is_elf(path))
    private = sorted({os.path.dirname(path) for path in files if os.path.dirname(path).endswith(".libs")})
    command = ["dpkg-shlibdeps", "-O", "--warnings=0"]
    command += ["-l" + path.removeprefix("debian/app") for path in private] + ["-e" + path for path in files]
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        text = said(*command)
        seconds.append(time.perf_counter() - start)
    line = next(line for line in text.splitlines() if line.startswith("shlibs:Depends="))
    return seconds, line.split("=", 1)[1].split(", "), len(files)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    program = mkpkg()
    with tempfile.TemporaryDirectory() as work:
        wheels = os.path.join(work, "wheels")
        wheels_of(os.path.join(YARDSTICK, "requirements.txt"), wheels)
        build = [program, "deb", YARDSTICK, "--quiet", "--wheelhouse", wheels, "-o", work, "--compression", "gzip:1"]
        deb = said(*build).strip()
        os.makedirs(os.path.join(work, "debian/app/DEBIAN"))
        with open(os.path.join(work, "debian/control"), "w") as control:
            control.write(CONTROL)
        run("dpkg-deb", "-x", deb, os.path.join(work, "debian/app"))
        bench = ["cargo", "bench", "--quiet", "--bench", "scan", "--", wheels, str(options.runs)]
        ours = [json.loads(line) for line in said(*bench, cwd=ROOT).splitlines() if line.startswith("{")]
        os.chdir(work)
        theirs, relations, count = shlibdeps(work, options.runs)
        os.chdir(ROOT)
    if (ours[0]["files"], ours[0]["relations"]) != (count, relations):
        sys.exit(f"they differ:\n{ours[0]['files']} {ours[0]['relations']}\n{count} {relations}")
    medians = {part: statistics.median(one["seconds"][part] for one in ours) for part in ours[0]["seconds"]}
    slow = statistics.median(theirs)
    print(f"{count} ELF files, medians of {options.runs} runs")
    for part, seconds in medians.items():
        print(f"{part:30} {seconds:8.3f} s")
    for what, part in [("scan + relations", "scan, in memory"), ("with inflating", "read and scan, from wheels")]:
        total = medians[part] + medians["relations"]
        print(f"{what:30} {total:8.3f} s   dpkg-shlibdeps takes {slow / total:.0f} times as long")
    print(f"{'dpkg-shlibdeps':30} {slow:8.3f} s")


if __name__ == "__main__":
    main()
