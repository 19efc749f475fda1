#!/usr/bin/env python3
"""Writes the C++ of every message: generate.py SCHEMA_DIRECTORY OUTPUT_DIRECTORY

One header a message (protocol/messages/<name>.h), eight source files, the table of APIs and the variant of metadata
records. Run by the build; nothing of it is committed. With --list it only prints the names of the files that it writes.
"""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import notation  # noqa: E402

SOURCES = 8
INTEGERS = {"int8": "std::int8_t", "int16": "std::int16_t", "uint16": "std::uint16_t", "int32": "std::int32_t",
            "uint32": "std::uint32_t", "int64": "std::int64_t"}
PLAIN = dict(INTEGERS, bool="bool", float64="double", string="std::string", bytes="Bytes", records="Records", uuid="Uuid")
READERS = {"bool": "boolean", "float64": "float64", "string": "string", "bytes": "bytes", "records": "records", "uuid": "uuid"}


def snake(name):
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name).lower()


class Code:
    def __init__(self):
        self.lines = []
        self.depth = 0

    def __call__(self, text=""):
        self.lines.append("  " * self.depth + text if text else "")

    def open(self, text):
        self(text)
        self.depth += 1

    def close(self, text="}"):
        self.depth -= 1
        self(text)

    def text(self):
        return "\n".join(self.lines) + "\n"


def element_type(field):
    if field.is_struct:
        return field.base
    if field.as_type:
        return field.as_type if field.as_type == "ErrorCode" else "kurier::" + field.as_type
    return PLAIN[field.base]


def cpp_type(field):
    element = element_type(field)
    if field.is_array:
        element = f"std::vector<{element}>"
    if field.is_nullable and field.base != "records":
        return f"std::optional<{element}>"
    if field.is_nullable and field.is_array:
        return f"std::optional<{element}>"
    return element


def default_value(field):
    """The C++ expression of the default; '' where the type's own construction is it."""
    if field.default == "null":
        return "std::nullopt" if field.base != "records" else ""
    if field.is_struct and field.is_nullable and not field.is_array:
        return f"{field.base}{{}}"  # not in place: the struct's initializers are not known where the optional is declared
    if field.is_array or field.is_struct or field.base in ("bytes", "uuid"):
        return f"{cpp_type(field)}(std::in_place)" if field.is_nullable else ""
    if field.base == "records":
        return ""
    if field.base == "string":
        value = field.default or ""
        if field.is_nullable:
            return f'std::string("{value}")'
        return f'"{value}"' if value else ""
    value = field.default or ("false" if field.base == "bool" else "0.0" if field.base == "float64" else "0")
    if value == "-2147483648":
        value = "INT32_MIN"
    elif value == "-9223372036854775808":
        value = "INT64_MIN"
    elif value == "9223372036854775807":
        value = "INT64_MAX"
    if field.as_type == "ErrorCode":
        return f"static_cast<ErrorCode>({value})"
    return f"{element_type(field)}({value})" if field.as_type else value


def is_default(field, variable):
    if field.default == "null":
        return f"!{variable}" if field.base != "records" else f"{variable}.is_nothing()"
    if field.is_array or field.base == "bytes":
        return f"({variable} && {variable}->empty())" if field.is_nullable else f"{variable}.empty()"
    if field.is_struct:
        return f"({variable} && *{variable} == {field.base}{{}})" if field.is_nullable else f"{variable} == {field.base}{{}}"
    if field.base == "records":
        return f"{variable}.size_bytes() == 0"
    if field.base == "uuid":
        return f"{variable}.is_zero()"
    if field.base == "string":
        value = field.default or ""
        return f'{variable} == std::string("{value}")' if field.is_nullable else f'{variable} == "{value}"'
    return f"{variable} == {default_value(field)}"


def condition(versions, within):
    """When the message's version is in `versions`, given that it is in `within`; None: always; False: never."""
    if versions is None:
        return False
    parts = []
    if versions.first > within.first:
        parts.append(f"at_version >= {versions.first}")
    if versions.last < within.last:
        parts.append(f"at_version <= {versions.last}")
    return " && ".join(parts) if parts else None


