#!/usr/bin/env python3
"""Requests of a million elements, and a client on the same shard that must not notice: its small requests are answered
while the large one is at work. By order, not by time: how many small answers come between the large frame's last byte and
the first byte of its answer. Memory by the high-water mark of the process, which is set back before each request.
With arguments (a part of a case's name or "measure", a count) it prints what each costs instead."""
import pathlib
import select
import struct
import sys
import threading
import time

from harness import MEMORY_FACTOR, Checks, kurier
from messages import Client, ask
from record_batch import record_batch
from wire import connect, framed, header, receive

MILLION = 1_000_000
NOBODY = b"\x11" * 14  # two more bytes, or four, make an id


def uvarint(value):
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def compact_array(elements):
    return uvarint(len(elements) + 1) + b"".join(elements)


def repeated(count, element):
    return uvarint(count + 1) + element * count


def name(i):
    return b"\x09t%07d" % i


def unknown_id(i):
    return b"\x11" * 12 + struct.pack(">i", i)


def metadata_by_name(auto_create=False):
    return lambda n: compact_array([name(i) + b"\0" for i in range(n)]) + (b"\1" if auto_create else b"\0") + b"\0\0\0"


def metadata_by_id(n):
    return compact_array([unknown_id(i) + b"\0\0" for i in range(n)]) + b"\0\0\0"


FETCH_PARTITION = ">iiqiqi"


def fetch_partition(index, offset=0):
    return struct.pack(FETCH_PARTITION, index, -1, offset, -1, -1, 1 << 20) + b"\0"


def fetch(topics, session_epoch=-1):
    return struct.pack(">iiibii", 1, 1, 1 << 20, 0, 0, session_epoch) + topics + b"\1\1\0"


def fetch_unknown_topics(n):
    one = compact_array([fetch_partition(0)]) + b"\0"
    return fetch(compact_array([unknown_id(i) + one for i in range(n)]))


def fetch_unknown_partitions(n, topic=unknown_id(1), epoch=-1):
    return fetch(compact_array([topic + compact_array([fetch_partition(i) for i in range(n)]) + b"\0"]), epoch)


def list_offsets_topics(n):
    one = compact_array([struct.pack(">iiq", 0, -1, -1) + b"\0"]) + b"\0"
    return struct.pack(">ib", -1, 0) + compact_array([name(i) + one for i in range(n)]) + b"\0"


def list_offsets_partitions(n, topic=b"\x06known"):
    parts = compact_array([struct.pack(">iiq", i, -1, -1) + b"\0" for i in range(n)])
    return struct.pack(">ib", -1, 0) + compact_array([topic + parts + b"\0"]) + b"\0"


def epochs_known(n):
    parts = repeated(n, struct.pack(">iii", 0, -1, 0) + b"\0")
    return struct.pack(">i", -1) + compact_array([b"\x06known" + parts + b"\0"]) + b"\0"


def produce_nothing(n):
    parts = compact_array([struct.pack(">i", i + 1) + b"\0\0" for i in range(n)])  # there is a partition 0 alone
    return b"\0" + struct.pack(">hi", 1, 1000) + compact_array([b"\x06known" + parts + b"\0"]) + b"\0"


def produce_topics(n):
    one = compact_array([struct.pack(">i", 0) + b"\0\0"]) + b"\0"
    return b"\0" + struct.pack(">hi", 1, 1000) + compact_array([name(i) + one for i in range(n)]) + b"\0"


def describe_topic_partitions(n):
    return compact_array([name(i) + b"\0" for i in range(n)]) + struct.pack(">i", 2000) + b"\xff\0"


def describe_configs(n):
    return compact_array([b"\2" + name(i) + b"\0\0" for i in range(n)]) + b"\0\0\0"


def find_coordinators(n):
    return b"\0" + compact_array([name(i) for i in range(n)]) + b"\0"


def offset_fetch_topics(n):
    one = repeated(1, struct.pack(">i", 0)) + b"\0"
    group = b"\x02g\0" + struct.pack(">i", -1) + compact_array([name(i) + one for i in range(n)]) + b"\0"
    return compact_array([group]) + b"\0\0"


def offset_fetch_partitions(n):
    parts = compact_array([struct.pack(">i", i) for i in range(n)])
    group = b"\x02g\0" + struct.pack(">i", -1) + compact_array([b"\x06known" + parts + b"\0"]) + b"\0"
    return compact_array([group]) + b"\0\0"


def offset_fetch_groups(n):
    return compact_array([name(i) + b"\0" + struct.pack(">i", -1) + b"\1\0" for i in range(n)]) + b"\0\0"


