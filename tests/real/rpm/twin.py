"""Would rpmbuild write the same package?

    twin.py RPM SCRATCH
    twin.py --elf RPM SCRATCH

Unpacks RPM below SCRATCH, writes a spec with the same metadata and file list, builds it with rpmbuild on the unpacked
tree and compares every header tag of the two. Dependency generators are filtered below the application's prefix, as a
spec author would. With --elf it compares what the package requires of libraries with what `elfdeps` finds.

Prints every difference that the tables below do not explain. Exit status 1 when anything was printed.
"""

import os
import pathlib
import re
import subprocess
import sys
import time

import rpm

# Tags that rpmbuild writes and a package can do without.
ONLY_RPMBUILD = {
    "CLASSDICT": "what libmagic calls a file; rpm itself shows it in --fileclass only",
    "FILECLASS": "index of CLASSDICT",
    "FILECOLORS": "32 or 64 bit, to choose between two packages that share a file: ours own their prefix",
    "DEPENDSDICT": "which file brought which dependency: a note of the dependency generators",
    "FILEDEPENDSN": "index of DEPENDSDICT",
    "FILEDEPENDSX": "index of DEPENDSDICT",
    "OPTFLAGS": "of the compiler that rpmbuild would have called",
    "PLATFORM": "of the machine that rpmbuild ran on",
    "COOKIE": "host name and time that pair binary and source packages",
    "SHA1HEADER": "superseded by SHA256HEADER, and refused where SHA-1 is",
    "SIGMD5": "superseded by SHA256HEADER and PAYLOADDIGEST, and refused where MD5 is",
    "PAYLOADDIGESTALT": "of the payload before compression; rpm uses it for delta packages",
}
# Tags that both have and whose values need not agree.
MAY_DIFFER = {
    "CLASSDICT": "holds the places of files",
    "DEPENDSDICT": "a dependency that the spec names is not the generators'",
    "FILEDEPENDSN": "the same",
    "FILEDEPENDSX": "the same",
    "RPMVERSION": "names the tool that wrote the package",
    "SHA1HEADER": "of a header that differs in the tags above",
    "SHA256HEADER": "the same",
    "SIGMD5": "the same",
    "SIGSIZE": "size of header and payload",
    "LONGSIGSIZE": "the same",
    "PAYLOADDIGEST": "the compressor's output depends on its version and on how its input is cut",
    "PAYLOADDIGESTALT": "inode numbers stand in the archive",
    "ARCHIVESIZE": "the same",
    "SIG_RESERVED": "room for a later signature",
    "RESERVEDSPACE": "the same",
    "HEADERSIGNATURES": "place of the tags in the file",
    "HEADERIMMUTABLE": "the same",
    "FILEINODES": "any numbers that tell hard links apart",
    "HEADERI18NTABLE": "the one locale of texts without a translation",
}
# Provides that no package of ours may have: they are left out of the spec, so that one that does shows a difference.
GENERATED = re.compile(r"\.so(\.|\(|$)|^python\S*dist\(|^python\(abi\)|^pkgconfig\(|^cmake\(")
# How a dependency came to be, which does not change what it means.
ORIGIN = rpm.RPMSENSE_FIND_REQUIRES | rpm.RPMSENSE_FIND_PROVIDES
WRITTEN_BY_RPMBUILD = rpm.RPMSENSE_RPMLIB | rpm.RPMSENSE_INTERP | rpm.RPMSENSE_CONFIG
OPERATORS = {rpm.RPMSENSE_LESS: "<", rpm.RPMSENSE_GREATER: ">", rpm.RPMSENSE_EQUAL: "="}
PHASES = {
    rpm.RPMSENSE_PRETRANS: "pretrans",
    rpm.RPMSENSE_SCRIPT_PRE: "pre",
    rpm.RPMSENSE_SCRIPT_POST: "post",
    rpm.RPMSENSE_SCRIPT_PREUN: "preun",
    rpm.RPMSENSE_SCRIPT_POSTUN: "postun",
    rpm.RPMSENSE_POSTTRANS: "posttrans",
}
DEPENDENCIES = ["Require", "Provide", "Conflict", "Obsolete", "Recommend", "Suggest", "Supplement", "Enhance", "Order"]
PARTS = ["NAME", "VERSION", "FLAGS"]
SCRIPTS = {
    "pretrans": "PRETRANS",
    "pre": "PREIN",
    "post": "POSTIN",
    "preun": "PREUN",
    "postun": "POSTUN",
    "posttrans": "POSTTRANS",
}
COMPRESSORS = {"zstd": "zstdio", "xz": "xzdio", "gzip": "gzdio"}
PREAMBLE = ["Name", "Epoch", "Version", "Release", "Summary", "License", "URL", "Group", "Vendor", "Packager"]
FILE_MARKS = {
    rpm.RPMFILE_GHOST: "%ghost",
    rpm.RPMFILE_DOC: "%doc",
    rpm.RPMFILE_LICENSE: "%license",
    rpm.RPMFILE_ARTIFACT: "%artifact",
}


