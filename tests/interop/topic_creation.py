#!/usr/bin/env python3
"""Thousands of topics made, and deleted, by one request, while others of every shard go on being answered.

Not by time: how many of their answers come while between a tenth and nine tenths of the directories are made (or renamed). A
shard that does this itself answers nobody meanwhile. With a number as argument it prints instead how long it takes until so many
partitions are served."""
import os
import resource
import struct
import sys
import threading
import time

import batches
import messages
from harness import Checks, kurier

SHARDS = 2
ANSWERS_MIN = 10  # of each client, in the middle of the work
SAMPLE = 100
PATIENCE_S = 300
# A request may become 10,000 records at most, and a topic with one partition is two.
TOPICS = min(5_000, (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 1000) // 2)


def names(count):
    return [f"t{i:05}" for i in range(count)]


def creation(topics, partitions=1):
    return {"timeout_ms": 60000, "topics": [{"name": name, "num_partitions": partitions, "replication_factor": 1} for name in topics]}


def create(client, topics, partitions=1):
    answer = client.ask("CreateTopics", 7, **creation(topics, partitions))
    assert [topic["name"] for topic in answer["topics"] if topic["error_code"] == 0] == topics, answer["topics"][:3]


def delete(client, topics):
    answer = client.ask("DeleteTopics", 6, timeout_ms=60000, topics=[{"name": name} for name in topics])
    assert sorted(topic["name"] for topic in answer["responses"] if topic["error_code"] == 0) == topics, answer["responses"][:3]


def produce_request(name, partition):
    data = [{"index": partition, "records": batches.batch(None, timestamp=1)}]
    return {"acks": 1, "timeout_ms": 10000, "topic_data": [{"name": name, "partition_data": data}]}


def produce_error(client, name, partition=0):
    answer = client.ask("Produce", 9, **produce_request(name, partition))
    return answer["responses"][0]["partition_responses"][0]["error_code"]


class Progress:
    """How far the work on the directories is, between 0 and 1; topics have random ids, and are worked on in their order."""

    def __init__(self, node, topics, is_done):
        self.paths = [os.path.join(node.directory, "log", name + "-0") for name in topics[::len(topics) // SAMPLE]]
        self.is_done = is_done

    def fraction(self):
        return sum(os.path.isdir(path) == self.is_done for path in self.paths) / len(self.paths)


class Others:
    """Clients that ask again and again, two on each shard: connections are given out to the shards in turn."""

    def __init__(self, node, progress):
        self.progress = progress
        self.done = threading.Event()
        requests = [("ApiVersions", 2, {})] * SHARDS + [("Produce", 9, produce_request("busy", i)) for i in range(SHARDS)]
        self.clients = [(messages.Client(node.port), *request) for request in requests]
        self.in_the_middle = [0] * len(requests)
        self.frames = [[] for _ in requests]
        self.threads = [threading.Thread(target=self._go_on, args=(i,)) for i in range(len(requests))]

    def _go_on(self, index):
        client, name, version, values = self.clients[index]
        request = messages.encode_request(name, version, values)
        while not self.done.is_set():
            before = self.progress.fraction()
            client.socket.sendall(request)
            self.frames[index].append(client.receive(struct.unpack(">i", client.receive(4))[0]))
            self.in_the_middle[index] += 0.1 < before and self.progress.fraction() < 0.9

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        for thread in self.threads:
            thread.join()

    def have_not_noticed(self, answers_min):
        for (_, name, version, _), frames in zip(self.clients, self.frames):
            for frame in frames:
                answer = messages.decode_response(name, version, frame)
                error = answer["error_code"] if name == "ApiVersions" else answer["responses"][0]["partition_responses"][0]["error_code"]
                assert error == 0, f"{name}: error {error}"
        print("  answers in the middle of the work:", self.in_the_middle)
        assert min(self.in_the_middle) >= answers_min, f"answers in the middle of the work: {self.in_the_middle}"


def topics_of(client):
    answer = client.ask("Metadata", 12, topics=None)
    return {topic["name"]: topic["partitions"] for topic in answer["topics"]}


def all_are_served(node, topics, partitions=1):
    client = messages.Client(node.port)
    there = topics_of(client)
    assert set(topics) <= set(there)
    assert all(len(there[name]) == partitions and all(p["leader_id"] >= 0 for p in there[name]) for name in topics)
    asked = [{"name": name, "partitions": [{"partition_index": i, "timestamp": -1} for i in range(partitions)]} for name in topics]
    answer = client.ask("ListOffsets", 7, replica_id=-1, topics=asked)
    errors = {p["error_code"] for topic in answer["topics"] for p in topic["partitions"]}
    assert errors == {0}, errors


def is_gone(node, topics):
    assert not set(topics) & set(topics_of(messages.Client(node.port)))
    wanted = {name + "-0" for name in topics}
    assert not wanted & set(os.listdir(node.directory / "log"))


def nobody_notices():
    topics = names(TOPICS)
    with kurier([f"kurier.shards={SHARDS}"]) as node:
        admin = messages.Client(node.port, PATIENCE_S)
        create(admin, ["busy"], 2 * SHARDS)
        with Others(node, Progress(node, topics, True)) as others:
            create(admin, topics)
        others.have_not_noticed(ANSWERS_MIN)
        all_are_served(node, topics)
        assert node.stop(120) == 0
        node.start(120)
        all_are_served(node, topics)
        admin = messages.Client(node.port, PATIENCE_S)
        with Others(node, Progress(node, topics, False)) as others:
            delete(admin, topics)
        others.have_not_noticed(ANSWERS_MIN // 3)  # renaming is quick
        is_gone(node, topics)
        assert node.stop(120) == 0
        node.start(120)
        is_gone(node, topics)
        assert not [line for line in node.output if " warning " in line or " error " in line], node.output


def a_small_one_does_not_wait():
    """One topic that is created while thousands are: its answer comes before theirs."""
    topics = names(TOPICS // 2)
    with kurier([f"kurier.shards={SHARDS}"]) as node:
        progress = Progress(node, topics, True)
        big, small = messages.Client(node.port, PATIENCE_S), messages.Client(node.port, PATIENCE_S)
        big.send("CreateTopics", 7, creation(topics))
        while progress.fraction() == 0:
            pass
        create(small, ["small"])
        assert produce_error(small, "small") == 0
        assert progress.fraction() < 0.9
        assert big.answer("CreateTopics", 7)
        all_are_served(node, topics)


def deleted_and_killed_in_the_middle():
    """Thousands are being made, are deleted meanwhile and made again; and killed and made again."""
    topics = names(TOPICS // 5)
    with kurier([f"kurier.shards={SHARDS}"]) as node:
        progress = Progress(node, topics, True)
        big, other = messages.Client(node.port, PATIENCE_S), messages.Client(node.port, PATIENCE_S)
        big.send("CreateTopics", 7, creation(topics))
        while progress.fraction() == 0:
            pass
        delete(other, topics)
        create(other, topics)
        all_are_served(node, topics)
        assert big.answer("CreateTopics", 7)
        assert not [name for name in os.listdir(node.directory / "log") if name.endswith("-stray")]
        more = ["u" + name for name in topics]
        progress = Progress(node, more, True)
        big.send("CreateTopics", 7, creation(more))
        while progress.fraction() == 0:
            pass
        node.kill()
        node.start(60)
        all_are_served(node, topics + more)
        assert produce_error(messages.Client(node.port), more[-1]) == 0


def stopped_in_the_middle():
    topics = names(TOPICS // 5)
    with kurier([f"kurier.shards={SHARDS}"]) as node:
        progress = Progress(node, topics, True)
        client = messages.Client(node.port, PATIENCE_S)
        client.send("CreateTopics", 7, creation(topics))
        while progress.fraction() == 0:
            pass
        # The answer has the configurations of all topics, megabytes: a stop waits only for who reads.
        answers = []
        reader = threading.Thread(target=lambda: answers.append(client.answer("CreateTopics", 7)))
        reader.start()
        assert node.stop(60) == 0
        reader.join()
        assert len(answers) == 1 and len(answers[0]["topics"]) == len(topics), "the request in flight was not answered"
        node.start(60)
        all_are_served(node, topics)


def grown_in_the_middle():
    with kurier([f"kurier.shards={SHARDS}"]) as node:
        client, other = messages.Client(node.port, PATIENCE_S), messages.Client(node.port, PATIENCE_S)
        client.send("CreateTopics", 7, creation(["wide"], TOPICS // 10))
        path = node.directory / "log" / "wide-0"
        while not path.exists():
            pass
        count = TOPICS // 5
        answer = other.ask("CreatePartitions", 3, timeout_ms=60000, topics=[{"name": "wide", "count": count, "assignments": None}])
        assert answer["results"][0]["error_code"] == 0, answer
        assert client.answer("CreateTopics", 7)
        all_are_served(node, ["wide"], count)


def measure(count):
    for settings in (["kurier.shards=1"], [f"kurier.shards={SHARDS}"]):
        with kurier(settings) as node:
            client = messages.Client(node.port, PATIENCE_S)
            began = time.monotonic()
            create(client, names(count))
            created = time.monotonic()
            all_are_served(node, names(count))
            print(f"{settings[0]}: {count} topics created in {created - began:.2f} s", flush=True)
            began = time.monotonic()
            node.stop(600)
            stopped = time.monotonic()
            node.start(600)
            started = time.monotonic()
            print(f"  stop {stopped - began:.2f} s, start {started - stopped:.2f} s", flush=True)
            client = messages.Client(node.port, PATIENCE_S)
            began = time.monotonic()
            delete(client, names(count))
            print(f"  deleted in {time.monotonic() - began:.2f} s", flush=True)


def main():
    if len(sys.argv) > 1:
        measure(int(sys.argv[1]))
        return 0
    checks = Checks()
    checks.check("thousands of topics are made and deleted, and nobody else notices", nobody_notices)
    checks.check("one topic does not wait for thousands", a_small_one_does_not_wait)
    checks.check("deleted in the middle, killed in the middle", deleted_and_killed_in_the_middle)
    checks.check("stopped in the middle", stopped_in_the_middle)
    checks.check("grown in the middle", grown_in_the_middle)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
