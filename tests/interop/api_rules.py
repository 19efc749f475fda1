#!/usr/bin/env python3
"""The same requests to kurier and to Apache Kafka 4.4, which began from one directory: the same answers, field by field.
Fetch has its own script, fetch_rules.py."""
import re
import time

from harness import Checks, jars, java
from messages import Client, ask
from pair import differences, masked, pair
from record_batch import record_batch

NOBODY = bytes.fromhex("00112233445566778899aabbccddeeff")
METADATA = bytes(15) + b"\1"
TOPICS = {"plain": (3, {}), "empty": (1, {}), "timed": (2, {}), "changed": (1, {"retention.ms": "123456", "cleanup.policy": "compact",
                                                                               "min.insync.replicas": "1"})}


def prepare(node):
    created = ask(node.port, "CreateTopics", 7, timeout_ms=10000, topics=[
        {"name": name, "num_partitions": partitions, "replication_factor": 1,
         "configs": [{"name": key, "value": value} for key, value in configs.items()]} for name, (partitions, configs) in TOPICS.items()])
    assert all(topic["error_code"] == 0 for topic in created["topics"]), created
    client = Client(node.port)
    for topic, partition, stamps in (("plain", 0, None), ("plain", 1, None), ("timed", 0, [1000, 3000, 2000]), ("timed", 0, [5000, 4000]),
                                     ("timed", 0, [5000, 5000])):
        values = [b"value"] * (3 if stamps is None else len(stamps))
        answer = client.ask("Produce", 9, acks=-1, timeout_ms=5000, topic_data=[
            {"name": topic, "partition_data": [{"index": partition, "records": record_batch(values, timestamps=stamps)}]}])
        assert answer["responses"][0]["partition_responses"][0]["error_code"] == 0, answer
    client.close()
    return {topic["name"]: topic["topic_id"] for topic in created["topics"]}


def without_order(answer, *lists):
    """Apache Kafka groups by maps that have no order."""
    for name, key, inner, inner_key in lists:
        answer[name] = sorted(answer[name], key=lambda element: element[key])
        for element in answer[name]:
            element[inner] = sorted(element[inner], key=lambda part: part[inner_key])
    return answer


def by_topic(answer):
    return answer and without_order(answer, ("topics", "name", "partitions", "partition_index"))


def until(port, name, version, errors, error_of, **values):
    """Asks until the answer is none of `errors`: what Apache Kafka does a little later than it says so."""
    client = Client(port)
    deadline = time.monotonic() + 20
    while error_of(client.ask(name, version, **values)) in errors:
        assert time.monotonic() < deadline, f"{name} {values}: still one of the errors {errors}"
    client.close()


class Rules:
    """Collects what differs, so that one run shows all of it."""

    def __init__(self, both):
        self.both = both
        self.ids = both.prepared
        self.found = []

    def same(self, name, version, mask=(), on_controller=False, change=None, **values):
        ours, theirs = self.both.ask(name, version, on_controller, **values)
        if change:
            ours, theirs = change(ours), change(theirs)
        lines = list(differences(masked(ours, mask), masked(theirs, mask)))
        if lines:
            where = " on the controller's listener" if on_controller else ""
            self.found.append(f"{name} version {version}{where} {values}\n    " + "\n    ".join(lines[:12]))
        return ours

    def everywhere(self, name, version, **more):
        for on_controller in (False, True):
            self.same(name, version, on_controller=on_controller, **more)

    def done(self):
        found, self.found = self.found, []
        assert not found, f"{len(found)} differences\n  " + "\n  ".join(found[:25])


