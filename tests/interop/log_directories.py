#!/usr/bin/env python3
"""Several log directories, one of which fails: its partitions have no leader, the others go on; so does a start without it.
What clients are told is what Apache Kafka tells on the same directories."""
import tempfile
import time

import batches
import messages
from disk import ApacheKafka
from harness import Checks, Kurier, jars
from topic_deletion import create

TOPICS = ("a", "b", "c", "d")
SETTINGS = ("log.segment.bytes=1048576", "replica.high.watermark.checkpoint.interval.ms=100")
STORAGE_ERROR, LEADER_NOT_AVAILABLE, NOT_LEADER = 56, 5, 6


def produce(client, topic, size=200_000):
    data = [{"index": 0, "records": batches.batch(batches.record(value=bytes(size)), timestamp=int(time.time() * 1000))}]
    answer = client.ask("Produce", 9, acks=1, timeout_ms=10000, topic_data=[{"name": topic, "partition_data": data}])
    return answer["responses"][0]["partition_responses"][0]["error_code"]


def metadata(client):
    """Topic: what its partition is said to be."""
    answer = client.ask("Metadata", 9, topics=[{"name": topic} for topic in TOPICS], allow_auto_topic_creation=False)
    found = {}
    for topic in answer["topics"]:
        assert topic["error_code"] == 0, topic
        (partition,) = topic["partitions"]
        found[topic["name"]] = {key: partition[key] for key in ("error_code", "leader_id", "replica_nodes", "isr_nodes", "offline_replicas")}
    return found


ONLINE = {"error_code": 0, "leader_id": 1, "replica_nodes": [1], "isr_nodes": [1], "offline_replicas": []}
OFFLINE = {"error_code": LEADER_NOT_AVAILABLE, "leader_id": -1, "replica_nodes": [1], "isr_nodes": [], "offline_replicas": [1]}


def await_metadata(client, wanted, timeout_s=60):
    """Every answer is an event; what is asked for is on its way."""
    deadline = time.monotonic() + timeout_s
    while (found := metadata(client)) != wanted:
        assert time.monotonic() < deadline, found


def where(node):
    """The directory of each topic, which has one."""
    found = [(topic, directory) for directory in node.log_dirs for topic in TOPICS if (directory / f"{topic}-0").is_dir()]
    assert len(found) == len(dict(found)), f"a partition lies in two directories: {found}"
    return dict(found)


def expected(places, failed):
    return {topic: OFFLINE if places[topic] == failed else ONLINE for topic in TOPICS}


def break_directory(directory):
    """As a disk that is gone: nothing can be opened in it any more."""
    directory.rename(directory.with_name("away"))
    directory.write_text("no directory")


def mend(directory):
    directory.unlink()
    directory.with_name("away").rename(directory)


def produce_until_error(client, topic):
    """Into the next segment, whose files cannot be made."""
    for _ in range(20):
        error = produce(client, topic)
        if error != 0:
            return error
    raise AssertionError("nothing has failed")


