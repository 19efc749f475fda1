#!/usr/bin/env python3
"""Apache Kafka's command-line tools for groups against a running kurier, and its dump tool over what the coordinator wrote."""
import contextlib
import datetime
import json
import queue
import re
import signal
import subprocess
import tempfile
import threading
import time

import messages
from agents import AGENTS, Agent, Record
from harness import Checks, java, jars, kurier
from kafka_tools import TOOLS, dump

TOPIC, PARTITIONS, COUNT = "tooled", 3, 100  # records in each partition
STEP_S = 60  # between two records' times
AGE_S = 7000  # of the first record


class Tools:
    def __init__(self, classpath, node):
        self.classpath, self.node = classpath, node
        self.base_s = int(time.time()) - AGE_S

    def run(self, tool, *arguments, **options):
        return java(self.classpath, TOOLS + tool, "--bootstrap-server", self.node.address, *arguments, **options)

    def groups(self, *arguments):
        return self.run("consumer.group.ConsumerGroupCommand", *arguments)

    def rows(self, *arguments):
        """The lines under the head of a table, as dictionaries; columns with spaces in them are not split."""
        lines = [line.split() for line in self.groups(*arguments).splitlines() if line.strip()]
        head = next(i for i, words in enumerate(lines) if words[0] == "GROUP")
        return [dict(zip(lines[head], words)) for words in lines[head + 1:]]

    def committed(self, group):
        answer = messages.ask(self.node.port, "OffsetFetch", 8, groups=[{"group_id": group, "topics": None}])["groups"][0]
        assert answer["error_code"] == 0, answer
        return [partition["committed_offset"] for topic in answer["topics"]
                for partition in sorted(topic["partitions"], key=lambda each: each["partition_index"])]

    def fill(self):
        producer = Agent(AGENTS["confluent-kafka"](), self.node.address)
        try:
            producer.ask("create_topic", TOPIC, PARTITIONS)
            producer.producer()
            for partition in range(PARTITIONS):
                producer.produce(TOPIC, [Record((self.base_s + STEP_S * i) * 1000, None, b"%d-%d" % (partition, i))
                                         for i in range(COUNT)], partition)
        finally:
            producer.close()

    def reset(self, group, *how):
        """By dry run, which must change nothing, then really; the offsets that are committed then."""
        before = self.committed(group)
        scope = ["--topic", TOPIC] if how[0] != "--from-file" else []
        planned = self.rows("--reset-offsets", "--group", group, *scope, *how, "--dry-run")
        assert self.committed(group) == before
        done = self.rows("--reset-offsets", "--group", group, *scope, *how, "--execute")
        for rows in (planned, done):
            assert [int(row["NEW-OFFSET"]) for row in sorted(rows, key=lambda row: row["PARTITION"])] == self.committed(group), rows
        return self.committed(group)


