#!/usr/bin/env python3
"""What a broker says to odd batches, and what it keeps of them: kurier and Apache Kafka are sent the same bytes.

Every field of every answer is compared, error texts included, and then the bytes that are fetched back, and the answers of
ListOffsets. What is meant to differ is named in DIFFERENCES, with the reason; a difference that is gone fails too.
"""
import re
import struct
import subprocess
import tempfile
import time

import batches
from batches import batch, record, records, sized, varint
from disk import ApacheKafka
from harness import Checks, Kurier, jars

NOW = int(time.time() * 1000)
HOUR = 3600 * 1000

TOPICS = {
    "plain": {},
    "compacted": {"cleanup.policy": "compact"},
    "both-policies": {"cleanup.policy": "compact,delete"},
    "append-time": {"message.timestamp.type": "LogAppendTime"},
    "append-time-compacted": {"message.timestamp.type": "LogAppendTime", "cleanup.policy": "compact"},
    "bounded": {"message.timestamp.before.max.ms": HOUR, "message.timestamp.after.max.ms": HOUR},
    "small": {"max.message.bytes": 200},
    "segment": {"segment.bytes": 1048576, "max.message.bytes": 3000000},
    "limited": {"max.decompressed.message.bytes": 300, "cleanup.policy": "compact"},
    "limited-plain": {"max.decompressed.message.bytes": 300},
    "to-uncompressed": {"compression.type": "uncompressed"},
    "to-gzip": {"compression.type": "gzip"},
    "to-gzip-9": {"compression.type": "gzip", "compression.gzip.level": 9},
    "to-snappy": {"compression.type": "snappy"},
    "to-lz4": {"compression.type": "lz4"},
    "to-lz4-17": {"compression.type": "lz4", "compression.lz4.level": 17},
    "to-zstd": {"compression.type": "zstd"},
    "to-zstd-append-time": {"compression.type": "zstd", "message.timestamp.type": "LogAppendTime"},
    "to-gzip-small": {"compression.type": "gzip", "max.message.bytes": 200},
    "to-uncompressed-small": {"compression.type": "uncompressed", "max.message.bytes": 200},
    "to-uncompressed-limited": {"compression.type": "uncompressed", "max.decompressed.message.bytes": 300},
}
TARGET = [name for name in TOPICS if name.startswith("to-")]

# What is meant to differ: the reason, and which cases ("topic: name", whole match). Every one of them must differ.
RECORDS_ODD = ("(null header name|(negative|huge) header count|header count (1 of 0|0 of 1)|a byte too much in the record|"
               "record length (0|-1|huge)|varint of 6 bytes|a byte behind the records|key longer than the record)")
DIFFERENCES = [
    # DESIGN, "Produce": a compressed batch is decompressed only where the topic's configuration demands it, and its header
    # believed otherwise. Apache Kafka always decompresses, and finds what is wrong inside.
    ("compressed batches are not decompressed",
     f"(plain|append-time): ({RECORDS_ODD}, gzip|offset deltas .*, gzip|(garbage as|nothing as|truncated) (gzip|snappy|lz4|zstd)|two frames of lz4|"
     "a byte behind zstd|count [24] of 3 of (gzip|snappy|lz4|zstd))"),
    ("compressed batches are not decompressed",
     "plain: ((timestamp deltas|huge timestamp delta|(null key and )?timestamp too late), gzip|"
     "(late but max timestamp fine,|wrong max timestamp) of (gzip|snappy|lz4|zstd))"),
    ("compressed batches are not decompressed",
     f"to-lz4(-17)?: ({RECORDS_ODD}|offset deltas .*|timestamp deltas|huge timestamp delta|(null key and )?timestamp too late), lz4"),
    # A consumer would take such records for others. Apache Kafka keeps them in an uncompressed batch; in a compressed one
    # it tries to build the batch anew, and fails with UNKNOWN_SERVER_ERROR.
    ("offset deltas are checked: INVALID_RECORD",
     "(plain|append-time|to-uncompressed(-small|-limited)?): offset deltas [^a-z]*|"
     "(compacted|both-policies|append-time-compacted|bounded): offset deltas .*"),
    # Where Apache Kafka only skips what is in compressed records it does not compare their lengths.
    ("the length of every record is checked",
     "(compacted|both-policies|append-time-compacted|bounded): record length one too (long|short), gzip"),
    ("INVALID_RECORD where Apache Kafka fails with UNKNOWN_SERVER_ERROR", "[^:]*: (varint of 6 bytes|length 2147483647)"),
    # Apache Kafka does not apply max.decompressed.message.bytes where it compresses anew.
    ("the limit holds for every batch that is decompressed", "to-uncompressed-limited: many of (gzip|snappy|lz4|zstd)"),
]


