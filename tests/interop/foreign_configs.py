#!/usr/bin/env python3
"""Configurations in the metadata that this version does not know or cannot take, as older releases have written them: no data goes.

The records in the topics are years old; the topic that is configured by nothing loses them, which says that retention was there.
Then Apache Kafka goes on with the directory."""
import tempfile

import messages
from disk import ApacheKafka
from harness import Checks, Kurier, jars
from pair import STOCK
from plain_requests import produce, produced_offset
from record_batch import record_batch
from start import append_metadata, compact
from wire import connect, exchange

SETTINGS = ("log.retention.check.interval.ms=200", "log.initial.task.delay.ms=0", "log.cleaner.backoff.ms=100")
TOPICS = {"control": {}, "named": {"retention.ms": "-1"}, "twice": {"cleanup.policy": "compact,compact"},
          "ratio": {"retention.ms": " -1 ", "min.cleanable.dirty.ratio": "0x1p-2"}, "small": {}, "policy": {}}
# What older releases, or those with other settings, may have written.
WRITTEN = [("named", "message.format.version", "2.0"), ("named", "message.downconversion.enable", "false"),
           ("small", "segment.bytes", "100"), ("policy", "cleanup.policy", "eat"), ("policy", "compression.type", "none")]
REFUSED = ("small", "policy")  # Apache Kafka 4.4 does not start with them


def create(node):
    answer = messages.ask(node.port, "CreateTopics", 7, timeout_ms=10000, topics=[
        {"name": name, "num_partitions": 1, "replication_factor": 1, "configs": [{"name": n, "value": v} for n, v in configs.items()]}
        for name, configs in TOPICS.items()])
    assert all(topic["error_code"] == 0 for topic in answer["topics"]), answer


def produce_old(node):
    with connect(node.port) as connection:
        for name in TOPICS:
            assert produced_offset(exchange(connection, produce(name.encode(), record_batch([b"old"]))), name.encode()) == 0


def config_record(topic, name, value):
    return b"\1\4\0\2" + b"".join(compact(text.encode()) for text in (topic, name, value)) + b"\0"


def log_starts(node, names):
    asked = [{"name": name, "partitions": [{"partition_index": 0, "timestamp": -2}]} for name in names]
    answer = messages.ask(node.port, "ListOffsets", 7, replica_id=-1, topics=asked)
    return {topic["name"]: topic["partitions"][0]["offset"] for topic in answer["topics"]}


def described(node, name):
    answer = messages.ask(node.port, "DescribeConfigs", 4, include_synonyms=True, resources=[
        {"resource_type": 2, "resource_name": name, "configuration_keys": None}])
    entries = answer["results"][0]["configs"]
    # Which file the broker was started with is not the question here, and every program has words of its own.
    return [dict(entry, documentation=None, config_source=None if entry["config_source"] in (4, 5) else entry["config_source"],
                 synonyms=[s for s in entry["synonyms"] if s["source"] == 1]) for entry in entries]


def value_of(entries, name):
    return next(entry["value"] for entry in entries if entry["name"] == name)


def says_what_it_cannot_take(node):
    for line in ("topic named: message.format.version is kept and has no effect, because Apache Kafka 4.4 knows no such name",
                 'topic small: segment.bytes="100" cannot be taken, expected an int, 1048576 or more: "1073741824" holds instead, and nothing '
                 "of the topic is deleted or compacted until it is corrected",
                 'topic policy: cleanup.policy="eat" cannot be taken, expected any of compact, delete: "delete" holds instead, and nothing',
                 'topic policy: compression.type="none" cannot be taken'):
        assert node.says(line), (line, node.output)


def nothing_goes(node):
    # One shard looks at all its logs at a time, so that the others have been looked at when it answers.
    assert node.await_output(lambda: node.says("control-0: 1 segments go by retention")), node.output
    starts = log_starts(node, TOPICS)
    assert starts.pop("control") == 1 and set(starts.values()) == {0}, starts


def values_stand(node):
    assert value_of(described(node, "small"), "segment.bytes") == "100"
    assert value_of(described(node, "policy"), "cleanup.policy") == "eat"
    assert value_of(described(node, "twice"), "cleanup.policy") == "compact"
    assert value_of(described(node, "ratio"), "min.cleanable.dirty.ratio") == "0.25"


def kafka_says_the_same(node, ours, kafka):
    kafka.wait_until_ready()
    for name in ours:
        theirs = described(node, name)
        differing = [pair for pair in zip(ours[name], theirs) if pair[0] != pair[1]]
        assert len(theirs) == len(ours[name]) and not differing, (name, differing, len(theirs), len(ours[name]))
    assert set(log_starts(node, ours).values()) == {0}


def main():
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="kurier-foreign-") as directory:
        node = Kurier(directory, settings=SETTINGS + ("kurier.shards=1",))
        kafka = None
        try:
            # Not before everything is written.
            node.settings[0] = "log.retention.check.interval.ms=3600000"
            node.settings[1] = "log.initial.task.delay.ms=3600000"
            node.start()
            create(node)
            produce_old(node)
            assert node.stop() == 0
            for written in WRITTEN:
                append_metadata(node.directory, config_record(*written))
            node.settings[:2] = SETTINGS[:2]
            node.start()
            checks.check("what cannot be taken is said", says_what_it_cannot_take, node)
            checks.check("nothing is deleted for it", nothing_goes, node)
            checks.check("the values are shown as they stand", values_stand, node)
            ours = {name: described(node, name) for name in ("named", "twice", "ratio")}
            answer = messages.ask(node.port, "DeleteTopics", 6, timeout_ms=10000, topics=[{"name": name} for name in REFUSED])
            assert all(topic["error_code"] == 0 for topic in answer["responses"]), answer
            assert node.stop() == 0
            classpath = jars("kafka")
            if classpath is None:
                checks.skip("Apache Kafka shows the same", "no Maven or Java")
            else:
                kafka = ApacheKafka(classpath, node, (*STOCK, *SETTINGS))
                checks.check("Apache Kafka shows the same", kafka_says_the_same, node, ours, kafka)
        except Exception:
            print("\n".join(node.output[-30:]))
            raise
        finally:
            node.kill()
            if kafka:
                kafka.kill()
    checks.finish()


if __name__ == "__main__":
    main()