@contextlib.contextmanager
def verifiable_consumer(tools, group):
    """A running member, and what it says."""
    process = subprocess.Popen(["java", "-Xmx256m", "-cp", f"{tools.classpath}/*", TOOLS + "VerifiableConsumer", "--bootstrap-server",
                                tools.node.address, "--topic", TOPIC, "--group-id", group, "--group-protocol", "classic",
                                "--reset-policy", "earliest"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    said = queue.Queue()

    def read():
        for line in process.stdout:
            said.put(json.loads(line))
        said.put(None)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield process, said
    finally:
        process.kill()
        process.wait()
        reader.join()


def until(said, done, timeout_s=60):
    """What a verifiable consumer says up to the first of which `done` holds."""
    seen = []
    while not seen or not done(seen[-1]):
        each = said.get(timeout=timeout_s)
        assert each is not None, f"it ended: {seen[-3:]}"
        seen.append(each)
    return seen


def console_consumer(tools):
    text = tools.run("consumer.ConsoleConsumer", "--topic", TOPIC, "--group", "console", "--from-beginning",
                     "--max-messages", PARTITIONS * COUNT)
    lines = text.splitlines()
    for partition in range(PARTITIONS):
        assert [line for line in lines if line.startswith(f"{partition}-")] == [f"{partition}-{i}" for i in range(COUNT)]
    assert tools.committed("console") == [COUNT] * PARTITIONS


def describe_empty(tools):
    rows = tools.rows("--describe", "--group", "console", "--offsets")
    assert sorted((row["TOPIC"], row["PARTITION"], row["CURRENT-OFFSET"], row["LOG-END-OFFSET"], row["LAG"], row["CONSUMER-ID"])
                  for row in rows) == [(TOPIC, str(i), str(COUNT), str(COUNT), "0", "-") for i in range(PARTITIONS)], rows
    assert re.search(r"^console\s.*\bEmpty\s+0\b", tools.groups("--describe", "--group", "console", "--state"), re.M)


def refused(tools, text, *arguments):
    done = subprocess.run(["java", "-Xmx256m", "-cp", f"{tools.classpath}/*", TOOLS + "consumer.group.ConsumerGroupCommand",
                           "--bootstrap-server", tools.node.address, *map(str, arguments)], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=120)
    assert text in done.stdout, done.stdout


def live_group(tools):
    """A verifiable consumer reads everything; what the tools say of a group with a member, and what they do not do to one."""
    with verifiable_consumer(tools, "verified") as (process, said):
        consumed = {}
        while sum(consumed.values()) < PARTITIONS * COUNT:
            event = until(said, lambda each: each["name"] == "records_consumed")[-1]
            for each in event["partitions"]:
                assert each["minOffset"] == consumed.get(each["partition"], 0), each
                consumed[each["partition"]] = each["maxOffset"] + 1
        committed = until(said, lambda each: each["name"] == "offsets_committed")[-1]
        assert committed["success"], committed

        members = tools.groups("--describe", "--group", "verified", "--members", "--verbose")
        assert re.search(r"^verified\s+\S+\s+/127\.0\.0\.1\s+\S+\s+3\s.*tooled(\(|:)0,1,2", members, re.M), members
        state = tools.groups("--describe", "--group", "verified", "--state")
        assert re.search(r"^verified\s+127\.0\.0\.1:%d\s+\(1\)\s+range\s+Stable\s+1\s*$" % tools.node.port, state, re.M), state
        rows = tools.rows("--describe", "--group", "verified")
        assert len(rows) == PARTITIONS and all(row["HOST"] == "/127.0.0.1" and row["LAG"] == "0" for row in rows), rows
        listed = tools.groups("--list", "--state")
        assert re.search(r"^verified\s.*Stable", listed, re.M) and re.search(r"^console\s.*Empty", listed, re.M), listed
        stable = tools.groups("--list", "--state", "stable")
        assert "verified" in stable and "console" not in stable, stable
        states = tools.groups("--describe", "--all-groups", "--state")
        assert re.search(r"^verified\s.*Stable", states, re.M) and re.search(r"^console\s.*Empty", states, re.M), states
        assert re.search(r"^verified\s.*Classic", tools.groups("--list", "--type", "classic"), re.M | re.I)
        every = tools.run("GroupsCommand", "--list")
        assert re.search(r"^verified\s+Classic\s+consumer", every, re.M) and "console" in every, every

        refused(tools, "is inactive, but the current state is Stable", "--reset-offsets", "--group", "verified", "--topic", TOPIC,
                "--to-earliest", "--execute")
        refused(tools, "GroupNotEmptyException", "--delete", "--group", "verified")
        refused(tools, "GroupSubscribedToTopicException", "--delete-offsets", "--group", "verified", "--topic", TOPIC)
        assert tools.committed("verified") == [COUNT] * PARTITIONS
        process.send_signal(signal.SIGTERM)
        until(said, lambda each: each["name"] == "shutdown_complete")
    assert re.search(r"^verified\s.*\bEmpty\s+0\b", tools.groups("--describe", "--group", "verified", "--state"), re.M)


def performance(tools):
    text = tools.run("ConsumerPerformance", "--topic", TOPIC, "--messages", PARTITIONS * COUNT, "--group", "performed",
                     "--hide-header")
    assert int(text.strip().splitlines()[-1].split(", ")[4]) == PARTITIONS * COUNT, text
    latency = tools.run("EndToEndLatency", "--topic", "there-and-back", "--num-records", 100, "--producer-acks", "all",
                        "--record-size", 50)
    assert re.search(r"Percentiles: 50th = \d+, 99th = \d+, 99.9th = \d+", latency), latency


def resets(tools):
    assert tools.reset("console", "--to-earliest") == [0] * PARTITIONS
    assert tools.reset("console", "--to-latest") == [COUNT] * PARTITIONS
    assert tools.reset("console", "--to-offset", 42) == [42] * PARTITIONS
    assert tools.reset("console", "--shift-by", -7) == [35] * PARTITIONS
    assert tools.reset("console", "--shift-by", 1000) == [COUNT] * PARTITIONS  # no further than the end
    assert tools.reset("console", "--shift-by", -10) == [90] * PARTITIONS
    assert tools.reset("console", "--to-current") == [90] * PARTITIONS
    # Ten seconds after record 40, by the clock and back from now.
    at_s = tools.base_s + 40 * STEP_S + 10
    at = datetime.datetime.fromtimestamp(at_s, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000")
    assert tools.reset("console", "--to-datetime", at) == [41] * PARTITIONS
    assert tools.reset("console", "--to-earliest") == [0] * PARTITIONS
    assert tools.reset("console", "--by-duration", f"PT{int(time.time()) - at_s}S") == [41] * PARTITIONS
    exported = tools.groups("--reset-offsets", "--group", "console", "--topic", f"{TOPIC}:0,2", "--to-offset", 17, "--dry-run",
                            "--export")
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        file.write(exported.strip() + "\n")
        file.write(f"{TOPIC},1,18\n")
        file.flush()
        assert tools.reset("console", "--from-file", file.name) == [17, 18, 17]
    # One partition alone; a group that was not there.
    tools.groups("--reset-offsets", "--group", "console", "--topic", f"{TOPIC}:1", "--to-latest", "--execute")
    assert tools.committed("console") == [17, COUNT, 17]
    tools.groups("--reset-offsets", "--group", "fresh", "--topic", TOPIC, "--to-offset", 5, "--execute")
    assert tools.committed("fresh") == [5] * PARTITIONS
    # All topics of all groups, here only what would be done.
    rows = tools.rows("--reset-offsets", "--all-groups", "--all-topics", "--to-offset", 3, "--dry-run")
    assert {(row["GROUP"], row["TOPIC"], row["NEW-OFFSET"]) for row in rows} >= {("console", TOPIC, "3"), ("fresh", TOPIC, "3")}, rows
    assert tools.committed("fresh") == [5] * PARTITIONS
    # The consumer goes on where it was set.
    text = tools.run("consumer.ConsoleConsumer", "--topic", TOPIC, "--group", "fresh", "--max-messages", PARTITIONS * (COUNT - 5))
    assert sorted(text.split()) == sorted(f"{partition}-{i}" for partition in range(PARTITIONS) for i in range(5, COUNT))


def deletions(tools):
    tools.groups("--delete-offsets", "--group", "console", "--topic", f"{TOPIC}:0")
    assert tools.committed("console") == [COUNT, 17]
    tools.groups("--delete-offsets", "--group", "console", "--topic", TOPIC)
    assert tools.committed("console") == []
    assert "successful" in tools.groups("--delete", "--group", "fresh", "--group", "verified")
    assert tools.committed("fresh") == []
    listed = tools.groups("--list").split()
    assert "fresh" not in listed and "verified" not in listed, listed
    refused(tools, "GroupIdNotFoundException", "--delete", "--group", "fresh")


def decoded(tools):
    """What the offsets decoder finds in the files: commits, members, and tombstones for what was deleted."""
    assert tools.node.stop() == 0
    text = ""
    for path in sorted((tools.node.directory / "log").glob("__consumer_offsets-*/*.log")):
        if path.stat().st_size:
            text += dump(tools.classpath, path, "--offsets-decoder")
    lines = re.findall(r"key: (\{.*\}) payload: (\S.*)$", text, re.M)
    assert lines, text[:2000]
    keys = [json.loads(key) for key, _ in lines]
    kinds = {each["type"] for each in keys}
    assert kinds == {"1", "2"}, kinds  # committed offsets and groups
    commits = [json.loads(value) for key, value in lines if '"type":"1"' in key and '"group":"console"' in key and value[0] == "{"]
    assert {"17", "42", "90"} <= {str(each["data"]["offset"]) for each in commits}, commits[:3]
    tombstones = [json.loads(key)["data"] for key, value in lines if value[0] != "{"]
    assert {"console", "fresh", "verified"} <= {each["group"] for each in tombstones}, tombstones[:3]
    metadata = [json.loads(value)["data"] for key, value in lines if '"type":"2"' in key and '"verified"' in key and value[0] == "{"]
    assert any(each["protocol"] == "range" and len(each["members"]) == 1 for each in metadata), metadata[:2]
    assert [each["generation"] for each in metadata] == sorted(each["generation"] for each in metadata)


def main():
    checks = Checks()
    classpath = jars("tools")
    if classpath is None:
        checks.skip("Apache Kafka's tools for groups", "Java or Maven is missing")
        checks.finish()
    with kurier(["group.initial.rebalance.delay.ms=0"]) as node:
        tools = Tools(classpath, node)
        tools.fill()
        checks.check("console consumer in a group", console_consumer, tools)
        checks.check("consumer-groups: describe a group without members", describe_empty, tools)
        checks.check("verifiable consumer; describe, list, groups; what is refused while it reads", live_group, tools)
        checks.check("consumer perf, end-to-end latency", performance, tools)
        checks.check("consumer-groups: every kind of reset", resets, tools)
        checks.check("consumer-groups: delete offsets, delete", deletions, tools)
        checks.check("the dump tool with the offsets decoder", decoded, tools)
    checks.finish()


if __name__ == "__main__":
    main()
