#!/usr/bin/env python3
"""A producer or a consumer under chaos; started by chaos.py with the interpreter that has confluent-kafka.

usage: worker.py produce ADDRESS TOPIC PARTITIONS NAME SETTINGS   sends until a line comes on standard input, then flushes
       worker.py consume ADDRESS TOPIC PARTITIONS                 reads until the line, a JSON list of end offsets, and up to there
       worker.py ends ADDRESS TOPIC PARTITIONS

Says "progress RECORDS ERRORS STUCK" after every ten records, with the first error, and when everything that may be outstanding is
and nothing has come of it for a tenth of a second (STUCK counts that); the last line is JSON. Record n of producer NAME has the
value "NAME n xxx…", whose length follows from n; SETTINGS is JSON.
"""
import json
import random
import sys
import threading

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition

COMMON = {"log_level": 2, "reconnect.backoff.max.ms": 200, "socket.timeout.ms": 10_000}
OUTSTANDING_MAX = 400  # records sent and not yet reported


def value_of(name, n):
    return f"{name} {n} ".encode() + b"x" * (n * 7919 % 1200)


def stop_line():
    """Set once a line has come; the line stands in it."""
    event = threading.Event()

    def wait():
        event.line = sys.stdin.readline()
        event.set()

    threading.Thread(target=wait, daemon=True).start()
    return event


class Progress:
    def __init__(self):
        self.count = self.errors = self.stuck = 0

    def step(self, error=False):
        self.count += 1
        self.errors += error
        if self.count % 10 == 0 or (error and self.errors == 1):
            self.say()

    def is_stuck(self):
        self.stuck += 1
        self.say()

    def say(self):
        print("progress", self.count, self.errors, self.stuck, flush=True)


def produce(address, topic, partitions, name, settings):
    """The reports of each partition, in the order in which they came: [n, offset] or [n, error]; offset -1 is unknown."""
    stop, progress, seed = stop_line(), Progress(), random.Random(name)
    producer = Producer({"bootstrap.servers": address, **COMMON, "retry.backoff.ms": 50, "linger.ms": 2, **settings})
    reports = [[] for _ in range(partitions)]
    sent = [0] * partitions
    outstanding = 0

    def send(partition):
        nonlocal outstanding
        n = sent[partition]
        sent[partition] += 1
        outstanding += 1

        def delivered(error, message):
            nonlocal outstanding
            outstanding -= 1
            if error:
                reports[partition].append([n, error.name()])
            else:
                reports[partition].append([n, message.offset() if message.offset() is not None else -1])
            progress.step(error is not None)

        producer.produce(topic, partition=partition, value=value_of(name, n), on_delivery=delivered)

    while not stop.is_set():
        if outstanding < OUTSTANDING_MAX:
            send(seed.randrange(partitions))
            producer.poll(0)
        elif producer.poll(0.1) == 0:
            progress.is_stuck()
    left = producer.flush(90)
    return {"sent": sent, "reports": reports, "unreported": left}


def consume(address, topic, partitions):
    """[[offset, value's beginning]] of each partition, in the order in which they came."""
    stop, progress = stop_line(), Progress()
    consumer = Consumer({"bootstrap.servers": address, **COMMON, "group.id": "none", "enable.auto.commit": False, "check.crcs": True,
                         "auto.offset.reset": "error", "fetch.wait.max.ms": 200})
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(partitions)])
    seen = [[] for _ in range(partitions)]

    def is_done():
        return stop.is_set() and all(
            end == 0 or (records and records[-1][0] >= end - 1) for end, records in zip(json.loads(stop.line), seen))

    while not is_done():
        message = consumer.poll(0.1)
        if message is None:
            continue
        if message.error():
            raise KafkaException(message.error())
        name, n, _ = message.value().split(b" ")
        if message.value() != value_of(name.decode(), int(n)):
            raise AssertionError(f"partition {message.partition()}, offset {message.offset()}: {message.value()}")
        seen[message.partition()].append([message.offset(), name.decode(), int(n)])
        progress.step()
    return seen


def ends(address, topic, partitions):
    consumer = Consumer({"bootstrap.servers": address, **COMMON, "group.id": "none"})
    return [consumer.get_watermark_offsets(TopicPartition(topic, partition), 30)[1] for partition in range(partitions)]


def main():
    command, address, topic, partitions, *rest = sys.argv[1:]
    if command == "produce":
        result = produce(address, topic, int(partitions), rest[0], json.loads(rest[1]))
    else:
        result = {"consume": consume, "ends": ends}[command](address, topic, int(partitions))
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
