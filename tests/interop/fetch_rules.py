#!/usr/bin/env python3
"""The same Fetch requests to kurier and to Apache Kafka 4.4, which began from one directory: the same answers, field by field."""
import time

from harness import Checks, jars
from messages import Client, ask
from pair import Conversation, differences, pair
from record_batch import record_batch

VERSIONS = range(4, 19)
NOBODY = bytes.fromhex("00112233445566778899aabbccddeeff")
METADATA = bytes(15) + b"\1"


def prepare(node):
    """Topics with data; their ids by name."""
    created = ask(node.port, "CreateTopics", 7, timeout_ms=10000, topics=[
        {"name": name, "num_partitions": partitions, "replication_factor": 1} for name, partitions in
        (("full", 3), ("empty", 2), ("other", 1), ("doomed", 1))])
    assert all(topic["error_code"] == 0 for topic in created["topics"]), created
    for topic in ("full", "other"):
        for partition in range(3 if topic == "full" else 1):
            for batch in range(5):
                produce(node.port, topic, partition, [b"%d-%d-%d" % (partition, batch, i) * 20 for i in range(3)])
    return {topic["name"]: topic["topic_id"] for topic in created["topics"]}


def produce(port, topic, partition, values):
    answer = ask(port, "Produce", 9, acks=-1, timeout_ms=5000, topic_data=[
        {"name": topic, "partition_data": [{"index": partition, "records": record_batch(values)}]}])
    assert answer["responses"][0]["partition_responses"][0]["error_code"] == 0, answer


class Rules:
    def __init__(self, both):
        self.both = both
        self.ids = both.prepared

    def topics(self, version, wanted):
        """{"full": {0: offset or a dictionary, …}} or, to name a topic more than once, a list of such pairs."""
        result = []
        for topic, partitions in wanted.items() if isinstance(wanted, dict) else wanted:
            entry = {"partitions": []}
            if version >= 13:
                entry["topic_id"] = topic if isinstance(topic, bytes) else self.ids.get(topic, NOBODY)
            else:
                entry["topic"] = topic if isinstance(topic, str) else "nowhere"
            for index, what in partitions.items() if isinstance(partitions, dict) else partitions:
                what = what if isinstance(what, dict) else {"fetch_offset": what}
                entry["partitions"].append({"partition": index, "partition_max_bytes": 1 << 20, **what})
            result.append(entry)
        return result

    def forgotten(self, version, wanted):
        key = "topic_id" if version >= 13 else "topic"
        return [{key: self.ids[topic] if version >= 13 else topic, "partitions": list(partitions)} for topic, partitions in wanted.items()]

    def request(self, version, wanted, **more):
        forget = more.pop("forget", None)
        if version >= 15 and "replica_id" in more:
            more["replica_state"] = {"replica_id": more.pop("replica_id"), "replica_epoch": more.pop("replica_epoch", -1)}
        values = {"max_wait_ms": 0, "min_bytes": 1, "topics": self.topics(version, wanted), **more}
        if forget:
            values["forgotten_topics_data"] = self.forgotten(version, forget)
        return values

    def same(self, version, wanted, **more):
        on_controller = more.pop("on_controller", False)
        return self.both.same("Fetch", version, ("session_id",), on_controller, **self.request(version, wanted, **more))


# Without sessions


def every_version(rules):
    for version in VERSIONS:
        rules.same(version, {"full": {0: 0, 2: 4}, "empty": {0: 0}})


def unknown(rules):
    for version in (4, 12, 13, 18):
        rules.same(version, {"nowhere": {0: 0}})
        rules.same(version, {"nowhere": {0: 0, 1: 0}, "full": {0: 0, 7: 0, -1: 0, 1: 3}, "empty": {9: 0}})
    rules.same(13, {bytes(16): {0: 0}})
    rules.same(13, {METADATA: {0: 0}})
    rules.same(12, {"": {0: 0}})
    rules.same(12, {"__cluster_metadata": {0: 0}})


