#!/usr/bin/env python3
"""A busy node for a while: topics of every kind, compaction, idempotent producers, a group, restarts. Then Apache Kafka's dump tool
reads every file that is there, and finds no fault."""
import random
import subprocess
import tempfile
import threading
import time

import messages
from cleaner import CODECS
from cleaner import SETTINGS as CLEANER_SETTINGS
from disk import kcat
from file_events import await_files
from harness import Checks, Kurier, jars
from kafka_tools import dump
from topic_deletion import create, delete

SECONDS = 12  # of load
TOPICS = {  # name: partitions, configuration
    "plain": (3, {"segment_bytes": "1048576"}),
    "compacted": (2, {"cleanup_policy": "compact", "segment_bytes": "1048576", "min_cleanable_dirty_ratio": "0.01",
                      "delete_retention_ms": "100", "file_delete_delay_ms": "100"}),
    "both": (2, {"cleanup_policy": "compact,delete", "segment_bytes": "1048576", "min_cleanable_dirty_ratio": "0.01"}),
    "retained": (2, {"retention_bytes": "2097152", "segment_bytes": "1048576", "file_delete_delay_ms": "100"}),
    "ahead": (1, {"preallocate": "true", "segment_bytes": "1048576"}),
    "stamped": (1, {"message_timestamp_type": "LogAppendTime", "compression_type": "zstd", "segment_bytes": "1048576"}),
    "indexed": (1, {"segment_index_bytes": "2048", "index_interval_bytes": "0", "segment_bytes": "1048576"}),
}
SETTINGS = (*CLEANER_SETTINGS, "offsets.topic.num.partitions=3", "offsets.topic.segment.bytes=1048576", "kurier.shards=2",
            "log.flush.offset.checkpoint.interval.ms=500")
DECODED = {"__cluster_metadata": "--cluster-metadata-decoder", "__consumer_offsets": "--offsets-decoder"}
DUMPED = (".log", ".index", ".timeindex", ".snapshot", ".txnindex", ".checkpoint")


class Outages:
    def __init__(self):
        self.count = 0
        self.over = threading.Event()
        self.over.set()

    def one(self, node, how):
        self.count += 1
        self.over.clear()
        try:
            how()
            node.start()
        finally:
            self.over.set()


class Load(threading.Thread):
    """Rounds of kcat, each with a codec and a topic of its own, until it is told to end. A round that the node left in the middle may fail."""

    def __init__(self, node, seed, ending, outages):
        super().__init__()
        self.node, self.random, self.ending, self.outages = node, random.Random(seed), ending, outages
        self.rounds = 0
        self.error = None

    def run(self):
        while not self.ending.is_set() and self.error is None:
            self.outages.over.wait()
            before = self.outages.count
            try:
                self.round()
                self.rounds += 1
            except subprocess.SubprocessError as error:
                self.error = error if self.outages.count == before else None

    def round(self):
        lines = "".join(f"key-{self.random.randrange(300)}:{'x' * self.random.randrange(500)}\n" for _ in range(2500))
        kcat(self.node, "-P", "-t", self.random.choice(list(TOPICS)), "-K", ":", "-Z", "-p", "-1", "-z", self.random.choice(CODECS),
             "-X", "acks=all", "-X", f"enable.idempotence={self.random.choice(['true', 'false'])}", "-X", "message.timeout.ms=60000",
             "-X", f"linger.ms={self.random.choice([0, 5])}", stdin=lines.encode())


class Member(Load):
    """A member of a group that reads a little, commits, and leaves."""

    def round(self):
        kcat(self.node, "-G", "busy", "-q", "-c", "500", "-X", "auto.offset.reset=earliest", "-X", "auto.commit.interval.ms=100",
             "-X", "session.timeout.ms=6000", "plain")


def busy(node):
    client = messages.Client(node.port)
    for name, (partitions, config) in TOPICS.items():
        create(client, name, partitions, **config)
    for i in range(5):
        create(client, f"gone-{i}", 2)
        delete(client, f"gone-{i}")
    client.close()
    ending, outages = threading.Event(), Outages()
    threads = [Load(node, seed, ending, outages) for seed in (1, 2)] + [Member(node, 3, ending, outages)]
    for thread in threads:
        thread.start()
    try:
        for how in (node.kill, node.stop, None):
            ending.wait(SECONDS / 3)  # the load itself
            if how is not None:
                outages.one(node, how)
    finally:
        ending.set()
        for thread in threads:
            thread.join()
    assert all(thread.error is None for thread in threads), [thread.error for thread in threads]
    assert all(thread.rounds > 0 for thread in threads), [thread.rounds for thread in threads]


def cleaned_and_retained(node):
    """The load did what it was for: segments rolled, compacted ones swapped in, old ones removed."""
    log = node.directory / "log"

    def segments(topic):
        return sorted(int(path.stem) for path in log.glob(f"{topic}-0/*.log"))

    def cleaned():
        text = (log / "cleaner-offset-checkpoint").read_text() if (log / "cleaner-offset-checkpoint").exists() else ""
        offsets = {tuple(line.split()[:2]): int(line.split()[2]) for line in text.splitlines()[2:]}
        return offsets.get(("compacted", "0"), 0) > 0

    assert len(segments("plain")) > 1 and len(segments("compacted")) > 0, segments("plain")
    await_files(log, cleaned)
    await_files(log / "retained-0", lambda: segments("retained")[0] > 0)


def dump_all(tools, node):
    """The tool takes a list of files; the metadata log has a decoder of its own, as the offsets of groups have."""
    seen = {}
    for path in sorted((node.directory / "log").glob("*/*")):
        if path.suffix in DUMPED:
            topic = path.parent.name.rpartition("-")[0]
            seen.setdefault((topic if topic in DECODED else "", path.suffix), []).append(str(path))
    for (topic, suffix), paths in seen.items():
        decoder = [DECODED.get(topic, "--deep-iteration")] if suffix in (".log", ".checkpoint") else []
        text = dump(tools, ",".join(paths), *decoder)
        assert text.count("Dumping ") == len(paths), text[:500]
    assert {suffix for _, suffix in seen} >= {".log", ".index", ".timeindex", ".snapshot", ".checkpoint"}, list(seen)
    assert ("__consumer_offsets", ".log") in seen
    return sum(map(len, seen.values()))


def main():
    checks = Checks()
    tools = jars("tools")
    if tools is None:
        checks.skip("the dump tool over a busy run", "Java or Maven is missing")
        checks.finish()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kurier-dump-") as directory:
        node = Kurier(directory, settings=SETTINGS)
        try:
            node.start()
            checks.check("a busy run with a kill and a stop", busy, node)
            checks.check("segments were cleaned and removed", cleaned_and_retained, node)
            assert node.stop() == 0
            checks.check("the dump tool finds no fault in any file", lambda: print(dump_all(tools, node), "files"))
        finally:
            node.kill()
    print(f"{time.monotonic() - began:.0f} s")
    checks.finish()


if __name__ == "__main__":
    main()
