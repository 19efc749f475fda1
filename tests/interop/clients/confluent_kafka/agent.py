#!/usr/bin/env python3
"""confluent-kafka doing what tests/interop/clients.py asks for: the commands are in tests/interop/README.md."""
import sys
import time

from confluent_kafka import (OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, Producer, TopicPartition,
                             libversion, version)
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

TIMEOUT_S = 30
COMMON = {"log_level": 2, "reconnect.backoff.max.ms": 200}  # lost connections are part of what is checked, and are not to take long


def to_bytes(word):
    return None if word == "~" else bytes.fromhex(word[1:])


def to_word(value):
    return "~" if value is None else "=" + value.hex()


def to_position(word):
    return OFFSET_BEGINNING if word == "begin" else OFFSET_END if word == "end" else int(word)


def settings(words):
    return dict(word.split("=", 1) for word in words)


def failure(error):
    """librdkafka's own errors are negative; one of them stands for the node's OFFSET_OUT_OF_RANGE."""
    if error.code() == KafkaError._AUTO_OFFSET_RESET and "Offset out of range" in error.str():
        return "1 OFFSET_OUT_OF_RANGE"
    return f"{error.code() if error.code() > 0 else 'local'} {error.name()}"


class Agent:
    def __init__(self, address):
        self.address = address
        self.admin = AdminClient({"bootstrap.servers": address, **COMMON})
        self.producer = self.consumer = None
        self.reports = []  # one for each record sent since the last flush, in order

    def do_version(self):
        return f"confluent-kafka {version()}, librdkafka {libversion()[0]}"

    def do_create_topic(self, name, partitions, *configs):
        topic = NewTopic(name, int(partitions), 1, config=settings(configs))
        self.admin.create_topics([topic], operation_timeout=TIMEOUT_S)[name].result(TIMEOUT_S)

    def do_delete_topic(self, name):
        self.admin.delete_topics([name], operation_timeout=TIMEOUT_S)[name].result(TIMEOUT_S)

    def do_grow_topic(self, name, partitions):
        self.admin.create_partitions([NewPartitions(name, int(partitions))])[name].result(TIMEOUT_S)

    def do_partitions(self, name):
        topics = self.admin.list_topics(timeout=TIMEOUT_S).topics  # of all: asking for one by name could create it
        return len(topics[name].partitions) if name in topics else 0

    def do_producer(self, *words):
        given = settings(words)
        configs = {
            "bootstrap.servers": self.address, **COMMON, "acks": given["acks"], "enable.idempotence": given["idempotence"],
            "compression.type": given["codec"], "linger.ms": given["linger_ms"], "batch.size": given["batch_bytes"],
            "batch.num.messages": 1_000_000, "queue.buffering.max.messages": 1_000_000, "queue.buffering.max.kbytes": 1_000_000}
        if given["size_max"] != "0":
            configs["message.max.bytes"] = given["size_max"]
        self.producer = Producer(configs)

    def do_send(self, topic, partition, timestamp, key, value, *headers):
        index = len(self.reports)
        self.reports.append(None)
        reports = self.reports

        def delivered(error, message):
            # With acks=0 there is no offset.
            offset = -1 if message.offset() is None else message.offset()
            reports[index] = f"failed {failure(error)}" if error else f"sent {message.partition()} {offset}"

        options = {} if timestamp == "-1" else {"timestamp": int(timestamp)}
        if partition != "-1":
            options["partition"] = int(partition)
        names = [to_bytes(name).decode() for name in headers[::2]]
        self.producer.produce(topic, value=to_bytes(value), key=to_bytes(key), on_delivery=delivered,
                              headers=list(zip(names, map(to_bytes, headers[1::2]))), **options)

    def do_flush(self):
        self.producer.flush()
        for report in self.reports:
            print(report)
        self.reports = []

    def do_consumer(self, *words):
        if self.consumer:
            self.consumer.close()
        given = settings(words)
        self.consumer = Consumer({
            "bootstrap.servers": self.address, **COMMON, "group.id": "none", "enable.auto.commit": False,
            "fetch.min.bytes": given["fetch_min_bytes"], "fetch.wait.max.ms": given["fetch_wait_ms"],
            "socket.timeout.ms": int(given["fetch_wait_ms"]) + 30_000, "isolation.level": given["isolation"],
            "auto.offset.reset": {"none": "error"}.get(given["reset"], given["reset"])})

    def do_assign(self, *words):
        self.consumer.assign([TopicPartition(topic, int(partition), to_position(position))
                              for topic, partition, position in zip(words[::3], words[1::3], words[2::3])])

    def do_seek(self, topic, partition, position):
        self.consumer.seek(TopicPartition(topic, int(partition), to_position(position)))

    def do_read(self, count, timeout_ms):
        deadline = time.monotonic() + int(timeout_ms) / 1000
        for _ in range(int(count)):
            message = self.consumer.poll(max(0, deadline - time.monotonic()))
            if message is None:
                return "timeout"
            if message.error():
                raise KafkaException(message.error())
            kind, timestamp = message.timestamp()
            words = ["record", message.topic(), message.partition(), message.offset(), {1: "create", 2: "append"}[kind], timestamp,
                     to_word(message.key()), to_word(message.value())]
            for name, value in message.headers() or ():
                words += [to_word(name.encode()), to_word(value)]
            print(*words)

    def do_offset_for_time(self, topic, partition, timestamp):
        found, = self.consumer.offsets_for_times([TopicPartition(topic, int(partition), int(timestamp))], TIMEOUT_S)
        if found.error:
            raise KafkaException(found.error)
        return -1 if found.offset == OFFSET_END else found.offset

    def do_watermarks(self, topic, partition):
        return "{} {}".format(*self.consumer.get_watermark_offsets(TopicPartition(topic, int(partition)), TIMEOUT_S))


def main():
    agent = Agent(sys.argv[1])
    for line in sys.stdin:
        command, *words = line.split()
        try:
            answer = getattr(agent, "do_" + command)(*words)
        except KafkaException as exception:
            print("error", failure(exception.args[0]), flush=True)
            continue
        if command == "send":
            continue  # its report comes with the flush
        print("timeout" if answer == "timeout" else "ok" if answer is None else f"ok {answer}", flush=True)


if __name__ == "__main__":
    main()