def offset_commit(topics):
    return b"\x02g" + struct.pack(">i", -1) + b"\1\0" + topics + b"\0"


def offset_commit_topics(n):
    one = compact_array([struct.pack(">iqi", 0, 1, -1) + b"\1\0"]) + b"\0"
    return offset_commit(compact_array([name(i) + one for i in range(n)]))


def offset_commit_partitions(n):
    parts = repeated(n, struct.pack(">iqi", 0, 1, -1) + b"\1\0")
    return offset_commit(compact_array([b"\x06known" + parts + b"\0"]))


def offset_delete(n):
    one = struct.pack(">ii", 1, 0)
    return struct.pack(">h", 1) + b"g" + struct.pack(">i", n) + b"".join(struct.pack(">h", 8) + name(i)[1:] + one for i in range(n))


def create_topics(n):
    topics = [name(i) + struct.pack(">ih", 1, 1) + b"\1\1\0" for i in range(n)]
    return compact_array(topics) + struct.pack(">ib", 1000, 0) + b"\0"


def create_topics_twice(n):
    return repeated(n, b"\x05same" + struct.pack(">ih", 1, 1) + b"\1\1\0") + struct.pack(">ib", 1000, 0) + b"\0"


def delete_topics(n):
    return compact_array([b"\0" + unknown_id(i) + b"\0" for i in range(n)]) + struct.pack(">i", 1000) + b"\0"


def create_partitions(n):
    return compact_array([name(i) + struct.pack(">i", 2) + b"\0\0" for i in range(n)]) + struct.pack(">ib", 1000, 0) + b"\0"


def groups(n):
    return compact_array([name(i) for i in range(n)]) + b"\0\0"


def delete_groups(n):
    return compact_array([name(i) for i in range(n)]) + b"\0"


def list_groups(n):
    return compact_array([name(i) for i in range(n)]) + b"\1\0"


def join_group(n):
    protocols = compact_array([name(i) + b"\1\0" for i in range(n)])
    return b"\x02j" + struct.pack(">ii", 10000, 10000) + b"\1\0" + b"\x09consumer" + protocols + b"\0\0"


def sync_group(n):
    return b"\x02j" + struct.pack(">i", 1) + b"\x02m\0\x09consumer\x06range" + compact_array([name(i) + b"\1\0" for i in range(n)]) + b"\0"


def leave_group(n):
    return b"\x02j" + compact_array([name(i) + b"\0\0\0" for i in range(n)]) + b"\0"


# name, API, version, body
CASES = [
    ("Metadata of unknown names", 3, 12, lambda n: compact_array([b"\0" * 16 + name(i) + b"\0" for i in range(n)]) + b"\0\0\0"),
    ("Metadata of unknown ids", 3, 13, metadata_by_id),
    ("Metadata that would create", 3, 9, metadata_by_name(True)),
    ("Fetch of unknown topics", 1, 16, fetch_unknown_topics),
    ("Fetch of partitions of one unknown topic", 1, 16, fetch_unknown_partitions),
    ("Fetch that opens a session", 1, 16, lambda n: fetch_unknown_partitions(n, epoch=0)),
    ("ListOffsets of unknown topics", 2, 7, list_offsets_topics),
    ("ListOffsets of unknown partitions", 2, 7, list_offsets_partitions),
    ("OffsetForLeaderEpoch of one partition", 23, 4, epochs_known),
    ("Produce of nothing", 0, 12, produce_nothing),
    ("Produce to unknown topics", 0, 12, produce_topics),
    ("DescribeTopicPartitions", 75, 0, describe_topic_partitions),
    ("DescribeConfigs", 32, 4, describe_configs),
    ("FindCoordinator", 10, 4, find_coordinators),
    ("OffsetFetch of topics", 9, 9, offset_fetch_topics),
    ("OffsetFetch of partitions", 9, 9, offset_fetch_partitions),
    ("OffsetFetch of groups", 9, 9, offset_fetch_groups),
    ("OffsetCommit to unknown topics", 8, 9, offset_commit_topics),
    ("OffsetCommit to one partition", 8, 9, offset_commit_partitions),
    ("OffsetDelete", 47, 0, offset_delete),
    ("CreateTopics", 19, 7, create_topics),
    ("CreateTopics of one name", 19, 7, create_topics_twice),
    ("DeleteTopics", 20, 6, delete_topics),
    ("CreatePartitions", 37, 3, create_partitions),
    ("DescribeGroups", 15, 5, groups),
    ("DeleteGroups", 42, 2, delete_groups),
    ("ListGroups", 16, 5, list_groups),
    ("JoinGroup", 11, 9, join_group),
    ("SyncGroup", 14, 5, sync_group),
    ("LeaveGroup", 13, 5, leave_group),
]


