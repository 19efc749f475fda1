"""What kurier and Apache Kafka have written into __consumer_offsets, as Apache Kafka's own dump tool with its offsets decoder reads it."""
import json
import re

from group_story import Names
from harness import java
from pair import differences

RECORD = re.compile(r"^\| offset: .*? key: (\{.*\}) payload: (.*)$")
TIMES = ("commitTimestamp", "expireTimestamp", "currentStateTimestamp")


def normal(value, names):
    """Without random ids and times; members in the order of their names."""
    if isinstance(value, dict):
        found = {name: normal(part, names) for name, part in value.items()}
        if value.get("expireTimestamp", -1) != -1:
            found["kept for"] = value["expireTimestamp"] - value["commitTimestamp"]
        if "topicId" in found:
            found["topicId"] = names.of_topic(found["topicId"])
        for name in TIMES:
            if found.get(name, -1) != -1:
                found[name] = "a time"
        if "members" in found:
            found["members"].sort(key=lambda member: member["memberId"])
        return found
    if isinstance(value, list):
        return [normal(part, names) for part in value]
    return names.of(value) if isinstance(value, str) else value


def records(tools, node):
    """group -> its records in order, each (key, value)."""
    logs = sorted((node.directory / "log").glob("__consumer_offsets-*/*.log"))
    assert logs, "no log of __consumer_offsets"
    dumped = java(tools, "org.apache.kafka.tools.DumpLogSegments", "--offsets-decoder", "--files", ",".join(map(str, logs)))
    by_group = {}
    for line in dumped.split("\n"):
        match = RECORD.match(line)
        assert match or not line.startswith("| "), f"what the decoder cannot read: {line}"
        if match:
            key, payload = json.loads(match.group(1)), match.group(2)
            value = json.loads(payload) if payload.startswith("{") else payload  # a tombstone
            by_group.setdefault(key["data"]["group"], []).append((key, value))
    named = {}
    for group, found in by_group.items():
        names = Names()
        named[group] = [normal({"key": key, "value": value}, names) for key, value in found]
    return named


def compare_records(tools, both, skipped=()):
    """Record by record of each group; leaders that a hash map's order has chosen are left out with their groups."""
    ours, theirs = (records(tools, node) for node in both.nodes)
    found = []
    for group in sorted(set(ours) | set(theirs)):
        if group.startswith(skipped):
            continue
        mine, other = ours.get(group, []), theirs.get(group, [])
        for index, (one, another) in enumerate(zip(mine, other)):
            lines = list(differences(one, another))
            if lines:
                found.append(f"{group}, record {index}:\n    " + "\n    ".join(line[:400] for line in lines[:6]))
                break
        else:
            if len(mine) != len(other):
                rest = (mine if len(mine) > len(other) else other)[min(len(mine), len(other))]
                found.append(f"{group}: kurier {len(mine)} records, Apache Kafka {len(other)}; the first that one does not have: {str(rest)[:600]}")
    assert not found, f"{len(found)} differences\n  " + "\n  ".join(found[:30])
    print(f"{sum(map(len, ours.values()))} records of {len(ours)} groups", flush=True)
