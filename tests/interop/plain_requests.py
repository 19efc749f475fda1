"""Requests of old versions, byte by byte, and what their answers say. Names and records are bytes."""
import struct

from wire import exchange, header


def create_topic(connection, name):
    body = header(19, 2, False) + struct.pack(">ih", 1, len(name)) + name + struct.pack(">ihiiib", 1, 1, 0, 0, 30000, 0)
    answer = exchange(connection, body)
    assert answer[-4:] == b"\x00\x00\xff\xff", answer  # no error, no message


def produce(name, records, acks=-1):
    return (header(0, 3, False) + struct.pack(">hhi", -1, acks, 30000) + struct.pack(">ih", 1, len(name)) + name +
            struct.pack(">iii", 1, 0, len(records)) + records)


def produced_offset(answer, name):
    at = 4 + 4 + 2 + len(name) + 4 + 4
    error, offset = struct.unpack_from(">hq", answer, at)
    assert error == 0, error
    return offset


def fetch(name, offset, max_wait_ms, min_bytes):
    return (header(1, 4, False) + struct.pack(">iiiib", -1, max_wait_ms, min_bytes, 50_000_000, 0) + struct.pack(">ih", 1, len(name)) +
            name + struct.pack(">iiqi", 1, 0, offset, 50_000_000))


def send(connection, body):
    connection.sendall(struct.pack(">i", len(body)) + body)


def high_watermark_of(connection, topic):
    answer = exchange(connection, fetch(topic, 0, 0, 0))
    return struct.unpack_from(">q", answer, 4 + 4 + 4 + 2 + len(topic) + 4 + 4 + 2)[0]
