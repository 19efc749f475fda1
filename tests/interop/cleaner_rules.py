#!/usr/bin/env python3
"""The log cleaner of a running node: whom it leaves alone and says so, and what it writes down."""
import struct
import sys
import time

import batches
from file_events import await_files
from harness import Checks, kurier
from messages import Client
from topic_deletion import create, delete

SETTINGS = ("log.cleaner.backoff.ms=20", "log.initial.task.delay.ms=100", "log.retention.check.interval.ms=100")
TOPIC = {"cleanup_policy": "compact", "segment_ms": "1000", "min_cleanable_dirty_ratio": "0"}


class Writer:
    """Every record is a segment of its own: each is 2 s later than the one before, and segment.ms is 1 s. They lie in the future,
    so that the last one is not old yet."""

    def __init__(self):
        self.timestamp = int(time.time() * 1000) + 600_000

    def write(self, node, topic, keys):
        client = Client(node.port)
        for key in keys:
            self.timestamp += 2000
            data = batches.batch(batches.record(key=key.encode()), timestamp=self.timestamp)
            answer = client.ask("Produce", 9, acks=-1, timeout_ms=10000, topic_data=[{
                "name": topic, "partition_data": [{"index": 0, "records": data}]}])
            assert answer["responses"][0]["partition_responses"][0]["error_code"] == 0, answer
        client.close()


def segments(node, topic):
    return sorted((node.directory / "log" / f"{topic}-0").glob("*.log"))


def offsets(node, topic):
    """Of the batches that hold records."""
    found = []
    for path in segments(node, topic):
        data, at = path.read_bytes(), 0
        while at < len(data):
            base, length = struct.unpack_from(">qi", data, at)
            if struct.unpack_from(">i", data, at + 57)[0] > 0:
                found.append(base)
            at += 12 + length
    return found


def checkpoint(node):
    path = node.directory / "log/cleaner-offset-checkpoint"
    return path.read_text() if path.exists() else ""


def await_cleaned(node, topic, offset):
    await_files(node.directory / "log", lambda: f"{topic} 0 {offset}\n" in checkpoint(node))


def a_damaged_log():
    """Written while log.cleaner.enable is off. The damage is found by the cleaner, twice, and keeps nobody else waiting."""
    with kurier((*SETTINGS, "log.cleaner.enable=false")) as node:
        writer, client = Writer(), Client(node.port)
        for topic in ("damaged", "whole"):
            create(client, topic, 1, **TOPIC)
            writer.write(node, topic, "abcabcx")
        assert node.stop() == 0
        assert len(segments(node, "damaged")) == len(segments(node, "whole")) == 7
        assert not checkpoint(node), checkpoint(node)
        path = segments(node, "damaged")[1]
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        before = {each: each.read_bytes() for each in segments(node, "damaged")}
        node.settings = list(SETTINGS)
        for whole in (range(3, 7), range(5, 10)):
            node.start()
            assert node.await_output(lambda: node.says("damaged-0 is not cleaned until the next start")), node.output
            await_cleaned(node, "whole", whole[-1])
            assert offsets(node, "whole") == list(whole), offsets(node, "whole")
            assert "damaged" not in checkpoint(node), checkpoint(node)
            assert {each: each.read_bytes() for each in segments(node, "damaged")} == before
            if whole[-1] == 6:
                writer.write(node, "whole", "abc")
                await_cleaned(node, "whole", 9)
            assert node.stop() == 0


def what_is_written_down():
    """A line for every log that was cleaned, as in Apache Kafka, until its topic is deleted."""
    with kurier(SETTINGS) as node:
        writer, client = Writer(), Client(node.port)
        for topic, keys in (("first", "aabbx"), ("second", "aax"), ("never", "")):
            create(client, topic, 1, **TOPIC)
            writer.write(node, topic, keys)
        await_files(node.directory / "log", lambda: sorted(checkpoint(node).splitlines()) == ["0", "2", "first 0 4", "second 0 2"])
        assert checkpoint(node).startswith("0\n2\n") and checkpoint(node).endswith("\n"), checkpoint(node)
        delete(client, "first")
        await_files(node.directory / "log", lambda: checkpoint(node) == "0\n1\nsecond 0 2\n")


def main():
    checks = Checks()
    checks.check("a damaged log is left alone, and said to be; the others are cleaned", a_damaged_log)
    checks.check("what cleaner-offset-checkpoint says", what_is_written_down)
    checks.finish()


if __name__ == "__main__":
    sys.exit(main())
