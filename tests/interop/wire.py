#!/usr/bin/env python3
"""Bytes on a socket: what ApiVersions says in every version, and what becomes of frames that are none."""
import os
import socket
import struct
import time

from harness import Checks, kurier

# API: versions of Apache Kafka 4.4 on a broker listener and on a controller listener, as far as they are answered here.
BROKER = {0: (0, 13), 1: (4, 18), 2: (1, 11), 3: (0, 13), 8: (2, 10), 9: (1, 10), 10: (0, 6),
          11: (0, 9), 12: (0, 4), 13: (0, 5), 14: (0, 5), 15: (0, 6), 16: (0, 5), 18: (0, 5), 19: (2, 7), 20: (1, 6), 22: (0, 5), 23: (2, 4),
          32: (1, 4), 37: (0, 3), 42: (0, 3), 47: (0, 0), 55: (0, 2), 60: (0, 2), 75: (0, 0)}
CONTROLLER = {1: (4, 18), 18: (0, 5), 19: (2, 7), 20: (1, 6), 32: (1, 4), 37: (0, 3), 55: (0, 2), 60: (0, 2)}


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def receive(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            return None
        data += piece
    return data


def exchange(connection, body):
    """The response's frame, or None if the connection was closed."""
    connection.sendall(struct.pack(">i", len(body)) + body)
    length = receive(connection, 4)
    return None if length is None else receive(connection, struct.unpack(">i", length)[0])


def header(api, version, flexible, correlation=77):
    name = b"wire-test"
    return struct.pack(">hhih", api, version, correlation, len(name)) + name + (b"\x00" if flexible else b"")


def compact(text):
    return bytes([len(text) + 1]) + text


def api_versions(connection, version):
    flexible = version >= 3
    body = header(18, version, flexible)
    if flexible:
        body += compact(b"wire") + compact(b"1.0")
        if version >= 5:
            body += b"\x00" + struct.pack(">i", -1)
        body += b"\x00"
    response = exchange(connection, body)
    correlation, error = struct.unpack_from(">ih", response)
    assert correlation == 77
    apis, position = {}, 6
    if flexible:
        count, position = response[position] - 1, position + 1
    else:
        count, position = struct.unpack_from(">i", response, position)[0], position + 4
    for _ in range(count):
        key, first, last = struct.unpack_from(">hhh", response, position)
        apis[key] = (first, last)
        position += 7 if flexible else 6
    return error, apis


def every_version(node):
    for port, wanted in ((node.port, BROKER), (node.controller_port, CONTROLLER)):
        with connect(port) as connection:
            for version in range(6):
                assert api_versions(connection, version) == (0, wanted), (port, version)


def too_high(node):
    """KIP-511: error 35, in version 0, with the range of ApiVersions alone; the connection goes on."""
    with connect(node.port) as connection:
        response = exchange(connection, header(18, 99, True) + b"\x05what\x05ever\x00")
        assert response == struct.pack(">ihihhh", 77, 35, 1, 18, 0, 5), response
        assert api_versions(connection, 3) == (0, BROKER)


def closed(node, raw):
    with connect(node.port) as connection:
        connection.sendall(raw)
        assert receive(connection, 1) is None, "an answer to what is no request"


def framed(body):
    return struct.pack(">i", len(body)) + body


def malformed(node):
    with connect(node.port) as bystander:
        before = memory(node)
        frames = {
            "negative length": struct.pack(">i", -5),
            "longer than socket.request.max.bytes": struct.pack(">i", 104857601),
            "empty": framed(b""),
            "too short": framed(b"\x00\x12"),
            "unknown API": framed(header(999, 0, False)),
            "an API of the past": framed(header(4, 0, False)),
            "not answered here": framed(header(52, 0, True)),
            "version too high": framed(header(3, 14, True)),
            "Produce 0, which is advertised only": framed(header(0, 0, False)),
            "header cut": framed(struct.pack(">hhih", 3, 1, 1, 300) + b"x"),
            "array of 2 billion": framed(header(3, 1, False) + struct.pack(">i", 0x7FFFFFFF)),
            "string beyond the frame": framed(header(3, 1, False) + struct.pack(">ih", 1, 30000) + b"x"),
            "compact array of 4 billion": framed(header(3, 9, True) + b"\xff\xff\xff\xff\x0f"),
            "tagged fields without end": framed(header(3, 9, True) + b"\x00\x01\x00\x00\xff\xff\xff\xff\x0f"),
            "body cut": framed(header(1, 4, False) + b"\x00\x00"),
        }
        for name, raw in frames.items():
            try:
                closed(node, raw)
            except Exception as error:
                raise AssertionError(f"{name}: {error}") from error
        # A length that is announced and never sent costs nothing.
        waiting = [connect(node.port) for _ in range(200)]
        for connection in waiting:
            connection.sendall(struct.pack(">i", 100_000_000) + b"some bytes")
        assert api_versions(bystander, 3) == (0, BROKER), "somebody else noticed"
        assert memory(node) - before < 16 * 1024, f"{memory(node) - before} KiB more"
        for connection in waiting:
            connection.close()
    assert any("negative length" in line and "127.0.0.1" in line and "PLAINTEXT" in line for line in node.output), node.output


def rarely_said(node):
    """However often a body cannot be read, a shard says so once a second at most."""
    before = len(node.output)
    began = time.monotonic()
    for _ in range(300):
        closed(node, framed(header(1, 4, False) + b"\x00\x00"))
    most = (1 + time.monotonic() - began + 1) * os.cpu_count()
    lines = [line for line in node.output[before:] if "closing the connection" in line]
    assert len(lines) <= most, (len(lines), most)


def memory(node):
    """Resident, KiB."""
    with open(f"/proc/{node.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def pipelined(node):
    """A topic that was asked for is there for the next request of the same connection."""
    with connect(node.port) as connection:
        name = b"pipelined"
        create = header(19, 2, False, 1) + struct.pack(">ih", 1, len(name)) + name + struct.pack(">ihiiib", 1, 1, 0, 0, 30000, 0)
        ask = header(3, 4, False, 2) + struct.pack(">ih", 1, len(name)) + name + b"\x00"
        connection.sendall(framed(create) + framed(ask))
        for correlation in (1, 2):
            response = receive(connection, struct.unpack(">i", receive(connection, 4))[0])
            assert struct.unpack_from(">i", response)[0] == correlation
        position = response.index(name)
        assert struct.unpack_from(">h", response, position - 4)[0] == 0, "the topic has an error"


def main():
    checks = Checks()
    with kurier() as node:
        checks.check("ApiVersions in every version, on both listeners", every_version, node)
        checks.check("ApiVersions in a version that is too high", too_high, node)
        checks.check("frames that are none", malformed, node)
        checks.check("bodies that cannot be read, said rarely", rarely_said, node)
        checks.check("requests of one connection take effect in order", pipelined, node)
    checks.finish()


if __name__ == "__main__":
    main()