def list_offsets(rules):
    for version in range(1, 12):
        for timestamp in (-1, -2, -3, -4, -5, -6, -7, -100, 0, 1, 999, 1000, 2500, 3000, 4500, 5000, 5001, 1_700_000_000_000, 1 << 60):
            more = {} if version < 2 else {"isolation_level": 0}
            rules.same("ListOffsets", version, change=by_topic, replica_id=-1, **more, topics=[
                {"name": name, "partitions": [{"partition_index": index, "timestamp": timestamp} for index in indexes]}
                for name, indexes in (("plain", (0, 1, 2)), ("timed", (0, 1)), ("empty", (0,)))])
    for version in (2, 7, 11):
        rules.same("ListOffsets", version, change=by_topic, replica_id=-1, isolation_level=1, topics=[
            {"name": "plain", "partitions": [{"partition_index": 0, "timestamp": stamp} for stamp in (-1, -2)]}])
        rules.same("ListOffsets", version, change=by_topic, replica_id=-1, isolation_level=1, topics=[
            {"name": "plain", "partitions": [{"partition_index": 9, "timestamp": -1}, {"partition_index": -1, "timestamp": -1}]},
            {"name": "nowhere", "partitions": [{"partition_index": 0, "timestamp": -1}]},
            {"name": "", "partitions": [{"partition_index": 0, "timestamp": -1}]}])
        rules.same("ListOffsets", version, change=by_topic, replica_id=-1, isolation_level=3, topics=[
            {"name": "plain", "partitions": [{"partition_index": 0, "timestamp": -1}]}])
        for replica in (-2, 0, 1, 5):
            rules.same("ListOffsets", version, change=by_topic, replica_id=replica, topics=[{"name": "plain", "partitions": [{"partition_index": 0, "timestamp": -1}]}])
        rules.same("ListOffsets", version, change=by_topic, replica_id=-1, topics=[])
        one, other = ({"partition_index": index, "timestamp": -1} for index in (0, 1))
        for topics in ([("timed", [])], [("timed", []), ("empty", [one])], [("nowhere", []), ("", [])], [("timed", [one]), ("timed", [other])],
                       [("timed", [one]), ("timed", [one])], [("timed", [one]), ("empty", [one]), ("timed", [one, other])],
                       [("timed", [one, one, one, other])], [("nowhere", [one, one])]):
            topics = [{"name": name, "partitions": partitions} for name, partitions in topics]
            for isolation in (0, 3):
                rules.same("ListOffsets", version, change=by_topic, replica_id=-1, isolation_level=isolation, topics=topics)
        for timestamp in (-3, -4, -5, -6, -7):  # which of them the version knows is looked at first
            rules.same("ListOffsets", version, change=by_topic, replica_id=-1, topics=[
                {"name": "plain", "partitions": [{"partition_index": index, "timestamp": timestamp} for index in (0, 9, -1)]},
                {"name": "timed", "partitions": [{"partition_index": 0, "timestamp": timestamp}] * 2},
                {"name": "nowhere", "partitions": [{"partition_index": 0, "timestamp": timestamp}]}])
    for version in (4, 6, 11):
        for epoch in (-1, 0, 1, 2, 100):
            rules.same("ListOffsets", version, change=by_topic, replica_id=-1, topics=[
                {"name": "plain", "partitions": [{"partition_index": 0, "timestamp": stamp, "current_leader_epoch": epoch} for stamp in (-1,)]}])
    rules.done()


def by_epoch_topic(answer):
    return answer and without_order(answer, ("topics", "topic", "partitions", "partition"))


def offset_for_leader_epoch(rules):
    for version in (2, 3, 4):
        more = {} if version < 3 else {"replica_id": -1}
        for current in (-1, 0, 1, 2, 3, 100):
            for epoch in (-1, 0, 1, 2, 3, 100):
                rules.same("OffsetForLeaderEpoch", version, change=by_epoch_topic, **more, topics=[{"topic": "plain", "partitions": [
                    {"partition": index, "current_leader_epoch": current, "leader_epoch": epoch} for index in (0, 2)]}])
        rules.same("OffsetForLeaderEpoch", version, change=by_epoch_topic, **more, topics=[
            {"topic": "plain", "partitions": [{"partition": 7, "leader_epoch": 0}]}, {"topic": "nowhere", "partitions": [{"partition": 0, "leader_epoch": 0}]}])
        rules.same("OffsetForLeaderEpoch", version, change=by_epoch_topic, **more, topics=[])
        if version >= 3:
            for replica in (-2, 0, 1, 5):
                rules.same("OffsetForLeaderEpoch", version, change=by_epoch_topic, replica_id=replica, topics=[{"topic": "plain", "partitions": [
                    {"partition": 0, "current_leader_epoch": -1, "leader_epoch": 0}]}])
    rules.done()


