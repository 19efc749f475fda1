#!/usr/bin/env python3
"""Topics that are deleted while they are in use, and made again with the same name: neither the node nor the new topic suffers."""
import contextlib
import os
import shutil
import struct
import sys
import threading
import time

import batches
import messages
from harness import Checks, kurier

ROUNDS = 60


def create(client, name, partitions, **configs):
    answer = client.ask("CreateTopics", 7, timeout_ms=10000, topics=[{
        "name": name, "num_partitions": partitions, "replication_factor": 1,
        "configs": [{"name": key.replace("_", "."), "value": value} for key, value in configs.items()]}])
    assert answer["topics"][0]["error_code"] == 0, answer


def delete(client, name):
    answer = client.ask("DeleteTopics", 5, topic_names=[name], timeout_ms=10000)
    assert answer["responses"][0]["error_code"] == 0, answer


def produce_request(name, partitions, payload=None):
    data = [{"index": partition, "records": batches.batch(payload, timestamp=1)} for partition in partitions]
    return messages.encode_request("Produce", 9, {"acks": 1, "timeout_ms": 10000, "topic_data": [{"name": name, "partition_data": data}]})


def produce_errors(client, request):
    client.socket.sendall(request)
    answer = client.answer("Produce", 9)
    assert answer, "the connection was closed"
    return [partition["error_code"] for topic in answer["responses"] for partition in topic["partition_responses"]]


def fetch_request(partitions):
    asked = [{"partition": partition, "fetch_offset": 0, "partition_max_bytes": 10} for partition in partitions]
    return {"replica_id": -1, "max_wait_ms": 60000, "min_bytes": 1 << 20, "max_bytes": 1 << 21, "topics": [{"topic": "remade", "partitions": asked}]}


@contextlib.contextmanager
def unequal_load(node):
    """Two connections write as fast as they can to the even partitions of a topic: the shards are never equally far."""
    done = threading.Event()
    clients = [messages.Client(node.port) for _ in range(2)]
    create(clients[0], "load", 8)
    request = produce_request("load", (0, 2, 4, 6), batches.record(value=bytes(60000)))

    def write():
        with contextlib.suppress(OSError, struct.error, TypeError):
            while not done.is_set():
                for client in clients:
                    client.socket.sendall(request * 20)
                for client in clients:
                    for _ in range(20):
                        client.receive(struct.unpack(">i", client.receive(4))[0])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        done.set()
        writer.join()


def made_again():
    with kurier() as node:
        clients = [messages.Client(node.port) for _ in range(2)]  # one on each shard
        request = produce_request("remade", (0, 1))
        with unequal_load(node):
            for i in range(ROUNDS):
                create(clients[i % 2], "remade", 2)
                assert produce_errors(clients[i % 2], request) == [0, 0], f"round {i}"
                there = os.listdir(node.directory / "log")
                assert {"remade-0", "remade-1"} <= set(there), f"round {i}: a new topic's directory was taken for the old one's"
                assert not [name for name in there if name.endswith("-stray")], there
                delete(clients[i % 2], "remade")
        assert node.stop() == 0
        assert not [line for line in node.output if " error " in line], node.output


def while_it_is_flushed_and_waited_for():
    """flush.messages=1: nearly always an fsync is under way; its end must not be taken for a failed disk."""
    with kurier() as node:
        control = messages.Client(node.port)
        pollers = [messages.Client(node.port) for _ in range(4)]
        writers = [messages.Client(node.port) for _ in range(4)]
        for _ in range(ROUNDS):
            create(control, "remade", 4, flush_messages="1")
            for poller in pollers:
                poller.send("Fetch", 11, fetch_request(range(4)))
            for writer in writers:
                writer.socket.sendall(produce_request("remade", range(4)))
            delete(control, "remade")
            # Whether the partitions were there still or not: everybody is answered, and the node goes on.
            assert all(poller.answer("Fetch", 11) for poller in pollers)
            assert all(writer.answer("Produce", 9) for writer in writers)
        assert node.stop() == 0
        assert not [line for line in node.output if " error " in line], node.output


