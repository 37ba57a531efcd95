#!/usr/bin/python3
"""Measures how the time and the memory of a build grow with the number of wheels and with their size.

usage: benches/scaling.py [--runs N] [--write]

Builds .deb packages at `zstd:9`, on one processor and on two: of 10, 100 and 1,000 wheels of 0.1 MB, and of 10 MB to
3 GB in wheels of at most 100 MB. Each is built with an empty cache, and again after that. Prints medians of N runs;
`--write` puts them into docs/benchmarks.md. Needs 14 GB in /dev/shm, else in TMPDIR.
"""

import argparse
import os
import shutil
import statistics

from common import mkpkg, replace, room, timed
from memory import FILE, WHEEL, make_wheel

SMALL = 100_000
CASES = [("10 wheels, 1 MB", 10, SMALL), ("100 wheels, 10 MB", 100, SMALL), ("1,000 wheels, 100 MB", 1000, SMALL)]
CASES += [("1 wheel, 10 MB", 1, 10 << 20), ("1 wheel, 100 MB", 1, WHEEL), ("10 wheels, 1 GB", 10, WHEEL)]
CASES += [("30 wheels, 3 GB", 30, WHEEL)]


def measure(work, program, jobs):
    """Seconds of a first build and of another one, and the peak memory of the first in MB."""
    out, cache = os.path.join(work, "out"), os.path.join(work, "cache")
    command = [program, "deb", os.path.join(work, "project"), "--wheelhouse", os.path.join(work, "wheels"), "-q", "-o", out]
    command += ["--python", "3.11", "--jobs", str(jobs), "--compression", "zstd:9"]
    environment = {**os.environ, "TMPDIR": work, "XDG_CACHE_HOME": cache, "SOURCE_DATE_EPOCH": "1795000000"}
    shutil.rmtree(cache, ignore_errors=True)
    with open(os.devnull, "w") as nowhere:
        first, memory = timed(*command, env=environment, stdout=nowhere)
        shutil.rmtree(out)
        again, _ = timed(*command, env=environment, stdout=nowhere)
    shutil.rmtree(out)
    return first, again, memory


def make(work, count, size):
    """A project that locks so many wheels of that size."""
    wheels, project = os.path.join(work, "wheels"), os.path.join(work, "project")
    os.makedirs(wheels)
    os.makedirs(project)
    names = [f"ballast{number}" for number in range(count)]
    for name in names:
        make_wheel(wheels, name, size, modules=max(2, size // FILE // 14))
    with open(os.path.join(project, "requirements.txt"), "w") as lock:
        lock.writelines(f"{name}==1.0\n" for name in names)
    with open(os.path.join(project, "mkpkg.toml"), "w") as config:
        config.write('name = "ballast"\nversion = "1.0"\nmaintainer = "A <a@b.example>"\n')


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    program = mkpkg()
    lines = ["| | first build, 1 processor | 2 processors | again | peak MB |", "|---|--:|--:|--:|--:|"]
    for name, count, size in CASES:
        with room(14 << 30) as work:
            make(work, count, size)
            one = statistics.median(measure(work, program, 1)[0] for _ in range(options.runs))
            two = [measure(work, program, 2) for _ in range(options.runs)]
        first, again, memory = (statistics.median(column) for column in zip(*two))
        lines.append(f"| {name} | {one:.2f} s | {first:.2f} s | {again:.2f} s | {memory:.0f} |")
        print(lines[-1], flush=True)
    if options.write:
        replace("scaling", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
