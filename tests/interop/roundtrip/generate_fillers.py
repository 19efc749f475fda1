#!/usr/bin/env python3
"""Writes what roundtrip.cc needs to know of every message: generate_fillers.py SCHEMA_DIRECTORY OUTPUT_DIRECTORY

Per struct a function that fills it with random values and one that writes it as text; per message an entry of the table.
Run by the build. With --list it only prints the names of the files that it writes.
"""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent.parent
sys.path.insert(0, str(ROOT / "protocol/generator"))
sys.dont_write_bytecode = True
import notation  # noqa: E402
from generate import Code, snake  # noqa: E402

SOURCES = 4


def within(versions):
    if versions is None:
        return "false"
    return f"filler.version_is({versions.first}, {versions.last})"


def write_struct(out, name, fields, message):
    out.open(f"void fill(Filler& filler, {name}& value) {{")
    out("const Filler::Depth depth(filler);")
    for field in fields:
        is_tagged = str(field.tag is not None).lower()
        is_ignorable = str(field.ignorable).lower()
        nullable = within(field.nullable) if field.nullable else "false"
        out(f"if (filler.gives({within(field.versions)}, {is_tagged}, {is_ignorable})) filler.set(value.{field.name}, {nullable});")
    tags = ", ".join(str(field.tag) for field in fields if field.tag is not None)
    if message.flexible:
        out(f"if ({within(message.flexible)}) filler.set_unknown(value.unknown_tagged_fields, {{{tags}}});")
    out.close()
    out.open(f"void describe(Text& text, const {name}& value) {{")
    for field in fields:
        out(f'text.field("{field.name}", value.{field.name});')
    out("text.unknown(value.unknown_tagged_fields);")
    out.close()
    out()


def source(messages, part):
    out = Code()
    out('#include "tests/interop/roundtrip/roundtrip.h"')
    out()
    for message in messages:
        out(f'#include "protocol/messages/{snake(message.name)}.h"')
    out()
    out("namespace kurier::protocol {")
    out()
    for message in messages:
        structs = [(f"{message.name}::{struct.name}", struct.fields) for struct in notation.all_structs(message)]
        for name, fields in structs + [(message.name, message.fields)]:
            out(f"void fill(Filler& filler, {name}& value);")
            out(f"void describe(Text& text, const {name}& value);")
            write_struct(out, name, fields, message)
    out.open(f"void add_message_types_{part}(std::vector<MessageType>& types) {{")
    for message in messages:
        out(f'types.push_back(message_type<{message.name}>("{message.name}"));')
    out.close()
    out()
    out("}  // namespace kurier::protocol")
    return out.text()


def table():
    out = Code()
    out('#include "tests/interop/roundtrip/roundtrip.h"')
    out()
    out("namespace kurier::protocol {")
    out()
    for part in range(SOURCES):
        out(f"void add_message_types_{part}(std::vector<MessageType>& types);")
    out()
    out.open("std::vector<MessageType> message_types() {")
    out("std::vector<MessageType> types;")
    for part in range(SOURCES):
        out(f"add_message_types_{part}(types);")
    out("return types;")
    out.close()
    out()
    out("}  // namespace kurier::protocol")
    return out.text()


def main():
    if sys.argv[1:] == ["--list"]:
        print(";".join(["message_types.cc"] + [f"fillers_{part}.cc" for part in range(SOURCES)]), end="")
        return
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    living = [message for message in notation.parse_directory(sys.argv[1]) if message.versions]
    directory = pathlib.Path(sys.argv[2])
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "message_types.cc").write_text(table())
    for part in range(SOURCES):
        (directory / f"fillers_{part}.cc").write_text(source(living[part::SOURCES], part))


if __name__ == "__main__":
    main()
