"""Does rpmbuild, with mkpkg's macros, write the package mkpkg writes alone?

    macros.py ALONE BUILT

Compares every header tag of the two. Prints every difference that the tables below do not explain. Exit status 1 when
anything was printed.
"""

import stat
import sys

import rpm

from twin import DEPENDENCIES, MAY_DIFFER, ONLY_RPMBUILD, PARTS, SCRIPTS, header

# Tags whose values are those of the spec file, or of the one who runs rpmbuild.
OF_THE_SPEC = {
    "DESCRIPTION": "mkpkg has none but the summary for this project",
    "GROUP": "rpmbuild has `Unspecified`, too, unless its configuration says otherwise",
    "PACKAGER": "who maintains the project; in a spec file the changelog has it",
    "CHANGELOGTIME": "the spec file has a changelog of its own",
    "CHANGELOGNAME": "the same",
    "CHANGELOGTEXT": "the same",
    "BUILDHOST": "mkpkg names none",
    "BUILDTIME": "mkpkg names the time of the sources",
    "SOURCERPM": "named after rpmbuild's own",
    "PAYLOADCOMPRESSOR": "rpmbuild's configuration decides (`%_binary_payload`)",
    "PAYLOADFLAGS": "the same",
}
# What is required of rpm itself because of them.
OF_THE_PAYLOAD = ["rpmlib(PayloadIsZstd)", "rpmlib(PayloadIsXz)"]
# A generator says what is needed, and not during which scriptlet. rpm installs it before in both cases, but for a circle
# of packages, which it then may break there.
PHASE = sum(
    [
        rpm.RPMSENSE_PRETRANS,
        rpm.RPMSENSE_SCRIPT_PRE,
        rpm.RPMSENSE_SCRIPT_POST,
        rpm.RPMSENSE_SCRIPT_PREUN,
        rpm.RPMSENSE_SCRIPT_POSTUN,
        rpm.RPMSENSE_POSTTRANS,
    ]
)
MEANT = rpm.RPMSENSE_LESS | rpm.RPMSENSE_GREATER | rpm.RPMSENSE_EQUAL | rpm.RPMSENSE_RPMLIB | rpm.RPMSENSE_CONFIG
# A spec file says which scriptlets there are before there is an environment: those that mkpkg has no text for are empty.
EMPTY = "# Nothing to do."


def relations(package, kind):
    names, versions, flags = (package[kind.upper() + part] for part in PARTS)
    found = set()
    for name, version, flag in zip(names, versions, flags):
        is_empty_script = flag & rpm.RPMSENSE_INTERP and not flag & MEANT
        if name not in OF_THE_PAYLOAD and not is_empty_script:
            found.add(f"{name} {version} {flag & MEANT:#x}")
    return found


def files(package):
    """Of each path all that matters; the time of what has no content is that of the build."""
    for entry in rpm.files(package):
        mtime = entry.mtime if stat.S_ISREG(entry.mode) else None
        what = (oct(entry.mode), entry.user, entry.group, entry.digest, entry.linkto, mtime)
        yield entry.name, (*what, entry.fflags, entry.vflags, entry.caps, entry.color)


def scripts(package):
    for phase, tag in SCRIPTS.items():
        text, program = package[tag], package[tag + "PROG"]
        if (text or program) and text.strip() != EMPTY:
            yield phase, (program, text.rstrip())


def different(ours, theirs, what):
    ours, theirs = dict(ours), dict(theirs)
    for key in sorted({*ours, *theirs}):
        if ours.get(key) != theirs.get(key):
            yield f"{what} {key}: {ours.get(key)!r}, rpmbuild has {theirs.get(key)!r}"


def compare(ours, theirs):
    for kind in DEPENDENCIES:
        left, right = relations(ours, kind), relations(theirs, kind)
        yield from (f"{kind}: {relation}: rpmbuild has it not" for relation in sorted(left - right))
        yield from (f"{kind}: {relation}: only rpmbuild has it" for relation in sorted(right - left))
    yield from different(files(ours), files(theirs), "file")
    yield from different(scripts(ours), scripts(theirs), "script")
    compared = {getattr(rpm, f"RPMTAG_{kind.upper()}{part}") for kind in DEPENDENCIES for part in PARTS}
    explained = {*ONLY_RPMBUILD, *MAY_DIFFER, *OF_THE_SPEC}
    for tag in sorted({*ours.keys(), *theirs.keys()} - compared):
        name = rpm.tagnames.get(tag, str(tag)).upper()
        is_compared = name.startswith(("FILE", "DIR", "BASE")) or name.removesuffix("PROG") in SCRIPTS.values()
        if name not in explained and not is_compared and ours[tag] != theirs[tag]:
            yield f"{name}: {ours[tag]!r}, rpmbuild has {theirs[tag]!r}"


def main():
    found = list(compare(header(sys.argv[1]), header(sys.argv[2])))
    print("\n".join(found), end="\n" if found else "")
    sys.exit(bool(found))


main()