def directories_go_while_it_stops():
    with kurier() as node:
        client = messages.Client(node.port)
        for name in ("a", "b", "c", "d"):
            create(client, name, 200, file_delete_delay_ms="0")
        for name in ("a", "b", "c", "d"):
            delete(client, name)
        assert node.stop() == 0


def with_a_long_name():
    """Kafka's names have up to 249 bytes, a directory's 255: that of a deleted topic is cut."""
    with kurier() as node:
        client = messages.Client(node.port)
        name = "n" * 249
        for _ in range(2):
            create(client, name, 1)
            delete(client, name)
        assert node.stop() == 0
        there = [entry for entry in os.listdir(node.directory / "log") if entry.startswith("nnn")]
        assert len(there) == 2 and all(entry.endswith("-delete") for entry in there), there


def checkpoints_of_the_one_before():
    """A log start offset that was written down for a deleted topic would cost the next one of its name its records after a crash."""
    with kurier() as node:
        checkpoint = node.directory / "log" / "log-start-offset-checkpoint"
        request = produce_request("remade", (0,))
        client = messages.Client(node.port)
        create(client, "remade", 1)
        for _ in range(30):
            assert produce_errors(client, request) == [0]
        assert node.stop() == 0
        checkpoint.write_text("0\n1\nremade 0 20\n")  # as DeleteRecords leaves it
        node.start()
        client = messages.Client(node.port)
        delete(client, "remade")
        deadline = time.monotonic() + 20  # far less than log.flush.start.offset.checkpoint.interval.ms
        while "remade" in checkpoint.read_text():
            assert time.monotonic() < deadline, checkpoint.read_text()
        create(client, "remade", 1)
        assert produce_errors(client, request) == [0]
        node.kill()
        node.start()
        asked = [{"name": "remade", "partitions": [{"partition_index": 0, "timestamp": -1}]}]
        answer = messages.Client(node.port).ask("ListOffsets", 7, replica_id=-1, topics=asked)
        assert answer["topics"][0]["partitions"][0]["offset"] == 1, answer


def directories_that_outlived_their_topic():
    """As a kill between a topic's deletion and the renaming leaves them, or one between the steps in which they are made: set aside
    and kept, as Apache Kafka does, and not taken for the next topic of the name."""
    with kurier() as node:
        log = node.directory / "log"
        client = messages.Client(node.port)
        create(client, "outlived", 2)
        assert produce_errors(client, produce_request("outlived", (0, 1))) == [0, 0]
        assert node.stop() == 0
        for partition in (0, 1):
            shutil.copytree(log / f"outlived-{partition}", node.directory / f"kept-{partition}")
        node.start()
        delete(messages.Client(node.port), "outlived")
        assert node.stop() == 0
        for partition in (0, 1):
            (node.directory / f"kept-{partition}").rename(log / f"outlived-{partition}")
        (log / "half-made-0").mkdir()
        node.start()
        strays = sorted(name.rsplit(".", 1)[0] for name in os.listdir(log) if name.endswith("-stray"))
        assert strays == ["half-made-0", "outlived-0", "outlived-1"], strays
        assert sum("is no partition of this cluster's metadata: kept as" in line for line in node.output) == 3, node.output
        client = messages.Client(node.port)
        create(client, "outlived", 2)
        client.socket.sendall(produce_request("outlived", (0, 1)))
        answer = client.answer("Produce", 9)
        assert [p["base_offset"] for p in answer["responses"][0]["partition_responses"]] == [0, 0], answer
        assert node.stop() == 0
        node.start()
        assert len([name for name in os.listdir(log) if name.endswith("-stray")]) == 3


def main():
    checks = Checks()
    checks.check("deleted and made again, on shards that are not equally far", made_again)
    checks.check("deleted while it is flushed and waited for", while_it_is_flushed_and_waited_for)
    checks.check("stopped while the directories of deleted topics are removed", directories_go_while_it_stops)
    checks.check("deleted with a long name", with_a_long_name)
    checks.check("what checkpoints said of a deleted topic", checkpoints_of_the_one_before)
    checks.check("directories that outlived their topic", directories_that_outlived_their_topic)
    checks.finish()


if __name__ == "__main__":
    sys.exit(main())
