#!/usr/bin/env python3
"""The stock clients against a running kurier, each through the same list of checks (README.md), then all among each other.

usage: clients.py [CLIENT…]
"""
import contextlib
import random
import sys
import time

from agents import AGENTS, Agent, ClientError, Missing, Record
from harness import Checks, kurier
from log_files import CODECS, batches
import wire
from proxy import FETCH, LIST_OFFSETS, Proxy

T0 = 1_700_000_000_000  # the time of the first record where a check chooses the times
MESSAGE_TOO_LARGE, OFFSET_OUT_OF_RANGE, UNKNOWN_TOPIC, INVALID_TOPIC, TOPIC_EXISTS, INVALID_PARTITIONS = "10", "1", "3", "17", "36", "37"
MESSAGE_BYTES_MAX = 1_048_588  # message.max.bytes
FIND_COORDINATOR = 10
LONG_MS = 40_000  # a wait that nothing here may reach


KEEP = "log.retention.ms=-1"  # the records have timestamps of long ago


@contextlib.contextmanager
def kurier_behind(proxy):
    """A node whose clients all come through `proxy`."""
    with kurier([f"advertised.listeners=PLAINTEXT://127.0.0.1:{proxy.port}", KEEP]) as node:
        proxy.serve(node)
        try:
            yield node
        finally:
            proxy.close()


class Client:
    """One client's agents: one that produces and one that consumes, each straight to the node and through the proxy."""

    def __init__(self, name, command, node, proxied, proxy):
        self.name, self.node, self.proxied, self.proxy = name, node, proxied, proxy
        # librdkafka sends lz4 only to nodes that answer FindCoordinator: others it believes to be older than lz4.
        self.sends_lz4 = name not in ("librdkafka", "confluent-kafka") or answers(node, FIND_COORDINATOR)
        self.agents = [Agent(command, address) for address in [node.address] * 2 + [f"127.0.0.1:{proxy.port}"] * 2]
        self.producing, self.consuming, self.producing_through, self.consuming_through = self.agents

    def topic(self, purpose):
        return f"{purpose}-{self.name}"

    def close(self):
        for agent in self.agents:
            agent.close()


def lines(count, start=0):
    """Records that compress, each unlike the others."""
    return [Record(T0 + i, b"key %d" % i, b"some text that compresses, %d times over; " % i * 3) for i in range(start, start + count)]


def rich(codec):
    """Every kind of key, value and header."""
    seed = random.Random(codec)
    blobs = [None, b"", b"text " * 20, bytes(range(256)), "käse".encode(), seed.randbytes(3000)]
    headers = [(), (("one", b"value"),), (("null", None),), (("empty", b""),), (("twice", b"1"), ("other", None), ("twice", b"2")),
               (("twice", b"same"), ("twice", b"same")), (("schlüssel", bytes(range(256))),),
               tuple((f"h{i}", b"%d" % i) for i in range(200))]
    records = [Record(0, key, value, pairs) for key in blobs for value in blobs for pairs in headers]
    return [record._replace(timestamp=T0 + seed.randrange(10**6)) for record in records]


def expect_code(code, function, *arguments):
    try:
        function(*arguments)
    except ClientError as error:
        assert error.code == code, error
        return
    raise AssertionError(f"was not refused with {code}")


# The checks, in the order of the list in README.md.

def codec(client, name):
    topic, sent = client.topic(f"codec-{name}"), lines(3000)
    client.producing.producer(codec=name)
    assert client.producing.produce(topic, sent) == list(range(3000))
    assert client.consuming.read_all(topic, [3000]) == [sent]
    # A batch that compressing does not make shorter may come without.
    used = "none" if name == "lz4" and not client.sends_lz4 else name
    assert {batch.codec for batch in batches(client.node, topic, 0) if batch.records > 3} == {used}


def answers(node, api):
    with wire.connect(node.port) as connection:
        return api in wire.api_versions(connection, 3)[1]


def rich_records(client, name):
    topic, sent = client.topic(f"rich-{name}"), rich(name)
    client.producing.producer(codec=name)
    client.producing.produce(topic, sent)
    assert client.consuming.read_all(topic, [len(sent)]) == [sent]