class Case:
    def __init__(self, name, topic, data, version=13, acks=-1, transactional_id=None, partition=0):
        self.name, self.topic, self.data, self.version, self.acks = name, topic, data, version, acks
        self.transactional_id, self.partition = transactional_id, partition


def now_batch(payload=None, count=1, **fields):
    return batch(payload, count, **{"timestamp": NOW, **fields})


def framing_cases():
    good = now_batch()
    yield "good", good
    yield "three records", now_batch(count=3)
    yield "no bytes", b""
    for size in (1, 11, 12, 16, 17, 20, 60, 61, len(good) - 1):
        yield f"truncated to {size}", good[:size]
    yield "a byte behind", good + b"\0"
    yield "12 bytes behind", good + bytes(12)
    yield "17 bytes behind with a length", good + bytes(8) + struct.pack(">i", 1000) + bytes(4) + b"\x02"
    yield "two batches", good + good
    yield "two, the second truncated", good + good[:-1]
    yield "two, the second of magic 1", good + now_batch(magic=1)
    yield "a good one and one of a bad length", good + now_batch(length=3)
    for length in (-1, 0, 2, 13, 14, 48, 49, len(good) - 13, len(good) - 11, 0x7FFFFFFF, 0x7FFFFFF0):
        yield f"length {length}", now_batch(length=length)
    yield "bad crc", now_batch(crc=1)
    yield "bad crc of a compressed batch", now_batch(codec="gzip", crc=1)
    for magic in (0, 1, 3, 127, -1, -128):
        yield f"magic {magic}", now_batch(magic=magic)
    yield "base offset 5", now_batch(base_offset=5)
    yield "base offset -1", now_batch(base_offset=-1)
    yield "base offset 5 and bad crc", now_batch(base_offset=5, crc=1)
    yield "leader epoch 77", now_batch(leader_epoch=77)
    yield "leader epoch -2", now_batch(leader_epoch=-2)


def header_cases():
    for count, delta in ((0, -1), (0, 0), (-1, 0), (1, -1), (1, -2), (1, 1), (2, 0), (2, 5), (0x7FFFFFFF, 0x7FFFFFFE), (3, 2), (1, 2),
                         (-0x80000000, 0x7FFFFFFF)):
        yield f"count {count}, last offset delta {delta}", now_batch(records(1), count, last_offset_delta=delta)
    yield "count 2 of 3 records", now_batch(records(3), 2)
    yield "count 4 of 3 records", now_batch(records(3), 4)
    yield "no record but count 1", now_batch(b"")
    yield "control bit", now_batch(attributes=0x20)
    yield "control bit, a marker's record", now_batch(record(key=bytes(4), value=bytes(6)), attributes=0x20)
    yield "control bit and bad crc", now_batch(attributes=0x20, crc=1)
    yield "delete horizon", now_batch(attributes=0x40)
    yield "attribute bit 7", now_batch(attributes=0x80)
    yield "attributes of the future", now_batch(attributes=0x7F00)
    yield "attribute bit 15", now_batch(attributes=-0x8000)
    for codec in (5, 6, 7):
        yield f"codec {codec}", now_batch(attributes=codec)
        yield f"codec {codec} and bad crc", now_batch(attributes=codec, crc=1)
    yield "producer without sequence", now_batch(producer_id=900, producer_epoch=0)
    yield "producer with sequence -2", now_batch(producer_id=900, producer_epoch=0, base_sequence=-2)
    yield "producer without epoch", now_batch(producer_id=901, producer_epoch=-1, base_sequence=0)
    yield "producer id -2", now_batch(producer_id=-2, producer_epoch=0, base_sequence=0)
    yield "sequence without producer", now_batch(base_sequence=3)
    yield "unknown producer begins at 5", now_batch(producer_id=902, producer_epoch=0, base_sequence=5)


