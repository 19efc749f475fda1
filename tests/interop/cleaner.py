#!/usr/bin/env python3
"""Compacted topics: what kurier's cleaner leaves is what a consumer needs, Apache Kafka's tools find no fault in it, and a
directory that one has cleaned is served, and cleaned again, by the other."""
import random
import re
import struct
import tempfile

from disk import ApacheKafka, kcat
from file_events import await_files
from harness import Checks, Kurier, jars, java
from kafka_tools import TOOLS, dump

# Aggressive: small segments, everything dirty is cleaned at once, tombstones go soon.
SETTINGS = ("log.cleaner.backoff.ms=100", "log.initial.task.delay.ms=100", "log.retention.check.interval.ms=500")
CONFIG = ("cleanup.policy=compact", "segment.bytes=1048576", "min.cleanable.dirty.ratio=0.01", "delete.retention.ms=100",
          "file.delete.delay.ms=100")
TOPIC = "compacted"
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


def create(tools, node, topic=TOPIC, config=CONFIG):
    arguments = [part for setting in config for part in ("--config", setting)]
    java(tools, TOOLS + "TopicCommand", "--bootstrap-server", node.address, "--create", "--topic", topic, *arguments)


class Writer:
    """Writes keys again and again, and knows what is to be found afterwards."""

    def __init__(self, seed=1, keys=400):
        self.keys = keys
        self.random = random.Random(seed)
        self.latest = {}
        self.rounds = 0

    def write(self, node, codec="none", records=4000, size=600, batch_records=10000):
        """Values first, then tombstones (kcat -Z writes an empty value as null)."""
        self.rounds += 1
        lines = []
        for i in range(records):
            key = f"key-{self.random.randrange(self.keys)}"
            value = f"{self.rounds}-{i}-" + "x" * self.random.randrange(size)
            if self.random.random() < 0.02:
                value = ""
            lines.append(f"{key}:{value}\n")
            self.latest[key] = value
        kcat(node, "-P", "-t", TOPIC, "-K", ":", "-Z", "-z", codec, "-X", "acks=all", "-X", "enable.idempotence=true",
             "-X", f"batch.num.messages={batch_records}", stdin="".join(lines).encode())

    def fill_the_active_segment(self, node):
        """So that all that was written before lies in sealed segments."""
        self.write(node, records=2200, size=1000)

    def check(self, node):
        found = read(node)
        wanted = {key: value for key, value in self.latest.items() if value}
        assert {key: value for key, value in found.items() if value} == wanted, "the latest values are not what was written"


def read(node):
    """key: the last value; empty for a tombstone."""
    out = kcat(node, "-C", "-t", TOPIC, "-e", "-q", "-K", ":").decode()
    return dict(line.split(":", 1) for line in out.splitlines())


def partition(node, topic=TOPIC):
    return node.directory / "log" / f"{topic}-0"


def log_bytes(node, topic=TOPIC):
    return sum(path.stat().st_size for path in partition(node, topic).glob("*.log"))


def checkpoint(node, topic=TOPIC):
    path = node.directory / "log/cleaner-offset-checkpoint"
    lines = path.read_text().splitlines() if path.exists() else []
    return {tuple(line.split()[:2]): int(line.split()[2]) for line in lines[2:]}.get((topic, "0"), 0)


def last_sealed_offset(node, topic=TOPIC):
    return max(int(path.stem) for path in partition(node, topic).glob("*.log"))


def wait_until_cleaned(node, timeout_s=60, topic=TOPIC):
    """What was written is cleaned up to the active segment: kurier says so, Apache Kafka writes it into its checkpoint."""
    wanted = last_sealed_offset(node, topic)
    await_files(node.directory / "log", lambda: checkpoint(node, topic) >= wanted, timeout_s)


def no_leftovers(node):
    names = [path.name for path in partition(node).iterdir()]
    assert not [name for name in names if name.endswith((".cleaned", ".swap"))], names


def dump_all(tools, node):
    for path in sorted(partition(node).iterdir()):
        if path.suffix in (".log", ".index", ".timeindex", ".txnindex", ".snapshot"):
            dump(tools, path, *(["--deep-iteration"] if path.suffix == ".log" else []))


def every_codec(tools):
    with tempfile.TemporaryDirectory(prefix="kurier-cleaner-") as directory:
        node = Kurier(directory, settings=SETTINGS)
        try:
            node.start()
            create(tools, node)
            writer = Writer()
            for codec in CODECS:
                writer.write(node, codec)
            before = log_bytes(node)
            writer.fill_the_active_segment(node)
            wait_until_cleaned(node)
            assert log_bytes(node) < before, (log_bytes(node), before)
            writer.check(node)
            assert node.stop() == 0
            no_leftovers(node)
            dump_all(tools, node)
            node.start()
            writer.check(node)
        finally:
            node.kill()


def killed_while_cleaning(tools):
    with tempfile.TemporaryDirectory(prefix="kurier-cleaner-") as directory:
        node = Kurier(directory, settings=SETTINGS)
        try:
            node.start()
            create(tools, node)
            writer = Writer(2)
            for _ in range(6):
                writer.write(node, writer.random.choice(CODECS), records=2500, size=1000)
                node.kill()
                node.start()
                writer.check(node)
            writer.fill_the_active_segment(node)
            wait_until_cleaned(node)
            writer.check(node)
            assert node.stop() == 0
            dump_all(tools, node)
        finally:
            node.kill()