def header(path):
    transaction = rpm.TransactionSet()
    transaction.setVSFlags(rpm.RPMVSF_MASK_NOSIGNATURES)
    with open(path, "rb") as file:
        return transaction.hdrFromFdno(file.fileno())


def text(value):
    """A text that rpmbuild reads as it stands: its macros start with a percent sign."""
    return str(value).replace("%", "%%")


def dependencies(package, kind):
    """Lines of a spec for what rpmbuild does not derive by itself."""
    names, versions, flags = (package[kind.upper() + part] for part in PARTS)
    own = {package["NAME"], f"{package['NAME']}({package['ARCH'].replace('_', '-')})"}
    keyword = "OrderWithRequires" if kind == "Order" else f"{kind}s"
    for name, version, flag in zip(names, versions, flags):
        if flag & WRITTEN_BY_RPMBUILD or kind == "Provide" and (name in own or GENERATED.search(name)):
            continue
        operator = "".join(sign for bit, sign in OPERATORS.items() if flag & bit)
        phases = ",".join(word for bit, word in PHASES.items() if flag & bit)
        qualified = f"{keyword}({phases})" if phases else keyword
        yield f"{qualified}: {text(name)}" + (f" {operator} {text(version)}" if operator else "")


def file_line(entry):
    """A line of %files. rpmbuild 4.18 cannot quote a pattern, so that names that look like one become one."""
    mode = "-" if entry.mode & 0o170000 == 0o120000 else f"{entry.mode & 0o7777:04o}"
    marks = [f"%attr({mode},{entry.user},{entry.group})"]
    marks += [mark for bit, mark in FILE_MARKS.items() if entry.fflags & bit]
    if entry.fflags & rpm.RPMFILE_CONFIG:
        words = {rpm.RPMFILE_NOREPLACE: "noreplace", rpm.RPMFILE_MISSINGOK: "missingok"}
        chosen = ",".join(word for bit, word in words.items() if entry.fflags & bit)
        marks.append(f"%config({chosen})" if chosen else "%config")
    if entry.mode & 0o170000 == 0o040000:
        marks.append("%dir")
    if re.search(r"[\\*?\[\]{}\"']", entry.name):
        return " ".join([*marks, text(re.sub(r"[\\*?\[\]{}\"' ]", "?", entry.name))])
    return " ".join([*marks, f'"{text(entry.name)}"'])


def changelog(package):
    for when, who, what in zip(package["CHANGELOGTIME"], package["CHANGELOGNAME"], package["CHANGELOGTEXT"]):
        # rpmbuild puts a date without a time at noon
        form = "%a %b %d %Y" if when % 86400 == 43200 else "%a %b %d %H:%M:%S UTC %Y"
        yield f"* {time.strftime(form, time.gmtime(when))} {text(who)}\n{text(what)}\n"


def spec(package, tree):
    stated = [tag for tag in PREAMBLE if package[tag.upper()] not in (None, "")]
    lines = [f"{tag}: {text(package[tag.upper()])}" for tag in stated]
    for kind in DEPENDENCIES:
        lines += dependencies(package, kind)
    lines += ["%description", text(package["DESCRIPTION"])]
    move = f"find {tree} -mindepth 1 -maxdepth 1 -exec mv -t %{{buildroot}} {{}} +"
    lines += ["%install", "mkdir -p %{buildroot}", move]
    for section, tag in SCRIPTS.items():
        if package[tag] or package[tag + "PROG"]:
            program = " ".join(package[tag + "PROG"])
            lines += [f"%{section}" + ("" if program == "/bin/sh" else f" -p {program}"), text(package[tag] or "")]
    lines += ["%files", *(file_line(entry) for entry in rpm.files(package))]
    return "\n".join([*lines, "%changelog", *changelog(package)]) + "\n"


def unpack(path, package, tree):
    """The payload, and empty files where the package owns what it does not bring."""
    tree.mkdir()
    archive = subprocess.Popen(["rpm2cpio", path], stdout=subprocess.PIPE)
    command = ["cpio", "--extract", "--make-directories", "--preserve-modification-time", "--no-absolute-filenames"]
    subprocess.run([*command, "--quiet"], stdin=archive.stdout, cwd=tree, check=True)
    if archive.wait():
        sys.exit("rpm2cpio failed")
    for entry in reversed(list(rpm.files(package))):
        target = tree / entry.name.lstrip("/")
        if entry.fflags & rpm.RPMFILE_GHOST:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        # cpio keeps the times of regular files only
        if not target.is_file() or target.is_symlink() or entry.fflags & rpm.RPMFILE_GHOST:
            os.utime(target, (entry.mtime, entry.mtime), follow_symlinks=False)