def status(node, key):
    """KiB."""
    with open(f"/proc/{node.process.pid}/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(key + ":"))


def forget_peak(node):
    pathlib.Path(f"/proc/{node.process.pid}/clear_refs").write_text("5")


def cpu_s(node):
    fields = pathlib.Path(f"/proc/{node.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


class Outcome:
    answer_bytes = None  # None: the connection was closed
    small_answers = 0
    wait_ms_max = 0.0
    seconds = 0.0
    cpu_s = 0.0
    peak_kib = 0


SMALL = framed(header(18, 0, False))


def small_request(connection):
    connection.sendall(SMALL)
    return receive(connection, struct.unpack(">i", receive(connection, 4))[0])


def run(node, api, version, body, limit_s=120):
    """Sends a large request, and small ones on another connection until the large one's answer begins."""
    outcome = Outcome()
    frame = framed(header(api, version, api != 47) + body)
    with connect(node.port) as large, connect(node.port) as small:
        small_request(small)
        forget_peak(node)
        before_kib, before_cpu = status(node, "VmRSS"), cpu_s(node)
        large.settimeout(limit_s)
        large.sendall(frame)
        began = time.monotonic()
        while not select.select([large], [], [], 0)[0]:
            asked = time.monotonic()
            small.settimeout(limit_s)
            small_request(small)
            outcome.small_answers += 1
            outcome.wait_ms_max = max(outcome.wait_ms_max, (time.monotonic() - asked) * 1000)
        outcome.seconds = time.monotonic() - began
        try:
            length = receive(large, 4)
        except ConnectionResetError:
            length = None
        if length is not None:
            left = outcome.answer_bytes = struct.unpack(">i", length)[0]
            outcome.correlation = receive(large, 4)
            left -= 4
            while left > 0:
                left -= len(large.recv(min(left, 1 << 20)))
        outcome.cpu_s = cpu_s(node) - before_cpu
        outcome.peak_kib = status(node, "VmHWM") - before_kib
    outcome.frame_kib = len(frame) / 1024
    return outcome


def measure(wanted, count):
    for what, api, version, body in CASES:
        if wanted and wanted not in what:
            continue
        with kurier(["kurier.shards=1"]) as node:
            prepared(node)
            try:
                got = run(node, api, version, body(count))
            except TimeoutError:
                print(f"{what}: no answer", flush=True)
                continue
            print(f"{what}: frame {got.frame_kib / 1024:.1f} MiB, answer {got.answer_bytes and round(got.answer_bytes / 2**20, 1)} MiB, "
                  f"{got.seconds * 1000:.0f} ms, CPU {got.cpu_s:.2f} s, peak {got.peak_kib / 1024:.0f} MiB = {got.peak_kib / got.frame_kib:.1f}x, "
                  f"{got.small_answers} small answers, longest wait {got.wait_ms_max:.0f} ms", flush=True)



# Large enough that a shard which does them in one go answers a few dozen small requests meanwhile: those that come while it
# still receives the frame.
COUNT = 200_000
SMALL_ANSWERS_MIN = 100
ELEMENT_BYTES_MAX = 1024  # what an element may take, the frame and the answer included


def prepared(node):
    ask(node.port, "CreateTopics", 7, timeout_ms=10000, topics=[{"name": "known", "num_partitions": 1, "replication_factor": 1}])
    ask(node.port, "FindCoordinator", 4, key_type=0, coordinator_keys=["g"])
    return node


def is_not_noticed(node, api, version, body, count=COUNT, small_answers_min=SMALL_ANSWERS_MIN):
    got = run(node, api, version, body(count))
    assert got.answer_bytes, "the connection was closed"
    assert got.correlation == struct.pack(">i", 77)
    assert got.small_answers >= small_answers_min, f"{got.small_answers} small requests were answered before the large one"
    most = count * ELEMENT_BYTES_MAX / 1024 + 32 * 1024
    assert got.peak_kib <= most * MEMORY_FACTOR, f"{got.peak_kib} KiB for a frame of {got.frame_kib:.0f} KiB"


def several_at_once(node):
    """They are worked on one after the other: together they take little more than one of them."""
    frame = framed(header(1, 16, True) + fetch_unknown_topics(100_000))
    peaks = []
    for connections in (1, 6):
        large = [connect(node.port) for _ in range(connections)]
        forget_peak(node)
        before_kib = status(node, "VmRSS")
        senders = [threading.Thread(target=one.sendall, args=(frame,)) for one in large]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        for one in large:
            left = struct.unpack(">i", receive(one, 4))[0]
            while left > 0:
                left -= len(one.recv(min(left, 1 << 20)))
        peaks.append(status(node, "VmHWM") - before_kib)
        for one in large:
            one.close()
    more = 5 * len(frame) / 1024 * 3  # frames that wait, and answers
    assert peaks[1] <= peaks[0] * 1.5 + more, f"{peaks} KiB"


def is_said(node, words):
    assert node.await_output(lambda: node.says(words)), node.output[-5:]


def too_many(node):
    """More elements than a request may have: the connection is closed, and the log says why."""
    got = run(node, 9, 9, compact_array([b"\x02g\0" + struct.pack(">i", -1) + repeated(
        3, b"\x06known" + repeated(900_000, b"\0\0\0\0") + b"\0") + b"\0"]) + b"\0\0")
    assert got.answer_bytes is None
    is_said(node, "too many elements")


def repeated_in_an_answer(node):
    """Something small that is named very often would make an answer without end."""
    got = run(node, 32, 4, repeated(200_000, b"\2\x06known\0\0") + b"\0\0\0")
    assert got.answer_bytes is None
    is_said(node, "an answer of more than")


def order_is_kept(node):
    """Produce requests of one connection take effect in their order, also behind one that takes turns."""
    many = 600
    client = Client(node.port)
    client.ask("CreateTopics", 7, timeout_ms=60000, topics=[{"name": "order", "num_partitions": many, "replication_factor": 1}])
    batches = [record_batch([b"%d" % i]) for i in (1, 2)]

    def produce(batch, partitions):
        parts = [struct.pack(">i", index) + uvarint(len(batch) + 1) + batch + b"\0" for index in partitions]
        return b"\0" + struct.pack(">hi", 1, 1000) + compact_array([b"\x06order" + compact_array(parts) + b"\0"]) + b"\0"

    large, small = produce(batches[0], range(many)), produce(batches[1], [many - 1])
    client.socket.sendall(framed(header(0, 12, True) + large) + framed(header(0, 12, True) + small))
    for _ in range(2):
        receive(client.socket, struct.unpack(">i", receive(client.socket, 4))[0])
    offsets = client.ask("ListOffsets", 7, replica_id=-1, topics=[{"name": "order", "partitions": [{"partition_index": many - 1, "timestamp": -1}]}])
    assert offsets["topics"][0]["partitions"][0]["offset"] == 2, offsets
    data = client.ask("Fetch", 12, max_bytes=1 << 24, topics=[{"topic": "order", "partitions": [
        {"partition": many - 1, "fetch_offset": 1, "partition_max_bytes": 1 << 20}]}])
    records = data["responses"][0]["partitions"][0]["records"]
    assert batches[1][21:] in records, "the last record is not the small request's"
    client.close()


def session_of_many(node):
    """Who names more than a session holds is answered, but without a session."""
    client = Client(node.port)
    for count, is_session in ((20_000, True), (20_001, False)):
        answer = client.ask("Fetch", 12, max_bytes=1 << 20, session_epoch=0, topics=[{"topic": "nowhere", "partitions": [
            {"partition": i, "partition_max_bytes": 1} for i in range(count)]}])
        assert (answer["session_id"] != 0) == is_session, answer["session_id"]
        assert len(answer["responses"][0]["partitions"]) == count
    client.close()


# These take hardly longer than reading their frames, so that nothing can be counted.
AT_ONCE = {"ListGroups", "JoinGroup", "SyncGroup", "OffsetForLeaderEpoch of one partition", "OffsetFetch of partitions",
           "ListOffsets of unknown partitions"}


def main():
    checks = Checks()
    with kurier(["kurier.shards=1"]) as node:
        prepared(node)
        for what, api, version, body in CASES:
            checks.check(what, is_not_noticed, node, api, version, body, COUNT, 0 if what in AT_ONCE else SMALL_ANSWERS_MIN)
        checks.check("a million topics", is_not_noticed, node, 3, 12, CASES[0][3], MILLION)
        checks.check("several at once", several_at_once, node)
        checks.check("too many elements", too_many, node)
        checks.check("an answer without end", repeated_in_an_answer, node)
        checks.check("the order of produce requests", order_is_kept, node)
        checks.check("a fetch session of many partitions", session_of_many, node)
        assert node.stop() == 0
    checks.finish()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure("" if sys.argv[1] == "measure" else sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else MILLION)
    else:
        main()
