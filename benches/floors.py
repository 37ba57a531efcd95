#!/usr/bin/python3
"""Compares a build of the yardstick with its floors: byte-compiling and compressing the same files, and nothing else.

usage: benches/floors.py [--runs N] [--compression zstd:9]

The wheels are collected once, before the clock starts. Each run then times, in this order,
  mkpkg       `mkpkg deb` with that wheelhouse and an empty cache, which it fills,
  compile     `python3.11 -m compileall -j2` of the tree the package holds, without its byte code,
  compress    `zstd -T2` (or `xz -T2`, `gzip`) of the package's own data.tar,
so that noise of the machine hits all three. Prints medians, the ratio to the sum of the floors, and peak memory.
Everything lies in a temporary directory in /dev/shm, where it fits, else in TMPDIR.
"""

import argparse
import os
import shutil
import statistics
import subprocess

from common import YARDSTICK, compile_tree, compressor, mkpkg, room, run, timed, unpack, wheels_of


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--compression", default="zstd:9")
    options = parser.parse_args()
    program = mkpkg()
    with room(4 << 30) as work:
        wheels, out, cache = (os.path.join(work, name) for name in ["wheels", "out", "cache"])
        wheels_of(os.path.join(YARDSTICK, "requirements.txt"), wheels)
        build = [program, "deb", YARDSTICK, "--quiet", "--wheelhouse", wheels, "-o", out]
        build += ["--compression", options.compression, "--jobs", "2"]
        environment = {**os.environ, "TMPDIR": work, "XDG_CACHE_HOME": cache}
        deb = run(*build, env=environment, capture_output=True, text=True).stdout.strip()
        tar, tree = unpack(deb, work)
        rows = []
        for _ in range(options.runs):
            shutil.rmtree(cache)
            ours, memory = timed(*build, env=environment, stdout=subprocess.DEVNULL)
            compiling = compile_tree(tree)
            with open(os.path.join(work, "packed"), "wb") as packed:
                compressing = timed(*compressor(options.compression), tar, stdout=packed)[0]
            rows.append((ours, compiling, compressing, memory))
            print("mkpkg {:.2f} s, compile {:.2f} s, compress {:.2f} s, {:.0f} MB".format(*rows[-1]), flush=True)
        sizes = os.path.getsize(deb), os.path.getsize(os.path.join(work, "packed"))
    ours, compiling, compressing, memory = (statistics.median(column) for column in zip(*rows))
    ratio = statistics.median(row[0] / (row[1] + row[2]) for row in rows)
    print(f"\nmedians of {options.runs} runs at {options.compression}")
    print(f"mkpkg                {ours:6.2f} s   {sizes[0] / 1e6:.1f} MB   peak memory {memory:.0f} MB")
    print(f"floor: compile       {compiling:6.2f} s")
    print(f"floor: compress      {compressing:6.2f} s   {sizes[1] / 1e6:.1f} MB")
    print(f"mkpkg / floors       {ratio:6.2f}")


if __name__ == "__main__":
    main()
