#!/usr/bin/env python3
"""Compares protocol/schema with the JSON definitions inside Apache Kafka's jars: every message, field, type, version, default.

compare_definitions.py DIRECTORY_OF_JARS
One check a message. Our own annotations (strong ids, secrets) have no counterpart and are not compared.
"""
import json
import pathlib
import re
import sys
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent.parent
sys.path.insert(0, str(ROOT / "protocol/generator"))
sys.dont_write_bytecode = True
import notation  # noqa: E402
from generate import snake  # noqa: E402


def definitions(directory):
    """{name: JSON} of every message definition in the jars."""
    found = {}
    for jar in sorted(pathlib.Path(directory).glob("kafka*.jar")) + sorted(pathlib.Path(directory).glob("*.jar")):
        with zipfile.ZipFile(jar) as archive:
            for name in archive.namelist():
                if not name.endswith(".json"):
                    continue
                text = re.sub(r"^\s*//.*$", "", archive.read(name).decode(), flags=re.M)
                try:
                    definition = json.loads(text)
                except json.JSONDecodeError:
                    continue  # other libraries' files
                if isinstance(definition, dict) and "validVersions" in definition:
                    found.setdefault(definition["name"], definition)
    return found


def span(text):
    if text in (None, "none"):
        return None
    if text.endswith("+"):
        return notation.Versions(int(text[:-1]), notation.VERSION_MAX)
    first, _, last = text.partition("-")
    return notation.Versions(int(first), int(last or first))


def common(a, b):
    if a is None or b is None:
        return None
    first, last = max(a.first, b.first), min(a.last, b.last)
    return notation.Versions(first, last) if first <= last else None


def default_of(field):
    """As the notation writes it; None where it is the type's own."""
    # Apache Kafka's generator takes the word "null" for a default of null, and JSON's null for no default at all.
    if field.get("default") is None:
        return None
    value = field["default"]
    base = field["type"].removeprefix("[]")
    if isinstance(value, bool):
        value = str(value).lower()
    value = str(value)
    if field["type"].startswith("[]"):
        return value or None
    if base in ("int8", "int16", "uint16", "int32", "uint32", "int64"):
        number = int(value, 0)
        return str(number) if number else None
    if base == "float64":
        return value if float(value) else None
    if base == "bool" and value == "false" or value == "":
        return None
    return value


def compare_fields(where, theirs, ours, parent, differences):
    by_name = {field.name: field for field in ours}
    if [snake(field["name"]) for field in theirs] != [field.name for field in ours]:
        differences.append(f"{where}: fields {[snake(f['name']) for f in theirs]}, here {[f.name for f in ours]}")
    for field in theirs:
        mine = by_name.get(snake(field["name"]))
        if mine is None:
            continue
        place = f"{where}.{field['name']}"
        versions = common(span(field.get("versions") or field.get("taggedVersions")), parent)
        base = field["type"].removeprefix("[]")
        wanted = {
            "versions": versions,
            "base": base,
            "is_array": field["type"].startswith("[]"),
            "nullable": common(span(field.get("nullableVersions")), versions),
            "tag": field.get("tag"),
            "tagged": common(span(field.get("taggedVersions")), versions) if "tag" in field else None,
            "default": default_of(field),
            "ignorable": bool(field.get("ignorable")),
            "is_key": bool(field.get("mapKey")),
            "entity": snake(field["entityType"]) if field.get("entityType") else None,
            "not_flexible": field.get("flexibleVersions") == "none",
            "zero_copy": bool(field.get("zeroCopy")),
        }
        for name, value in wanted.items():
            if getattr(mine, name) != value:
                differences.append(f"{place}: {name} is {value}, here {getattr(mine, name)}")
        if field.get("fields"):
            compare_fields(place, field["fields"], mine.fields, versions or parent, differences)


def compare(theirs, ours):
    differences = []
    kind = {"coordinator-key": "coordinator_key", "coordinator-value": "coordinator_value"}.get(theirs["type"], theirs["type"])
    versions = span(theirs["validVersions"])
    if versions and theirs["validVersions"].endswith("+"):
        versions = None
    wanted = {"kind": kind, "key": theirs.get("apiKey"), "versions": versions,
              "flexible": common(span(theirs.get("flexibleVersions")), versions),
              "listeners": theirs.get("listeners") or [], "is_unstable": bool(theirs.get("latestVersionUnstable"))}
    for name, value in wanted.items():
        here = common(ours.flexible, versions) if name == "flexible" else getattr(ours, name)
        if here != value:
            differences.append(f"{theirs['name']}: {name} is {value}, here {getattr(ours, name)}")
    if versions is None:
        return differences
    shared = {struct.name: struct for struct in ours.structs}
    for struct in theirs.get("commonStructs", []):
        struct_versions = common(span(struct["versions"]), versions)
        mine = shared.pop(struct["name"], None)
        if mine is None or mine.versions != struct_versions:
            differences.append(f"{theirs['name']}: struct {struct['name']} {struct_versions}, here {mine and mine.versions}")
        else:
            compare_fields(struct["name"], struct["fields"], mine.fields, struct_versions, differences)
    if shared:
        differences.append(f"{theirs['name']}: structs that are only here: {sorted(shared)}")
    compare_fields(theirs["name"], theirs["fields"], ours.fields, versions, differences)
    return differences


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    theirs = definitions(sys.argv[1])
    ours = {message.name: message for message in notation.parse_directory(ROOT / "protocol/schema")}
    passed = failed = 0
    for name in sorted(theirs.keys() | ours.keys()):
        if name not in ours:
            differences = [f"{name}: is not in our schema"]
        elif name not in theirs:
            differences = [f"{name}: is in no jar"]
        else:
            differences = compare(theirs[name], ours[name])
        passed += not differences
        failed += bool(differences)
        for difference in differences:
            print("FAILED:", difference)
    if not theirs:
        failed += 1
        print("FAILED: no definition was found in", sys.argv[1])
    print(f"{passed} passed, {failed} failed, 0 skipped")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
