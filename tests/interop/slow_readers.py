#!/usr/bin/env python3
"""Clients that ask for very much and do not read it: the broker's memory does not grow, others go on, and who reads at last
gets all of it."""
import struct

from costly_requests import forget_peak, status
from harness import MEMORY_FACTOR, Checks, kurier
from messages import Client, ask, encode_request
from record_batch import record_batch

BATCHES = 60
BATCH = record_batch([b"v" * 1000] * 900)
READERS = 20
REQUESTS_EACH = 40


def fetch_everything(client, count=1):
    client.socket.sendall(encode_request("Fetch", 12, {"max_bytes": 1 << 30, "min_bytes": 1, "max_wait_ms": 1000, "topics": [
        {"topic": "large", "partitions": [{"partition": 0, "fetch_offset": 0, "partition_max_bytes": 1 << 30}]}]}) * count)


def produce(client, batch):
    answer = client.ask("Produce", 9, acks=-1, timeout_ms=5000, topic_data=[
        {"name": "large", "partition_data": [{"index": 0, "records": batch}]}])
    assert answer["responses"][0]["partition_responses"][0]["error_code"] == 0, answer


def fetch_little(client):
    answer = client.ask("Fetch", 12, max_bytes=1, topics=[{"topic": "large", "partitions": [
        {"partition": 0, "fetch_offset": 0, "partition_max_bytes": 1}]}])
    assert len(answer["responses"][0]["partitions"][0]["records"]) == len(BATCH)


def nobody_notices(node, readers):
    """They ask for gigabytes together and read nothing; somebody else does what he always does."""
    other = Client(node.port)
    produce(other, BATCH)
    fetch_little(other)
    forget_peak(node)
    before_kib = status(node, "VmRSS")
    for reader in readers:
        fetch_everything(reader, REQUESTS_EACH)
    for _ in range(50):
        produce(other, BATCH)
        fetch_little(other)
    grown_kib = status(node, "VmHWM") - before_kib
    assert grown_kib < 24 * 1024 * MEMORY_FACTOR, f"{grown_kib} KiB more for {READERS} clients that do not read"
    other.close()


def whoever_reads_gets_all(readers):
    """One of them reads all of its answers, in small pieces."""
    reader = readers[0]
    sizes = []
    for _ in range(3):
        left = struct.unpack(">i", reader.receive(4))[0]
        sizes.append(left)
        while left > 0:
            piece = reader.socket.recv(min(left, 16384))
            assert piece, f"closed with {left} bytes left"
            left -= len(piece)
    # fetch.max.bytes: 55 MiB
    assert min(sizes) > 50 * 1024 * 1024, sizes


def others_may_stop_the_node(node, readers):
    """Those that do not read do not keep the node from stopping: it gives them some time."""
    for reader in readers:
        reader.close()
    assert node.stop() == 0


def main():
    checks = Checks()
    with kurier(["kurier.shards=1"]) as node:
        ask(node.port, "CreateTopics", 7, timeout_ms=10000, topics=[{"name": "large", "num_partitions": 1, "replication_factor": 1}])
        client = Client(node.port)
        for _ in range(BATCHES):
            produce(client, BATCH)
        client.close()
        readers = [Client(node.port) for _ in range(READERS)]
        checks.check("nobody notices, no memory grows", nobody_notices, node, readers)
        checks.check("whoever reads at last gets all of it", whoever_reads_gets_all, readers)
        checks.check("the node stops", others_may_stop_the_node, node, readers)
    checks.finish()


if __name__ == "__main__":
    main()