def record_cases():
    """On every topic: `payload, count`."""
    for deltas in ((1,), (0, 2), (1, 0), (0, 0), (0, -1), (-1,), (0, 1, 1)):
        payload = b"".join(record(offset_delta=delta) for delta in deltas)
        yield f"offset deltas {deltas}", payload, len(deltas)
    yield "null key", record(key=None), 1
    yield "null value", record(value=None), 1
    yield "empty key and value", record(key=b"", value=b""), 1
    yield "key length -5", varint(6) + b"\0\0\0" + varint(-5) + varint(-1) + varint(0), 1
    yield "two of three null keys", record(0, key=None) + record(1) + record(2, key=None), 3
    yield "five null keys", records(5, key=None), 5
    yield "headers", record(headers=[(b"a", b"1"), (b"", b""), (b"b", None)]), 1
    yield "null header name", record(headers=[(None, b"1")]), 1
    yield "negative header count", record(header_count=-1), 1
    yield "huge header count", record(header_count=0x7FFFFFFF), 1
    yield "header count 1 of 0", record(header_count=1), 1
    yield "header count 0 of 1", record(headers=[(b"a", b"1")], header_count=0), 1
    yield "a byte too much in the record", record(extra=b"x"), 1
    yield "record length one too long", record(length=15), 1
    yield "record length one too short", record(length=13), 1
    yield "record length 0", varint(0), 1
    yield "record length -1", varint(-1), 1
    yield "record length huge", varint(0x7FFFFFFF) + b"abc", 1
    yield "varint of 6 bytes", b"\xff\xff\xff\xff\xff\xff" + b"abc", 1
    yield "a byte behind the records", record() + b"\0", 1
    yield "key longer than the record", record(extra=b"")[:4] + varint(1000) + b"x" * 11, 1
    yield "record attributes", record(attributes=0x7F), 1
    yield "timestamp deltas", record(0, timestamp_delta=5) + record(1, timestamp_delta=-7) + record(2, timestamp_delta=2), 3
    yield "huge timestamp delta", record(0, timestamp_delta=2**62), 1
    yield "timestamp too late", record(0) + record(1, timestamp_delta=2 * HOUR), 2
    yield "timestamp too early", record(0, timestamp_delta=-2 * HOUR) + record(1), 2
    yield "null key and timestamp too late", record(0, key=None) + record(1, timestamp_delta=2 * HOUR), 2


def timestamp_cases():
    yield "timestamp -1", batch(timestamp=-1)
    yield "timestamp -2", batch(timestamp=-2)
    yield "timestamp 0", batch(timestamp=0)
    yield "timestamp of one -1", now_batch(record(0) + record(1, timestamp_delta=-NOW - 1), 2)
    yield "max timestamp too small", now_batch(record(0) + record(1, timestamp_delta=10), 2, max_timestamp=NOW)
    yield "max timestamp too large", now_batch(max_timestamp=NOW + 1000)
    yield "max timestamp -1", now_batch(max_timestamp=-1)
    yield "max timestamp far away", now_batch(max_timestamp=NOW + 100 * HOUR)
    yield "log append time flag", now_batch(attributes=8)
    yield "log append time flag, three records", now_batch(count=3, attributes=8)
    yield "log append time flag, old max timestamp", now_batch(attributes=8, max_timestamp=5)
    yield "log append time flag and -1", now_batch(attributes=8, max_timestamp=-1)
    yield "log append time flag on other base", now_batch(attributes=8, max_timestamp=NOW + 500)