def grouping(rules):
    """What is wrong comes last, and a topic may come twice."""
    for version in (12, 13):
        rules.same(version, [("full", {9: 0, 0: 0}), ("nowhere", {0: 0}), ("full", {1: 0, 8: 0}), ("other", {0: 0})])
        rules.same(version, [("full", {0: 0}), ("other", {0: 0}), ("full", {1: 0})])
        rules.same(version, [("full", [(0, 0), (0, 3), (1, 1)]), ("full", {0: 6})])


def offsets(rules):
    for version in (4, 11, 12, 18):
        for offset in (-1, -2, 0, 1, 2, 3, 14, 15, 16, 1 << 40):
            rules.same(version, {"full": {0: offset}, "other": {0: 0}})


def byte_limits(rules):
    sizes = (0, 1, 60, 61, 100, 200, 400, 401, 1000, 1 << 20)
    for size in sizes:
        rules.same(12, {"full": {0: {"fetch_offset": 0, "partition_max_bytes": size}, 1: 0, 2: 9}})
        rules.same(13, {"full": {0: 0, 1: 0, 2: 0}, "other": {0: 0}}, max_bytes=size)
        rules.same(13, {"empty": {0: 0}, "full": {0: {"fetch_offset": 2, "partition_max_bytes": size},
                                                  1: {"fetch_offset": 0, "partition_max_bytes": size}}}, max_bytes=500)
    rules.same(13, {"full": {0: 0, 1: 0}}, max_bytes=-5)
    rules.same(13, {"full": {0: {"fetch_offset": 0, "partition_max_bytes": -5}, 1: 0}})


def leader_epochs(rules):
    for version in (9, 11, 12, 15, 16, 18):
        for epoch in (-1, 0, 1, 2, 3, 100):
            rules.same(version, {"full": {0: {"fetch_offset": 3, "current_leader_epoch": epoch}}})
        rules.same(version, {"full": {0: {"fetch_offset": 99, "current_leader_epoch": 0}}, "other": {0: 0}})


def diverging(rules):
    for version in (12, 18):
        for epoch in (-1, 0, 1, 2, 3, 50):
            for offset in (0, 3, 14, 15, 16, 1000):
                rules.same(version, {"full": {0: {"fetch_offset": offset, "last_fetched_epoch": epoch}}})


def isolation(rules):
    for version in (4, 11, 12, 18):
        for level in (0, 1, 2, -1):
            rules.same(version, {"full": {0: 3, 1: 99}, "empty": {0: 0}, "nowhere": {0: 0}}, isolation_level=level)


def replicas(rules):
    """Whoever says that it is a replica, and is none."""
    for version in (4, 8, 11, 12, 14, 15, 18):
        for replica in (-2, -3, 0, 1, 5):
            rules.same(version, {"full": {0: 0, 1: {"fetch_offset": 0, "current_leader_epoch": 0} if version >= 9 else 0}}, replica_id=replica)
    rules.same(15, {"full": {0: 0}}, replica_id=1, replica_epoch=99)


def rack(rules):
    rules.same(11, {"full": {0: 0}}, rack_id="somewhere")
    rules.same(18, {"full": {0: 0}}, rack_id="somewhere")


# With sessions


def conversation(rules, version, steps):
    with Conversation(rules.both) as talk:
        for wanted, more in steps:
            talk.same("Fetch", version, **rules.request(version, wanted, **more))


def session(epoch, **more):
    return {"session_id": "own", "session_epoch": epoch, **more}


def session_life(rules):
    for version in (7, 11, 12, 13, 16, 18):
        conversation(rules, version, [
            ({"full": {0: 0, 1: 0, 2: 15}, "empty": {0: 0}}, session(0)),
            ({}, session(1)),                                          # the same data again
            ({"full": {0: 15, 1: 15}}, session(2)),                    # nothing left
            ({}, session(3)),
            ({"other": {0: 0}, "full": {0: 12}}, session(4)),
            ({}, session(5, max_bytes=1)),                             # who comes first now
            ({}, session(6, max_bytes=1)),
            ({}, session(7, max_bytes=1)),
            ({}, session(8, forget={"other": [0], "full": [0]})),
            ({"full": {0: 99}}, session(9)),                           # out of range, each time
            ({}, session(10)),
            ({"full": {0: 15}}, session(11)),
            ({}, session(12)),
            ({"full": {1: 0}}, session(13, forget={"full": [0, 1, 2, 7], "empty": [0]})),  # the end of it
            ({}, session(14)),
        ])