def sorted_topics(answer):
    """Apache Kafka's maps have no order."""
    if answer:
        for key in ("topics",):
            answer[key] = sorted(answer[key], key=lambda topic: (topic.get("name") or "", topic.get("topic_id") or b""))
            for topic in answer[key]:
                topic["partitions"] = sorted(topic["partitions"], key=lambda partition: partition["partition_index"])
    return answer


def metadata(rules):
    names = ["plain", "nowhere", "bad name!", "x" * 250, ".", "..", "timed", "plain"]
    for version in range(14):
        no_creation = {} if version < 4 else {"allow_auto_topic_creation": False}
        if version > 0:
            rules.same("Metadata", version, topics=None, change=sorted_topics, **no_creation)
        rules.same("Metadata", version, topics=[], change=sorted_topics, **no_creation)
        if version >= 4:
            rules.same("Metadata", version, topics=[{"name": name} for name in names], change=sorted_topics, **no_creation)
        rules.same("Metadata", version, topics=[{"name": "plain"}], change=sorted_topics, **no_creation)
        if version >= 8:
            operations = {"include_topic_authorized_operations": True}
            if version <= 10:
                operations["include_cluster_authorized_operations"] = True
            rules.same("Metadata", version, topics=[{"name": "plain"}, {"name": "nowhere"}], change=sorted_topics, **operations, **no_creation)
        if version >= 10:
            for topics in ([{"name": None, "topic_id": rules.ids["plain"]}], [{"name": None, "topic_id": NOBODY}], [{"name": None, "topic_id": METADATA}],
                           [{"name": "plain", "topic_id": rules.ids["timed"]}], [{"name": None}], [{"name": ""}],
                           [{"name": None, "topic_id": rules.ids["plain"]}, {"name": "timed"}],
                           [{"name": None, "topic_id": NOBODY}, {"name": None, "topic_id": rules.ids["plain"]}],
                           [{"name": None, "topic_id": rules.ids["plain"]}, {"name": None}], [{"name": "plain"}, {"name": None}, {"name": "timed"}],
                           [{"name": None}, {"name": None, "topic_id": NOBODY}, {"name": ""}]):
                rules.same("Metadata", version, topics=topics, change=sorted_topics, **no_creation)
    rules.done()


def metadata_creates(rules):
    """Auto creation. Apache Kafka's first answer does not know the topic yet, kurier's does."""
    for version in (0, 1, 4, 9, 13):
        name = f"made-{version}"
        for port in rules.both.ports(False):
            until(port, "Metadata", version, (3, 5), lambda answer: answer["topics"][0]["error_code"], topics=[{"name": name}])
        rules.same("Metadata", version, ("topic_id",), topics=[{"name": name}], change=sorted_topics)
        rules.same("Metadata", version, topics=[{"name": "bad name!"}], change=sorted_topics)
    rules.same("Metadata", 9, topics=[{"name": "__cluster_metadata"}])
    rules.done()


def creation(name, partitions=1, factor=1, configs=None, assignments=None):
    topic = {"name": name, "num_partitions": partitions, "replication_factor": factor}
    if configs:
        topic["configs"] = [{"name": key, "value": value} for key, value in configs.items()]
    if assignments:
        topic["assignments"] = [{"partition_index": index, "broker_ids": brokers} for index, brokers in assignments.items()]
    return topic


def sorted_creation(answer):
    if answer:
        answer["topics"] = sorted(answer["topics"], key=lambda topic: topic["name"])
        for topic in answer["topics"]:
            if topic.get("configs"):
                topic["configs"] = sorted(topic["configs"], key=lambda config: config["name"])
                for config in topic["configs"]:
                    # Here alone Apache Kafka says that the time comes from log.retention.hours of the file.
                    if config["name"] == "retention.ms" and config["config_source"] in (4, 5):
                        config["config_source"] = 5
    return answer


