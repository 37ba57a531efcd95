#!/usr/bin/env python3
"""Writes the tables of Debian releases that mkpkg has inside: src/backend/deb/libraries/table/debian-*.txt.

    scripts/releases.py DIR [RELEASE ...]      debian:11, debian:12, ...; all that are known unless some are named

Asks Debian's archive with apt, on Debian or Ubuntu; needs no root. DIR takes package lists and packages (about 1 GB)
and may be kept for the next time. The mirror and its proxy are those of /etc/apt; MKPKG_MIRROR overrides the archive's
address. docs/libraries.md says what a table knows, the comment at its top how it is written.
"""

import fnmatch
import functools
import glob
import os
import pathlib
import re
import subprocess
import sys
import textwrap
import time
from collections import Counter, defaultdict

HERE = pathlib.Path(__file__).resolve().parent
TABLES = HERE.parent / "src/backend/deb/libraries/table"
RELEASES = {"debian:11": "bullseye", "debian:12": "bookworm", "debian:13": "trixie"}
TRIPLETS = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu", "armhf": "arm-linux-gnueabihf"}

HEADER = """\
# Libraries of {release} ({codename}), by scripts/releases.py from Debian's archive:
{dates}# Made of the indexes and of the symbols and shlibs files of its packages.
#
# A section holds for the architectures its title names.
#   [names ARCH ...]             a package a line, and the names of its libraries
#   [symbols PACKAGE ARCH ...]   its symbols file, shortened: a least version, `:`, and all its symbols; `*@V` stands for
#                                those of version V that are not listed; those without a version that are not listed ask
#                                for the least version of all
#   [shlibs PACKAGE ARCH ...]    its shlibs file, for libraries without such a section
dpkg {dpkg}
"""


def run(*command, **options):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, **options).stdout


class Archive:
    """One release for one architecture, as apt sees it."""

    def __init__(self, home, codename, architecture):
        self.home, self.codename, self.architecture = home, codename, architecture
        for name in ("lists/partial", "archives/partial", "etc/empty", "debs"):
            (home / name).mkdir(parents=True, exist_ok=True)
        (home / "status").touch()
        self.environment = dict(os.environ, APT_CONFIG=str(home / "apt.conf"), LC_ALL="C.UTF-8")

    def update(self, suites):
        proxies = re.findall(r"^Acquire::https?::Proxy\S* .*", run("apt-config", "dump"), re.M)
        sources = self.sources(suites)
        (self.home / "etc/sources.list").write_text("".join(sources))
        contents = f"main/Contents-{self.architecture}"
        (self.home / "apt.conf").write_text("\n".join(proxies) + f"""
Dir::State "{self.home}";
Dir::State::Status "{self.home}/status";
Dir::Cache "{self.home}";
Dir::Etc::SourceList "{self.home}/etc/sources.list";
Dir::Etc::SourceParts "{self.home}/etc/empty";
Dir::Etc::Parts "{self.home}/etc/empty";
Dir::Etc::Preferences "-";
Dir::Etc::PreferencesParts "{self.home}/etc/empty";
APT::Architecture "{self.architecture}";
APT::Architectures {{ "{self.architecture}"; }};
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::Check-Valid-Until "false";
Acquire::IndexTargets::deb::Contents {{
    MetaKey "{contents}"; ShortDescription "{contents}"; Description "{contents}"; DefaultEnabled "false"; }};
""")
        # A mirror that is being synchronised has files that do not belong together, for a minute.
        for pause in (10, 10, 0):
            if subprocess.run(["apt-get", "-q", "update"], stdout=subprocess.DEVNULL, env=self.environment).returncode == 0:
                break
            time.sleep(pause)

    def sources(self, suites):
        form = "$(REPO_URI) $(RELEASE) $(CODENAME) $(COMPONENT)"
        targets = run("apt-get", "indextargets", "--format", form, "Created-By: Packages").splitlines()
        here = re.search(r"^VERSION_CODENAME=(\w+)", pathlib.Path("/etc/os-release").read_text(), re.M)[1]

        def address(suite):
            rows = (target.split() for target in targets)
            return next((row[0] for row in rows if suite in row[1:3] and row[3] == "main"), None)

        main = os.environ.get("MKPKG_MIRROR") or address(here)
        if not main:
            sys.exit(f"no mirror of Debian {here} in /etc/apt; set MKPKG_MIRROR")
        yield f"deb [target+=Contents] {main} {self.codename} main\n"
        for suite in suites:
            if other := address(f"{here}-{suite}"):
                yield f"deb {other} {self.codename}-{suite} main\n"

    def indexes(self, kind):
        """The text of every package list, or of the list of files."""
        paths = run("apt-get", "indextargets", "--format", "$(FILENAME)", f"Identifier: {kind}", env=self.environment)
        paths = [path for path in paths.split() if glob.glob(f"{path}*")]
        if not any("-updates_" not in path and "-security_" not in path for path in paths):
            sys.exit(f"cannot get the lists of {self.codename} for {self.architecture}")
        for path in paths:
            yield run("/usr/lib/apt/apt-helper", "cat-file", path, env=self.environment)

    def dates(self):
        """A line for each suite whose package list could be fetched."""
        lists = self.home / "lists"
        for path in sorted(lists.glob("*InRelease")):
            text = path.read_text()
            name, date = (re.search(rf"^{key}: (.*)$", text, re.M)[1] for key in ("Codename", "Date"))
            if any(lists.glob(f"{path.name.removesuffix('InRelease')}main_binary-{self.architecture}_Packages*")):
                yield f"#   {self.architecture}: {name} of {date}\n"

    def versions(self, packages):
        text = run("apt-cache", "show", "--no-all-versions", *packages, env=self.environment)
        found = (re.findall(r"^(?:Package|Version): (.*)$", stanza, re.M) for stanza in text.split("\n\n"))
        return {pair[0]: pair[1] for pair in found if len(pair) == 2}

    def control(self, package, version):
        """The symbols and the shlibs file of a package."""
        debs = self.home / "debs"
        path = debs / f"{package}_{version.replace(':', '%3a')}_{self.architecture}.deb"
        texts = []
        for member in ("symbols", "shlibs"):
            command = ["dpkg-deb", "--info", str(path), member]
            done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            texts.append(done.stdout if done.returncode == 0 else "")
        return texts

    def download(self, versions):
        debs = self.home / "debs"
        names = {f"{name}_{version.replace(':', '%3a')}_{self.architecture}.deb" for name, version in versions.items()}
        missing = sorted(name.split("_")[0] for name in names if not (debs / name).exists())
        if missing:
            run("apt-get", "-q", "download", *missing, cwd=debs, env=self.environment)