class Generator:
    def __init__(self, message):
        self.message = message

    # Declarations

    def declare_struct(self, out, name, fields, is_message):
        out.open(f"struct {name} {{")
        if is_message:
            m = self.message
            if m.key is not None:
                out(f"static constexpr std::int16_t {'kApiKey' if m.kind in ('request', 'response') else 'kRecordType'} = {m.key};")
            out(f'static constexpr const char* kName = "{m.name}";')
            out(f"static constexpr std::int16_t kMinVersion = {m.versions.first};")
            out(f"static constexpr std::int16_t kMaxVersion = {m.versions.last};")
            first_flexible = m.flexible.first if m.flexible else notation.VERSION_MAX
            out(f"static constexpr std::int16_t kFirstFlexibleVersion = {first_flexible};")
            out()
            for struct in notation.all_structs(m):
                self.declare_struct(out, struct.name, struct.fields, False)
                out()
        for field in fields:
            default = default_value(field)
            initial = f" = {default}" if default else ""
            if field.base in INTEGERS and not field.is_array and not initial:
                initial = " = 0"
            out(f"{cpp_type(field)} {field.name}{initial};")
        out("std::vector<UnknownTaggedField> unknown_tagged_fields;")
        out()
        out(f"bool operator==(const {name}&) const = default;")
        out("void encode(Writer& writer, std::int16_t at_version) const;")
        out("void decode(Reader& reader, std::int16_t at_version);")
        out("void append_text(std::string& text) const;")
        out.close("};")

    def header(self):
        out = Code()
        out("#pragma once")
        out()
        for name in ("<cstdint>", "<optional>", "<string>", "<vector>"):
            out(f"#include {name}")
        out()
        for name in ("base/ids.h", "base/uuid.h", "protocol/error_code.h", "protocol/primitives.h", "protocol/records.h"):
            out(f'#include "{name}"')
        out()
        out("namespace kurier::protocol {")
        out()
        self.declare_struct(out, self.message.name, self.message.fields, True)
        out()
        out(f"[[nodiscard]] std::string to_string(const {self.message.name}& message);")
        out()
        out("}  // namespace kurier::protocol")
        return out.text()

    # Encoding

    def encode_element(self, out, field, value):
        if field.is_struct:
            out(f"{value}.encode(writer, at_version);")
        elif field.base == "records":
            out(f"writer.{'nullable_' if field.is_nullable else ''}records({value});")
        elif field.base in INTEGERS:
            out(f"writer.{field.base}({f'to_wire({value})' if field.as_type else value});")
        else:
            out(f"writer.{READERS[field.base]}({value});")

    def encode_value(self, out, field, within):
        name = field.name
        null_condition = condition(field.nullable, field.versions) if field.nullable else False
        if field.is_nullable and field.base != "records":
            # Where null is not allowed it is written as if it were empty, and the writer remembers that.
            if null_condition is not None:
                allowed = "false" if null_condition is False else null_condition
                out(f"if (!{name} && !({allowed})) writer.fail(\"{self.message.name}.{name} may not be null in this version\");")
        if field.is_array:
            if field.is_nullable:
                out.open(f"if (!{name}) {{")
                out("writer.null_array();")
                out.depth -= 1
                out.open("} else {")
                self.encode_array(out, field, f"*{name}")
                out.close()
            else:
                self.encode_array(out, field, name)
        elif field.not_flexible:
            out("const bool was_flexible = writer.flexible();")
            out("writer.set_flexible(false);")
            out(f"writer.{'nullable_' if field.is_nullable else ''}{field.base}({name});")
            out("writer.set_flexible(was_flexible);")
        elif field.is_nullable and field.base in ("string", "bytes"):
            if null_condition is None:
                out(f"writer.nullable_{field.base}({name});")
            else:
                allowed = "false" if null_condition is False else null_condition
                out.open(f"if ({allowed}) {{")
                out(f"writer.nullable_{field.base}({name});")
                out.depth -= 1
                out.open("} else {")
                out(f"writer.{field.base}({name} ? *{name} : {PLAIN[field.base]}());")
                out.close()
        elif field.is_nullable and field.is_struct:
            if null_condition is not None:
                raise notation.SchemaError(f"{self.message.name}.{name}: a struct that is nullable in some versions only")
            # Whether it is there: a variable-length 0 or 1 if it is tagged, else a byte of which negative means null.
            out(f"writer.uvarint({name} ? 1 : 0);" if field.tag is not None else f"writer.int8({name} ? 1 : -1);")
            out(f"if ({name}) {name}->encode(writer, at_version);")
        else:
            self.encode_element(out, field, name)

    def encode_array(self, out, field, value):
        access = f"({value})" if value.startswith("*") else value
        out(f"writer.array_count({access}.size());")
        if field.base == "string" or field.is_struct:
            out.open(f"for (const auto& element : {value}) {{")
        else:
            out.open(f"for (const auto element : {value}) {{")
        self.encode_element(out, field, "element")
        out.close()

    def encode_body(self, out, fields, within):
        if not fields and not self.message.flexible:
            out("static_cast<void>(writer);")
        out("static_cast<void>(at_version);")
        for field in fields:
            untagged = field.versions
            if field.tag is not None:
                untagged = None if field.tagged.covers(field.versions) else field.versions
            when = condition(untagged, within)
            if field.tag is None and field.versions != within and not field.ignorable:
                present = condition(field.versions, within)
                absent = "true" if present is False else f"!({present})"
                if present is not None:
                    out.open(f"if ({absent} && !({is_default(field, field.name)})) {{")
                    out(f'writer.fail("{self.message.name}.{field.name} cannot be expressed in this version");')
                    out.close()
            if field.tag is not None and not field.ignorable and condition(field.versions, within) is not None:
                out.open(f"if (!({condition(field.versions, within)}) && !({is_default(field, field.name)})) {{")
                out(f'writer.fail("{self.message.name}.{field.name} cannot be expressed in this version");')
                out.close()
            if when is False:
                continue
            out.open(f"if ({when}) {{" if when else "{")
            self.encode_value(out, field, within)
            out.close()
        flexible = condition(self.message.flexible, within)
        if flexible is not None:
            unwritable = f"!({flexible}) && " if flexible else ""
            out.open(f"if ({unwritable}!unknown_tagged_fields.empty()) {{")
            out(f'writer.fail("{self.message.name} has unknown tagged fields, which this version cannot express");')
            out.close()
        if not self.message.flexible:
            return
        tagged = sorted((f for f in fields if f.tag is not None), key=lambda f: f.tag)
        out.open(f"if ({flexible}) {{" if flexible else "{")
        out("std::size_t next_unknown = 0;")
        out("std::size_t tagged_count = unknown_tagged_fields.size();")
        conditions = {}
        for field in tagged:
            when = condition(field.tagged, within)
            present = f"!({is_default(field, field.name)})"
            conditions[field.name] = f"{when} && {present}" if when else present
            out(f"const bool has_{field.name} = {conditions[field.name]};")
            out(f"if (has_{field.name}) ++tagged_count;")
        out("writer.uvarint(static_cast<std::uint32_t>(tagged_count));")
        for field in tagged:
            out(f"writer.unknown_tagged(unknown_tagged_fields, &next_unknown, {field.tag});")
            out.open(f"if (has_{field.name}) {{")
            out(f"const std::size_t tag_begin = writer.begin_tagged({field.tag});")
            self.encode_value(out, field, within)
            out("writer.end_tagged(tag_begin);")
            out.close()
        out("writer.unknown_tagged(unknown_tagged_fields, &next_unknown, UINT64_MAX);")
        out.close()

    # Decoding

    def decode_element(self, field):
        """An expression of a primitive's value."""
        call = f"reader.{field.base if field.base in INTEGERS else READERS[field.base]}()"
        if field.as_type:
            return f"from_wire<{element_type(field)}>({call})"
        return call

    def decode_array(self, out, field, value):
        access = f"{value}->" if field.is_nullable else f"{value}."
        out(f"{access}clear();")
        # Grows with what is there, not with what was announced.
        out(f"{access}reserve(std::min<std::size_t>(element_count, reader.remaining() / sizeof({element_type(field)}) + 1));")
        out.open("for (std::size_t i = 0; i < element_count && reader.ok(); ++i) {")
        if field.is_struct:
            out(f"{access}emplace_back().decode(reader, at_version);")
        else:
            out(f"{access}push_back({self.decode_element(field)});")
        out.close()

    def decode_value(self, out, field, within):
        name = field.name
        null_condition = condition(field.nullable, field.versions) if field.nullable else False
        check_null = field.is_nullable and null_condition is not None
        if field.is_array:
            if field.is_nullable:
                out("const auto count_or_null = reader.nullable_array_count();")
                out.open("if (!count_or_null) {")
                if check_null:
                    out(f"if (!({null_condition})) reader.fail(\"{self.message.name}.{name} is null\");")
                out(f"{name}.reset();")
                out.depth -= 1
                out.open("} else {")
                out("const std::size_t element_count = *count_or_null;")
                out(f"{name}.emplace();")
                self.decode_array(out, field, name)
                out.close()
            else:
                out("const std::size_t element_count = reader.array_count();")
                self.decode_array(out, field, name)
        elif field.is_struct:
            if field.is_nullable:
                out.open("if (static_cast<std::int32_t>(reader.uvarint()) <= 0) {" if field.tag is not None else "if (reader.int8() < 0) {")
                out(f"{name}.reset();")
                out.depth -= 1
                out.open("} else {")
                # Not emplace(): the struct's initializers are not known where the optional is declared.
                out(f"{name} = {field.base}{{}};")
                out(f"{name}->decode(reader, at_version);")
                out.close()
            else:
                out(f"{name}.decode(reader, at_version);")
        elif field.not_flexible:
            out("const bool was_flexible = reader.flexible();")
            out("reader.set_flexible(false);")
            out(f"{name} = reader.{'nullable_' if field.is_nullable else ''}{field.base}();")
            out("reader.set_flexible(was_flexible);")
        elif field.is_nullable:
            out(f"{name} = reader.nullable_{field.base}();")
            if check_null:
                is_null = f"{name}.is_nothing()" if field.base == "records" else f"!{name}"
                out(f"if (!({null_condition}) && {is_null}) reader.fail(\"{self.message.name}.{name} is null\");")
        else:
            out(f"{name} = {self.decode_element(field)};")

    def decode_body(self, out, fields, within):
        if not fields and not self.message.flexible:
            out("static_cast<void>(reader);")
        out("static_cast<void>(at_version);")
        for field in fields:
            untagged = field.versions
            if field.tag is not None:
                untagged = None if field.tagged.covers(field.versions) else field.versions
            when = condition(untagged, within)
            if when is False:
                continue
            out.open(f"if ({when}) {{" if when else "{")
            self.decode_value(out, field, within)
            out.close()
        if not self.message.flexible:
            return
        flexible = condition(self.message.flexible, within)
        tagged = sorted((f for f in fields if f.tag is not None), key=lambda f: f.tag)
        out.open(f"if ({flexible}) {{" if flexible else "{")
        out.open("reader.tagged_fields(unknown_tagged_fields, [&](std::uint32_t tag) {")
        out("static_cast<void>(tag);")
        for field in tagged:
            when = condition(field.tagged, within)
            out.open(f"if (tag == {field.tag}) {{")
            if when:
                out(f'if (!({when})) reader.fail("{self.message.name}.{field.name} has a tag that is not valid in this version");')
            self.decode_value(out, field, within)
            out("return true;")
            out.close()
        out("return false;")
        out.close("});")
        out.close()

    # Text

    def text_body(self, out, fields):
        out("text += '{';")
        for i, field in enumerate(fields):
            separator = ", " if i else ""
            if field.is_secret:
                out(f'text += "{separator}{field.name}=(hidden)";')
            else:
                out(f'text += "{separator}{field.name}=";')
                out(f"append_value(text, {field.name});")
        out("text += '}';")

    def source(self, out):
        m = self.message
        structs = [(f"{m.name}::{s.name}", s.versions or m.versions, s.fields) for s in notation.all_structs(m)]
        # A struct is encoded at the message's version, which is one where whoever holds it has it.
        for name, _, fields in structs + [(m.name, m.versions, m.fields)]:
            is_message = name == m.name
            first_flexible = f"at_version >= {m.flexible.first}" if m.flexible and m.flexible.first > m.versions.first else \
                "true" if m.flexible else "false"
            out.open(f"void {name}::encode(Writer& writer, std::int16_t at_version) const {{")
            if is_message:
                out(f"writer.set_flexible({first_flexible});")
            self.encode_body(out, fields, m.versions)
            out.close()
            out.open(f"void {name}::decode(Reader& reader, std::int16_t at_version) {{")
            if is_message:
                out(f"reader.set_flexible({first_flexible});")
            self.decode_body(out, fields, m.versions)
            out.close()
            out.open(f"void {name}::append_text(std::string& text) const {{")
            self.text_body(out, fields)
            out.close()
            out()
        out.open(f"std::string to_string(const {m.name}& message) {{")
        out(f'std::string text = "{m.name}";')
        out("message.append_text(text);")
        out("return text;")
        out.close()
        out()