# Texts that Java's parsers and Apache Kafka's ConfigDef take or refuse; a bound may refuse what they take.
VALUES = {
    "segment.bytes": ["5000000", " 5000000 ", "+5000000", "-5000000", "5_000_000", "0x5000000", "5000000L", "5e6", "", "  ", "\u0665000000",
                      "\uff15000000", "+", "-", "+-5", "5000000.0", "05000000", "\t5000000\n", "\u00a05000000", "\x1f5000000", "2147483648",
                      "\U0001d7d35000000", "1048575"],
    "retention.ms": ["-0", "-1", "-2", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "\u0661", "1 0"],
    "preallocate": ["true", " TRUE ", "tRuE", "yes", "1", "", "fal\u017fe", "\u00a0true"],
    "cleanup.policy": ["compact,compact", "compact,delete,compact", ",", "compact,", ",compact", " compact , delete ", "compact,,delete", "", " ",
                       "Compact", "compact\n,\vdelete", "compact\x01,delete", "eat,eat", "compact\u00a0,delete", ",,"],
    "min.cleanable.dirty.ratio": ["0.5f", "0.5D", "0x1p-2", "0X.8P0", "0x1.p-1f", "0x1", "0x.p1", "0x1p-1ff", "NaN", "-NaN", "nan", "NaNf", "Infinity",
                                  "-Infinity", "inf", ".5", "5.", "1.", "+0.5", "-0.5", "-0.0", "5e-1", "5e", "1e400", "1e-400", "4.9e-324", "1e-323",
                                  "  0.5\t", "0.5 f", "", "0,5", "1.0000000000000001", "1.1", "\u0660.5", "0e99999999999", "1e-5", "9.999e-4"],
    "compression.type": [" gzip ", "GZIP", "", "\u00a0gzip"],
    "leader.replication.throttled.replicas": ["*", "0:1,0:1", " * ", "*,*", "0:1, 1:2", "0:1,", "a:b", "", "0:-1", ",", "\u0661:1", "0 :1"],
    "compression.gzip.level": ["0", "-1", "10"],
}

CREATIONS = {
    "values": [creation(f"{name}-{i}", configs={name: value}) for name, values in VALUES.items() for i, value in enumerate(values)],
    "good": [creation("fresh"), creation("fresh-2", 5)],
    "defaults": [creation("fresh", -1, -1)],
    "names": [creation(name) for name in ("", ".", "..", "bad name!", "x" * 250, "ok_1", "plain", "__cluster_metadata", "__consumer_offsets")],
    "collisions": [creation("ok_1"), creation("ok.1")],
    "partitions": [creation("p0", 0), creation("p-2", -2), creation("p-1", -1)],
    "too many partitions": [creation("many", 10001), creation("bad name!"), creation("b"), creation("b")],
    "too many partitions of several": [creation("many", 9990), creation("negative", -5), creation("more", 11)],
    "too many, but for an error of its own": [creation("b", 10001), creation("b", 10001), creation("__cluster_metadata", 10001), creation("good")],
    "too many, but assigned": [creation("many", 10001, -1, assignments={0: [1]}), creation("good")],
    "too many assignments": [creation("many", -1, -1, assignments={index: [1] for index in range(10001)}), creation("good")],
    "nearly too many": [creation("many", 9999), creation("negative", -5), creation("none", 0)],
    "too many records": [creation("many", 10000), creation("negative", -5)],
    "too many records with a configuration": [creation("many", 9999, configs={"retention.ms": "1"})],
    "factors": [creation("f0", 1, 0), creation("f-2", 1, -2), creation("f2", 1, 2), creation("f-1", 1, -1)],
    "twice": [creation("twice"), creation("twice", 2), creation("once")],
    "configs": [creation("c1", configs={"retention.ms": "1000"}), creation("c2", configs={"retention.ms": "x"}), creation("c3", configs={"no.such": "1"}),
                creation("c4", configs={"cleanup.policy": "compact,delete", "segment.bytes": "1048576"}), creation("c5", configs={"min.insync.replicas": "0"}),
                creation("c6", configs={"compression.type": "none"}), creation("c7", configs={"retention.ms": None}),
                creation("c8", configs={"max.message.bytes": "-1"}), creation("c9", configs={"cleanup.policy": "eat"}),
                creation("ca", configs={"remote.storage.enable": "true"}), creation("cb", configs={"message.timestamp.type": "Now"}),
                creation("cc", configs={"segment.bytes": "1"}), creation("cd", configs={"local.retention.ms": "5", "retention.ms": "4"}),
                creation("ce", configs={"max.compaction.lag.ms": "1", "min.compaction.lag.ms": "2"})],
    "assignments": [creation("a1", -1, -1, assignments={0: [1]}), creation("a2", -1, -1, assignments={0: [1], 1: [1]}),
                    creation("a3", -1, -1, assignments={0: [2]}), creation("a4", -1, -1, assignments={0: [1, 1]}),
                    creation("a5", -1, -1, assignments={1: [1]}), creation("a6", 1, 1, assignments={0: [1]}),
                    creation("a7", -1, -1, assignments={0: []}), creation("a8", -1, -1, assignments={0: [1], 1: [1, 2]}),
                    creation("a9", 2, -1, assignments={0: [1]}), creation("aa", -1, -1, assignments={0: [-1]})],
    "nothing": [],
}