def cases():
    for name, data in (*framing_cases(), *header_cases(), *timestamp_cases()):
        for topic in ("plain", "append-time", "to-zstd"):
            yield Case(name, topic, data)
    for topic in ("plain", "compacted", "both-policies", "append-time", "append-time-compacted", "bounded"):
        for name, payload, count in record_cases():
            yield Case(name, topic, now_batch(payload, count))
            yield Case(name + ", gzip", topic, now_batch(payload, count, codec="gzip"))
    for topic in TARGET:
        for codec in batches.CODECS:
            yield Case(f"one of {codec}", topic, now_batch(codec=codec))
            yield Case(f"many of {codec}", topic, now_batch(records(300, headers=[(b"h", b"x"), (b"n", None)]), 300, codec=codec))
        for name, payload, count in record_cases():
            yield Case(name, topic, now_batch(payload, count))
            yield Case(name + ", lz4", topic, now_batch(payload, count, codec="lz4"))
        for name, data in timestamp_cases():
            yield Case(name, topic, data)
    for topic in ("plain", "compacted", "bounded", "append-time", "to-uncompressed", "limited", "limited-plain"):
        for codec in batches.CODECS:
            yield Case(f"one of {codec}", topic, now_batch(codec=codec))
            yield Case(f"large of {codec}", topic, now_batch(records(300, value=b"v" * 500), 300, codec=codec))
            if codec != "none":
                yield Case(f"garbage as {codec}", topic, now_batch(b"garbage, not a frame", codec=codec, compress=False))
                yield Case(f"nothing as {codec}", topic, now_batch(b"", codec=codec, compress=False))
                whole = batches.COMPRESS[codec](records(3))
                yield Case(f"truncated {codec}", topic, now_batch(whole[:-6], 3, codec=codec, compress=False))
                yield Case(f"a byte behind {codec}", topic, now_batch(whole + b"x", 3, codec=codec, compress=False))
                yield Case(f"two frames of {codec}", topic, now_batch(
                    batches.COMPRESS[codec](records(1)) + batches.COMPRESS[codec](record(1)), 2, codec=codec, compress=False))
            yield Case(f"wrong max timestamp of {codec}", topic, now_batch(count=3, codec=codec, max_timestamp=NOW + 77))
            yield Case(f"log append time flag of {codec}", topic, now_batch(count=3, codec=codec, attributes=8))
            yield Case(f"count 2 of 3 of {codec}", topic, now_batch(records(3), 2, codec=codec))
            yield Case(f"count 4 of 3 of {codec}", topic, now_batch(records(3), 4, codec=codec))
            for size in (287, 288, 289):  # with the rest of the record: 299 to 301
                yield Case(f"value of {size} of {codec}", topic, now_batch(record(value=b"v" * (size - 1)), codec=codec))
            yield Case(f"null key, log append time flag of {codec}", topic,
                       now_batch(record(key=None, value=None), codec=codec, attributes=8))
            yield Case(f"late but max timestamp fine, of {codec}", topic,
                       now_batch(record(timestamp_delta=2 * HOUR), codec=codec, max_timestamp=NOW))
            yield Case(f"late, of {codec}", topic,
                       now_batch(record(timestamp_delta=2 * HOUR), codec=codec, max_timestamp=NOW + 2 * HOUR))
            yield Case(f"early, of {codec}", topic, now_batch(record(0, timestamp_delta=-2 * HOUR) + record(1), 2, codec=codec))
        yield Case("raw snappy", topic, now_batch(batches.snappy(records(3)), 3, codec="snappy", compress=False))
    for topic in ("small", "to-gzip-small", "to-uncompressed-small"):
        for codec in batches.CODECS:
            yield Case(f"at the limit of {codec}", topic, now_batch(record(value=b"v" * 90), codec=codec))
            yield Case(f"over the limit of {codec}", topic, now_batch(record(value=b"v" * 400), codec=codec))
        yield Case("over the limit and bad crc", topic, now_batch(record(value=b"v" * 400), crc=1))
        yield Case("over the limit and base offset 1", topic, now_batch(record(value=b"v" * 400), base_offset=1))
        yield Case("over the limit and control", topic, now_batch(record(value=b"v" * 400), attributes=0x20))
    yield Case("larger than a segment", "segment", now_batch(record(value=b"v" * 1048576)))
    yield Case("as large as a segment", "segment", now_batch(record(value=b"v" * (1048576 - 61 - 16))))
    for version in range(3, 14):
        for name, data in (("good", now_batch()), ("zstd", now_batch(codec="zstd")), ("bad crc", now_batch(crc=1)), ("no bytes", b""),
                           ("magic 1", now_batch(magic=1)), ("two batches", now_batch() + now_batch()),
                           ("codec 7", now_batch(attributes=7)), ("control bit", now_batch(attributes=0x20)),
                           ("length 3", now_batch(length=3))):
            yield Case(f"version {version}, {name}", "plain", data, version)
        yield Case(f"version {version}, null key", "compacted", now_batch(records(2, key=None), 2), version)
        yield Case(f"version {version}, too early", "bounded", batch(), version)
        yield Case(f"version {version}, append time", "append-time", now_batch(), version)
        yield Case(f"version {version}, too large", "small", now_batch(record(value=b"v" * 400)), version)
        yield Case(f"version {version}, no such topic", "nowhere", now_batch(), version)
        yield Case(f"version {version}, no such partition", "plain", now_batch(), version, partition=9)
        yield Case(f"version {version}, negative partition", "plain", now_batch(), version, partition=-1)
    for acks in (0, 1, 2, -2, 127):
        yield Case(f"acks {acks}, good", "plain", now_batch(), acks=acks)
        yield Case(f"acks {acks}, bad crc", "plain", now_batch(crc=1), acks=acks)
        yield Case(f"acks {acks}, no such partition", "plain", now_batch(), acks=acks, partition=9)
        yield Case(f"acks {acks}, magic 1", "plain", now_batch(magic=1), acks=acks)
    yield Case("transactional bit without id", "plain", now_batch(attributes=0x10))
    yield Case("transactional producer without id", "plain",
               now_batch(attributes=0x10, producer_id=903, producer_epoch=0, base_sequence=0))
    yield Case("transactional bit without id, bad crc", "plain", now_batch(attributes=0x10, crc=1))
    yield Case("transactional and control bits", "plain", now_batch(attributes=0x30))
    yield from producer_cases()