def weight(letter):
    return {"~": -1, "": 0}.get(letter, ord(letter or "\0") + (0 if letter.isalpha() else 256))


def compare_part(left, right):
    """Debian Policy 5.6.12."""
    while left or right:
        texts = [re.match(r"\D*", part)[0] for part in (left, right)]
        for at in range(max(map(len, texts))):
            order = weight(texts[0][at : at + 1]) - weight(texts[1][at : at + 1])
            if order:
                return order
        left, right = left[len(texts[0]) :], right[len(texts[1]) :]
        numbers = [re.match(r"\d*", part)[0] for part in (left, right)]
        order = int(numbers[0] or 0) - int(numbers[1] or 0)
        if order:
            return order
        left, right = left[len(numbers[0]) :], right[len(numbers[1]) :]
    return 0


def compare(left, right):
    def split(version):
        epoch, _, rest = version.rpartition(":")
        upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
        return int(epoch or 0), upstream, revision

    (left_epoch, *left_parts), (right_epoch, *right_parts) = split(left), split(right)
    orders = [left_epoch - right_epoch] + [compare_part(*pair) for pair in zip(left_parts, right_parts)]
    return next((order for order in orders if order), 0)


def libraries(archive):
    """By name: the packages that have such a library where the loader looks, and those that have it anywhere."""
    triplet = re.escape(TRIPLETS[archive.architecture])
    pattern = re.compile(rf"(?:usr/)?lib(?:64)?/({triplet}/)?(\S*/)?(lib[^/\s]+\.so(?:\.[^/\s]+)?|ld-[^/\s]+\.so\.\d)\s+(\S+)$")
    public, anywhere = defaultdict(set), defaultdict(set)
    for text in archive.indexes("Contents"):
        for line in text.splitlines():
            if found := pattern.match(line):
                _, inner, name, owners = found.groups()
                packages = {owner.rpartition("/")[2] for owner in owners.split(",")}
                packages = {package for package in packages if not package.endswith(("-dev", "-dbg", "-cross", "-dbgsym"))}
                if not packages:
                    continue
                anywhere[name] |= packages
                if not inner:
                    public[name] |= packages
    return public, anywhere


def dependents(archive):
    """How many packages depend on each."""
    count, packages = Counter(), set()
    for text in archive.indexes("Packages"):
        for stanza in text.split("\n\n"):
            if found := re.match(r"Package: (\S+)", stanza):
                packages.add(found[1])
            for fields in re.findall(r"^(?:Pre-)?Depends: (.*)$", stanza, re.M):
                count.update(set(re.findall(r"(?:^|[,|] *)([a-z0-9][a-z0-9+.-]+)", fields)))
    return count, packages