class Story:
    """Checks that follow each other on one node."""

    def __init__(self, node):
        self.node = node
        self.failing = node.log_dirs[1]

    def client(self, function):
        client = messages.Client(self.node.port)
        try:
            return function(client)
        finally:
            client.close()

    def spread(self):
        self.node.start()

        def run(client):
            for topic in TOPICS:
                create(client, topic, 1)
                assert produce(client, topic) == 0
            assert metadata(client) == dict.fromkeys(TOPICS, ONLINE)

        self.client(run)
        self.places = where(self.node)
        assert sorted(self.places.values()) == sorted(self.node.log_dirs * 2), self.places
        self.lost = [topic for topic in TOPICS if self.places[topic] == self.failing]
        self.left = [topic for topic in TOPICS if self.places[topic] != self.failing]

    def fails(self):
        break_directory(self.failing)

        def run(client):
            assert produce_until_error(client, self.lost[0]) == STORAGE_ERROR
            await_metadata(client, expected(self.places, self.failing))
            for topic in self.lost:
                assert produce(client, topic) in (STORAGE_ERROR, NOT_LEADER)
            for topic in self.left:
                assert produce(client, topic) == 0
            create(client, "new", 1)
            assert produce(client, "new") == 0

        self.client(run)
        assert self.node.process.poll() is None

    def starts_without(self):
        assert self.node.stop() == 0
        self.node.start()
        assert any(str(self.failing) in line and "starts without it" in line for line in self.node.output), self.node.output

        def run(client):
            assert metadata(client) == expected(self.places, self.failing)
            for topic in self.left:
                assert produce(client, topic) == 0
            assert produce(client, self.lost[0]) == STORAGE_ERROR

        self.client(run)

    def kafka_says_the_same(self, classpath):
        assert self.node.stop() == 0
        kafka = ApacheKafka(classpath, self.node, SETTINGS)
        try:
            kafka.wait_until_ready()

            def run(client):
                await_metadata(client, expected(self.places, self.failing))
                for topic in self.left:
                    assert produce(client, topic) == 0
                assert produce(client, self.lost[0]) in (STORAGE_ERROR, NOT_LEADER)

            self.client(run)
            kafka.stop()
            mend(self.failing)
            kafka.kill()
            kafka = ApacheKafka(classpath, self.node, SETTINGS).wait_until_ready()

            def mended(client):
                await_metadata(client, dict.fromkeys(TOPICS, ONLINE))
                break_directory(self.failing)
                produce_until_error(client, self.lost[0])
                await_metadata(client, expected(self.places, self.failing))

            self.client(mended)
            kafka.stop()
        finally:
            kafka.kill()
        self.node.start()

    def comes_back(self):
        self.node.kill()
        mend(self.failing)
        self.node.start()

        def run(client):
            await_metadata(client, dict.fromkeys(TOPICS, ONLINE))
            for topic in TOPICS:
                assert produce(client, topic) == 0

        self.client(run)
        assert where(self.node) == self.places
        assert self.node.stop() == 0

    def refuses(self, broken, message):
        """Without the metadata log, or without any directory."""
        for directory in broken:
            directory.rename(directory.with_name(directory.name + "-away"))
            directory.write_text("no directory")
        try:
            self.node.start()
        except AssertionError as refused:
            assert message in str(refused) and self.node.process.wait(30) == 1, refused
        else:
            raise AssertionError("it started")
        finally:
            for directory in broken:
                directory.unlink()
                directory.with_name(directory.name + "-away").rename(directory)


def fails_unused():
    """Nobody writes to the topics of the directory: it is seen to be broken nevertheless, when the checkpoints are written."""
    with tempfile.TemporaryDirectory(prefix="kurier-log-directories-") as directory:
        node = Kurier(directory, settings=SETTINGS)
        node.log_dirs.append(node.directory / "second")
        try:
            story = Story(node)
            story.spread()
            break_directory(story.failing)
            story.client(lambda client: await_metadata(client, expected(story.places, story.failing)))
            assert node.stop() == 0
        finally:
            node.kill()


def metadata_directory_fails():
    """With it the node has to stop: nothing could be written down any more."""
    with tempfile.TemporaryDirectory(prefix="kurier-log-directories-") as directory:
        node = Kurier(directory, settings=SETTINGS)
        node.log_dirs.append(node.directory / "second")
        try:
            story = Story(node)
            story.spread()
            break_directory(node.log_dirs[0])

            def run(client):
                for _ in range(20):
                    if produce(client, story.left[0]) != 0:
                        return

            try:
                story.client(run)
            except (TypeError, OSError):  # the connection was closed
                pass
            assert node.process.wait(30) == 1
            node.reader.join()
            assert any("the metadata log" in line and "the node stops" in line for line in node.output), node.output
        finally:
            node.kill()


def main():
    checks = Checks()
    classpath = jars("kafka")
    with tempfile.TemporaryDirectory(prefix="kurier-log-directories-") as directory:
        node = Kurier(directory, settings=SETTINGS)
        node.log_dirs.append(node.directory / "second")
        story = Story(node)
        try:
            checks.check("topics are spread over two directories", story.spread)
            checks.check("one fails: its partitions have no leader, the others go on", story.fails)
            checks.check("a start without it", story.starts_without)
            if classpath is None:
                checks.skip("Apache Kafka on the same directories", "Java or Maven is missing")
            else:
                checks.check("Apache Kafka says the same", story.kafka_says_the_same, classpath)
            checks.check("it is there again", story.comes_back)
            checks.check("no start without the metadata log", story.refuses, node.log_dirs[:1], "this is no directory")
            checks.check("no start without any directory", story.refuses, node.log_dirs, "this is no directory")
        finally:
            node.kill()
    checks.check("one fails in which nobody writes", fails_unused)
    checks.check("the directory with the metadata log fails", metadata_directory_fails)
    checks.finish()


if __name__ == "__main__":
    main()