def create_topics_validated(rules):
    """CreateTopics that only validates."""
    for version in range(2, 8):
        for topics in CREATIONS.values():
            topics = [topic for topic in topics if version >= 4 or -1 not in (topic["num_partitions"], topic["replication_factor"])]
            rules.everywhere("CreateTopics", version, mask=("topic_id",), change=sorted_creation, timeout_ms=10000, validate_only=True, topics=topics)
    rules.done()


def create_topics(rules):
    for version, name in ((2, "made-2"), (4, "made-4"), (5, "made-5"), (7, "made-7")):
        rules.same("CreateTopics", version, mask=("topic_id",), change=sorted_creation, timeout_ms=10000,
                   topics=[creation(name, 2, configs={"retention.ms": "5000"}), creation("plain"), creation(name + "-b", -1 if version > 3 else 1)])
        rules.same("CreateTopics", version, mask=("topic_id",), on_controller=True, change=sorted_creation, timeout_ms=10000,
                   topics=[creation(name + "-c"), creation(name)])
    rules.done()


def create_partitions(rules):
    cases = {
        "more": [{"name": "plain", "count": 4}], "fewer": [{"name": "plain", "count": 2}], "as many": [{"name": "plain", "count": 3}],
        "none": [{"name": "plain", "count": 0}], "negative": [{"name": "plain", "count": -1}], "too many": [{"name": "plain", "count": 20000}],
        "too many of one": [{"name": "plain", "count": 20000}, {"name": "empty", "count": 2}, {"name": "nowhere", "count": 2},
                            {"name": "timed", "count": 3}, {"name": "timed", "count": 3}],
        "too many together": [{"name": "plain", "count": 5003}, {"name": "empty", "count": 5002}],
        "as many as can be": [{"name": "plain", "count": 5003}, {"name": "empty", "count": 5001}],
        "too many, one fewer": [{"name": "plain", "count": -5000}, {"name": "empty", "count": 10002}],
        "many, but not there": [{"name": "nowhere", "count": 20000}, {"name": "timed", "count": 20000}, {"name": "timed", "count": 3},
                                {"name": "empty", "count": 2}],
        "unknown": [{"name": "nowhere", "count": 3}, {"name": "", "count": 3}, {"name": "bad name!", "count": 3}],
        "assigned": [{"name": "plain", "count": 5, "assignments": [{"broker_ids": [1]}, {"broker_ids": [1]}]}],
        "too few assigned": [{"name": "plain", "count": 5, "assignments": [{"broker_ids": [1]}]}],
        "unknown broker": [{"name": "plain", "count": 4, "assignments": [{"broker_ids": [7]}]}],
        "another factor": [{"name": "plain", "count": 4, "assignments": [{"broker_ids": [1, 1]}]}],
        "no broker": [{"name": "plain", "count": 4, "assignments": [{"broker_ids": []}]}],
        "twice": [{"name": "plain", "count": 4}, {"name": "plain", "count": 5}, {"name": "empty", "count": 2}],
        "nothing": [],
    }

    def in_order(answer):
        if answer:
            answer["results"] = sorted(answer["results"], key=lambda result: result["name"])
        return answer

    for version in range(4):
        for topics in cases.values():
            topics = [dict({"assignments": None}, **topic) for topic in topics]
            rules.everywhere("CreatePartitions", version, change=in_order, timeout_ms=10000, validate_only=True, topics=topics)
    rules.same("CreatePartitions", 3, timeout_ms=10000, topics=[{"name": "timed", "count": 3, "assignments": None}])
    rules.same("CreatePartitions", 3, timeout_ms=10000, topics=[{"name": "timed", "count": 3, "assignments": None}])
    rules.done()


