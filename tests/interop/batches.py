"""Record batches and the requests that carry them, byte by byte, so that every rule can be broken on purpose.

The compressors store: their frames are valid and hold the bytes as they are, so no library is needed.
"""
import gzip as zlib_gzip
import socket
import struct
import time

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
TIMEOUT_S = 60
PRODUCE, FETCH, LIST_OFFSETS, CREATE_TOPICS = 0, 1, 2, 19


def _crc_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


CRC_TABLE = _crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def unsigned_varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def varint(value):
    return unsigned_varint(value << 1 if value >= 0 else (-value << 1) - 1)


def sized(value):
    return varint(-1) if value is None else varint(len(value)) + value


def record(offset_delta=0, key=b"key", value=b"value", timestamp_delta=0, headers=(), attributes=0, header_count=None,
           extra=b"", length=None):
    body = bytes([attributes]) + varint(timestamp_delta) + varint(offset_delta) + sized(key) + sized(value)
    body += varint(len(headers) if header_count is None else header_count)
    for name, content in headers:
        body += sized(name) + sized(content)
    body += extra
    return varint(len(body) if length is None else length) + body


def records(count=1, **fields):
    return b"".join(record(offset_delta=i, **fields) for i in range(count))


def batch(payload=None, count=1, timestamp=0, codec="none", **fields):
    """A batch of `count` records; any field of the header can be given another value."""
    payload = records(count) if payload is None else payload
    attributes = fields.get("attributes", 0) | CODECS[codec]
    covered = struct.pack(">hiqqqhii", attributes, fields.get("last_offset_delta", count - 1), timestamp,
                          fields.get("max_timestamp", timestamp), fields.get("producer_id", -1),
                          fields.get("producer_epoch", -1), fields.get("base_sequence", -1), count)
    covered += COMPRESS[codec](payload) if fields.get("compress", True) else payload
    crc = fields.get("crc", crc32c(covered))
    length = fields.get("length", len(covered) + 9)
    return struct.pack(">qiibI", fields.get("base_offset", 0), length, fields.get("leader_epoch", -1), fields.get("magic", 2),
                       crc) + covered


def snappy(data):
    """Raw snappy: the length, then literals."""
    out = unsigned_varint(len(data))
    for at in range(0, len(data), 0x10000):
        piece = data[at:at + 0x10000]
        out += bytes([61 << 2]) + struct.pack("<H", len(piece) - 1) + piece
    return out


def xerial(data):
    """Snappy as Java's stream writes it: a header, then blocks with their lengths."""
    out = b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1)
    for at in range(0, len(data), 0x8000):
        block = snappy(data[at:at + 0x8000])
        out += struct.pack(">i", len(block)) + block
    return out


def xxhash32(data):
    """Of less than 16 bytes, seed 0."""
    mask, prime2, prime3, prime4, prime5 = 0xFFFFFFFF, 2246822519, 3266489917, 668265263, 374761393
    value = prime5 + len(data)
    at = 0
    while at + 4 <= len(data):
        value = value + struct.unpack_from("<I", data, at)[0] * prime3 & mask
        value = (value << 17 | value >> 15) * prime4 & mask
        at += 4
    for byte in data[at:]:
        value = value + byte * prime5 & mask
        value = (value << 11 | value >> 21) * 2654435761 & mask
    value = (value ^ value >> 15) * prime2 & mask
    value = (value ^ value >> 13) * prime3 & mask
    return value ^ value >> 16


def lz4(data):
    """A frame of stored blocks of at most 64 KiB, independent, without checksums."""
    descriptor = b"\x60\x40"
    out = struct.pack("<I", 0x184D2204) + descriptor + bytes([xxhash32(descriptor) >> 8 & 0xFF])
    for at in range(0, len(data), 0x10000):
        piece = data[at:at + 0x10000]
        out += struct.pack("<I", len(piece) | 0x80000000) + piece
    return out + struct.pack("<I", 0)


def zstd(data):
    """A frame of raw blocks of at most 64 KiB, without content size and checksum."""
    out = struct.pack("<I", 0xFD2FB528) + b"\x00\x38"  # window of 128 KiB
    pieces = [data[at:at + 0x10000] for at in range(0, len(data), 0x10000)] or [b""]
    for i, piece in enumerate(pieces):
        out += struct.pack("<I", len(piece) << 3 | (i + 1 == len(pieces)))[:3] + piece
    return out


