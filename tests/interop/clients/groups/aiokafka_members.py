#!/usr/bin/env python3
"""aiokafka as members of groups, each with an event loop of its own: README.md has the commands."""
import asyncio

import members
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError

ASSIGNORS = {each.name: each for each in (RangePartitionAssignor, RoundRobinPartitionAssignor, StickyPartitionAssignor)}


class Listener(ConsumerRebalanceListener):
    def __init__(self, member):
        self.member = member

    def on_partitions_assigned(self, assigned):
        self.member.assigned(each.partition for each in assigned)

    def on_partitions_revoked(self, revoked):
        self.member.revoked(each.partition for each in revoked)


class Member(members.Member):
    def consume(self):
        asyncio.run(self.consume_here())

    async def consume_here(self):
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.address, group_id=self.group, client_id=self.name, group_instance_id=self.instance,
            partition_assignment_strategy=(ASSIGNORS[self.assignor],), session_timeout_ms=self.session_ms, heartbeat_interval_ms=300,
            max_poll_interval_ms=60_000, rebalance_timeout_ms=60_000, auto_offset_reset="earliest", enable_auto_commit=False)
        consumer.subscribe([self.topic], listener=Listener(self))
        await consumer.start()
        while not self.leaving.is_set():
            await self.read(consumer, await consumer.getmany(timeout_ms=100, max_records=500))
        await consumer.stop()

    async def read(self, consumer, batches):
        positions = self.got([(each.partition, each.offset, each.value) for batch in batches.values() for each in batch])
        if not positions:
            return
        try:
            await consumer.commit({TopicPartition(self.topic, partition): offset for partition, offset in positions.items()})
        except KafkaError:
            return  # whoever has the partitions next reads these again, or the next commit covers them
        self.committed(positions)


members.serve(Member)