def delete_topics(rules):
    def in_order(answer):
        if answer:
            answer["responses"] = sorted(answer["responses"], key=lambda result: (result["name"] or "", result.get("topic_id", b"")))
        return answer

    for version in range(1, 7):
        for on_controller in (False, True):
            name = f"doomed-{version}-{on_controller}"
            rules.same("CreateTopics", 7, mask=("topic_id",), change=sorted_creation, timeout_ms=10000, topics=[creation(name)])
            names = [name, "nowhere", "", "bad name!"]
            if version < 6:
                rules.same("DeleteTopics", version, on_controller=on_controller, change=in_order, timeout_ms=10000, topic_names=names)
                rules.same("DeleteTopics", version, on_controller=on_controller, change=in_order, timeout_ms=10000, topic_names=["nowhere", "nowhere"])
                rules.same("DeleteTopics", version, on_controller=on_controller, change=in_order, timeout_ms=10000, topic_names=[])
                continue
            rules.same("DeleteTopics", 6, mask=("topic_id",), on_controller=on_controller, change=in_order, timeout_ms=10000,
                       topics=[{"name": each} for each in names] + [{"name": None, "topic_id": NOBODY}])
            for topics in ([{"name": "plain", "topic_id": rules.ids["plain"]}, {"name": None, "topic_id": NOBODY}], [{"name": None}],
                           [{"name": None, "topic_id": NOBODY}] * 2, [{"name": "nowhere"}] * 2, []):
                rules.same("DeleteTopics", 6, on_controller=on_controller, change=in_order, timeout_ms=10000, topics=topics)
    rules.done()


def sorted_configs(answer):
    for result in (answer or {}).get("results", []):
        result["configs"] = sorted(result["configs"], key=lambda config: config["name"])
        for config in result["configs"]:
            if "documentation" in config:
                config["documentation"] = bool(config["documentation"])  # each has its own words
    return answer


def describe_configs(rules):
    for version in range(1, 5):
        more = {} if version < 3 else {"include_documentation": True}
        for keys in (None, ["retention.ms", "cleanup.policy", "no.such"], []):
            for synonyms in (False, True):
                rules.everywhere("DescribeConfigs", version, change=sorted_configs, include_synonyms=synonyms, **more, resources=[
                    {"resource_type": 2, "resource_name": name, "configuration_keys": keys} for name in ("plain", "changed")])
        for kind, name in ((2, "nowhere"), (2, "bad name!"), (2, ""), (4, "9"), (4, "x"), (4, "-1"), (1, "a"), (3, "b"), (0, "c"), (99, "d")):  # not yet: client metrics, groups, loggers
            rules.everywhere("DescribeConfigs", version, change=sorted_configs, resources=[
                {"resource_type": kind, "resource_name": name, "configuration_keys": ["retention.ms"]}])
        # One type that does not exist, and nothing of the request is answered.
        for kind in (0, 1, 3, 99, -1):
            rules.everywhere("DescribeConfigs", version, change=sorted_configs, resources=[
                {"resource_type": each, "resource_name": name, "configuration_keys": ["retention.ms"]}
                for each, name in ((2, "plain"), (kind, "x"), (2, "nowhere"), (4, "1"), (4, "x"))])
        rules.everywhere("DescribeConfigs", version, resources=[])
        if version >= 3:  # no documentation is null, not empty
            ours = rules.same("DescribeConfigs", version, include_documentation=False, resources=[
                {"resource_type": 2, "resource_name": "plain", "configuration_keys": ["retention.ms"]}])
            assert ours["results"][0]["configs"][0]["documentation"] is None, ours
    rules.done()


