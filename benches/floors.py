#!/usr/bin/python3
"""Compares a build of the yardstick with its floors: byte-compiling and compressing the same files, and nothing else.

usage: benches/floors.py [--runs N] [--compression zstd:9]

The wheels are collected once, before the clock starts. Each run then times, in this order,
  mkpkg       `mkpkg deb` with that wheelhouse,
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
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROJECT = os.path.join(ROOT, "fixtures/projects/yardstick")
PYTHON = "/usr/bin/python3.11"


def run(*command, **options):
    return subprocess.run(command, check=True, **options)


def timed(*command, **options):
    """Seconds of wall clock, and peak memory in MB, of a command and its children."""
    start = time.perf_counter()
    process = subprocess.Popen(command, **options)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{command[0]} failed")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def compressor(compression):
    method, _, level = compression.partition(":")
    return {
        "zstd": ["zstd", "-q", f"-{level or 9}", "-T2", "-c"],
        "xz": ["xz", f"-{level or 6}", "-T2", "-c"],
        "gzip": ["gzip", f"-{level or 9}", "-n", "-c"],
    }[method]


def unpack(deb, work):
    """The package's data.tar, and the tree in it without byte code."""
    members = run("ar", "t", deb, capture_output=True, text=True).stdout.split()
    data = next(name for name in members if name.startswith("data.tar"))
    tool = {"zst": ["zstd", "-dc"], "xz": ["xz", "-dc"], "gz": ["gzip", "-dc"]}[data.rsplit(".", 1)[1]]
    tar, tree = os.path.join(work, "data.tar"), os.path.join(work, "tree")
    with open(tar, "wb") as out:
        packed = subprocess.Popen(["ar", "p", deb, data], stdout=subprocess.PIPE)
        run(*tool, stdin=packed.stdout, stdout=out)
    os.mkdir(tree)
    run("tar", "-C", tree, "-xf", tar, "--exclude=__pycache__", "./opt")
    return tar, tree


def compile_tree(tree):
    for directory, names, _ in os.walk(tree):
        if "__pycache__" in names:
            shutil.rmtree(os.path.join(directory, "__pycache__"))
    # compileall fails for the files that are not valid Python, and compiles the rest.
    command = f"{PYTHON} -m compileall -q -j2 --invalidation-mode unchecked-hash {tree} >/dev/null 2>&1; true"
    return timed("sh", "-c", command)[0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--compression", default="zstd:9")
    options = parser.parse_args()
    run("cargo", "build", "--release", "--quiet", cwd=ROOT)
    mkpkg = os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "release/mkpkg")
    room = "/dev/shm" if shutil.disk_usage("/dev/shm").free > 3 << 30 else None
    with tempfile.TemporaryDirectory(dir=room) as work:
        wheels, out = os.path.join(work, "wheels"), os.path.join(work, "out")
        lock = os.path.join(PROJECT, "requirements.txt")
        run(PYTHON, "-m", "pip", "-q", "wheel", "--no-deps", "--require-hashes", "-r", lock, "-w", wheels)
        build = [mkpkg, "deb", PROJECT, "--quiet", "--wheelhouse", wheels, "-o", out]
        build += ["--compression", options.compression, "--jobs", "2"]
        environment = {**os.environ, "TMPDIR": work}
        deb = run(*build, env=environment, capture_output=True, text=True).stdout.strip()
        tar, tree = unpack(deb, work)
        rows = []
        for _ in range(options.runs):
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