COMPRESS = {"none": bytes, "gzip": lambda data: zlib_gzip.compress(data, mtime=0), "snappy": xerial, "lz4": lz4, "zstd": zstd}


class Writer:
    def __init__(self, flexible):
        self.flexible = flexible
        self.data = b""

    def pack(self, form, *values):
        self.data += struct.pack(">" + form, *values)

    def raw(self, data):
        self.data += data

    def string(self, text):
        text = None if text is None else text.encode()
        if self.flexible:
            self.data += b"\x00" if text is None else unsigned_varint(len(text) + 1) + text
        else:
            self.data += struct.pack(">h", -1) if text is None else struct.pack(">h", len(text)) + text

    def bytes(self, data):
        if self.flexible:
            self.data += b"\x00" if data is None else unsigned_varint(len(data) + 1) + data
        else:
            self.data += struct.pack(">i", -1) if data is None else struct.pack(">i", len(data)) + data

    def array(self, items, write):
        self.data += unsigned_varint(len(items) + 1) if self.flexible else struct.pack(">i", len(items))
        for item in items:
            write(item)

    def tags(self):
        if self.flexible:
            self.data += b"\x00"


class Reader:
    def __init__(self, data, flexible):
        self.data, self.flexible, self.at = data, flexible, 0

    def unpack(self, form):
        values = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return values if len(values) > 1 else values[0]

    def raw(self, size):
        assert self.at + size <= len(self.data)
        self.at += size
        return self.data[self.at - size:self.at]

    def unsigned_varint(self):
        value = shift = 0
        while True:
            byte = self.raw(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def string(self):
        length = self.unsigned_varint() - 1 if self.flexible else self.unpack("h")
        return None if length < 0 else self.raw(length).decode()

    def bytes(self):
        length = self.unsigned_varint() - 1 if self.flexible else self.unpack("i")
        return None if length < 0 else self.raw(length)

    def array(self, read):
        count = self.unsigned_varint() - 1 if self.flexible else self.unpack("i")
        return None if count < 0 else [read() for _ in range(count)]

    def tags(self):
        found = {}
        if self.flexible:
            for _ in range(self.unsigned_varint()):
                tag = self.unsigned_varint()
                found[tag] = self.raw(self.unsigned_varint())
        return found


class Client:
    """One connection, made again after the broker has closed it."""

    def __init__(self, port):
        self.port, self.socket = port, None

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket = None

    def receive(self, size):
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                return None
            data += piece
        return data

    def send(self, api, version, writer):
        if self.socket is None:
            self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_S)
        frame = struct.pack(">hhih", api, version, 7, 5) + b"rules" + (b"\x00" if writer.flexible else b"") + writer.data
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)

    def exchange(self, api, version, writer):
        """A reader behind the response's header; None if the broker closed the connection."""
        self.send(api, version, writer)
        length = self.receive(4)
        if length is None:
            self.close()
            return None
        reader = Reader(self.receive(struct.unpack(">i", length)[0]), writer.flexible)
        assert reader.unpack("i") == 7
        reader.tags()
        return reader

    def create_topic(self, name, partitions=1, configs=None):
        """The id of the new topic."""
        writer = Writer(True)

        def config(item):
            writer.string(item[0])
            writer.string(str(item[1]))
            writer.tags()

        def topic(_):
            writer.string(name)
            writer.pack("ih", partitions, 1)
            writer.array([], None)
            writer.array(list((configs or {}).items()), config)
            writer.tags()

        writer.array([name], topic)
        writer.pack("ib", 30000, 0)
        writer.tags()
        reader = self.exchange(CREATE_TOPICS, 7, writer)
        reader.unpack("i")
        assert reader.unsigned_varint() == 2
        assert reader.string() == name
        topic_id = reader.raw(16)
        error, message = reader.unpack("h"), reader.string()
        assert error == 0, (name, error, message)
        # Apache Kafka answers before its partitions can be written to; there is nothing to wait for but that they can.
        deadline = time.monotonic() + TIMEOUT_S
        for partition in range(partitions):
            while self.list_offsets(name, partition, -1)[0] != 0:
                assert time.monotonic() < deadline, f"{name}-{partition} has no leader"
        return topic_id

    def produce(self, version, topics, acks=-1, transactional_id=None):
        """`topics`: [(name or id, [(partition, records)])]. The decoded response, "closed", or None without one (acks=0)."""
        writer = Writer(version >= 9)

        def partition(item):
            writer.pack("i", item[0])
            writer.bytes(item[1])
            writer.tags()

        def topic(item):
            writer.raw(item[0]) if version >= 13 else writer.string(item[0])
            writer.array(item[1], partition)
            writer.tags()

        writer.string(transactional_id)
        writer.pack("hi", acks, 10000)
        writer.array(topics, topic)
        writer.tags()
        if acks == 0:
            # An empty request behind it is answered once the first has been dealt with.
            self.send(PRODUCE, version, writer)
            after = Writer(False)
            after.string(None)
            after.pack("hii", 1, 1000, 0)
            return None if self.exchange(PRODUCE, 3, after) else "closed"
        reader = self.exchange(PRODUCE, version, writer)
        return "closed" if reader is None else read_produce_response(reader, version)

    def fetch(self, topic, partition, offset):
        """Every byte of the partition from `offset` on; an answer may end inside a batch, which is then asked for again."""
        data = b""
        while True:
            writer = Writer(False)
            writer.pack("iiiib", -1, 0, 0, 1 << 24, 0)

            def one_partition(_):
                writer.pack("iqi", partition, offset, 1 << 24)

            def one_topic(_):
                writer.string(topic)
                writer.array([0], one_partition)

            writer.array([0], one_topic)
            reader = self.exchange(FETCH, 4, writer)
            reader.unpack("ii")
            reader.string()
            _, _, error, high_watermark, _ = reader.unpack("iihqq")
            assert error == 0, error
            reader.array(lambda: reader.unpack("qq"))
            found = reader.bytes() or b""
            at = 0
            while at + 61 <= len(found) and at + 12 + struct.unpack_from(">i", found, at + 8)[0] <= len(found):
                offset = struct.unpack_from(">q", found, at)[0] + struct.unpack_from(">i", found, at + 23)[0] + 1
                at += 12 + struct.unpack_from(">i", found, at + 8)[0]
            data += found[:at]
            if offset >= high_watermark or at == 0:
                return data

    def list_offsets(self, topic, partition, timestamp, version=7, isolation=0):
        """(error, timestamp, offset, leader epoch)"""
        writer = Writer(version >= 6)

        def one_partition(_):
            writer.pack("i", partition)
            if version >= 4:
                writer.pack("i", -1)
            writer.pack("q", timestamp)
            writer.tags()

        def one_topic(_):
            writer.string(topic)
            writer.array([0], one_partition)
            writer.tags()

        writer.pack("i", -1)
        if version >= 2:
            writer.pack("b", isolation)
        writer.array([0], one_topic)
        if version >= 10:
            writer.pack("i", 10000)
        writer.tags()
        reader = self.exchange(LIST_OFFSETS, version, writer)
        if reader is None:
            return "closed"
        if version >= 2:
            reader.unpack("i")

        def read_partition():
            reader.unpack("i")
            error, time, offset = reader.unpack("hqq")
            epoch = reader.unpack("i") if version >= 4 else None
            reader.tags()
            return error, time, offset, epoch

        def read_topic():
            reader.string()
            found = reader.array(read_partition)
            reader.tags()
            return found

        return reader.array(read_topic)[0][0]


def read_produce_response(reader, version):
    def record_error():
        found = (reader.unpack("i"), reader.string())
        reader.tags()
        return found

    def partition():
        answer = dict(zip(("index", "error", "base_offset", "log_append_time"), reader.unpack("ihqq")))
        if version >= 5:
            answer["log_start_offset"] = reader.unpack("q")
        if version >= 8:
            answer["record_errors"] = reader.array(record_error)
            answer["message"] = reader.string()
        answer["tags"] = reader.tags()
        return answer

    def topic():
        name = reader.raw(16) if version >= 13 else reader.string()
        partitions = reader.array(partition)
        return {"topic": name, "partitions": partitions, "tags": reader.tags()}

    topics = reader.array(topic)
    throttle = reader.unpack("i")
    tags = reader.tags()
    assert reader.at == len(reader.data), "bytes behind the response"
    return {"topics": topics, "throttle": throttle, "tags": tags}