def describe_broker_configs(rules):
    """DescribeConfigs of a broker: values, sources, synonyms, and that there is documentation."""
    local = {"listeners", "advertised.listeners", "log.dirs", "controller.quorum.bootstrap.servers", "kurier.state.dir"}

    def without_local(answer):
        for result in sorted_configs(answer)["results"]:
            result["configs"] = [config for config in result["configs"] if config["name"] not in local]
            for config in result["configs"]:
                if "documentation" in config:
                    config["documentation"] = bool(config["documentation"])
        return answer

    for version in (1, 4):
        more = {} if version < 3 else {"include_documentation": True}
        for name in ("1", ""):
            rules.everywhere("DescribeConfigs", version, change=without_local, include_synonyms=True, **more, resources=[
                {"resource_type": 4, "resource_name": name, "configuration_keys": None}])
    rules.done()


def describe_cluster(rules):
    def in_order(answer):
        if answer:
            answer["brokers"] = sorted(answer["brokers"], key=lambda broker: broker["broker_id"])
        return answer

    for version in range(3):
        for operations in (False, True):
            for kind in (1, 2, 3, 0, -1) if version >= 1 else (1,):
                more = {} if version < 1 else {"endpoint_type": kind}
                rules.everywhere("DescribeCluster", version, change=in_order, include_cluster_authorized_operations=operations, **more)
    rules.everywhere("DescribeCluster", 2, include_fenced_brokers=True, endpoint_type=1)
    rules.done()


def describe_topic_partitions(rules):
    asked = [[], ["plain"], ["timed", "plain"], ["plain", "nowhere"], ["nowhere", "plain"], ["", "plain"], ["nowhere"], ["bad name!"], [""], ["plain", "plain"], ["timed", "nowhere", "empty", "plain"]]
    for names in asked:
        for limit in (2000, 1, 2, 3, 4, 5, 0, -1, 1 << 30):
            for cursor in (None, {"topic_name": "plain", "partition_index": 1}, {"topic_name": "plain", "partition_index": 0},
                           {"topic_name": "plain", "partition_index": 9}, {"topic_name": "nowhere", "partition_index": 0},
                           {"topic_name": "nowhere", "partition_index": 5}, {"topic_name": "", "partition_index": 1}, {"topic_name": "q", "partition_index": 0}, {"topic_name": "plain", "partition_index": -1}, {"topic_name": "zzz", "partition_index": 0}):
                rules.same("DescribeTopicPartitions", 0, topics=[{"name": name} for name in names], response_partition_limit=limit, cursor=cursor)
    rules.done()


def describe_quorum(rules):
    volatile = ("leader_epoch", "high_watermark", "log_end_offset", "last_fetch_timestamp", "last_caught_up_timestamp")
    for version in range(3):
        for topics in ([{"topic_name": "__cluster_metadata", "partitions": [{"partition_index": 0}]}],
                       [{"topic_name": "__cluster_metadata", "partitions": [{"partition_index": 1}]}],
                       [{"topic_name": "__cluster_metadata", "partitions": [{"partition_index": 0}, {"partition_index": 1}]}],
                       [{"topic_name": "plain", "partitions": [{"partition_index": 0}]}], [],
                       [{"topic_name": "__cluster_metadata", "partitions": []}],
                       [{"topic_name": "__cluster_metadata", "partitions": [{"partition_index": 0}]}, {"topic_name": "plain", "partitions": [{"partition_index": 0}]}]):
            rules.everywhere("DescribeQuorum", version, mask=volatile, topics=topics)
    rules.done()