def rpmbuild(package, scratch):
    (scratch / "package.spec").write_text(spec(package, scratch / "tree"))
    prefix = f"^/opt/{re.escape(package['NAME'])}/.*$"
    defines = {
        "_topdir": scratch / "top",
        "_buildhost": package["BUILDHOST"],
        "_binary_payload": f"w{package['PAYLOADFLAGS']}.{COMPRESSORS[package['PAYLOADCOMPRESSOR']]}",
        "_build_id_links": "none",
        "__os_install_post": "%{nil}",
        "__requires_exclude_from": prefix,
        "__provides_exclude_from": prefix,
        "use_source_date_epoch_as_buildtime": 1,
    }
    command = ["rpmbuild", "-bb", "--quiet", "--target", package["ARCH"], scratch / "package.spec"]
    command += [word for name, value in defines.items() for word in ("--define", f"{name} {value}")]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(scratch), "LC_ALL": "C.UTF-8"}
    environment["SOURCE_DATE_EPOCH"] = str(package["BUILDTIME"])
    built = subprocess.run(command, env=environment, capture_output=True, text=True)
    if built.returncode:
        sys.exit(f"rpmbuild failed\n{built.stderr}")
    return next((scratch / "top/RPMS").glob("*/*.rpm"))


def shown(ours, theirs):
    if not (isinstance(ours, list) and isinstance(theirs, list)):
        return f"{ours!r}, rpmbuild has {theirs!r}"
    pairs = enumerate(zip(ours, theirs))
    different = [f"[{at}] {left!r}, rpmbuild has {right!r}" for at, (left, right) in pairs if left != right]
    return f"{len(ours)} values, rpmbuild has {len(theirs)}; " + "; ".join(different[:5])


def relations(package, kind):
    """What a package requires, provides and so on, whoever derived it. Their order says nothing."""
    names, versions, flags = (package[kind.upper() + part] for part in PARTS)
    return {f"{name} {version} {flag & ~ORIGIN:#x}" for name, version, flag in zip(names, versions, flags)}


def compare(ours, theirs):
    compared = {getattr(rpm, f"RPMTAG_{kind.upper()}{part}") for kind in DEPENDENCIES for part in PARTS}
    for kind in DEPENDENCIES:
        left, right = relations(ours, kind), relations(theirs, kind)
        yield from (f"{kind}: {relation}: rpmbuild has it not" for relation in sorted(left - right))
        yield from (f"{kind}: {relation}: only rpmbuild has it" for relation in sorted(right - left))
    for tag in sorted({*ours.keys(), *theirs.keys()} - compared):
        name = rpm.tagnames.get(tag, str(tag)).upper()
        if tag not in ours.keys():
            if name not in ONLY_RPMBUILD:
                yield f"{name}: missing, rpmbuild has {theirs[tag]!r}"
        elif tag not in theirs.keys():
            yield f"{name}: {ours[tag]!r}, rpmbuild has none"
        elif name not in MAY_DIFFER and ours[tag] != theirs[tag]:
            yield f"{name}: {shown(ours[tag], theirs[tag])}"


def elf_requires(tree):
    """What `elfdeps` finds below a directory, without what a library in it answers."""
    paths = [pathlib.Path(directory, name) for directory, _, names in os.walk(tree) for name in names]
    files = [path for path in paths if path.is_file() and not path.is_symlink()]
    names = "".join(f"{path}\n" for path in files if path.open("rb").read(4) == b"\x7fELF")
    elfdeps = ["/usr/lib/rpm/elfdeps", "--requires"]
    printed = subprocess.run(elfdeps, input=names, stdout=subprocess.PIPE, text=True, check=True).stdout
    own = {path.name for path in paths}
    return {name for name in printed.splitlines() if name.split("(")[0] not in own}


def main():
    elf, (path, scratch) = sys.argv[1] == "--elf", sys.argv[-2:]
    package, scratch = header(path), pathlib.Path(scratch)
    unpack(path, package, scratch / "tree")
    if elf:
        declared = {name for name in package["REQUIRENAME"] if re.search(r"\.so[.(]|^rtld\(", name)}
        found = elf_requires(scratch / "tree")
        different = [f"not required: {name}" for name in sorted(found - declared)]
        different += [f"no file needs: {name}" for name in sorted(declared - found)]
    else:
        different = list(compare(package, header(rpmbuild(package, scratch))))
    print("\n".join(different), end="\n" if different else "")
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