def acks(client, value):
    topic, sent = client.topic(f"acks-{value}"), lines(500)
    client.producing.producer(acks=value, idempotence=value == "all")
    client.producing.ask("create_topic", topic, 1)
    client.producing.send(topic, sent)
    reports = client.producing.flush()
    if value != "0":  # with acks=0 nobody knows the offsets
        assert reports == [(0, i) for i in range(500)], reports[:5]
    assert client.consuming.read_all(topic, [500]) == [sent]


def size_limit(client, idempotence):
    """A batch of one record without key has 72 bytes beside its value; the limit is exact, and its neighbours stay."""
    for limit in (20_000, MESSAGE_BYTES_MAX):
        topic = client.topic(f"limit-{limit}-{idempotence}")
        client.producing.ask("create_topic", topic, 1, f"max.message.bytes={limit}")
        client.producing.producer(idempotence=idempotence, batch_bytes=1, linger_ms=0, size_max=3_000_000)
        fits, too_long = Record(T0, None, b"f" * (limit - overhead(limit))), Record(T0, None, b"l" * (limit - overhead(limit) + 1))
        small = lines(3)
        assert client.producing.produce(topic, small[:1]) == [0]
        assert client.producing.produce(topic, [fits]) == [1]
        client.producing.send(topic, [too_long])
        assert client.producing.flush() == [MESSAGE_TOO_LARGE]
        assert client.producing.produce(topic, small[1:]) == [2, 3]
        assert max(batch.size_bytes for batch in batches(client.node, topic, 0)) == limit
        assert client.consuming.read_all(topic, [4]) == [[small[0], fits, *small[1:]]]


def overhead(limit):
    """61 for the batch, and of the record: attributes, two deltas, no key, no headers, its length and its value's length."""
    def varint_bytes(number):
        return 1 if number < 64 else 2 if number < 8192 else 3 if number < 1048576 else 4

    value = limit - 61
    while True:
        body = 4 + varint_bytes(value) + value + 1
        if 61 + varint_bytes(body) + body <= limit:
            return limit - value
        value -= 1


def full_batches(client, name):
    """Batches as large as the client makes them."""
    topic = client.topic(f"full-{name}")
    seed = random.Random(1)
    sent = [Record(T0 + i, b"%d" % i, seed.randbytes(1000)) for i in range(4000)]
    client.producing.producer(codec=name, batch_bytes=1_000_000, linger_ms=500)
    client.producing.produce(topic, sent)
    assert client.consuming.read_all(topic, [4000]) == [sent]
    sizes = [batch.size_bytes for batch in batches(client.node, topic, 0)]
    assert 900_000 < max(sizes) <= MESSAGE_BYTES_MAX, sizes


