#!/usr/bin/env python3
"""confluent-kafka as members of groups: README.md has the commands."""
import members
from confluent_kafka import Consumer, KafkaException, TopicPartition


class Member(members.Member):
    def consume(self):
        configs = {
            "bootstrap.servers": self.address, "group.id": self.group, "client.id": self.name, "log_level": 2,
            "reconnect.backoff.max.ms": 200, "partition.assignment.strategy": self.assignor, "session.timeout.ms": self.session_ms,
            "heartbeat.interval.ms": 300, "max.poll.interval.ms": 60_000, "auto.offset.reset": "earliest", "enable.auto.commit": False}
        if self.instance:
            configs["group.instance.id"] = self.instance
        consumer = Consumer(configs)
        consumer.subscribe([self.topic], on_assign=lambda _, got: self.assigned(each.partition for each in got),
                           on_revoke=lambda _, lost: self.revoked(each.partition for each in lost))
        while not self.leaving.is_set():
            self.read(consumer, [message for message in consumer.consume(500, 0.1) if not message.error()])
        consumer.close()

    def read(self, consumer, messages):
        if not messages:
            return
        positions = self.got([(each.partition(), each.offset(), each.value()) for each in messages])
        try:
            answers = consumer.commit(asynchronous=False, offsets=[TopicPartition(self.topic, *each) for each in positions.items()])
        except KafkaException:
            return  # whoever has the partitions next reads these again, or the next commit covers them
        self.committed({each.partition: each.offset for each in answers if not each.error})


members.serve(Member)