def init_producer_id(rules):
    for port in rules.both.ports(False):  # until its first block of ids is there
        until(port, "InitProducerId", 1, (14,), lambda answer: answer["error_code"], transactional_id=None, transaction_timeout_ms=1000)
    for version in range(6):
        def ask_for(**more):
            rules.same("InitProducerId", version, mask=("producer_id",), transaction_timeout_ms=60000, **more)
        ask_for(transactional_id=None)
        if version >= 3:
            ask_for(transactional_id=None, producer_id=5, producer_epoch=3)
            ask_for(transactional_id=None, producer_id=-1, producer_epoch=3)
            ask_for(transactional_id=None, producer_id=5, producer_epoch=-1)
        ask_for(transactional_id="")
    rules.done()


def api_versions(rules):
    """ApiVersions: our range of each API, features, what a client may call itself, whom it may say it means"""
    ours = {api["api_key"] for api in ask(rules.both.nodes[0].port, "ApiVersions", 0)["api_keys"]}
    cluster = ask(rules.both.nodes[0].port, "DescribeCluster", 1)["cluster_id"]

    def comparable(answer):
        keys = sorted((api for api in answer["api_keys"] if api["api_key"] in ours), key=lambda api: api["api_key"])
        features = {name: sorted(answer[name], key=lambda feature: feature["name"])
                    for name in ("supported_features", "finalized_features") if name in answer}
        return {**answer, "api_keys": keys, **features}

    def names_only(answer):  # a controller's listener has fewer APIs
        return {**comparable(answer), "api_keys": bool(answer["api_keys"])}

    def same(version, on_controller=False, **values):
        rules.same("ApiVersions", version, mask=("finalized_features_epoch",), on_controller=on_controller,
                   change=names_only if on_controller else comparable, **values)

    named = {"client_software_name": "x", "client_software_version": "1"}
    for on_controller in (False, True):
        for version in range(6):
            same(version, on_controller, **(named if version >= 3 else {}))
        for cluster_id in (None, "", cluster, "another"):
            for node_id in (-1, 0, 1, 7, -5):
                same(5, on_controller, cluster_id=cluster_id, node_id=node_id, **named)
    for name in ("a", "a-", "a.", "-a", ".", "a--b", "a.b", "\u00e4", "a_b", "a b", "a\n", ""):
        same(3, client_software_name=name, client_software_version="1")
        same(3, client_software_name="n", client_software_version=name)
    rules.done()


def controller_tools(rules):
    """Tools with --bootstrap-controller say of both nodes the same, but for numbers."""
    classpath = jars("tools")
    for main_class, arguments in (("org.apache.kafka.tools.MetadataQuorumCommand", ("describe", "--status")),
                                  ("org.apache.kafka.tools.MetadataQuorumCommand", ("describe", "--replication")),
                                  ("org.apache.kafka.tools.ClusterTool", ("cluster-id",)),
                                  ("org.apache.kafka.tools.ClusterTool", ("list-endpoints",))):
        said = []
        for node in rules.both.nodes:
            address = f"127.0.0.1:{node.controller_port}"
            place = ("--bootstrap-controller", address)
            ordered = (*arguments, *place) if main_class.endswith("ClusterTool") else (*place, *arguments)
            said.append(re.sub(r"\d+", "#", re.sub(r"[ \t]+", " ", java(classpath, main_class, *ordered))))
        assert said[0] == said[1], f"{main_class} {arguments}:\n{said[0]}\n{said[1]}"


def main():
    checks = Checks()
    classpath = jars("kafka")
    if classpath is None:
        checks.skip("answers, compared", "Java or Maven is missing")
        checks.finish()
    with pair(classpath, prepare) as both:
        rules = Rules(both)
        for check in (list_offsets, offset_for_leader_epoch, metadata, describe_topic_partitions, create_topics_validated, create_partitions,
                      describe_configs, describe_broker_configs, describe_cluster, describe_quorum, init_producer_id, create_topics,
                      delete_topics, metadata_creates, api_versions, controller_tools):
            checks.check(check.__doc__ or check.__name__.replace("_", " "), check, rules)
    checks.finish()


if __name__ == "__main__":
    main()