def api_keys(messages):
    requests = sorted((m for m in messages if m.kind == "request"), key=lambda m: m.key)
    responses = {m.key: m for m in messages if m.kind == "response"}
    out = Code()
    out("#pragma once")
    out()
    out("#include <array>")
    out("#include <cstdint>")
    out()
    out("namespace kurier::protocol {")
    out()
    out.open("enum class ApiKey : std::int16_t {")
    for m in requests:
        out(f"k{m.name.removesuffix('Request')} = {m.key},")
    out.close("};")
    out()
    out("// Versions that the schema knows; what is answered is for the broker to say. -1: none.")
    out.open("struct ApiInfo {")
    out("ApiKey key;")
    out("const char* name;")
    out("std::int16_t min_version;")
    out("std::int16_t max_version;")
    out("std::int16_t first_flexible_request;   // the first version with tagged fields")
    out("std::int16_t first_flexible_response;")
    out("bool on_broker;      // listeners that Apache Kafka offers it on")
    out("bool on_controller;")
    out.close("};")
    out()
    known = [m for m in requests if m.versions]
    out.open(f"inline constexpr std::array<ApiInfo, {len(known)}> kApis{{{{")
    for m in known:
        response = responses[m.key]
        request_flexible = m.flexible.first if m.flexible else notation.VERSION_MAX
        response_flexible = response.flexible.first if response.flexible else notation.VERSION_MAX
        name = m.name.removesuffix("Request")
        on_broker = str("broker" in m.listeners).lower()
        on_controller = str("controller" in m.listeners).lower()
        out(f'{{ApiKey::k{name}, "{name}", {m.versions.first}, {m.versions.last}, {request_flexible}, {response_flexible}, '
            f"{on_broker}, {on_controller}}},")
    out.close("}};")
    out()
    out("}  // namespace kurier::protocol")
    return out.text()