def session_errors(rules):
    for version in (7, 12, 13, 18):
        conversation(rules, version, [({"full": {0: 0}}, session(0)), ({}, session(2)), ({}, session(1)), ({}, session(1)),
                                      ({}, session(-5)), ({}, session(2))])
        conversation(rules, version, [({"full": {0: 0}}, {"session_id": 0, "session_epoch": 5}), ({}, {"session_id": 0, "session_epoch": 1}),
                                      ({"full": {0: 0}}, {"session_id": 77, "session_epoch": 1}),
                                      ({"full": {0: 15}}, {"session_id": 77, "session_epoch": 0}),
                                      ({"full": {0: 15}}, {"session_id": 77, "session_epoch": -1})])
        # A full request, and one that closes.
        conversation(rules, version, [({"full": {0: 0}}, session(0)), ({"full": {1: 0}}, session(0)), ({}, session(1)),
                                      ({"other": {0: 0}}, session(-1)), ({}, session(2))])
        conversation(rules, version, [({}, session(0)), ({}, session(1)), ({"full": {0: 0}}, session(2)), ({"full": {0: 0}}, session(1))])


def session_kinds(rules):
    """Names and ids do not mix."""
    for opened, used in ((12, 13), (13, 12), (7, 18)):
        with Conversation(rules.both) as talk:
            talk.same("Fetch", opened, **rules.request(opened, {"full": {0: 0}}, **session(0)))
            talk.same("Fetch", used, **rules.request(used, {}, **session(1)))
            talk.same("Fetch", opened, **rules.request(opened, {}, **session(1)))


def session_unknown(rules):
    for version in (12, 13, 18):
        conversation(rules, version, [({"nowhere": {0: 0}, "full": {0: 15, 9: 0}}, session(0)), ({}, session(1)), ({}, session(2)),
                                      ({"full": {9: 5}, "nowhere": {1: 0}}, session(3)), ({}, session(4))])


def session_shared(rules):
    """Used from another connection."""
    with Conversation(rules.both) as one, Conversation(rules.both) as two:
        one.same("Fetch", 13, **rules.request(13, {"full": {0: 0}}, **session(0)))
        two.sessions = one.sessions
        two.same("Fetch", 13, **rules.request(13, {}, **session(1)))
        one.same("Fetch", 13, **rules.request(13, {}, **session(2)))


def session_topic_deleted(rules):
    with Conversation(rules.both) as talk:
        talk.same("Fetch", 13, **rules.request(13, {"doomed": {0: 0}, "full": {0: 15}}, **session(0)))
        for port in rules.both.ports(False):
            deleted = ask(port, "DeleteTopics", 6, timeout_ms=10000, topics=[{"name": "doomed", "topic_id": bytes(16)}])
            assert deleted["responses"][0]["error_code"] == 0, deleted
            wait_until_unknown(port, "doomed")
        talk.same("Fetch", 13, **rules.request(13, {}, **session(1)))
        talk.same("Fetch", 13, **rules.request(13, {}, **session(2)))


def wait_until_unknown(port, topic):
    """Apache Kafka's broker hears of it a little later than whoever asked."""
    client = Client(port)
    deadline = time.monotonic() + 20
    while client.ask("Metadata", 9, topics=[{"name": topic}], allow_auto_topic_creation=False)["topics"][0]["error_code"] == 0:
        assert time.monotonic() < deadline, f"{topic} is still there"
    client.close()


# Waiting