def producer_cases():
    """Idempotence: in the order of the list, per topic."""
    def of(name, epoch, sequence, count=1, producer_id=1000, topic="plain", **fields):
        return Case(f"producer: {name}", topic, now_batch(count=count, producer_id=producer_id, producer_epoch=epoch,
                                                         base_sequence=sequence, **fields))

    for topic in ("plain", "append-time", "to-zstd", "to-zstd-append-time"):
        yield of("first", 3, 0, 2, topic=topic)
        yield of("again", 3, 0, 2, topic=topic)
        yield of("next", 3, 2, topic=topic)
        yield of("the first once more", 3, 0, 2, topic=topic)
        yield of("the same end, another count", 3, 1, 2, topic=topic)
        yield of("gap", 3, 7, topic=topic)
        yield of("old epoch", 2, 3, topic=topic)
        yield of("old epoch, known sequence", 2, 0, 2, topic=topic)
        yield of("new epoch, not at 0", 4, 3, topic=topic)
        yield of("new epoch", 4, 0, topic=topic)
        yield of("the old epoch's batch", 3, 2, topic=topic)
        yield of("duplicate with a bad timestamp", 4, 0, topic=topic, max_timestamp=5)
        for sequence in range(1, 7):
            yield of(f"sequence {sequence}", 4, sequence, topic=topic)
        yield of("a duplicate out of the window", 4, 0, topic=topic)
        yield of("a duplicate in the window", 4, 3, topic=topic)
        yield of("without epoch", -1, 0, producer_id=1001, topic=topic)
        yield of("near the end of numbers", 0, 0x7FFFFFFE, 3, producer_id=1002, topic=topic)
        yield of("behind the end of numbers", 0, 1, producer_id=1002, topic=topic)
        yield of("compressed", 0, 0, 3, producer_id=1003, topic=topic, codec="gzip")
        yield of("compressed again", 0, 0, 3, producer_id=1003, topic=topic, codec="gzip")


class Side:
    """A node with the topics."""

    def __init__(self, port):
        self.port = port
        self.client = batches.Client(port)
        self.ids = {name: self.client.create_topic(name, configs=configs) for name, configs in TOPICS.items()}
        self.ids["nowhere"] = bytes(range(16))

    def run(self, case):
        """(what it answered, what it kept)"""
        exists = case.topic in TOPICS
        before = self.client.list_offsets(case.topic, 0, -1)[2] if exists else 0
        topic = self.ids[case.topic] if case.version >= 13 else case.topic
        answer = self.client.produce(case.version, [(topic, [(case.partition, case.data)])], case.acks, case.transactional_id)
        kept = self.client.fetch(case.topic, 0, before) if exists else b""
        return self.plain(answer, case, before), [describe(batch_of, before, case.data) for batch_of in split(kept)]

    def plain(self, answer, case, before):
        """Without what has to differ: ids, the time, offsets that depend on earlier cases."""
        if not isinstance(answer, dict):
            return answer
        for topic in answer["topics"]:
            topic["topic"] = case.topic if topic["topic"] in (case.topic, self.ids[case.topic]) else topic["topic"]
            for partition in topic["partitions"]:
                if partition["base_offset"] >= 0:
                    partition["base_offset"] -= before
                partition["log_append_time"] = which_time(partition["log_append_time"])
                if partition.get("message"):
                    partition["message"] = without_times(partition["message"])
                if partition.get("record_errors"):
                    partition["record_errors"] = [(i, m and without_times(m)) for i, m in partition["record_errors"]]
        return answer


