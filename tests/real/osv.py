"""Random entries in the OSV format, and which of them are about a version, by the pseudo-code of the OSV schema
("Evaluation") and the order that pip has for versions.

    osv.py DIR NAME VERSION SEED    writes DIR/*.json, prints the ids of those that are

What the schema leaves open is not made: events of different kinds at one version.
"""

import json
import pathlib
import random
import sys

from pip._vendor.packaging.version import Version

PARTS = ["0.9", "1.0", "1", "1.0.0", "1.0.1", "1.1rc1", "1.1a2", "1.1", "1.1.post1", "1.1.dev3", "1.2", "1.10", "2",
         "2.0b1", "2.0.dev1", "2.0", "2!0.1", "2.0.1", "3.0.post2.dev1", "3"]


def included(version, ranges):
    for one in ranges:
        limits = [event["limit"] for event in one["events"] if "limit" in event]
        if limits and not any(limit == "*" or version < Version(limit) for limit in limits):
            continue
        vulnerable = False
        for event in sorted((event for event in one["events"] if "limit" not in event), key=place):
            if "introduced" in event and (event["introduced"] == "0" or version >= Version(event["introduced"])):
                vulnerable = True
            elif "fixed" in event and version >= Version(event["fixed"]):
                vulnerable = False
            elif "last_affected" in event and version > Version(event["last_affected"]):
                vulnerable = False
        if one["type"] != "GIT" and vulnerable:
            return True
    return False


def place(event):
    text = next(iter(event.values()))
    return Version("0.dev0") if event.get("introduced") == "0" else Version(text)


def events(chance):
    places = sorted({Version(text): text for text in chance.sample(PARTS, chance.randint(1, 6))}.items())
    found, opened = [], False
    for _, text in places:
        kind = chance.choice(["fixed", "last_affected"]) if opened else "introduced"
        found.append({kind: "0" if kind == "introduced" and not found and chance.random() < 0.4 else text})
        opened = not opened
    if chance.random() < 0.2:
        found.append({"limit": chance.choice([*PARTS, "*"])})
    chance.shuffle(found)
    return found


def entry(chance, number, name):
    package = {"ecosystem": chance.choice(["PyPI"] * 9 + ["npm"]), "name": chance.choice([name, name.upper()])}
    ranges = [{"type": chance.choice(["ECOSYSTEM", "ECOSYSTEM", "GIT"]), "events": events(chance)}
              for _ in range(chance.randint(0, 2))]
    versions = chance.sample(PARTS, chance.randint(0, 2))
    found = {"id": f"RANDOM-1-{number:04}", "modified": "2026-01-01T00:00:00Z",
             "affected": [{"package": package, "ranges": ranges, "versions": versions}]}
    if chance.random() < 0.1:
        found["withdrawn"] = "2026-01-01T00:00:00Z"
    return found


def main():
    directory, name, version, seed = sys.argv[1:]
    chance, version = random.Random(seed), Version(version)
    public = Version(version.public)
    for number in range(400):
        one = entry(chance, number, name)
        (pathlib.Path(directory) / f"{one['id']}.json").write_text(json.dumps(one))
        [affected] = one["affected"]
        listed = any(public == Version(text) for text in affected["versions"])
        is_python = affected["package"]["ecosystem"] == "PyPI"
        if is_python and "withdrawn" not in one and (listed or included(public, affected["ranges"])):
            print(one["id"])


main()