def timed(rules, version, wanted, least_ms, most_ms, **more):
    """The same answer, by both, in about the same time."""
    values = rules.request(version, wanted, **more)
    answers, times = [], []
    for node, port in zip(rules.both.nodes, rules.both.ports(more.get("on_controller", False))):
        client = Client(port)
        client.ask("Metadata", 9, topics=[])
        began = time.monotonic()
        answers.append(rules.both.normal(client.ask("Fetch", version, **values), node))
        times.append(int((time.monotonic() - began) * 1000))
        client.close()
    for answer in answers:
        answer.pop("session_id", None)
    assert answers[0] == answers[1], f"kurier {answers[0]}\nApache Kafka {answers[1]}"
    assert all(least_ms <= spent < most_ms for spent in times), f"kurier and Apache Kafka took {times} ms"


def waits(rules):
    long = {"max_wait_ms": 600, "min_bytes": 1 << 20}
    timed(rules, 13, {"full": {0: 0}}, 590, 2000, **long)
    timed(rules, 13, {"empty": {0: 0}}, 590, 2000, **long)
    # What is unknown does not end the wait of the others, and is not waited for alone.
    timed(rules, 13, {"nowhere": {0: 0}, "empty": {0: 0}}, 590, 2000, **long)
    timed(rules, 13, {"nowhere": {0: 0}}, 0, 500, **long)
    timed(rules, 13, {}, 0, 500, **long)
    # An error, and a log that has diverged, do.
    timed(rules, 13, {"full": {0: 99}, "empty": {0: 0}}, 0, 500, **long)
    timed(rules, 13, {"full": {0: {"fetch_offset": 0, "current_leader_epoch": 50}}, "empty": {0: 0}}, 0, 500, **long)
    timed(rules, 13, {"full": {0: {"fetch_offset": 16, "last_fetched_epoch": 0}}, "empty": {0: 0}}, 0, 500, **long)
    # What is there and exceeds its partition's limit counts with as much as the limit.
    small = {"full": {0: 12, 1: {"fetch_offset": 0, "partition_max_bytes": 100}}}
    timed(rules, 13, small, 0, 500, max_wait_ms=600, min_bytes=460)
    timed(rules, 13, {"full": {0: 12}}, 590, 2000, max_wait_ms=600, min_bytes=460)
    # min.bytes is no more than max.bytes.
    timed(rules, 13, {"full": {0: 0}}, 0, 500, max_wait_ms=600, min_bytes=1 << 20, max_bytes=300)
    timed(rules, 13, {"empty": {0: 0}}, 0, 500, max_wait_ms=600, min_bytes=0)
    timed(rules, 13, {"empty": {0: 0}}, 0, 500, max_wait_ms=-1)


def session_waits(rules):
    """Nothing new: after max.wait, without a topic. And all of the session's bytes count."""
    with Conversation(rules.both) as talk:
        talk.same("Fetch", 13, **rules.request(13, {"empty": {0: 0}, "full": {0: 15}}, **session(0)))
        began = time.monotonic()
        answer = talk.same("Fetch", 13, **rules.request(13, {}, **session(1, max_wait_ms=400)))
        assert time.monotonic() - began >= 0.39
        assert answer["responses"] == []
        talk.same("Fetch", 13, **rules.request(13, {"full": {1: 0}}, **session(2, max_wait_ms=400)))
        began = time.monotonic()
        talk.same("Fetch", 13, **rules.request(13, {}, **session(3, max_wait_ms=20000)))
        assert time.monotonic() - began < 5


def woken(rules):
    """A record ends the wait, of a session too, and stands alone in the answer."""
    with Conversation(rules.both) as talk:
        talk.same("Fetch", 13, **rules.request(13, {"empty": {0: 0, 1: 0}, "full": {0: 15}}, **session(0)))
        values = rules.request(13, {}, **session(1, max_wait_ms=20000))
        talk.send("Fetch", 13, **values)
        for port in rules.both.ports(False):
            produce(port, "empty", 1, [b"at last"])
        answer = talk.compare("Fetch", 13, values=values)
        assert [len(topic["partitions"]) for topic in answer["responses"]] == [1]


# The controller's listener