def read_symbols(text):
    """By library: its templates, and (name, least version, template, is gone) of each symbol."""
    objects, current = {}, None
    for line in text.splitlines():
        gone = re.match(r"#(?:MISSING|DEPRECATED): [^#]*#\s*(.*)", line)
        if gone or line.startswith(" "):
            name, minimal, *template = (gone[1] if gone else line).split()
            current[1].append((name, minimal, int(template[0]) if template else 0, bool(gone)))
        elif line.startswith("|"):
            current[0].append(line[1:].strip())
        elif line and line[0] not in "#*":
            soname, template = line.split(maxsplit=1)
            current = objects[soname] = ([template.strip()], [])
    return objects


def version_of(symbol):
    version = symbol.rpartition("@")[2]
    return None if version == "Base" else version


def nodes_of(objects):
    """By key: the line most symbols of a version have, which stands for them. Where the lines of libraries differ, as
    those of libc and libcrypt do for GLIBC_2.2.5, only libraries with the most common one have it."""
    count, total = defaultdict(Counter), defaultdict(Counter)
    for key, (templates, symbols) in objects.items():
        for name, minimal, template, is_gone in symbols:
            if not is_gone and (version := version_of(name)):
                count[key, version][minimal, template] += 1
    nodes = {pair: max(sorted(lines), key=lines.get) for pair, lines in count.items()}
    meaning = lambda key, line: (line[0], objects[key][0][line[1]])
    for (key, version), line in nodes.items():
        total[version][meaning(key, line)] += count[key, version][line]
    common = {version: max(sorted(lines), key=lines.get) for version, lines in total.items()}
    found = {key: {} for key in objects}
    for (key, version), line in nodes.items():
        if meaning(key, line) == common[version]:
            found[key][version] = line
    return found


def smallest(symbols):
    versions = {minimal for _, minimal, template, _ in symbols if template == 0}
    return min(versions, key=functools.cmp_to_key(compare), default=None)


def telling(symbols, nodes):
    """The symbols that say more than the node of their version and the least version do."""
    least, names = smallest(symbols), {symbol[0] for symbol in symbols}
    for symbol in symbols:
        name, minimal, template, is_gone = symbol
        version = version_of(name)
        if version in nodes:
            if is_gone or (minimal, template) != nodes[version]:
                yield symbol
        elif not is_gone and (version or (minimal, template) != (least, 0)):
            yield symbol
    for version in nodes:
        # Not every linker makes a symbol of a version. What is gone still counts for the least version.
        if f"{version}@{version}" not in names:
            yield (f"{version}@{version}", least or "0", 0 if least else 1, True)


def numbered(minimal, template):
    return f"{minimal} {template}" if template else minimal


def shorten(objects):
    """The text of symbols files from which the same relations follow, by key."""
    nodes = nodes_of(objects)
    kept = {key: set(telling(symbols, nodes[key])) for key, (_, symbols) in objects.items()}
    # dpkg takes the first library that has a symbol: where a later one tells it, all must.
    told = {symbol[0] for symbols in kept.values() for symbol in symbols if not symbol[3]}
    texts = {}
    for key, (templates, symbols) in objects.items():
        lines = kept[key] | {symbol for symbol in symbols if symbol[0] in told and not symbol[3]}
        least = smallest(symbols)
        if not any(symbol[1:3] == (least, 0) for symbol in lines & set(symbols)):
            lines |= set(sorted(symbol for symbol in symbols if symbol[1:3] == (least, 0))[:1])
        text = [f"{key[1]} {templates[0]}"] + [f"| {template}" for template in templates[1:]]
        text += [f" *@{version} {numbered(*line)}" for version, line in sorted(nodes[key].items())]
        groups = defaultdict(list)
        for name, minimal, template, is_gone in sorted(lines):
            if is_gone:
                text.append(f"#MISSING: 0# {name} {numbered(minimal, template)}")
            else:
                groups[numbered(minimal, template)].append(name.removesuffix("@Base"))
        for number, names in sorted(groups.items()):
            start = f" {number}: "
            text += textwrap.wrap(" ".join(names), 120, initial_indent=start, subsequent_indent=start,
                                  break_long_words=False, break_on_hyphens=False)
        texts[key] = "\n".join(text) + "\n"
    return texts


