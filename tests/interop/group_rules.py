#!/usr/bin/env python3
"""The same stories of groups told to kurier and to Apache Kafka 4.4, which began from one directory: the same answers, field by
field, and the same records in __consumer_offsets. `group_rules.py WORD…` tells only the stories with one of the words in their names."""
import sys

import group_intended_stories
import group_limit_stories
import group_member_stories
import group_offset_stories
from group_records import compare_records
from group_story import different, same
from harness import Checks, jars
from messages import ask
from pair import pair

SETTINGS = ("offsets.topic.num.partitions=3", "group.min.session.timeout.ms=200", "group.max.size=5",
            "offset.metadata.max.bytes=20")
AT_ONCE = (*SETTINGS, "group.initial.rebalance.delay.ms=0")
ANY_LEADER = ("overfull-group",)


def prepare(node):
    created = ask(node.port, "CreateTopics", 7, timeout_ms=10000, topics=[
        {"name": name, "num_partitions": partitions, "replication_factor": 1} for name, partitions in (("plain", 3), ("timed", 1), ("other", 2))])
    assert all(topic["error_code"] == 0 for topic in created["topics"]), created
    found = {"error_code": -1}
    while found["error_code"]:
        found = ask(node.port, "FindCoordinator", 2, key="group", key_type=0)
    return {topic["name"]: topic["topic_id"] for topic in created["topics"]}


def main():
    checks = Checks()
    classpath = jars("kafka")
    if classpath is None:
        checks.skip("groups, compared", "Java or Maven is missing")
        checks.finish()
    wanted = sys.argv[1:]
    with pair(classpath, prepare, AT_ONCE) as both:
        for name, *telling in group_member_stories.STORIES + group_limit_stories.STORIES + group_offset_stories.STORIES:
            if not wanted or any(word in name for word in wanted):
                checks.check(name, same, both, name.replace(" ", "-").replace(",", ""), *telling)
        for telling, expected in group_intended_stories.STORIES:
            name = telling.__name__.replace("_", "-")
            if not wanted or any(word in name for word in wanted):
                checks.check(f"intended: {telling.__doc__}", different, both, name, telling, expected)
        checks.check("the records of __consumer_offsets", compare_records, jars("tools"), both, ANY_LEADER)
    if not wanted or "first" in wanted:
        with pair(classpath, prepare, (*SETTINGS, "group.initial.rebalance.delay.ms=2000")) as both:
            checks.check("the first rebalance waits", same, both, "first", group_member_stories.first_rebalance)
    checks.finish()


if __name__ == "__main__":
    main()
