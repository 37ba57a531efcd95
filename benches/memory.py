#!/usr/bin/python3
"""Measures how the peak memory of a build depends on the size of the package, in both formats.

usage: benches/memory.py [--runs N]

Makes wheels of 400 MB, of 3 GB in as many files, and of 3 GB in files of the same length, half of them noise, and builds
packages of them with two threads; then packages of the yardstick. The goals: 3 GB take at most 1.2 times the memory of
400 MB in as many files, a file more takes at most 2 kB, and the yardstick less than 300 MB; ends with 1 when one is missed.
What is printed is the peak of the largest process, mkpkg or an interpreter that it runs, in the greatest of N builds: how
many buffers the compressor fills depends on which thread is faster. What lies in a file system of memory does not count.
Needs 12 GB in /dev/shm, else in TMPDIR.
"""

import argparse
import base64
import hashlib
import os
import random
import shutil
import subprocess
import sys
import zipfile

from common import YARDSTICK, mkpkg, room, wheels_of

SHORT = 72 << 10
# Megabytes, and bytes of a file.
SIZES = {"400 MB": (400, SHORT), "3 GB, as many files": (3000, SHORT * 15 // 2), "3 GB, files as long": (3000, SHORT)}
OPTIONS = ["--python", "3.11", "--jobs", "2", "--compression", "zstd:9"]
WHEEL = 100 << 20
NOTED = "Metadata-Version: 2.1\nName: {}\nVersion: 1.0\nSummary: ballast\nMaintainer-email: A <a@b.example>\n"
TAGS = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def content(noise, length):
    """A file that compresses to half its size."""
    return noise.randbytes(length // 2) + noise.randbytes(64) * (length // 128)


def module(number):
    return "".join(f"def f{line}(a):\n    return a + {number * line}\n\n\n" for line in range(40)).encode()


def make_wheel(directory, name, size, length, modules):
    noise, info, record = random.Random(name), f"{name}-1.0.dist-info", []
    with zipfile.ZipFile(os.path.join(directory, f"{name}-1.0-py3-none-any.whl"), "w") as archive:

        def add(path, data):
            archive.writestr(path, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{path},sha256={digest},{len(data)}\n")

        add(f"{name}/__init__.py", b"")
        for number in range(modules):
            add(f"{name}/m{number}.py", module(number))
        for number in range(size // length):
            add(f"{name}/d{number % 50}/{number}.bin", content(noise, length))
        add(f"{info}/METADATA", NOTED.format(name).encode())
        add(f"{info}/WHEEL", TAGS.encode())
        archive.writestr(f"{info}/RECORD", "".join(record) + f"{info}/RECORD,,\n")


def make_project(work, size, length):
    wheels, project = os.path.join(work, "wheels"), os.path.join(work, "project")
    os.makedirs(wheels)
    os.makedirs(project)
    names = [f"ballast{number}" for number in range(size // WHEEL)]
    for name in names:
        make_wheel(wheels, name, WHEEL, length, modules=100 * SHORT // length)
    with open(os.path.join(project, "requirements.txt"), "w") as lock:
        lock.writelines(f"{name}==1.0\n" for name in names)
    return project, wheels


def files(size):
    """How many files the wheels of that size have, more or less."""
    megabytes, length = SIZES[size]
    return (megabytes << 20) // length


def peak(work, command):
    """Peak memory in MB of a build."""
    out = os.path.join(work, "out")
    environment = {**os.environ, "TMPDIR": work, "XDG_CACHE_HOME": work, "SOURCE_DATE_EPOCH": "1700000000"}
    process = subprocess.Popen([*command, "--quiet", "-o", out], env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{command} failed")
    shutil.rmtree(out)
    shutil.rmtree(os.path.join(work, "mkpkg"))
    return usage.ru_maxrss / 1024


def inputs(size, work):
    """The project of that size and its wheels."""
    if size != "yardstick":
        megabytes, length = SIZES[size]
        return make_project(work, megabytes << 20, length)
    wheels = os.path.join(work, "wheels")
    wheels_of(os.path.join(YARDSTICK, "requirements.txt"), wheels)
    return YARDSTICK, wheels


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    program = mkpkg()
    peaks = {}
    for size in [*SIZES, "yardstick"]:
        with room(12 << 30) as work:
            project, wheels = inputs(size, work)
            for name in ["deb", "rpm"]:
                command = [program, name, project, "--wheelhouse", wheels, *OPTIONS]
                peaks[size, name] = max(peak(work, command) for _ in range(runs))
                print(f"{size:20} .{name}  {peaks[size, name]:5.0f} MB", flush=True)
    missed = False
    small, large, many = SIZES
    for name in ["deb", "rpm"]:
        ratio = peaks[large, name] / peaks[small, name]
        each = (peaks[many, name] - peaks[large, name]) / (files(many) - files(large)) * 1024
        missed |= ratio > 1.2 or each > 2 or peaks["yardstick", name] >= 300
        print(f".{name}: 3 GB / 400 MB in as many files {ratio:.2f}; {each:.1f} kB for each file more")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