def short_names(names, exact):
    """Leaves out plugins, and files that a shorter name is a link to, as `libx.so.1.2` beside `libx.so.1`."""
    return {
        name for name in names
        if name in exact or ".so." in name and not any(name.startswith(f"{other}.") for other in names if ".so." in other)
    }


def shlibs_names(line):
    """The names a library may have that a line of a shlibs file is for."""
    words = line.split()
    if len(words) > 1 and not words[0].startswith("#") and not words[0].endswith(":"):
        return f"{words[0]}.so.{words[1]}", f"{words[0]}-{words[1]}.so"
    return ()


def sections_of(archive, patterns):
    """The sections for one architecture: by title, with a text or a set of lines."""
    public, anywhere = libraries(archive)
    count, packages = dependents(archive)

    def owner(name, owners):
        known = [package for package in owners if package in packages]
        return min(known, key=lambda package: (-count[package], package), default=None)

    is_listed = re.compile("|".join(fnmatch.translate(pattern) for pattern in patterns)).match
    # What an administrator chooses among, as BLAS, lies in directories of its own.
    inner = lambda name: [it for it in anywhere[name] if name in patterns and it.startswith(name.split(".so")[0])]
    places = {name: public.get(name) or inner(name) for name in anywhere}
    chosen = {name: owner(name, places[name]) for name in places if is_listed(name)}
    versions = archive.versions(sorted(set(filter(None, chosen.values()))))
    archive.download(versions)
    owners = {name: found for name, all in public.items() if (found := owner(name, all))}
    objects, texts, exact = {}, {}, set()
    is_own = lambda name, package: package in public.get(name, ()) or chosen.get(name) == package
    for package, version in sorted(versions.items()):
        # What is no name of a library of the package is there for udebs, or for other packages of its source.
        symbols, texts[package] = archive.control(package, version)
        own = {name: object for name, object in read_symbols(symbols).items() if is_own(name, package)}
        objects |= {(package, name): object for name, object in own.items()}
    sections = defaultdict(str)
    for (package, _), text in sorted(shorten(objects).items()):
        sections[f"symbols {package}"] += text
    for package, text in texts.items():
        known = {name for owner, name in objects if owner == package}
        lines = ""
        for line in sorted(text.splitlines()):
            names = {name for name in shlibs_names(line) if is_own(name, package)}
            if names and not names & known:
                lines += " ".join(line.split()) + "\n"
            known |= names
        if lines:
            sections[f"shlibs {package}"] = lines
        exact |= known
        owners |= {name: package for name in known}
    by_package = defaultdict(set)
    for name, package in owners.items():
        by_package[package].add(name)
    return sections, {(package, name) for package, names in by_package.items() for name in short_names(names, exact)}


def together(by_architecture):
    """`value -> architectures` from `architecture -> values`."""
    found = defaultdict(list)
    for architecture, values in by_architecture.items():
        for value in values:
            found[value].append(architecture)
    return found


def table(release, dir, patterns):
    codename = RELEASES[release]
    sections, names, dates = {}, {}, ""
    for architecture in TRIPLETS:
        archive = Archive(dir / f"{codename}-{architecture}", codename, architecture)
        try:
            archive.update(["updates", "security"])
            found, names[architecture] = sections_of(archive, patterns)
        except subprocess.CalledProcessError:
            # Mirrors lose what changed last in a release that is no longer supported.
            archive.update([])
            found, names[architecture] = sections_of(archive, patterns)
        sections[architecture] = found.items()
        dates += "".join(archive.dates())
    dpkg = archive.versions(["dpkg"])["dpkg"]
    text = HEADER.format(release=release, codename=codename, dates=dates, dpkg=dpkg)
    lines = defaultdict(lambda: defaultdict(list))
    for (package, name), architectures in sorted(together(names).items()):
        lines[" ".join(architectures)][package].append(name)
    for architectures, packages in sorted(lines.items()):
        text += f"[names {architectures}]\n"
        text += "".join(f"{package} {' '.join(names)}\n" for package, names in sorted(packages.items()))
    for (title, content), architectures in sorted(together(sections).items()):
        text += f"[{title} {' '.join(architectures)}]\n{content}"
    return text


def main():
    if len(sys.argv) < 2 or not set(sys.argv[2:]) <= RELEASES.keys():
        sys.exit(__doc__)
    dir = pathlib.Path(sys.argv[1]).resolve()
    lines = (HERE / "releases.libraries").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    TABLES.mkdir(exist_ok=True)
    for release in sys.argv[2:] or RELEASES:
        path = TABLES / f"{release.replace(':', '-')}.txt"
        path.write_text(table(release, dir, patterns))
        print(path, path.stat().st_size)


if __name__ == "__main__":
    main()
