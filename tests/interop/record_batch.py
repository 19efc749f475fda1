"""Record batches of format 2, uncompressed."""
import struct

TABLE = []
for byte in range(256):
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    TABLE.append(byte)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def varint(value):
    value = value << 1 ^ value >> 63
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def record(delta, value, key=b"", timestamp_delta=0):
    named = varint(-1) if key is None else varint(len(key)) + key
    body = b"\0" + varint(timestamp_delta) + varint(delta) + named + varint(len(value)) + value + varint(0)
    return varint(len(body)) + body


def record_batch(values, timestamp=1_700_000_000_000, timestamps=None, attributes=0, producer=(-1, -1, -1), key=b"k", base_offset=0,
                 epoch=-1):
    stamps = timestamps or [timestamp] * len(values)
    records = b"".join(record(i, value, key, stamps[i] - stamps[0]) for i, value in enumerate(values))
    tail = struct.pack(">hiqqqhii", attributes, len(values) - 1, stamps[0], max(stamps), *producer, len(values)) + records
    after_length = struct.pack(">ibI", epoch, 2, crc32c(tail)) + tail
    return struct.pack(">qi", base_offset, len(after_length)) + after_length
