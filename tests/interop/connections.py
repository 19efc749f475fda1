#!/usr/bin/env python3
"""The limits on connections and descriptors, on the running broker: who is let in, who is refused, who goes on as before."""
import os
import pathlib
import socket
import tempfile
import time
import types

from harness import ROOT, Checks, Kurier, free_port, kurier
from messages import Client, ask
from record_batch import record_batch
from wire import exchange, header

DEADLINE_S = 30


def connect(node, source="127.0.0.1"):
    return socket.create_connection(("127.0.0.1", node.port), timeout=DEADLINE_S, source_address=(source, 0))


def is_served(connection):
    """Whether the broker answers on it; it closes what it has no place for."""
    try:
        return exchange(connection, header(18, 0, False)) is not None
    except (ConnectionResetError, BrokenPipeError):
        return False


def until(what, condition):
    """For what only a client that tries can find out; each try is a request, so that the pause only spares the node."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"not {what} within {DEADLINE_S} s"
        time.sleep(0.02)


def fill(node, count, source="127.0.0.1"):
    """As many are served, and no more."""
    connections = [connect(node, source) for _ in range(count)]
    for number, connection in enumerate(connections):
        assert is_served(connection), f"connection {number + 1} of {count} from {source}"
    with connect(node, source) as one_more:
        assert not is_served(one_more), f"connection {count + 1} from {source} is served"
    return connections


def place_is_free_again(node, connections, source="127.0.0.1"):
    """A connection that ends makes place for another one; the others have not noticed anything."""
    connections.pop().close()

    def one_is_let_in():
        connection = connect(node, source)
        if is_served(connection):
            connections.append(connection)
            return True
        connection.close()
        return False

    until("a connection in the place of the one that was closed", one_is_let_in)
    assert all(is_served(connection) for connection in connections)


def close(connections):
    for connection in connections:
        connection.close()


def all_together():
    with kurier(["max.connections=7"]) as node:
        connections = fill(node, 7)
        place_is_free_again(node, connections)
        assert node.await_output(lambda: node.says("max.connections")), node.output
        close(connections)


def of_an_address():
    """Overrides by address and by host name."""
    with kurier(["max.connections.per.ip=4", "max.connections.per.ip.overrides=localhost:2,127.0.0.3:1"]) as node:
        everyone = []
        for source, count in (("127.0.0.1", 2), ("127.0.0.2", 4), ("127.0.0.3", 1), ("127.0.0.4", 4)):
            connections = fill(node, count, source)
            place_is_free_again(node, connections, source)
            everyone += connections
        close(everyone)


def of_a_listener():
    """Beside the limit for all, which another listener meets."""
    with tempfile.TemporaryDirectory(prefix="kurier-") as directory:
        node = Kurier(directory)
        other = types.SimpleNamespace(port=free_port())
        node.settings = [
            f"listeners=PLAINTEXT://127.0.0.1:{node.port},OTHER://127.0.0.1:{other.port},CONTROLLER://127.0.0.1:{node.controller_port}",
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,OTHER:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "listener.name.plaintext.max.connections=3", "max.connections=5"]
        try:
            node.start()
            limited = fill(node, 3)
            place_is_free_again(node, limited)
            others = fill(other, 2)
            place_is_free_again(other, others)
            close(limited + others)
            assert node.stop() == 0
        finally:
            node.kill()


def at_a_time(prefix=""):
    """A second's worth at once, the others at their rate: all are served, none too early."""
    rate, count = 10, 30
    with kurier([f"{prefix}max.connection.creation.rate={rate}"]) as node:
        began = time.monotonic()
        connections = [connect(node) for _ in range(count)]
        assert all(is_served(connection) for connection in connections)
        least_s = (count - rate) / rate - 0.2  # timers are of milliseconds
        assert time.monotonic() - began >= least_s, f"{count} connections within {time.monotonic() - began:.2f} s"
        close(connections)


class Limited(Kurier):
    """May have `descriptors` files and sockets open."""

    def __init__(self, directory, descriptors, settings=()):
        script = pathlib.Path(directory) / "limited"
        program = os.environ.get("KURIER_BINARY", ROOT / "build/release/kurier")
        script.write_text(f'#!/bin/sh\nulimit -n {descriptors}\nexec "{program}" "$@"\n')
        script.chmod(0o755)
        super().__init__(directory, binary=script, settings=settings)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def says(self, *words):
        return any(all(word in line for word in words) for line in self.output)


def create(client, name, partitions=1):
    answer = client.ask("CreateTopics", 7, timeout_ms=10000, topics=[
        {"name": name, "num_partitions": partitions, "replication_factor": 1}])
    assert answer["topics"][0]["error_code"] == 0, answer


BATCH = record_batch([b"v" * 100_000])