def which_time(timestamp):
    is_now = NOW < timestamp and abs(timestamp - time.time() * 1000) < HOUR / 2
    return "time of the broker" if is_now else timestamp


def without_times(text):
    return re.sub(r"-?\d{12,}", "<time>", text)


def split(data):
    found = []
    while data:
        size = 12 + struct.unpack_from(">i", data, 8)[0]
        found.append(data[:size])
        data = data[size:]
    return found


def describe(data, before, sent):
    """A batch as it was fetched. What is inside one that the broker has compressed is compared by another check."""
    offset, length, epoch, magic, crc = struct.unpack_from(">qiibI", data)
    attributes, delta, base_time, max_time, producer, producer_epoch, sequence, count = struct.unpack_from(">hiqqqhii", data, 21)
    as_sent = attributes & 7 == 0 or data[61:] in sent
    return {"offset": offset - before, "length": length if as_sent else "any", "epoch": epoch, "magic": magic,
            "crc is right": crc == batches.crc32c(data[21:]), "attributes": attributes, "delta": delta, "base time": base_time,
            "max time": which_time(max_time) if attributes & 8 else max_time, "producer": producer,
            "producer epoch": producer_epoch, "sequence": sequence, "count": count, "payload": data[61:] if as_sent else "compressed"}


def compare_cases(kurier, kafka, topic, wanted):
    wrong = []
    for case in wanted:
        ours, theirs = kurier.run(case), kafka.run(case)
        reasons = [reason for reason, pattern in DIFFERENCES if re.fullmatch(pattern, f"{topic}: {case.name}")]
        if (ours != theirs) != bool(reasons):
            wrong.append(f"  {case.name}: {reasons or ''}\n    kurier: {ours}\n    kafka:  {theirs}")
    assert not wrong, f"{len(wrong)} of {len(wanted)} cases:\n" + "\n".join(wrong[:10])


def compare_request_of_many(kurier, kafka):
    """One request with several topics and partitions, of which some are refused."""
    def ask(side):
        topic = side.client.create_topic("many", partitions=3)
        return side.client.produce(13, [(topic, [(0, now_batch()), (1, now_batch(crc=1)), (2, now_batch(count=3)), (3, now_batch())]),
                                        (side.ids["small"], [(0, now_batch(record(value=b"v" * 400)))])])

    ours, theirs = ask(kurier), ask(kafka)
    for answer in (ours, theirs):  # Apache Kafka's are in the order of a hash
        answer["topics"].sort(key=lambda topic: len(topic["partitions"]))
        for topic in answer["topics"]:
            topic["topic"] = "an id"
            topic["partitions"].sort(key=lambda partition: partition["index"])
    assert ours == theirs, (ours, theirs)


