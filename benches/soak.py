#!/usr/bin/python3
"""Builds one package many times at once with one cache, kills builds at random, and compares every package that appears.

usage: benches/soak.py MKPKG [--builds 500] [--at-once 8] [--seed 1]

Some builds begin with damage in the cache: an entry that is cut short, changed, or empty. Whatever happens, a package is
either whole and the same as that of a build without a cache, or not there. Prints how many were built and killed; ends
with 1 when a package differs.
"""

import argparse
import base64
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import zipfile


def wheel(directory, name, modules, size):
    """A wheel of modules with so many lines each."""
    info = f"{name}-1.0.dist-info"
    # Entries of more than a megabyte are verified while they are copied, others before.
    noise = random.Random(name).randbytes(3 << 20) if name == "part0" else b""
    # What is large and begins as compiled files do is packed apart.
    if name == "part1":
        noise = bytes(64) + random.Random(name).randbytes(9 << 20)
    files = {f"{name}/__init__.py": b"", f"{name}/noise.bin": noise}
    for number in range(modules):
        lines = (f"def f{at}(x):\n    return '{name}', {number}, x + {at * 7919 % 1009}\n" for at in range(size))
        files[f"{name}/m{number}.py"] = "".join(lines).encode()
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: soak\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = ""
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(content)}\n"
    files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    with zipfile.ZipFile(os.path.join(directory, f"{name}-1.0-py3-none-any.whl"), "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(zipfile.ZipInfo(path, (2024, 5, 6, 7, 8, 10)), content)


def project(work):
    os.mkdir(os.path.join(work, "app"))
    os.mkdir(os.path.join(work, "wheels"))
    names = [f"part{number}" for number in range(6)]
    for number, name in enumerate(names):
        wheel(os.path.join(work, "wheels"), name, 3 + 4 * number, 120)
    with open(os.path.join(work, "app/requirements.txt"), "w") as out:
        out.writelines(f"{name}==1.0\n" for name in names)
    with open(os.path.join(work, "app/mkpkg.toml"), "w") as out:
        out.write('name = "soak"\nversion = "1.0"\nmaintainer = "A <a@b.example>"\n')
    with open(os.path.join(work, "app/main.py"), "w") as out:
        out.write("import part0\n")


def start(mkpkg, work, out, *options, **environment):
    command = [mkpkg, "deb", os.path.join(work, "app"), "--wheelhouse", os.path.join(work, "wheels"), "--quiet"]
    command += ["--target", "debian:12", "-o", out, *options]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000", "TMPDIR": work, **environment}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def digest(out):
    path = os.path.join(out, "soak_1.0-1_all.deb")
    if not os.path.exists(path):
        return None
    with open(path, "rb") as package:
        return hashlib.sha256(package.read()).hexdigest()


def damage(cache, dice):
    """Spoils one entry."""
    entries = [os.path.join(at, name) for at, _, names in os.walk(cache) for name in names if "." not in name]
    if not entries:
        return
    path = dice.choice(entries)
    try:
        size = os.path.getsize(path)
        with open(path, "r+b") as entry:
            if dice.random() < 0.5:
                entry.truncate(dice.randrange(size + 1))
            else:
                entry.seek(dice.randrange(max(size, 1)))
                entry.write(bytes([dice.randrange(256)]))
    except OSError:
        pass  # a build was faster


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mkpkg")
    parser.add_argument("--builds", type=int, default=500)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    dice = random.Random(options.seed)
    mkpkg = os.path.abspath(options.mkpkg)
    with tempfile.TemporaryDirectory() as work:
        project(work)
        began = time.monotonic()
        reference = start(mkpkg, work, os.path.join(work, "reference"), "--no-cache")
        _, told = reference.communicate()
        expected = digest(os.path.join(work, "reference"))
        if reference.returncode != 0 or expected is None:
            sys.exit(f"the first build failed: {told}")
        usual = time.monotonic() - began
        cache = os.path.join(work, "cache")
        done, killed, running, wrong = 0, 0, [], []
        for number in range(options.builds + options.at_once):
            while len(running) >= options.at_once or number >= options.builds and running:
                build, out, deadline = running.pop(0)
                try:
                    _, told = build.communicate(timeout=max(deadline - time.monotonic(), 0) if deadline else None)
                except subprocess.TimeoutExpired:
                    build.send_signal(signal.SIGKILL)
                    build.communicate()
                found = digest(out)
                done += build.returncode == 0
                killed += build.returncode == -signal.SIGKILL
                if build.returncode not in (0, -signal.SIGKILL):
                    wrong.append(f"build {out} ended with {build.returncode}: {told}")
                if found != expected and (found is not None or build.returncode == 0):
                    wrong.append(f"{out} has {found}, and not {expected}")
            if number >= options.builds:
                break
            if dice.random() < 0.2:
                damage(cache, dice)
            out = os.path.join(work, f"out{number}")
            build = start(mkpkg, work, out, XDG_CACHE_HOME=cache)
            deadline = time.monotonic() + dice.random() * 2 * usual if dice.random() < 0.4 else None
            running.append((build, out, deadline))
    print(f"{done} built, {killed} killed, {len(wrong)} wrong")
    if wrong:
        sys.exit("\n".join(wrong[:10]))


if __name__ == "__main__":
    main()