class Quorum:
    """Both leaders of their metadata logs, which are not the same log any more: only its beginning is, and the rules are."""

    def __init__(self, rules):
        self.both = rules.both
        self.states = []
        for port in self.both.ports(True):
            answer = ask(port, "DescribeQuorum", 2, topics=[{"topic_name": "__cluster_metadata", "partitions": [{"partition_index": 0}]}])
            self.states.append(answer["topics"][0]["partitions"][0])
        self.cluster_id = ask(self.both.ports(False)[0], "DescribeCluster", 1)["cluster_id"]

    def same(self, version, topics=None, epoch=0, offset=0, last_epoch=1, max_bytes=1, **more):
        """`epoch` counts from the leader's, an offset below 0 from the log's end. Records are counted, not compared."""
        answers, partition_more = [], more.pop("partition_more", {})
        for node, port, state in zip(self.both.nodes, self.both.ports(True), self.states):
            partition = {"partition": 0, "fetch_offset": offset, "partition_max_bytes": 100, "current_leader_epoch": state["leader_epoch"] + epoch,
                         "last_fetched_epoch": last_epoch, **partition_more}
            wanted = topics or [{"topic_id": METADATA, "partitions": [partition]}]
            if version < 13:
                wanted = topics or [{"topic": "__cluster_metadata", "partitions": [partition]}]
            if version < 12:
                partition.pop("last_fetched_epoch")
            if version < 9:
                partition.pop("current_leader_epoch")
            answer = ask(port, "Fetch", version, **{"max_wait_ms": 0, "min_bytes": 1, "max_bytes": max_bytes, "topics": wanted, **more})
            answers.append(self.both.normal(answer, node))
        for answer, state in zip(answers, self.states):
            for topic in (answer or {}).get("responses", []):
                for data in topic["partitions"]:
                    self.generalize(data, state)
        found = list(differences(*answers))
        assert not found, f"version {version} epoch {epoch} offset {offset} last epoch {last_epoch} {more}:\n  " + "\n  ".join(found)
        return answers[0]

    @staticmethod
    def generalize(data, state):
        if data["high_watermark"] > 0:
            assert data["high_watermark"] >= state["high_watermark"], data
            data["high_watermark"] = "high watermark"
        data["records"] = len(data["records"])
        if "current_leader" in data:
            data["current_leader"]["leader_epoch"] -= state["leader_epoch"]
        diverging = data.get("diverging_epoch")
        if diverging and diverging["epoch"] == state["leader_epoch"]:
            assert diverging["end_offset"] >= state["high_watermark"], data
            data["diverging_epoch"] = "the end of the log"


def controller_requests(rules):
    """The controller's Fetch: what is asked for."""
    quorum = Quorum(rules)
    partition = {"partition": 0, "fetch_offset": 0, "current_leader_epoch": 1, "last_fetched_epoch": 0, "partition_max_bytes": 10}
    for version in VERSIONS:
        quorum.same(version, last_epoch=0)
        quorum.same(version, topics=[])
    for version in (13, 17, 18):
        quorum.same(version, topics=[{"topic_id": NOBODY, "partitions": [partition]}])
        quorum.same(version, topics=[{"topic_id": METADATA, "partitions": []}])
        quorum.same(version, topics=[{"topic_id": METADATA, "partitions": [dict(partition, partition=1)]}])
        quorum.same(version, topics=[{"topic_id": METADATA, "partitions": [partition, partition]}])
        quorum.same(version, topics=[{"topic_id": METADATA, "partitions": [partition]}] * 2)
        quorum.same(version, last_epoch=0, cluster_id="somebody-else")
        quorum.same(version, last_epoch=0, cluster_id=quorum.cluster_id)
        quorum.same(version, last_epoch=0, session_id=9, session_epoch=4)


