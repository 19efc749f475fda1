#!/usr/bin/env python3
"""Inputs to begin with, for each target: seeds.py OUTPUT writes OUTPUT/<target>/<name>. What each input means is said at
the top of <target>_fuzz.cc.
"""
import pathlib
import struct
import sys


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def varint(number):
    number = (number << 1) ^ (number >> 63)
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def record(delta, key, value):
    body = b"\x00" + varint(0) + varint(delta)
    for part in (key, value):
        body += varint(-1) if part is None else varint(len(part)) + part
    body += varint(0)
    return varint(len(body)) + body


def batch(records, attributes=0, producer=(-1, -1, -1), base_offset=0, epoch=0, count=None):
    payload = b"".join(records)
    count = len(records) if count is None else count
    tail = struct.pack(">hiqqqhii", attributes, count - 1, 1_700_000_000_000, 1_700_000_000_000, *producer, count) + payload
    return struct.pack(">qiibI", base_offset, len(tail) + 9, epoch, 2, crc32c(tail)) + tail


def batches():
    plain = batch([record(i, b"key", b"value") for i in range(3)])
    producer = batch([record(0, None, b"v")], producer=(1, 0, 0))
    marker = batch([record(0, struct.pack(">hh", 0, 1), struct.pack(">hi", 0, 0))], attributes=0x30, producer=(1, 0, -1))
    # An end-of-metadata record of KRaft: frame version 1, type, version, message.
    topic = b"\x01\x02\x00" + b"\x05test" + bytes(16) + b"\x00"
    metadata = batch([record(0, None, topic)])
    leader = batch([record(0, struct.pack(">hh", 0, 2), b"\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00\x01\x00\x01\x00")], attributes=0x20)
    voters = batch([record(0, struct.pack(">hh", 0, 6), b"\x00\x00\x02" + bytes(4) + bytes(16) + b"\x01\x00\x00\x00\x01\x00\x00")], attributes=0x20)
    for name, content in {"plain": plain, "producer": producer, "transaction": producer + marker, "metadata": metadata,
                          "leader": leader, "voters": voters, "gzip": batch([b"\x1f\x8b" + bytes(30)], attributes=1),
                          "snappy": batch([bytes(20)], attributes=2), "lz4": batch([bytes(20)], attributes=3),
                          "zstd": batch([bytes(20)], attributes=4)}.items():
        for flags in (0x91, 0x97):
            yield f"{name}-{flags:x}", bytes([flags]) + content


def request(api, version, flexible, body):
    frame = struct.pack(">hhih", api, version, 1, 4) + b"test" + (b"\x00" if flexible else b"") + body
    return struct.pack(">i", len(frame)) + frame


def frames():
    # The first byte: in pieces of 4 bytes.
    yield "api-versions", b"\x03" + request(18, 0, False, b"") + request(18, 3, True, b"\x02a\x02b\x00")
    yield "metadata", b"\x03" + request(3, 1, False, struct.pack(">ih", 1, 1) + b"t") + request(3, 12, True, b"\x00\x01\x00\x00")
    data = batch([record(0, b"k", b"v")])
    yield "produce", b"\x40" + request(0, 7, False, struct.pack(">hhiih", -1, -1, 100, 1, 1) + b"t" +
                                       struct.pack(">iii", 1, 0, len(data)) + data)
    yield "fetch", b"\x40" + request(1, 4, False, struct.pack(">iiiibih", -1, 10, 1, 1000, 0, 1, 1) + b"t" +
                                     struct.pack(">iiqi", 1, 0, 0, 1000))
    yield "negative", b"\x00\xff\xff\xff\xff"
    # Every API once in every version: the fuzzer then finds the bodies.
    for api in range(93):
        yield f"api-{api}", b"\xff" + b"".join(request(api, version, False, bytes(12)) for version in range(14))


def messages():
    for number in range(300):
        yield f"message-{number}", struct.pack(">HB", number, 0) + bytes(40)
        yield f"message-{number}-late", struct.pack(">HB", number, 9) + b"\x02" * 40


def config():
    yaml = b"node.id: 1\nprocess.roles: [broker, controller]\nlog:\n  dirs: /a\n  retention.hours: 24\nquoted: \"\\u00e9\"\n"
    anchors = b"a: &x 1\nb: *x\nc: !!str 2\n? d\n: - e\n  - f: {g: h}\n--- \n...\n| \n"
    block = b"listeners: >-\n  PLAINTEXT://127.0.0.1:9092,\n  CONTROLLER://127.0.0.1:9093\ncontroller.listener.names: |\n  CONTROLLER\n"
    properties = (b"node.id=1\nprocess.roles = broker,controller\n# comment\n! comment\nlog.dirs: /a\\\n   /b\n"
                  b"key\\ with\\u0020space value\nlisteners=PLAINTEXT://:9092,CONTROLLER://[::1]:9093\n"
                  b"controller.listener.names=CONTROLLER\ncontroller.quorum.voters=1@localhost:9093\n"
                  b"listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\nadvertised.listeners=PLAINTEXT://h:1\n")
    for name, kind, text in (("yaml", "y", yaml), ("anchors", "y", anchors), ("block", "y", block), ("properties", "p", properties)):
        yield name, kind.encode() + text
        yield f"{name}-loaded", kind.upper().encode() + text


def files():
    yield "offsets", b"\x000\n2\ntopic 0 10\nother 1 7\n"
    yield "epochs", b"\x010\n2\n0 0\n3 17\n"
    yield "meta", b"\x02#\nversion=1\ncluster.id=PICHhbPOSiiGXEs69U8uxw\nnode.id=1\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAQ\n"
    entry = struct.pack(">qhiqiqiq", 1, 0, 3, 10, 3, 1_700_000_000_000, -1, -1)
    body = struct.pack(">i", 1) + entry
    yield "producers", b"\x03" + struct.pack(">hI", 1, crc32c(body)) + body
    yield "quorum", (b'\x04{"leaderId":1,"leaderEpoch":3,"votedId":-1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA",'
                     b'"data_version":1}')
    yield "quorum-0", (b'\x04{"clusterId":"","leaderId":1,"leaderEpoch":3,"votedId":-1,"appliedOffset":0,"currentVoters":'
                       b'[{"voterId":1}],"data_version":0}')
    yield "partition", b"\x05version: 0\ntopic_id: PICHhbPOSiiGXEs69U8uxw\n"
    header = batch([record(0, struct.pack(">hh", 0, 3), struct.pack(">hq", 0, 0) + b"\x00")], attributes=0x20)
    footer = batch([record(0, struct.pack(">hh", 0, 4), b"\x00\x00\x00")], attributes=0x20, base_offset=1)
    yield "snapshot", b"\x06" + header + footer
    yield "name-partition", b"\x07a.topic-12"
    yield "name-snapshot", b"\x0700000000000000000012-0000000003.checkpoint"


def recovery():
    for seed in range(4):
        for clean in (0, 1):
            yield f"whole-{seed}-{clean}", bytes([seed, clean])
            for what in range(5):
                harm = bytes([what * 3, what]) + struct.pack(">I", 70 + what) + b"\x5a\x03"
                yield f"harm-{seed}-{clean}-{what}", bytes([seed, clean]) + harm * (1 + what % 2)


def write(output):
    for target, inputs in {"batches": batches, "frames": frames, "messages": messages, "config": config, "files": files,
                           "recovery": recovery}.items():
        directory = pathlib.Path(output) / target
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in inputs():
            (directory / name).write_bytes(content)


if __name__ == "__main__":
    write(sys.argv[1])
