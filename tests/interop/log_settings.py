#!/usr/bin/env python3
"""flush.ms and preallocate, seen on the disk of a running node; what Apache Kafka does with them, on the same directory."""
import tempfile
import time

import batches
import messages
from disk import ApacheKafka
from file_events import await_files
from harness import Checks, Kurier, jars
from topic_deletion import create

SEGMENT_BYTES = 1 << 20
BATCH_BYTES = 100_000
BLOCK_SLACK_BYTES = 64 << 10  # how much more than its content a file may take on a disk
NEVER, SOON_MS, LATER_MS = str((1 << 63) - 1), "200", "600000"


def produce(client, topic, count=1, value=b"value"):
    """One batch after the other, each answered; the offset after the last one."""
    for _ in range(count):
        data = [{"index": 0, "records": batches.batch(batches.record(value=value), timestamp=int(time.time() * 1000))}]
        answer = client.ask("Produce", 9, acks=1, timeout_ms=10000, topic_data=[{"name": topic, "partition_data": data}])
        partition = answer["responses"][0]["partition_responses"][0]
        assert partition["error_code"] == 0, partition
    return partition["base_offset"] + 1


def records_of(client, topic):
    """How many records are served from the beginning; all are looked at."""
    offset = 0
    while True:
        answer = client.ask("Fetch", 4, replica_id=-1, max_wait_ms=0, min_bytes=0, max_bytes=50 << 20, isolation_level=0, topics=[
            {"topic": topic, "partitions": [{"partition": 0, "fetch_offset": offset, "partition_max_bytes": 50 << 20}]}])
        partition = answer["responses"][0]["partitions"][0]
        assert partition["error_code"] == 0, partition
        if offset == partition["high_watermark"]:
            return offset
        data, at = partition["records"], 0
        while at + 12 <= len(data):
            at += 12 + int.from_bytes(data[at + 8:at + 12], "big")
            if at <= len(data):
                offset += 1  # one record a batch


def checkpoint(node):
    path = node.directory / "log/recovery-point-offset-checkpoint"
    lines = path.read_text().splitlines() if path.exists() else []
    return {line.split()[0]: int(line.split()[2]) for line in lines[2:]}


def await_flush(node, topic, offset):
    """The checkpoint says that the topic is on the disk up to there; what it says of all."""
    def flushed():
        points = checkpoint(node)
        return points if points.get(topic, 0) >= offset else None

    return await_files(node.directory / "log", flushed)


# name: flush.ms
FLUSHED = {"soon": SOON_MS, "later": LATER_MS, "never": NEVER, "inherits": None}
FLUSH_SETTINGS = ("log.flush.offset.checkpoint.interval.ms=100", "log.initial.task.delay.ms=100")


def flush_by_time(node, client):
    """Nobody waits for a flush: the answer comes before. It happens nevertheless, where and when the topic says."""
    for topic, time_ms in FLUSHED.items():
        create(client, topic, 1, **({} if time_ms is None else {"flush_ms": time_ms}))
    ends = {topic: produce(client, topic, 3) for topic in FLUSHED}
    points = await_flush(node, "soon", ends["soon"])
    points = await_flush(node, "inherits", ends["inherits"])
    assert points["soon"] == points["inherits"] == 3, points
    assert points["later"] == points["never"] == 0, points


def kafka_flushes_by_time(node, client):
    """The same topics; the clean stop has flushed everything before."""
    before = checkpoint(node)
    ends = {topic: produce(client, topic, 3) for topic in FLUSHED}
    await_flush(node, "soon", ends["soon"])
    points = await_flush(node, "inherits", ends["inherits"])
    assert points["soon"] == points["inherits"] == before["soon"] + 3, points
    assert points["later"] == points["never"] == before["later"], points


def segments(node, topic):
    """[size, space taken] of each, in order."""
    statuses = [path.stat() for path in sorted((node.directory / "log" / f"{topic}-0").glob("*.log"))]
    return [(status.st_size, status.st_blocks * 512) for status in statuses]


def is_trimmed(segment):
    size, taken = segment
    return size > 0 and taken <= size + BLOCK_SLACK_BYTES


def preallocated(node, client):
    """The space of a segment is taken with its first record, given back when it is full and when the node stops."""
    create(client, "ahead", 1, preallocate="true", segment_bytes=str(SEGMENT_BYTES))
    create(client, "plain", 1, segment_bytes=str(SEGMENT_BYTES))
    for topic in ("ahead", "plain"):
        produce(client, topic, value=bytes(BATCH_BYTES))
    (ahead,), (plain,) = segments(node, "ahead"), segments(node, "plain")
    assert ahead[0] < 2 * BATCH_BYTES and ahead[1] >= SEGMENT_BYTES, ahead
    assert is_trimmed(plain), plain
    produce(client, "ahead", 14, value=bytes(BATCH_BYTES))
    full, active = segments(node, "ahead")
    assert is_trimmed(full) and full[0] > SEGMENT_BYTES - 2 * BATCH_BYTES, full
    assert active[1] >= SEGMENT_BYTES, active


def all_trimmed(node, topic="ahead"):
    assert all(is_trimmed(segment) for segment in segments(node, topic)), segments(node, topic)


def kafka_preallocates(node, client):
    """Apache Kafka makes the file itself as long as a segment, and cuts it at the same moments."""
    assert records_of(client, "ahead") == 15
    produce(client, "ahead", 12, value=bytes(BATCH_BYTES))
    *full, active = segments(node, "ahead")
    assert len(full) >= 2 and all(is_trimmed(segment) for segment in full), full
    assert active[0] == SEGMENT_BYTES, active


def with_client(node, function):
    client = messages.Client(node.port)
    try:
        function(node, client)
    finally:
        client.close()


def main():
    checks = Checks()
    classpath = jars("kafka")
    with tempfile.TemporaryDirectory(prefix="kurier-log-settings-") as directory:
        node = Kurier(directory, settings=(*FLUSH_SETTINGS, f"log.flush.interval.ms={SOON_MS}"))
        kafka = None
        try:
            node.start()
            checks.check("flush.ms and log.flush.interval.ms", with_client, node, flush_by_time)
            checks.check("preallocate", with_client, node, preallocated)
            node.kill()
            node.start()
            assert node.stop() == 0
            checks.check("what was taken ahead is given back, after a crash too", all_trimmed, node)
            if classpath is None:
                checks.skip("the same under Apache Kafka", "Java or Maven is missing")
                checks.finish()
            # log.flush.scheduler.interval.ms: how often it looks which log is due; by default never.
            kafka = ApacheKafka(classpath, node, (*FLUSH_SETTINGS, f"log.flush.interval.ms={SOON_MS}",
                                                  "log.flush.scheduler.interval.ms=100")).wait_until_ready()
            checks.check("Apache Kafka flushes the same topics", with_client, node, kafka_flushes_by_time)
            checks.check("Apache Kafka preallocates at the same moments", with_client, node, kafka_preallocates)
            kafka.kill()
            node.start()
            checks.check("zeros that Apache Kafka has left are cut", with_client, node,
                         lambda _, client: _equal(records_of(client, "ahead"), 27))
            assert node.stop() == 0
            checks.check("and the space is given back", all_trimmed, node)
        finally:
            node.kill()
            if kafka:
                kafka.kill()
    checks.finish()


def _equal(found, wanted):
    assert found == wanted, (found, wanted)


if __name__ == "__main__":
    main()
