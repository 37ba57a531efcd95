"""Is an environment installed by dpkg what pip or uv would have made of the same wheels?

    compare.py OURS THEIRS [--modes]
    compare.py --record OURS

Prints every difference that the list below does not explain, or every line of a RECORD that is not true. --modes also
compares executable bits. Exit status 1 when anything was printed.
"""

import base64
import configparser
import csv
import hashlib
import os
import pathlib
import re
import sys

# What may differ, and nothing else:
EXPECTED = [
    r"bin/(python[0-9.]*|[Aa]ctivate.*|deactivate.*|pydoc\.bat|activate_this\.py)",  # the interpreter, shell helpers
    r"pyvenv\.cfg|lib64|\.gitignore|\.lock|CACHEDIR\.TAG",  # made by venv and uv, not by a wheel
    r"lib/[^/]+/site-packages/_virtualenv\.(py|pth)",  # the same, by uv
    r".*\.dist-info/(RECORD|INSTALLER|REQUESTED|direct_url\.json|uv_cache\.json)",  # an installer's own notes
    r".*\.dist-info/RECORD\.(jws|p7s)",  # signatures of a RECORD that is no longer
    r"(.*/)?__pycache__/.*",  # byte code
]


def listing(root):
    found = {}
    for directory, names, files in os.walk(root):
        for name in files + [name for name in names if os.path.islink(os.path.join(directory, name))]:
            path = pathlib.Path(directory, name)
            relative = str(path.relative_to(root))
            if not re.fullmatch("|".join(EXPECTED), relative):
                found[relative] = path
    return found


def entry_points(root):
    """Names of generated scripts: every installer writes its own text."""
    names = set()
    for file in root.glob("lib/*/site-packages/*.dist-info/entry_points.txt"):
        parser = configparser.ConfigParser(delimiters="=", strict=False, interpolation=None)
        parser.optionxform = str
        parser.read_string(file.read_text())
        for section in ("console_scripts", "gui_scripts"):
            names.update(parser[section] if section in parser else ())
    return {f"bin/{name}" for name in names}


def content(path, relative, generated):
    if path.is_symlink():
        return os.readlink(path)
    data = b"" if relative in generated else path.read_bytes()
    if relative.startswith("bin/") and data.startswith(b"#!"):
        data = data.partition(b"\n")[2]  # the first line names the interpreter
    return data


def compare(ours, theirs, modes):
    left, right, generated = listing(ours), listing(theirs), entry_points(theirs)
    for path in sorted(left.keys() - right.keys()):
        yield f"only ours: {path}"
    for path in sorted(right.keys() - left.keys()):
        yield f"only theirs: {path}"
    for path in sorted(left.keys() & right.keys()):
        if content(left[path], path, generated) != content(right[path], path, generated):
            yield f"differs: {path}"
        if modes and (left[path].lstat().st_mode ^ right[path].lstat().st_mode) & 0o111:
            yield f"mode: {path}: {left[path].lstat().st_mode & 0o777:o}, theirs {right[path].lstat().st_mode & 0o777:o}"


def untrue(root):
    """Lines of RECORD that are not true, and files that no RECORD has."""
    recorded = set()
    for site in root.glob("lib/*/site-packages"):
        for record in site.glob("*.dist-info/RECORD"):
            for name, digest, size in csv.reader(record.read_text().splitlines()):
                path = pathlib.Path(os.path.normpath(site / name))
                recorded.add(path)
                if path == record:
                    continue
                if not path.is_file():
                    yield f"{record.parent.name}: {name} is not there"
                    continue
                data = path.read_bytes()
                true = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
                if digest != f"sha256={true}" or size != str(len(data)):
                    yield f"{record.parent.name}: {name} has {digest} {size}, is sha256={true} {len(data)}"
    listed = listing(root)
    for path in sorted(listed):
        if listed[path] not in recorded and not path.endswith(".dist-info/RECORD"):
            yield f"in no RECORD: {path}"


def main():
    if sys.argv[1] == "--record":
        found = list(untrue(pathlib.Path(sys.argv[2])))
    else:
        found = list(compare(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), "--modes" in sys.argv))
    print("\n".join(found[:200]), end="\n" if found else "")
    sys.exit(bool(found))


main()
