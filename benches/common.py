"""What the benchmarks share: where things are, how commands are timed, and what they are given."""

import os
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
YARDSTICK = os.path.join(ROOT, "fixtures/projects/yardstick")
PYTHON = "/usr/bin/python3.11"


def run(*command, **options):
    return subprocess.run(command, check=True, **options)


def timed(*command, **options):
    """Seconds of wall clock, and peak memory in MB of the largest process, of a command."""
    start = time.perf_counter()
    process = subprocess.Popen(command, **options)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{command[0]} failed")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def mkpkg():
    """The program, compiled as it is released."""
    run("cargo", "build", "--release", "--quiet", cwd=ROOT)
    return os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "release/mkpkg")


def replace(mark, text):
    """Puts a text between `<!-- mark -->` and `<!-- end -->` of docs/benchmarks.md."""
    path = os.path.join(ROOT, "docs/benchmarks.md")
    with open(path) as file:
        before, rest = file.read().split(f"<!-- {mark} -->\n")
    after = rest.split("<!-- end -->", 1)[1]
    with open(path, "w") as file:
        file.write(f"{before}<!-- {mark} -->\n{text}<!-- end -->{after}")


def room(size):
    """A directory that goes away again: in memory, where so many bytes are free, else in TMPDIR."""
    is_roomy = shutil.disk_usage("/dev/shm").free > size
    return tempfile.TemporaryDirectory(dir="/dev/shm" if is_roomy else None)


def wheels_of(lock, directory):
    """Fetches the wheels of a lock with hashes."""
    run(PYTHON, "-m", "pip", "-q", "wheel", "--no-deps", "--require-hashes", "-r", lock, "-w", directory)


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
    """Seconds to byte-compile a tree anew with two processes, and nothing else."""
    for directory, names, _ in os.walk(tree):
        if "__pycache__" in names:
            shutil.rmtree(os.path.join(directory, "__pycache__"))
    # compileall fails for the files that are not valid Python, and compiles the rest.
    command = f"{PYTHON} -m compileall -q -j2 --invalidation-mode unchecked-hash {tree} >/dev/null 2>&1; true"
    return timed("sh", "-c", command)[0]


def compressor(compression):
    """The command that compresses as a build at `zstd:9`, `xz:6` or so is asked to."""
    method, _, level = compression.partition(":")
    return {
        "zstd": ["zstd", "-q", f"-{level or 9}", "-T2", "-c"],
        "xz": ["xz", f"-{level or 6}", "-T2", "-c"],
        "gzip": ["gzip", f"-{level or 9}", "-n", "-c"],
    }[method]
