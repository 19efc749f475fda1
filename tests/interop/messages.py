"""Requests and responses as Python dictionaries, by our own schema (which schema/compare_definitions.py holds against Apache Kafka's).

A request is written from the fields that are named; the others have their defaults. Bytes of records stay bytes.
"""
import pathlib
import socket
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "protocol/generator"))
import notation  # noqa: E402

INTEGERS = {"int8": ">b", "int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "int64": ">q", "float64": ">d", "bool": ">?"}
MESSAGES = {message.name: message for message in
            notation.parse_directory(pathlib.Path(notation.__file__).resolve().parent.parent / "schema")}
BY_KEY = {message.key: message.name.removesuffix("Request") for message in MESSAGES.values() if message.kind == "request"}


def unsigned_varint(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


class Reader:
    def __init__(self, data):
        self.data, self.position = data, 0

    def take(self, size):
        assert self.position + size <= len(self.data), "the response ends too early"
        self.position += size
        return self.data[self.position - size:self.position]

    def number(self, kind):
        return struct.unpack(INTEGERS[kind], self.take(struct.calcsize(INTEGERS[kind])))[0]

    def unsigned_varint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7


def default_of(field):
    if field.default == "null":
        return None
    if field.is_array:
        return []
    if field.base in ("bytes", "records"):
        return b""
    if field.base == "uuid":
        return bytes(16)
    if field.base == "string":
        return field.default or ""
    if field.base == "bool":
        return field.default == "true"
    if field.base in INTEGERS:
        return int(float(field.default or 0))
    return {}


class Codec:
    def __init__(self, message, version):
        self.version = version
        self.flexible = message.flexible is not None and version in message.flexible
        self.structs = {struct.name: struct.fields for struct in message.structs}
        for name, found in ((s.name, s.fields) for s in notation.all_structs(message)):
            self.structs.setdefault(name, found)

    def present(self, fields):
        for field in fields:
            if field.versions is None or self.version not in field.versions:
                continue
            yield field, field.tagged is not None and self.version in field.tagged

    def length(self, size, compact, kind):
        if compact:
            return unsigned_varint(0 if size is None else size + 1)
        return struct.pack(INTEGERS[kind], -1 if size is None else size)

    def write_one(self, field, value):
        compact = self.flexible and not field.not_flexible
        if field.base in INTEGERS:
            return struct.pack(INTEGERS[field.base], value)
        if field.base == "uuid":
            return value
        if field.base in ("string", "bytes", "records"):
            raw = value.encode() if isinstance(value, str) else value
            return self.length(None if raw is None else len(raw), compact, "int16" if field.base == "string" else "int32") + (raw or b"")
        if field.is_nullable and not field.is_array:
            return b"\xff" if value is None else b"\x01" + self.write(self.structs[field.base], value)
        return self.write(self.structs[field.base], value)

    def write_field(self, field, value):
        if not field.is_array:
            return self.write_one(field, value)
        head = self.length(None if value is None else len(value), self.flexible, "int32")
        return head + b"".join(self.write_one(field, element) for element in value or [])

    def write(self, fields, values):
        unknown = set(values) - {field.name for field in fields}
        assert not unknown, f"no such fields: {unknown}"
        out, tagged = b"", []
        for field, is_tagged in self.present(fields):
            value = values.get(field.name, default_of(field))
            if not is_tagged:
                out += self.write_field(field, value)
            elif field.name in values:
                raw = self.write_field(field, value)
                tagged.append((field.tag, raw))
        if self.flexible:
            out += unsigned_varint(len(tagged))
            for tag, raw in sorted(tagged):
                out += unsigned_varint(tag) + unsigned_varint(len(raw)) + raw
        return out

    def read_one(self, reader, field):
        compact = self.flexible and not field.not_flexible
        if field.base in INTEGERS:
            return reader.number(field.base)
        if field.base == "uuid":
            return reader.take(16)
        if field.base in ("string", "bytes", "records"):
            size = reader.unsigned_varint() - 1 if compact else reader.number("int16" if field.base == "string" else "int32")
            raw = None if size < 0 else reader.take(size)
            return raw.decode() if raw is not None and field.base == "string" else raw
        if field.is_nullable and not field.is_array and reader.number("int8") < 0:
            return None
        return self.read(reader, self.structs[field.base])

    def read_field(self, reader, field):
        if not field.is_array:
            return self.read_one(reader, field)
        count = reader.unsigned_varint() - 1 if self.flexible else reader.number("int32")
        return None if count < 0 else [self.read_one(reader, field) for _ in range(count)]

    def read(self, reader, fields):
        values, by_tag = {}, {}
        for field, is_tagged in self.present(fields):
            if is_tagged:
                by_tag[field.tag] = field
            else:
                values[field.name] = self.read_field(reader, field)
        if self.flexible:
            for _ in range(reader.unsigned_varint()):
                tag, size = reader.unsigned_varint(), reader.unsigned_varint()
                end = reader.position + size
                field = by_tag[tag]
                values[field.name] = self.read_field(reader, field)
                assert reader.position == end, f"tagged field {field.name} has another length"
        return values


def encode_request(name, version, values, correlation=1, client="rules"):
    """With its length."""
    message = MESSAGES[name + "Request"]
    codec = Codec(message, version)
    name_of_client = None if client is None else client.encode()
    head = struct.pack(">hhi", message.key, version, correlation) + codec.length(
        None if client is None else len(name_of_client), False, "int16") + (name_of_client or b"")
    if codec.flexible:
        head += b"\0"
    body = head + codec.write(message.fields, values)
    return struct.pack(">i", len(body)) + body


def decode_response(name, version, frame):
    message = MESSAGES[name + "Response"]
    codec = Codec(message, version)
    reader = Reader(frame)
    reader.number("int32")
    if codec.flexible and name != "ApiVersions":
        assert reader.unsigned_varint() == 0
    values = codec.read(reader, message.fields)
    assert reader.position == len(frame), f"{len(frame) - reader.position} bytes are left"
    return values


class Client:
    """One connection. `ask` answers None where the connection was closed instead."""

    def __init__(self, port, timeout_s=30, client_id="rules"):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self.client_id = client_id

    def close(self):
        self.socket.close()

    def receive(self, size):
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                return None
            data += piece
        return data

    def send(self, name, version, values):
        self.socket.sendall(encode_request(name, version, values, client=self.client_id))

    def answer(self, name, version):
        try:
            length = self.receive(4)
            frame = length and self.receive(struct.unpack(">i", length)[0])
        except ConnectionResetError:
            return None
        return frame and decode_response(name, version, frame)

    def ask(self, name, version, **values):
        self.send(name, version, values)
        return self.answer(name, version)


def ask(port, name, version, **values):
    """On a connection of its own."""
    client = Client(port)
    try:
        return client.ask(name, version, **values)
    finally:
        client.close()