def idempotence(client):
    """Many small batches in flight: one producer id, and sequences without gap or repetition."""
    topic, sent = client.topic("idempotent"), lines(3000)
    client.producing.ask("create_topic", topic, 3)
    client.producing.producer(linger_ms=0, batch_bytes=600)
    for i, record in enumerate(sent):
        client.producing.send(topic, [record], i % 3)
    reports = client.producing.flush()
    assert reports == [(i % 3, i // 3) for i in range(3000)], reports[:5]
    assert client.consuming.read_all(topic, [1000] * 3) == [sent[0::3], sent[1::3], sent[2::3]]
    for partition in range(3):
        written = batches(client.node, topic, partition)
        assert len(written) > 20 and len({(batch.producer_id, batch.epoch) for batch in written}) == 1
        assert written[0].producer_id >= 0
        expected = 0
        for batch in written:
            assert batch.base_sequence == expected, batch
            expected += batch.records


def retries(client):
    """Responses get lost with their connections: what was written is not written again, and gets its own offset."""
    topic, sent = client.topic("retried"), lines(600)
    client.producing_through.producer(linger_ms=0, batch_bytes=2000)
    assert client.producing_through.produce(topic, sent[:100]) == list(range(100))
    for start in (100, 200, 300, 400, 500):
        client.proxy.cut_produce_responses(2)
        offsets = client.producing_through.produce(topic, sent[start:start + 100])
        assert offsets == list(range(start, start + 100)), offsets
        assert client.proxy.cuts > 0
    client.proxy.cut_produce_responses(0)
    assert client.consuming_through.read_all(topic, [600]) == [sent]


def parked(client, count, *command):
    """The consumer does `command`, which leads to the end, and reads `count` records, for which its fetch waits in the node."""
    client.proxy.forget()
    client.consuming_through.ask(*command)
    client.consuming_through.tell("read", count, LONG_MS - 10_000)
    client.proxy.await_request(LIST_OFFSETS, answered=True)
    client.proxy.await_request(FETCH, answered=False)


def long_poll(client):
    topic, sent = client.topic("poll"), lines(3)
    client.producing_through.producer(linger_ms=0)
    client.producing_through.produce(topic, sent[:1])
    client.consuming_through.consumer(fetch_wait_ms=LONG_MS)
    parked(client, 1, "assign", topic, 0, "end")
    for record in sent[1:]:
        client.producing_through.produce(topic, [record])
        acknowledged_at = time.monotonic()
        assert [each.record for each in client.consuming_through.received(1)] == [record]
        assert time.monotonic() - acknowledged_at < LONG_MS / 2000
        client.consuming_through.tell("read", 1, LONG_MS - 10_000)
    client.producing_through.produce(topic, sent[:1])
    assert [each.record for each in client.consuming_through.received(1)] == sent[:1]


def fetch_min_bytes(client):
    """One small record does not wake a fetch that asks for more; enough of them do, all in one response."""
    topic, small, large = client.topic("min-bytes"), lines(1), Record(T0, None, b"l" * 200_000)
    client.producing_through.producer(linger_ms=0, size_max=300_000)
    client.producing_through.produce(topic, lines(1))
    client.consuming_through.consumer(fetch_wait_ms=LONG_MS, fetch_min_bytes=100_000)
    parked(client, 2, "assign", topic, 0, "end")
    client.producing_through.produce(topic, small)
    client.producing_through.produce(topic, [large])
    assert [each.record for each in client.consuming_through.received(2)] == [*small, large]
    sizes = [request.response_bytes for request in client.proxy.of(FETCH) if request.answered_at and carries(request)]
    assert len(sizes) == 1 and sizes[0] > 200_000, sizes


def carries(request):
    """A response without records has a hundred bytes or so."""
    return request.response_bytes > 160


def fetch_max_wait(client):
    """Less than fetch.min.bytes is there: it comes after fetch.max.wait, no sooner and not much later."""
    topic, sent = client.topic("max-wait"), lines(1)
    client.producing_through.producer(linger_ms=0)
    client.producing_through.produce(topic, sent)
    client.consuming_through.consumer(fetch_min_bytes=1_000_000, fetch_wait_ms=700)
    client.proxy.forget()
    client.consuming_through.ask("assign", topic, 0, "begin")
    assert [each.record for each in client.consuming_through.read(1)] == sent
    waited = [request.answered_at - request.asked_at for request in client.proxy.of(FETCH) if request.answered_at and carries(request)]
    assert waited and 0.69 < waited[0] < 5, waited


def seek(client):
    topic, sent = client.topic("seek"), lines(1000)
    client.producing.producer(codec="lz4")
    client.producing.produce(topic, sent)
    client.consuming.consumer()
    client.consuming.ask("assign", topic, 0, 990)
    assert [each.record for each in client.consuming.read(10)] == sent[990:]
    for start in (0, 1, 500, 999, 123):
        client.consuming.ask("seek", topic, 0, start)
        got = client.consuming.read(min(7, 1000 - start))
        assert [(each.offset, each.record) for each in got] == list(enumerate(sent))[start:start + 7]
    client.consuming.ask("seek", topic, 0, "begin")
    assert client.consuming.read(1)[0].record == sent[0]


def seek_to_end(client):
    topic, sent = client.topic("seek-end"), lines(103)
    client.producing_through.producer()
    client.producing_through.produce(topic, sent[:100])
    client.consuming_through.consumer()
    client.consuming_through.ask("assign", topic, 0, 10)
    assert [each.record for each in client.consuming_through.read(5)] == sent[10:15]
    parked(client, 3, "seek", topic, 0, "end")
    client.producing_through.produce(topic, sent[100:])
    assert [(each.offset, each.record) for each in client.consuming_through.received(3)] == list(enumerate(sent))[100:]


def out_of_range(client):
    topic = client.topic("range")
    client.producing.producer()
    client.producing.produce(topic, lines(10))
    client.consuming.consumer(reset="none")
    client.consuming.ask("assign", topic, 0, 500)
    expect_code(OFFSET_OUT_OF_RANGE, client.consuming.read, 1)
    client.consuming.consumer(reset="earliest")
    client.consuming.ask("assign", topic, 0, 500)
    assert [each.record for each in client.consuming.read(10)] == lines(10)


def seek_by_time(client, name):
    """Record i has the time T0 + 10 i, in batches of many records; found is the record itself, not its batch."""
    topic = client.topic(f"time-{name}")
    sent = [Record(T0 + 10 * i, None, b"at %d " % i * 5) for i in range(400)]
    client.producing.producer(codec=name, linger_ms=300)
    for start in (0, 100, 200, 300):
        client.producing.produce(topic, sent[start:start + 100])
    assert len(batches(client.node, topic, 0)) < 20
    client.consuming.consumer()
    for time_ms, expected in ((T0, 0), (T0 - 1, 0), (0, 0), (T0 + 10, 1), (T0 + 11, 2), (T0 + 555, 56), (T0 + 1000, 100), (T0 + 1990, 199),
                              (T0 + 1991, 200), (T0 + 3990, 399), (T0 + 3991, -1), (T0 + 10**9, -1)):
        found, = client.consuming.ask("offset_for_time", topic, 0, time_ms)
        assert int(found) == expected, f"at {time_ms - T0}: {found}, not {expected}"
    client.consuming.ask("assign", topic, 0, client.consuming.ask("offset_for_time", topic, 0, T0 + 3333)[0])
    assert [each.record for each in client.consuming.read(66)] == sent[334:]


def append_time(client):
    topic = client.topic("append-time")
    client.producing.ask("create_topic", topic, 1, "message.timestamp.type=LogAppendTime")
    before = time.time_ns() // 1_000_000
    for name in CODECS:
        client.producing.producer(codec=name)
        client.producing.produce(topic, lines(10))
    client.consuming.consumer()
    client.consuming.ask("assign", topic, 0, "begin")
    got = client.consuming.read(50)
    times = [each.record.timestamp for each in got]
    assert {each.timestamp_type for each in got} == {"append"} and times == sorted(times)
    assert before <= times[0] and times[-1] <= time.time_ns() // 1_000_000
    assert [(each.record.key, each.record.value) for each in got] == [(record.key, record.value) for record in lines(10)] * 5


def topics(client):
    used, made = client.topic("by-use"), client.topic("by-request")
    client.producing.producer()
    client.producing.produce(used, lines(1))
    assert client.producing.ask("partitions", used) == ["1"]
    client.producing.ask("create_topic", made, 3, "retention.ms=1000000", "compression.type=producer")
    assert client.producing.ask("partitions", made) == ["3"]
    expect_code(TOPIC_EXISTS, client.producing.ask, "create_topic", made, 3)
    expect_code(INVALID_TOPIC, client.producing.ask, "create_topic", "not*a*name", 1)
    expect_code(INVALID_PARTITIONS, client.producing.ask, "grow_topic", made, 2)
    client.producing.produce(made, lines(5), 2)
    client.producing.ask("grow_topic", made, 5)
    assert client.producing.ask("partitions", made) == ["5"]
    client.producing.producer()
    assert client.producing.produce(made, lines(5), 4) == list(range(5))
    assert client.consuming.read_all(made, [0, 0, 5, 0, 5]) == [[], [], lines(5), [], lines(5)]
    client.consuming.consumer()  # librdkafka 2.0 never gets to the end of one whose topic is gone
    client.producing.ask("delete_topic", made)
    assert client.producing.ask("partitions", made) == ["0"]
    expect_code(UNKNOWN_TOPIC, client.producing.ask, "delete_topic", made)
    client.producing.ask("create_topic", made, 1)
    client.producing.producer()
    assert client.producing.produce(made, lines(2, 50)) == [0, 1]
    assert client.consuming.read_all(made, [2]) == [lines(2, 50)]


def partitions(client):
    """The client's own partitioner: a key stays in its partition, in order."""
    topic = client.topic("partitions")
    client.producing.ask("create_topic", topic, 7)
    sent = [Record(T0 + i, b"key %d" % (i % 40), b"%d" % i) for i in range(2000)]
    client.producing.producer()
    client.producing.send(topic, sent, -1)
    reports = client.producing.flush()
    counts = [sum(report[0] == partition for report in reports) for partition in range(7)]
    assert sum(counts) == 2000 and min(counts) > 0, counts
    assert client.consuming.read_all(topic, counts) == [
        [record for record, report in zip(sent, reports) if report[0] == partition] for partition in range(7)]
    for i, report in enumerate(reports):
        assert report[0] == reports[i % 40][0], (i, report)


def watermarks(client):
    topic = client.topic("watermarks")
    client.producing.ask("create_topic", topic, 2)
    client.consuming.consumer()
    assert client.consuming.ask("watermarks", topic, 0) == ["0", "0"]
    client.producing.producer()
    client.producing.produce(topic, lines(123), 1)
    assert client.consuming.ask("watermarks", topic, 0) == ["0", "0"]
    assert client.consuming.ask("watermarks", topic, 1) == ["0", "123"]


def read_committed(client):
    """Without transactions it reads all there is, also what comes while it waits."""
    topic, sent = client.topic("committed"), lines(300)
    client.producing.producer()
    client.producing.produce(topic, sent[:200])
    assert client.consuming.read_all(topic, [200], isolation="read_committed") == [sent[:200]]
    client.consuming.tell("read", 100, 30_000)
    client.producing.produce(topic, sent[200:])
    assert [each.record for each in client.consuming.received(100)] == sent[200:]


def catch_up(client):
    """30 MB over three partitions, byte for byte."""
    topic, seed = client.topic("catch-up"), random.Random(7)
    client.producing.ask("create_topic", topic, 3)
    sent = [[Record(T0 + i, b"%d" % i, seed.randbytes(seed.randrange(2000))) for i in range(10_000)] for _ in range(3)]
    client.producing.producer(batch_bytes=200_000, codec="none")
    for partition, records in enumerate(sent):
        client.producing.send(topic, records, partition)
    assert len(client.producing.flush()) == 30_000
    assert client.consuming.read_all(topic, [10_000] * 3) == sent


def the_list():
    """(name, function, arguments) of everything that each client has to show."""
    for name in CODECS:
        yield f"codec {name}", codec, name
    for name in CODECS:
        yield f"keys, values and headers of every kind, {name}", rich_records, name
    for value in ("0", "1", "all"):
        yield f"acks={value}", acks, value
    yield "a batch up to the limit and one beyond, idempotent", size_limit, True
    yield "a batch up to the limit and one beyond", size_limit, False
    yield "full batches", full_batches, "none"
    yield "full batches, zstd", full_batches, "zstd"
    yield "idempotence: sequences go on over batches", idempotence
    yield "idempotence: a retry duplicates nothing", retries
    yield "long polling", long_poll
    yield "fetch.min.bytes", fetch_min_bytes
    yield "fetch.max.wait", fetch_max_wait
    yield "seek by offset and to the beginning", seek
    yield "seek to the end", seek_to_end
    yield "an offset out of range", out_of_range
    yield "seek by time", seek_by_time, "none"
    yield "seek by time, compressed", seek_by_time, "zstd"
    yield "log append time", append_time
    yield "topics by use and by request, grown, deleted, made again", topics
    yield "partitioned by key", partitions
    yield "watermarks", watermarks
    yield "read_committed", read_committed
    yield "catch-up", catch_up


def reads_what_was_written_by(reader, writer):
    for name in CODECS:
        sent = rich(name)
        assert reader.consuming.read_all(writer.topic(f"rich-{name}"), [len(sent)]) == [sent], name


def main():
    checks = Checks()
    proxy = Proxy()
    clients = []
    with kurier([KEEP]) as node, kurier_behind(proxy) as proxied:
        for name in sys.argv[1:] or AGENTS:
            try:
                command = AGENTS[name]()
            except Missing as missing:
                checks.skip(name, missing)
                continue
            client = Client(name, command, node, proxied, proxy)
            clients.append(client)
            print(f"{name}: {' '.join(client.producing.ask('version'))}")
            if not client.sends_lz4:
                checks.skip(f"{name}: lz4 batches", "it sends none to a node that does not answer FindCoordinator")
            for title, function, *arguments in the_list():
                checks.check(f"{name}: {title}", function, client, *arguments)
        for reader in clients:
            for writer in clients:
                checks.check(f"{reader.name} reads what {writer.name} wrote", reads_what_was_written_by, reader, writer)
        for client in clients:
            client.close()
    checks.finish()


if __name__ == "__main__":
    main()