def gaps_between_segments(node):
    gaps, end = 0, None
    for path in sorted(partition(node).glob("*.log")):
        gaps += end is not None and int(path.stem) != end
        data, at = path.read_bytes(), 0
        while at < len(data):
            base, length = struct.unpack_from(">qi", data, at)
            end = base + struct.unpack_from(">i", data, at + 23)[0] + 1
            at += 12 + length
    return gaps


def turned_off(tools):
    """A log that was compacted is not any more, and then there is a crash: its gaps are no losses, whatever is known of them."""
    with tempfile.TemporaryDirectory(prefix="kurier-cleaner-") as directory:
        node = Kurier(directory, settings=(*SETTINGS, "log.cleanup.policy=compact"))
        try:
            node.start()
            create(tools, node, config=[setting for setting in CONFIG if not setting.startswith("cleanup.policy")])
            writer = Writer(4, keys=6000)  # more than one segment holds
            for _ in range(4):
                writer.write(node, batch_records=1)  # gaps are between batches
            writer.fill_the_active_segment(node)
            wait_until_cleaned(node)
            node.kill()
            assert gaps_between_segments(node) > 0
            for forgotten in (None, "log/recovery-point-offset-checkpoint", "state/last-epoch"):
                if forgotten is not None:
                    (node.directory / forgotten).unlink()
                node.settings = [*SETTINGS, "log.cleanup.policy=delete"]
                node.start()
                writer.check(node)
                assert not any("follows a cut" in line for line in node.output), node.output
                node.kill()
        finally:
            node.kill()


def in_turn(tools, classpath, kafka_ends):
    """kurier cleans, Apache Kafka serves, writes and cleans, kurier serves, writes and cleans."""
    with tempfile.TemporaryDirectory(prefix="kurier-cleaner-") as directory:
        node = Kurier(directory, settings=SETTINGS)
        kafka = None
        try:
            node.start()
            create(tools, node)
            writer = Writer(3)
            for codec in ("none", "zstd"):
                writer.write(node, codec)
            writer.fill_the_active_segment(node)
            wait_until_cleaned(node)
            writer.check(node)
            assert node.stop() == 0
            cleaned = checkpoint(node)
            kafka = ApacheKafka(classpath, node, ("log.cleaner.backoff.ms=100",)).wait_until_ready()
            writer.check(node)
            writer.write(node, "lz4")
            writer.fill_the_active_segment(node)
            wait_until_cleaned(node)
            assert checkpoint(node) > cleaned
            writer.check(node)
            if kafka_ends == "clean":
                kafka.stop()
            kafka.kill()
            node.start()
            writer.check(node)
            writer.write(node, "gzip")
            writer.fill_the_active_segment(node)
            wait_until_cleaned(node)
            writer.check(node)
            assert node.stop() == 0
            no_leftovers(node)
            dump_all(tools, node)
        finally:
            node.kill()
            if kafka:
                kafka.kill()


def compaction_tester(tools):
    """Apache Kafka's own tester: what it wrote last of each key is what it reads, while the cleaner is at work."""
    with tempfile.TemporaryDirectory(prefix="kurier-cleaner-") as directory:
        node = Kurier(directory, settings=(*SETTINGS, "log.segment.bytes=1048576", "log.cleaner.min.cleanable.ratio=0.01",
                                           "log.cleaner.delete.retention.ms=0"))
        try:
            node.start()
            messages, topics = 150_000, 2
            said = java(tools, TOOLS + "LogCompactionTester", "--bootstrap-server", node.address, "--messages", messages, "--duplicates",
                        1000, "--topics", topics, "--percent-deletes", 10)
            assert re.search(r"^Validated \d+ values, 0 mismatches\.$", said, re.M) and "Data verification is completed" in said, said
            names = re.search(r"to topics (\S+)", said)[1].split(",")
            assert len(names) == topics, names
            for topic in names:
                assert last_sealed_offset(node, topic) > 0, sorted(partition(node, topic).iterdir())
                wait_until_cleaned(node, topic=topic)
                # The keys are few: beside the active segment hardly anything is left.
                assert log_bytes(node, topic) < 2 << 20, (topic, log_bytes(node, topic))
        finally:
            node.kill()


def main():
    checks = Checks()
    tools, classpath = jars("tools"), jars("kafka")
    if tools is None or classpath is None:
        checks.skip("compacted topics", "Java or Maven is missing")
        checks.finish()
    checks.check("every codec, and the dump tool", every_codec, tools)
    checks.check("Apache Kafka's log compaction tester", compaction_tester, tools)
    checks.check("killed while it cleans", killed_while_cleaning, tools)
    checks.check("compaction turned off, then a crash", turned_off, tools)
    for kafka_ends in ("clean", "kill -9"):
        checks.check(f"kurier and Apache Kafka ({kafka_ends}) clean in turn", in_turn, tools, classpath, kafka_ends)
    checks.finish()


if __name__ == "__main__":
    main()