def produce(client, topic, partition=0):
    answer = client.ask("Produce", 9, acks=-1, timeout_ms=5000, topic_data=[
        {"name": topic, "partition_data": [{"index": partition, "records": BATCH}]}])
    return answer["responses"][0]["partition_responses"][0]["error_code"]


def crowd_leaves_room_for_logs():
    """Three quarters of the descriptors are for clients: with all of them taken, logs are made, opened and rolled."""
    with tempfile.TemporaryDirectory(prefix="kurier-") as directory:
        node = Limited(directory, 240, ["log.segment.bytes=1048576"])
        try:
            node.start()
            connections = fill(node, 180)
            client = Client.__new__(Client)
            client.socket, client.client_id = connections[0], "crowd"
            create(client, "new", 3)
            for _ in range(30):
                assert produce(client, "new") == 0
            segments = list((node.directory / "log" / "new-0").glob("*.log"))
            assert len(segments) >= 3, segments
            place_is_free_again(node, connections)
            close(connections)
            assert node.stop() == 0
        finally:
            node.kill()


KAFKA_STORAGE_ERROR = 56


def lack_passes():
    """Partitions that cannot be opened for want of descriptors are offline until there are some, the others are not."""
    with tempfile.TemporaryDirectory(prefix="kurier-") as directory:
        node = Limited(directory, 60)
        try:
            node.start()
            client = Client(node.port)
            create(client, "early")
            create(client, "large", 10)
            create(client, "beyond", 60)
            offline = [partition for partition in range(60) if produce(client, "beyond", partition) == KAFKA_STORAGE_ERROR]
            assert offline
            assert node.await_output(lambda: node.says("partition beyond-", "is offline and will be tried again"), DEADLINE_S), node.output
            assert produce(client, "early") == 0 and produce(client, "large", 5) == 0
            deleted = client.ask("DeleteTopics", 6, timeout_ms=10000, topics=[{"name": "large"}])
            assert deleted["responses"][0]["error_code"] == 0, deleted
            assert node.await_output(lambda: node.says(f"partition beyond-{offline[0]} is open after all"), DEADLINE_S), node.output
            assert produce(client, "beyond", offline[0]) == 0
            client.close()
            # With a higher limit everything is there.
            assert node.stop() == 0
            again = Kurier(directory)
            node.process = None
            try:
                again.start()
                client = Client(again.port)
                assert all(produce(client, "beyond", partition) == 0 for partition in range(60))
                listed = client.ask("ListOffsets", 7, replica_id=-1, topics=[{"name": "beyond", "partitions": [
                    {"partition_index": offline[0], "timestamp": -1}]}])
                assert listed["topics"][0]["partitions"][0]["offset"] == 2, listed
                client.close()
            finally:
                again.kill()
        finally:
            node.kill()


def lack_at_the_start():
    """The same for partitions that were there before: what they hold is served as soon as there are descriptors."""
    with tempfile.TemporaryDirectory(prefix="kurier-") as directory:
        node = Kurier(directory)
        try:
            node.start()
            client = Client(node.port)
            create(client, "other", 130)
            create(client, "kept", 20)
            assert all(produce(client, "kept", partition) == 0 for partition in range(20))
            client.close()
            assert node.stop() == 0
        finally:
            node.kill()
        node = Limited(directory, 160)
        try:
            node.start()
            assert node.await_output(lambda: node.says("is offline and will be tried again"), DEADLINE_S), node.output
            client = Client(node.port)
            deleted = client.ask("DeleteTopics", 6, timeout_ms=10000, topics=[{"name": "other"}])
            assert deleted["responses"][0]["error_code"] == 0, deleted
            for partition in range(20):
                until(f"kept-{partition} online", lambda partition=partition: produce(client, "kept", partition) == 0)
            listed = client.ask("ListOffsets", 7, replica_id=-1, topics=[{"name": "kept", "partitions": [
                {"partition_index": partition, "timestamp": -1} for partition in range(20)]}])
            offsets = [one["offset"] for one in listed["topics"][0]["partitions"]]
            assert min(offsets) >= 2, offsets  # what was there, and what has been added now
            client.close()
            assert node.stop() == 0
        finally:
            node.kill()


def main():
    checks = Checks()
    checks.check("max.connections", all_together)
    checks.check("max.connections.per.ip and its overrides", of_an_address)
    checks.check("listener.name.plaintext.max.connections", of_a_listener)
    checks.check("max.connection.creation.rate", at_a_time)
    checks.check("listener.name.plaintext.max.connection.creation.rate", at_a_time, "listener.name.plaintext.")
    checks.check("a crowd of clients leaves descriptors for logs", crowd_leaves_room_for_logs)
    checks.check("partitions without descriptors come back", lack_passes)
    checks.check("and so they do at the start", lack_at_the_start)
    checks.finish()


if __name__ == "__main__":
    main()
