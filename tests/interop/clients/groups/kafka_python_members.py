#!/usr/bin/env python3
"""kafka-python as members of groups: README.md has the commands."""
import members
from kafka import ConsumerRebalanceListener, KafkaConsumer
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata, TopicPartition

ASSIGNORS = {each.name: each for each in
             (RangePartitionAssignor, RoundRobinPartitionAssignor, StickyPartitionAssignor, CooperativeStickyAssignor)}


class Listener(ConsumerRebalanceListener):
    def __init__(self, member):
        self.member = member

    def on_partitions_assigned(self, assigned):
        self.member.assigned(each.partition for each in assigned)

    def on_partitions_revoked(self, revoked):
        self.member.revoked(each.partition for each in revoked)


class Member(members.Member):
    def consume(self):
        consumer = KafkaConsumer(
            bootstrap_servers=self.address, group_id=self.group, client_id=self.name, group_instance_id=self.instance,
            partition_assignment_strategy=(ASSIGNORS[self.assignor],), session_timeout_ms=self.session_ms, heartbeat_interval_ms=300,
            max_poll_interval_ms=60_000, auto_offset_reset="earliest", enable_auto_commit=False, reconnect_backoff_max_ms=200)
        consumer.subscribe([self.topic], listener=Listener(self))
        while not self.leaving.is_set():
            self.read(consumer, consumer.poll(100))
        consumer.close()

    def read(self, consumer, batches):
        positions = self.got([(each.partition, each.offset, each.value) for batch in batches.values() for each in batch])
        if not positions:
            return
        try:
            consumer.commit({TopicPartition(self.topic, partition): OffsetAndMetadata(offset, "", -1)
                             for partition, offset in positions.items()})
        except KafkaError:
            return  # whoever has the partitions next reads these again, or the next commit covers them
        self.committed(positions)


members.serve(Member)