def compare_repetitions(kurier, kafka):
    """A partition that a request names more than once, topics too, and topics without partitions. What is appended is counted."""
    one, two = now_batch(), now_batch(count=2)
    bad_crc = now_batch(crc=1)
    requests = {
        "twice": [("plain", [(0, one), (1, one), (0, two)])],
        "in two entries": [("plain", [(0, one)]), ("small", [(0, one)]), ("plain", [(0, two), (2, one)])],
        "no batch behind one": [("plain", [(0, one), (0, b"")])],
        "no batch before one": [("plain", [(0, b""), (0, one)])],
        "another format behind one": [("plain", [(0, one), (0, now_batch(magic=1))])],
        "two batches behind one": [("plain", [(0, two), (0, one + one)])],
        "bad crc behind one": [("plain", [(0, one), (0, bad_crc)])],
        "bad crc before one": [("plain", [(0, bad_crc), (0, one)])],
        "null before one": [("plain", [(0, None), (0, one)])],
        "null for what does not exist": [("plain", [(9, None), (0, one)])],
        "unknown twice": [("plain", [(9, one), (9, one)]), ("nowhere", [(0, one), (0, one)]), ("nowhere", [(1, one)])],
        "no partitions": [("plain", []), ("small", [(0, one)])],
        "nothing but no partitions": [("plain", [])],
        "nothing": [],
    }

    def ask(side, name, version, topics, acks):
        ends = lambda: [side.client.list_offsets(name, partition, -1)[2] for partition in range(3)]
        ids = {"plain": side.repeated[name], "small": side.ids["small"], "nowhere": side.ids["nowhere"]}
        names = {"plain": name, "small": "small", "nowhere": "nowhere"}
        before = ends()
        answer = side.client.produce(version, [((ids if version >= 13 else names)[topic], partitions) for topic, partitions in topics], acks)
        for topic in answer["topics"]:
            topic["topic"] = next(known for known in names if topic["topic"] in (ids[known], names[known]))
            topic["partitions"].sort(key=lambda partition: partition["index"])
            for partition in topic["partitions"]:
                partition["log_append_time"] = which_time(partition["log_append_time"])
                if topic["topic"] == "small":  # other cases have appended there
                    partition["base_offset"] = min(partition["base_offset"], 0)
        answer["topics"].sort(key=lambda topic: topic["topic"])
        return answer, [end - start for start, end in zip(before, ends())]

    for side in (kurier, kafka):
        side.repeated = {name: side.client.create_topic(name, partitions=3) for name in ("repeated-9", "repeated-13")}
    wrong = []
    for version in (9, 13):
        for what, topics in requests.items():
            for acks in (-1, 2):
                ours, theirs = (ask(side, f"repeated-{version}", version, topics, acks) for side in (kurier, kafka))
                if ours != theirs:
                    wrong.append(f"  {what}, version {version}, acks {acks}\n    kurier: {ours}\n    kafka:  {theirs}")
    assert not wrong, f"{len(wrong)} requests:\n" + "\n".join(wrong)


def null_records(kurier):
    """Apache Kafka never answers them and appends nothing; kurier closes the connection and appends nothing."""
    good = now_batch()
    topic = kurier.client.create_topic("null-records", partitions=3)
    for version in (3, 9, 13):
        for acks in (-1, 1, 0, 2):
            for partitions in ([(0, good), (1, None), (2, good)], [(0, good), (0, None)], [(1, None)]):
                client = batches.Client(kurier.port)
                name = topic if version >= 13 else "null-records"
                try:
                    answer = client.produce(version, [(name, partitions)], acks)
                except (ConnectionResetError, BrokenPipeError):  # it was closed before all was sent
                    answer = "closed"
                assert answer == "closed", (version, acks, partitions, answer)
                client.close()
    assert [kurier.client.list_offsets("null-records", partition, -1)[2] for partition in range(3)] == [0, 0, 0]
    assert kurier.client.produce(13, [(topic, [(0, good)])])["topics"][0]["partitions"][0]["error"] == 0


def compare_contents(kurier, kafka, target, settings):
    """What a client reads from a topic that compresses anew: batches of every codec, and with them every kind of field."""
    def read(side):
        topic = side.client.create_topic(f"content-{target}", configs=settings)
        for codec in batches.CODECS:
            for payload, count in ((records(1), 1), (records(500, value=b"v" * 300), 500), (record(key=None, value=None), 1),
                                   (records(3, headers=[(b"h", b"x"), (b"n", None), (b"", b"")]), 3),
                                   (record(0, timestamp_delta=7) + record(1, timestamp_delta=-9), 2)):
                answer = side.client.produce(13, [(topic, [(0, now_batch(payload, count, codec=codec))])])
                assert answer["topics"][0]["partitions"][0]["error"] == 0, answer
        kept = split(side.client.fetch(f"content-{target}", 0, 0))
        codecs = {struct.unpack_from(">h", one, 21)[0] & 7 for one in kept}
        content = subprocess.run(["kcat", "-b", f"127.0.0.1:{side.port}", "-C", "-t", f"content-{target}", "-e", "-q", "-f",
                                  "%o %T %K %k %S %s %h\n"], check=True, stdout=subprocess.PIPE, timeout=60).stdout
        return codecs, content

    ours, theirs = read(kurier), read(kafka)
    assert ours[0] == theirs[0], (ours[0], theirs[0])
    assert ours[1] == theirs[1], "other records"
    assert len(ours[1]) > 100