def metadata_records(messages):
    # Tiering's own records have numbers that are used twice; they are in another topic.
    records = [m for m in messages if m.kind == "metadata" and not m.name.startswith("Remote")]
    header = Code()
    header("#pragma once")
    header()
    header("#include <variant>")
    header()
    for m in records:
        header(f'#include "protocol/messages/{snake(m.name)}.h"')
    header()
    header("namespace kurier::protocol {")
    header()
    header(f"using MetadataRecord = std::variant<{', '.join(m.name for m in records)}>;")
    header()
    header("// The record of this type with default values; false if there is no such type.")
    header("bool make_metadata_record(std::uint32_t type, MetadataRecord& record);")
    header()
    header("}  // namespace kurier::protocol")
    source = Code()
    source('#include "protocol/messages/metadata_records.h"')
    source()
    source("namespace kurier::protocol {")
    source()
    source.open("bool make_metadata_record(std::uint32_t type, MetadataRecord& record) {")
    source.open("switch (type) {")
    for m in records:
        source(f"case {m.key}: record.emplace<{m.name}>(); return true;")
    source("default: return false;")
    source.close()
    source.close()
    source()
    source("}  // namespace kurier::protocol")
    return header.text(), source.text()


def main():
    if len(sys.argv) < 2 or (sys.argv[1] == "--list") == (len(sys.argv) != 3) and sys.argv[1] == "--list":
        sys.exit(__doc__)
    listing = sys.argv[1] == "--list"
    messages = notation.parse_directory(sys.argv[2] if listing else sys.argv[1])
    living = [m for m in messages if m.versions]
    files = {f"{snake(m.name)}.h": Generator(m).header() for m in living}
    files["api_keys.h"] = api_keys(messages)
    files["metadata_records.h"], files["metadata_records.cc"] = metadata_records(living)
    for part in range(SOURCES):
        mine = living[part::SOURCES]
        out = Code()
        for m in mine:
            out(f'#include "protocol/messages/{snake(m.name)}.h"')
        out()
        out("#include <algorithm>")
        out()
        out('#include "protocol/message_text.h"')
        out()
        out("namespace kurier::protocol {")
        out()
        for m in mine:
            Generator(m).source(out)
        out("}  // namespace kurier::protocol")
        files[f"messages_{part}.cc"] = out.text()
    if listing:
        print(";".join(sorted(files)), end="")
        return
    directory = pathlib.Path(sys.argv[2]) / "protocol/messages"
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        path = directory / name
        if not path.exists() or path.read_text() != text:  # unchanged files keep their time
            path.write_text(text)


if __name__ == "__main__":
    main()