def controller_rules(rules):
    """The controller's Fetch: epochs, offsets, replicas, limits."""
    quorum = Quorum(rules)
    for version in (13, 15, 16, 17, 18):
        for epoch in (-1, 0, 1, 1000):
            quorum.same(version, epoch=epoch, last_epoch=0)
        for last_epoch in (-1, 0, 1, 2, 3, 1000):
            quorum.same(version, last_epoch=last_epoch)
            for offset in (-1, 0, 1, 5, 1 << 40):
                quorum.same(version, offset=offset, last_epoch=last_epoch)
        quorum.same(version, last_epoch=0, max_wait_ms=-1)
        for size in (0, 1, 200, 300, 1 << 20, -1):
            answer = quorum.same(version, offset=3, last_epoch=1, max_bytes=min(size, 300))
            assert size < 0 or answer["responses"][0]["partitions"][0]["records"] > 0
        for replica in (-1, 0, 1, 7):
            said = {"replica_state": {"replica_id": replica, "replica_epoch": 3}} if version >= 15 else {"replica_id": replica}
            quorum.same(version, offset=3, last_epoch=1, max_bytes=1, **said)
    quorum.same(18, offset=3, last_epoch=1, max_bytes=1, partition_more={"high_watermark": 0, "replica_directory_id": NOBODY})


def controller_observers(rules):
    """Who has fetched from the controller is an observer of the quorum."""
    Quorum(rules).same(17, offset=3, last_epoch=1, max_bytes=1, replica_state={"replica_id": 77}, partition_more={"replica_directory_id": NOBODY})
    for version in (0, 1, 2):
        answers = rules.both.ask("DescribeQuorum", version, on_controller=True,
                                 topics=[{"topic_name": "__cluster_metadata", "partitions": [{"partition_index": 0}]}])
        observers = [sorted((state["replica_id"], state.get("replica_directory_id"), state["log_end_offset"]) for state in
                            answer["topics"][0]["partitions"][0]["observers"]) for answer in answers]
        assert observers[0] == observers[1], observers
        assert any(state[0] == 77 for state in observers[0])


def controller_waits(rules):
    """The controller's Fetch waits for a record, or for the high watermark."""
    for node, port, state in zip(rules.both.nodes, rules.both.ports(True), Quorum(rules).states):
        client = Client(port)
        partition = {"partition": 0, "fetch_offset": state["high_watermark"], "current_leader_epoch": state["leader_epoch"],
                     "last_fetched_epoch": state["leader_epoch"], "partition_max_bytes": 100}
        # KIP-1166: who does not know the high watermark is told at once.
        began = time.monotonic()
        data = client.ask("Fetch", 18, max_wait_ms=20000, min_bytes=1, topics=[{"topic_id": METADATA, "partitions": [
            dict(partition, high_watermark=-1)]}])["responses"][0]["partitions"][0]
        assert data["error_code"] == 0 and data["high_watermark"] >= state["high_watermark"], data
        assert time.monotonic() - began < 10
        # Apache Kafka appends a record for the idle every half second, kurier none.
        began = time.monotonic()
        client.send("Fetch", 18, {"max_wait_ms": 20000, "min_bytes": 1, "topics": [{"topic_id": METADATA, "partitions": [partition]}]})
        created = ask(node.port, "CreateTopics", 7, timeout_ms=10000, topics=[{"name": "a-record", "num_partitions": 1, "replication_factor": 1}])
        assert created["topics"][0]["error_code"] in (0, 36), created
        data = client.answer("Fetch", 18)["responses"][0]["partitions"][0]
        assert time.monotonic() - began < 10 and len(data["records"]) > 0, data
        client.close()


def main():
    checks = Checks()
    classpath = jars("kafka")
    if classpath is None:
        checks.skip("Fetch, compared", "Java or Maven is missing")
        checks.finish()
    with pair(classpath, prepare) as both:
        rules = Rules(both)
        for check in (every_version, unknown, grouping, offsets, byte_limits, leader_epochs, diverging, isolation, replicas, rack,
                      session_life, session_errors, session_kinds, session_unknown, session_shared, waits, session_waits, woken,
                      session_topic_deleted, controller_requests, controller_rules, controller_observers, controller_waits):
            checks.check(check.__doc__ or check.__name__.replace("_", " "), check, rules)
    checks.finish()


if __name__ == "__main__":
    main()
