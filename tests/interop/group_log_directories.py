#!/usr/bin/env python3
"""Groups whose partition of __consumer_offsets lies on a log directory that fails: their clients are told what Apache Kafka tells them, the
others go on, and with the directory they are all there again."""
import tempfile
import time

import messages
from disk import ApacheKafka
from harness import Checks, Kurier, jars
from log_directories import break_directory, mend
from pair import differences
from topic_deletion import create

PARTITIONS = 4
GROUPS = [f"group-{number}" for number in range(8)]
SETTINGS = (f"offsets.topic.num.partitions={PARTITIONS}", "replica.high.watermark.checkpoint.interval.ms=100",
            "group.initial.rebalance.delay.ms=0")
LOADING = (14, 15, 16)
COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR = 15, 16
NOBODY = {"member_id": "nobody"}


def partition_of(group, count=PARTITIONS):
    value = 0
    for byte in group.encode():
        value = (31 * value + byte) & 0xffffffff
    return (value & 0x7fffffff) % count


class Story:
    def __init__(self, node):
        self.node = node

    def ask(self, name, version, **values):
        client = messages.Client(self.node.port)
        try:
            return client.ask(name, version, **values)
        finally:
            client.close()

    def coordinator(self, group):
        (found,) = self.ask("FindCoordinator", 4, key_type=0, coordinator_keys=[group])["coordinators"]
        return found["error_code"]

    def await_coordinators(self, unavailable):
        """Every answer is an event; what is asked for is on its way."""
        deadline = time.monotonic() + 60
        while (found := [group for group in GROUPS if self.coordinator(group) == COORDINATOR_NOT_AVAILABLE]) != unavailable:
            assert time.monotonic() < deadline, found
        for group in GROUPS:
            while group not in unavailable and self.fetch(group)["error_code"] in LOADING:
                assert time.monotonic() < deadline, group

    def commit(self, group, offset):
        topics = [{"name": "t", "partitions": [{"partition_index": 0, "committed_offset": offset, "committed_metadata": ""}]}]
        answer = self.ask("OffsetCommit", 8, group_id=group, generation_id_or_member_epoch=-1, topics=topics)
        return answer["topics"][0]["partitions"][0]["error_code"]

    def fetch(self, group):
        return self.ask("OffsetFetch", 8, groups=[{"group_id": group, "topics": [{"name": "t", "partition_indexes": [0]}]}])["groups"][0]

    def committed(self):
        return {group: self.fetch(group)["topics"][0]["partitions"][0]["committed_offset"] for group in GROUPS}

    def told(self, group):
        """The errors of everything that a client may ask about a group. Nothing is changed."""
        member = dict(NOBODY, group_id=group)
        topics = [{"name": "t", "partitions": [{"partition_index": 5}]}]
        deleted = self.ask("OffsetDelete", 0, group_id=group, topics=topics)
        return {
            "FindCoordinator": self.coordinator(group),
            "OffsetCommit": self.commit(group, 7),
            "OffsetFetch": self.fetch(group)["error_code"],
            "OffsetFetch 7": self.ask("OffsetFetch", 7, group_id=group, topics=None)["error_code"],
            "OffsetFetch 1": self.ask("OffsetFetch", 1, group_id=group, topics=[{"name": "t", "partition_indexes": [0]}])["topics"][0][
                "partitions"][0]["error_code"],
            "OffsetDelete": deleted["error_code"],
            "JoinGroup": self.ask("JoinGroup", 5, session_timeout_ms=30000, rebalance_timeout_ms=30000, protocol_type="consumer",
                                  protocols=[{"name": "range", "metadata": b""}], **member),
            "SyncGroup": self.ask("SyncGroup", 3, generation_id=1, **member),
            "Heartbeat": self.ask("Heartbeat", 3, generation_id=1, **member),
            "LeaveGroup": self.ask("LeaveGroup", 4, group_id=group, members=[NOBODY]),
            "DescribeGroups": self.ask("DescribeGroups", 5, groups=[group])["groups"][0]["error_code"],
        }

    def all_told(self):
        listed = self.ask("ListGroups", 4)
        told = {group: self.told(group) for group in GROUPS}
        return dict(told, listed=(listed["error_code"], sorted(group["group_id"] for group in listed["groups"])))

    # ---- what happens

    def spread(self):
        self.node.start()
        client = messages.Client(self.node.port)
        create(client, "t", 6)
        client.close()
        self.coordinator(GROUPS[0])
        self.await_coordinators([])
        self.failing = self.node.log_dirs[1]
        self.lost = [group for group in GROUPS if (self.failing / f"__consumer_offsets-{partition_of(group)}").is_dir()]
        self.left = [group for group in GROUPS if group not in self.lost]
        assert self.lost and self.left, (self.lost, self.left)
        for group in GROUPS:
            assert self.commit(group, 7) == 0
        return self.lost

    def fails(self):
        break_directory(self.failing)
        self.await_coordinators(self.lost)
        self.while_broken = self.all_told()
        assert self.while_broken["listed"] == (0, self.left), self.while_broken["listed"]
        for group in GROUPS:
            errors = {name: told if isinstance(told, int) else told["error_code"] for name, told in self.while_broken[group].items()}
            if group in self.lost:
                assert errors.pop("FindCoordinator") == COORDINATOR_NOT_AVAILABLE and set(errors.values()) == {NOT_COORDINATOR}, errors
            else:
                assert not {error for error in errors.values() if error in LOADING}, errors
        assert self.node.process.poll() is None

    def starts_without(self):
        assert self.node.stop() == 0
        self.node.start()
        self.await_coordinators(self.lost)
        assert self.all_told() == self.while_broken

    def comes_back(self):
        self.node.kill()
        mend(self.failing)
        self.node.start()
        self.await_coordinators([])
        assert self.committed() == dict.fromkeys(GROUPS, 7), self.committed()

    def kafka_says_the_same(self, classpath):
        assert self.node.stop() == 0
        kafka = ApacheKafka(classpath, self.node, SETTINGS)
        try:
            kafka.wait_until_ready()
            self.await_coordinators([])
            break_directory(self.failing)
            self.await_coordinators(self.lost)
            theirs = self.all_told()
            found = list(differences(self.while_broken, theirs))
            assert not found, "\n  ".join(found)
        finally:
            kafka.kill()
            mend(self.failing)
        self.node.start()
        self.await_coordinators([])
        assert self.committed() == dict.fromkeys(GROUPS, 7), self.committed()
        assert self.node.stop() == 0


def main():
    checks = Checks()
    classpath = jars("kafka")
    with tempfile.TemporaryDirectory(prefix="kurier-group-directories-") as directory:
        node = Kurier(directory, settings=SETTINGS)
        node.log_dirs.append(node.directory / "second")
        story = Story(node)
        try:
            checks.check("groups are spread over two directories", story.spread)
            checks.check("one fails: its groups have no coordinator, the others go on", story.fails)
            checks.check("a start without it", story.starts_without)
            checks.check("it is there again", story.comes_back)
            if classpath is None:
                checks.skip("Apache Kafka on the same directories", "Java or Maven is missing")
            else:
                checks.check("Apache Kafka says the same", story.kafka_says_the_same, classpath)
        finally:
            node.kill()
    checks.finish()


if __name__ == "__main__":
    main()
