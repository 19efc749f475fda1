"""The schema notation (protocol/schema/README.md) as Python values. Standard library only."""
import dataclasses
import pathlib
import re

VERSION_MAX = 32767
PRIMITIVES = {"bool", "int8", "int16", "uint16", "int32", "uint32", "int64", "float64", "string", "bytes", "records", "uuid"}
KINDS = {"request", "response", "header", "data", "metadata", "coordinator_key", "coordinator_value"}


class SchemaError(Exception):
    pass


@dataclasses.dataclass(frozen=True)
class Versions:
    first: int
    last: int

    def __contains__(self, version):
        return self.first <= version <= self.last

    def covers(self, other):
        return other is None or (self.first <= other.first and other.last <= self.last)


@dataclasses.dataclass
class Field:
    name: str
    base: str  # a primitive, or the name of a struct
    is_array: bool
    is_nullable: bool
    versions: Versions | None
    nullable: Versions | None  # where null is allowed
    tag: int | None = None
    tagged: Versions | None = None
    default: str | None = None  # as written; None: the type's own
    ignorable: bool = False
    is_key: bool = False
    entity: str | None = None
    as_type: str | None = None
    is_secret: bool = False
    not_flexible: bool = False
    zero_copy: bool = False
    fields: list = dataclasses.field(default_factory=list)

    @property
    def is_struct(self):
        return self.base not in PRIMITIVES


@dataclasses.dataclass
class Struct:
    name: str
    versions: Versions
    fields: list


@dataclasses.dataclass
class Message:
    kind: str
    name: str  # as Kafka's definitions have it: ProduceRequest, TopicRecord
    key: int | None
    versions: Versions | None  # None: removed, only its number is taken
    flexible: Versions | None
    listeners: list
    is_unstable: bool
    structs: list = dataclasses.field(default_factory=list)  # shared ones, declared by name
    fields: list = dataclasses.field(default_factory=list)
    file: str = ""


def parse_versions(text, newest, where):
    match = re.fullmatch(r"(\d+)(?:(\+)|-(\d+))?", text)
    if not match:
        raise SchemaError(f"{where}: '{text}' is no version range; expected 3, 3-5 or 3+")
    first = int(match[1])
    last = newest if match[2] else int(match[3]) if match[3] else first
    return Versions(first, last)


def parse_field(text, parent_versions, newest, where):
    name, _, rest = text.partition(": ")
    words = rest.split()
    if not words:
        raise SchemaError(f"{where}: '{text}' has no type; expected 'name: type'")
    type_text = words.pop(0)
    nullable = type_text.endswith("?")
    type_text = type_text.removesuffix("?")
    is_array = type_text.startswith("[")
    base = type_text.strip("[]")
    versions = parent_versions
    if words and words[0] == "none":
        words.pop(0)
        versions = None
    elif words and words[0][0].isdigit():
        versions = parse_versions(words.pop(0), newest, where)
    field = Field(name, base, is_array, nullable, versions, versions if nullable else None)
    while words:
        word = words.pop(0)
        if word == "nullable":
            field.nullable = parse_versions(words.pop(0), newest, where)
        elif word == "tag":
            field.tag = int(words.pop(0))
            field.tagged = versions
        elif word == "at":
            field.tagged = parse_versions(words.pop(0), newest, where)
        elif word == "=":
            field.default = words.pop(0)
        elif word == "ignorable":
            field.ignorable = True
        elif word == "key":
            field.is_key = True
        elif word == "entity":
            field.entity = words.pop(0)
        elif word == "as":
            field.as_type = words.pop(0)
        elif word == "secret":
            field.is_secret = True
        elif word == "not_flexible":
            field.not_flexible = True
        elif word == "zero_copy":
            field.zero_copy = True
        else:
            raise SchemaError(f"{where}: unknown word '{word}'")
    return field


def parse_header(text, where):
    words = text.split()
    kind, name = words[0], words[1]
    if kind not in KINDS:
        raise SchemaError(f"{where}: unknown kind '{kind}'; expected one of {', '.join(sorted(KINDS))}")
    values = {"key": None, "versions": "none", "flexible": "none", "listeners": ""}
    is_unstable = False
    words = words[2:]
    while words:
        word = words.pop(0)
        if word == "unstable":
            is_unstable = True
        elif word in values:
            values[word] = words.pop(0)
        else:
            raise SchemaError(f"{where}: unknown word '{word}'")
    versions = None if values["versions"] == "none" else parse_versions(values["versions"], VERSION_MAX, where)
    flexible = None
    if versions and values["flexible"] != "none":
        flexible = parse_versions(values["flexible"], versions.last, where)
    suffix = kind.capitalize() if kind in ("request", "response") else ""
    return Message(kind, name + suffix, None if values["key"] is None else int(values["key"]), versions, flexible,
                   [part for part in values["listeners"].split(",") if part], is_unstable)


def parse(text, file):
    """All messages of one schema file."""
    messages = []
    stack = []  # (indentation, list that fields go to, versions they inherit)
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.split("#")[0].rstrip()
        if not line.strip():
            continue
        where = f"{file}:{number}"
        depth = (len(line) - len(line.lstrip())) // 2
        line = line.strip()
        if depth == 0:
            message = parse_header(line, where)
            message.file = file
            messages.append(message)
            stack = [(1, message.fields, message.versions)]
            continue
        if message.versions is None:
            raise SchemaError(f"{where}: a message without versions has no fields")
        while stack and stack[-1][0] > depth:
            stack.pop()
        if not stack or stack[-1][0] != depth:
            raise SchemaError(f"{where}: indented by {depth} steps under a line that has no fields")
        newest = message.versions.last
        if line.startswith("struct "):
            words = line.split()
            versions = parse_versions(words[2], newest, where) if len(words) > 2 else message.versions
            struct = Struct(words[1], versions, [])
            message.structs.append(struct)
            stack.append((depth + 1, struct.fields, versions))
            continue
        field = parse_field(line, stack[-1][2], newest, where)
        stack[-1][1].append(field)
        if field.is_struct:
            stack.append((depth + 1, field.fields, field.versions or stack[-1][2]))
    return messages


def parse_directory(directory):
    """Every message of every .schema file, in the order of file names."""
    messages = []
    for path in sorted(pathlib.Path(directory).glob("*.schema")):
        messages += parse(path.read_text(), path.name)
    names = set()
    for message in messages:
        if message.name in names:
            raise SchemaError(f"{message.file}: {message.name} is there twice")
        names.add(message.name)
    return messages


def all_structs(message):
    """(name, versions, fields) of every struct of a message, the inner ones first; each once."""
    found = {}

    def visit(fields):
        for field in fields:
            if field.is_struct:
                if field.fields:
                    visit(field.fields)
                    found.setdefault(field.base, Struct(field.base, field.versions, field.fields))

    shared = {struct.name: struct for struct in message.structs}

    def visit_shared(struct):
        if struct.name in found:
            return
        for field in struct.fields:
            if field.base in shared and field.base != struct.name:
                visit_shared(shared[field.base])
        visit(struct.fields)
        found.setdefault(struct.name, struct)

    for struct in message.structs:
        visit_shared(struct)
    visit(message.fields)
    return list(found.values())