def compare_offsets(kurier, kafka, name, settings, codec):
    """ListOffsets by time, in every version, around every record's timestamp."""
    def ask(side):
        topic = side.client.create_topic(name, configs=settings)
        ask_all = lambda: [side.client.list_offsets(name, 0, timestamp, version)
                           for timestamp in (-1, -2, -3, -4, -5, -6, -7, 0, NOW) for version in range(1, 12)]
        answers = [ask_all()]
        times = []
        for base, deltas in ((0, (0, 10, 5, 20)), (100, (0,)), (50, (0, 3, 200, 200, 1)), (150, (5, 0)), (400, (0, -250, 0)),
                             (400, (0, 0))):
            payload = b"".join(record(offset_delta=i, timestamp_delta=delta) for i, delta in enumerate(deltas))
            base += NOW - 1000
            one = now_batch(payload, len(deltas), timestamp=base, max_timestamp=base + max(deltas), codec=codec)
            answer = side.client.produce(13, [(topic, [(0, one)])])["topics"][0]["partitions"][0]
            assert answer["error"] == 0
            while time.time() * 1000 < answer["log_append_time"] + 3:
                pass  # the next batch has another time, and so has the millisecond before it
            times += [base + delta for delta in deltas]
        answers.append(ask_all())
        if "message.timestamp.type" in settings:
            times = [struct.unpack_from(">q", one, 35)[0] for one in split(side.client.fetch(name, 0, 0))]
            assert times == sorted(times)
        for timestamp in times:
            for near in (-1, 0, 1):
                answers.append([side.client.list_offsets(name, 0, timestamp + near, version, isolation)
                                for version in (1, 4, 11) for isolation in (0, 1)])
        return [[(error, which_time(found), offset, epoch) for error, found, offset, epoch in some] for some in answers]

    ours, theirs = ask(kurier), ask(kafka)
    different = [(our, their) for our, their in zip(ours, theirs) if our != their]
    assert not different, different[:3]


def run(checks, kurier, kafka):
    by_topic = {}
    for case in cases():
        by_topic.setdefault(case.topic, []).append(case)
    for topic, wanted in by_topic.items():
        checks.check(f"{topic}: {len(wanted)} requests", compare_cases, kurier, kafka, topic, wanted)
    checks.check("a request of many partitions", compare_request_of_many, kurier, kafka)
    checks.check("partitions and topics named more than once", compare_repetitions, kurier, kafka)
    checks.check("null for records", null_records, kurier)
    for topic in TARGET:
        if not topic.endswith(("small", "limited", "append-time")):
            checks.check(f"content of {topic}", compare_contents, kurier, kafka, topic, TOPICS[topic])
    for codec in batches.CODECS:
        checks.check(f"offsets by time, {codec}", compare_offsets, kurier, kafka, f"times-{codec}", {}, codec)
        checks.check(f"offsets by time, {codec} with log append time", compare_offsets, kurier, kafka, f"append-times-{codec}",
                     {"message.timestamp.type": "LogAppendTime"}, codec)


def main():
    checks = Checks()
    classpath = jars("kafka")
    if classpath is None:
        checks.skip("the rules of produce beside Apache Kafka", "Java or Maven is missing")
        checks.finish()
    with tempfile.TemporaryDirectory(prefix="kurier-rules-") as directory, tempfile.TemporaryDirectory(prefix="kafka-rules-") as other:
        node, formatted = Kurier(directory), Kurier(other)
        kafka = None
        try:
            # Apache Kafka gets a directory that kurier has formatted.
            formatted.start()
            assert formatted.stop() == 0
            kafka = ApacheKafka(classpath, formatted).wait_until_ready()
            node.start()
            run(checks, Side(node.port), Side(formatted.port))
        finally:
            if kafka:
                kafka.kill()
            formatted.kill()
            node.kill()
    checks.finish()


if __name__ == "__main__":
    main()
