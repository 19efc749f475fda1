#!/usr/bin/env python3
"""kurier group, produce and consume against kurier and Apache Kafka; what they say is what kcat and Apache Kafka's tools see."""
import datetime
import json
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time

import messages
from disk import ApacheKafka
from harness import Checks, Kurier, java, jars, kurier
from kafka_tools import TOOLS

WAIT_S = 90


def tool(node, *arguments, stdin="", status=0):
    """Its standard output; with another status, its complaint."""
    command = [str(node.binary), *map(str, arguments)]
    done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=WAIT_S)
    assert done.returncode == status, f"{command}: exit status {done.returncode}, expected {status}: {done.stderr}"
    return done.stdout if status == 0 else done.stderr


def at(node, command, *arguments, **options):
    return tool(node, *command.split(), "--bootstrap", node.address, *arguments, **options)


def rows(node, command, *arguments):
    return [json.loads(line) for line in at(node, command, "--json", *arguments).splitlines()]


def kcat(node, *arguments, stdin=""):
    return subprocess.run(["kcat", "-b", node.address, *map(str, arguments)], input=stdin, check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=WAIT_S).stdout


def create(node, topic, partitions):
    answer = messages.ask(node.port, "CreateTopics", 5, topics=[{"name": topic, "num_partitions": partitions,
                                                                 "replication_factor": 1, "assignments": [], "configs": []}],
                          timeout_ms=30_000, validate_only=False)
    assert answer["topics"][0]["error_code"] == 0, answer


def committed(node, group):
    """Partition of a topic → offset, as the broker says it."""
    answer = messages.ask(node.port, "OffsetFetch", 8, groups=[{"group_id": group, "topics": None}])["groups"][0]
    assert answer["error_code"] == 0, answer
    return {(topic["name"], each["partition_index"]): each["committed_offset"] for topic in answer["topics"]
            for each in topic["partitions"]}


class Running:
    """A process whose lines arrive as they are written."""

    def __init__(self, *command):
        self.process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))

    def take(self, count):
        return [self.lines.get(timeout=WAIT_S) for _ in range(count)]

    def stop(self):
        """SIGTERM; exit status and the lines that were left."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(WAIT_S)
        self.reader.join()
        return status, list(self.lines.queue)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stderr.close()


def produces(node):
    create(node, "produced", 3)
    lines = "".join(f"k{i}:v{i}\n" for i in range(3000))
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        said = rows_of(at(node, "produce", "produced", "--json", "--key-separator", ":", "-H", "a=b", "--compression-codec", codec,
                          stdin=lines))[0]
        assert said["records"] == 3000 and sum(each["records"] for each in said["partitions"]) == 3000, said
    read = kcat(node, "-C", "-t", "produced", "-e", "-q", "-f", "%p %k:%s %h\n", "-X", "check.crcs=true").splitlines()
    assert len(read) == 15_000
    wanted = {f"k{i}:v{i} a=b" for i in range(3000)}
    assert {line.split(" ", 1)[1] for line in read} == wanted
    # librdkafka's partitioner of the same name as Java's puts each key where it is.
    kcat(node, "-P", "-t", "produced", "-K", ":", "-X", "partitioner=murmur2", stdin=lines)
    again = kcat(node, "-C", "-t", "produced", "-e", "-q", "-f", "%p %k\n").splitlines()
    assert len(again) == 18_000 and len(set(again)) == 3000, len(set(again))
    for acks in ("0", "1", "all"):
        at(node, "produce", "produced", "--acks", acks, "--no-idempotent", "--partition", 2, stdin="plain\n")
    at(node, "produce", "produced", "--partition", 2, "--key-separator", ":", "--null-marker", "NULL", stdin="gone:NULL\nlast:")
    tail = rows_of(at(node, "consume", "produced", "--partition", 2, "--offset", -5, "-e", "--json"))
    assert [(each["key"], each["value"]) for each in tail] == [(None, "plain")] * 3 + [("gone", None), ("last", "")], tail


def rows_of(text):
    return [json.loads(line) for line in text.splitlines()]


def consumes(node):
    create(node, "read", 2)
    for partition in (0, 1):
        kcat(node, "-P", "-t", "read", "-p", partition, "-z", "zstd", stdin="".join(f"{partition}-{i}\n" for i in range(1000)))
    everything = at(node, "consume", "read", "--from-beginning", "-e").splitlines()
    for partition in (0, 1):
        assert [line for line in everything if line[0] == str(partition)] == [f"{partition}-{i}" for i in range(1000)]
    assert at(node, "consume", "--partition", "1", "read", "--offset", 990, "-n", 3).splitlines() == ["1-990", "1-991", "1-992"]
    assert at(node, "consume", "read", "--partition", 0, "--offset", -2, "-e").splitlines() == ["0-998", "0-999"]
    assert at(node, "consume", "read", "-e") == ""  # from the end
    assert sorted(at(node, "consume", "read", "--from", "2000-01-01T00:00:00", "-n", 2000).splitlines()) == sorted(everything)
    assert at(node, "consume", "read", "--timeout-ms", 100) == ""
    subprocess.run(["kcat", "-b", node.address, "-P", "-t", "read", "-p", "0"], input=b"\xff\n", check=True, timeout=WAIT_S)
    assert rows_of(at(node, "consume", "read", "--partition", 0, "--offset", -1, "-e", "--json"))[0]["value_base64"] == "/w=="


def refuses(node):
    for arguments, said in [(["consume", "absent"], "topic 'absent' does not exist"),
                            (["consume", "read", "--partition", 7], "topic 'read' has 2 partitions"),
                            (["consume", "read", "--partition", 0, "--offset", 99_999_999], "OFFSET_OUT_OF_RANGE"),
                            (["group", "describe", "absent"], "GROUP_ID_NOT_FOUND"),
                            (["group", "delete", "absent"], "GROUP_ID_NOT_FOUND"),
                            (["group", "reset", "new", "--topic", "absent", "--to-latest"], "topic 'absent' does not exist"),
                            (["group", "reset", "new", "--topic", "read:9", "--to-latest"], "no partition 9"),
                            (["group", "reset", "new", "--topic", "read", "--by", 3], "nothing is committed"),
                            (["produce", "read", "--partition", 5], "topic 'read' has 2 partitions")]:
        complaint = tool(node, *arguments, "--bootstrap", node.address, status=1)
        assert said in complaint, (arguments, complaint)
    for arguments, said in [(["consume", "read", "--bootstrap", "nonsense"], "--bootstrap 'nonsense' is not host:port"),
                            (["consume", "read", "--from", "sometimes"], "--from is 'sometimes', expected"),
                            (["consume", "read", "--group", "g", "--partition", "1"], "--partition and --group"),
                            (["consume", "read", "--property", "print.all=true"], "print.key"),
                            (["produce", "read", "--acks", "2"], "--acks is '2', expected 0, 1 or all"),
                            (["group", "reset", "g", "--topic", "t"], "none of --to-earliest"),
                            (["group", "reset", "g", "--topic", "t", "--to-datetime", "today"], "no time like"),
                            (["group", "nonsense"], "'nonsense' is none of list, describe"),
                            (["nonsense"], "'nonsense' is none of serve, group, produce, consume, bench"),
                            (["bench", "nonsense"], "'nonsense' is none of produce, fetch"),
                            (["consume", "read", "--nonsense"], "--nonsense")]:
        complaint = tool(node, *arguments, status=2)
        assert said in complaint, (arguments, complaint)
    wrong = at(node, "produce", "read", "--partition", 1, "--key-separator", ":", stdin="a:b\nno key\n", status=1)
    assert "line 2 has no key separator ':'" in wrong, wrong
    assert rows_of(at(node, "consume", "read", "--partition", 1, "--offset", -1, "-e", "--json"))[0]["key"] == "a"


def group_life(node):
    """One member reads, commits and goes; then list, describe, reset, delete."""
    create(node, "life", 2)
    for partition in (0, 1):
        at(node, "produce", "life", "--partition", partition, stdin="".join(f"{partition}-{i}\n" for i in range(50)))
    read = at(node, "consume", "life", "--group", "lives", "--from-beginning", "-e").splitlines()
    assert sorted(read) == sorted(f"{partition}-{i}" for partition in (0, 1) for i in range(50)), read
    assert committed(node, "lives") == {("life", 0): 50, ("life", 1): 50}
    assert {"group": "lives", "type": "classic", "protocol_type": "consumer", "state": "Empty"} in [
        {**row, "type": row["type"].lower()} for row in rows(node, "group list")]
    assert "lives" in at(node, "group list", "--state", "Empty") and "lives" not in at(node, "group list", "--state", "Stable")
    at(node, "produce", "life", "--partition", 0, stdin="more\n")
    described = rows(node, "group describe", "lives")[0]
    assert described["state"] == "Empty" and described["members"] == [], described
    assert [(each["partition"], each["committed"], each["log_end"], each["lag"]) for each in described["offsets"]] == [
        (0, 50, 51, 1), (1, 50, 50, 0)], described
    assert "life   1          50" in at(node, "group describe", "lives")
    for how, wanted in [(["--to-earliest"], [0, 0]), (["--to-offset", 20], [20, 20]), (["--by", -5], [15, 15]),
                        (["--shift-by", 1000], [51, 50]), (["--to-current"], [51, 50]), (["--to-latest"], [51, 50])]:
        before = committed(node, "lives")
        planned = rows(node, "group reset", "lives", "--topic", "life", *how)
        assert committed(node, "lives") == before, "a dry run has changed something"
        done = rows(node, "group reset", "lives", "--topic", "life", *how, "--execute")
        assert [row["after"] for row in planned] == [row["after"] for row in done] == wanted, (how, done)
        assert [committed(node, "lives")["life", i] for i in (0, 1)] == wanted, how
    rows(node, "group reset", "lives", "--topic", "life:1", "--to-offset", 48, "--execute")
    assert at(node, "consume", "life", "--group", "lives", "-e").splitlines() == ["1-48", "1-49"]
    at(node, "group delete", "lives", "--topic", "life:0")
    assert committed(node, "lives") == {("life", 1): 50}
    at(node, "group delete", "lives")
    assert "lives" not in at(node, "group list")


def described_until(node, group, condition):
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            description = rows(node, "group describe", group)[0]
        except AssertionError as not_yet:  # nobody has joined
            assert "GROUP_ID_NOT_FOUND" in str(not_yet)
            description = None
        if description and condition(description):
            return description
        assert time.monotonic() < deadline, description


def shared(node, ours_first):
    """kcat (librdkafka) and kurier consume in one group, with either as the first to come; then ours leaves by SIGTERM."""
    name = "ours-first" if ours_first else "theirs-first"  # of the group and the topic
    create(node, name, 4)
    theirs = ["kcat", "-b", node.address, "-G", name, "-q", "-u", "-f", "%p %s\n", "-X", "auto.offset.reset=earliest", "-X",
              "partition.assignment.strategy=range", name]
    ours = [node.binary, "consume", name, "--bootstrap", node.address, "--group", name, "--from-beginning", "--property",
            "print.partition=true", "--property", "key.separator= "]
    members = []
    try:
        for command in ([ours, theirs] if ours_first else [theirs, ours]):
            members.append(Running(*command))
            described = described_until(node, name, lambda it: it["state"] == "Stable" and len(it["members"]) == len(members)
                                        and all(member["assignment"] for member in it["members"]))
        kurier_member, kcat_member = members if ours_first else reversed(members)
        assert described["assignor"] == "range", described
        parts = {member["client_id"]: member["assignment"][0]["partitions"] for member in described["members"]}
        assert sorted(sum(parts.values(), [])) == [0, 1, 2, 3] and len(parts["kurier"]) == 2, parts
        assert "stop them first" in at(node, "group reset", name, "--topic", name, "--to-latest", "--execute", status=1)
        assert "NON_EMPTY_GROUP" in at(node, "group delete", name, status=1)
        for partition in range(4):
            at(node, "produce", name, "--partition", partition, stdin="".join(f"{i}\n" for i in range(100)))
        wanted = sorted(f"Partition:{partition} {i}" for partition in parts["kurier"] for i in range(100))
        assert sorted(kurier_member.take(200)) == wanted
        assert len(kcat_member.take(200)) == 200
        assert "GROUP_SUBSCRIBED_TO_TOPIC" in at(node, "group delete", name, "--topic", f"{name}:0", status=1)
        status, rest = kurier_member.stop()
        assert status == 0 and rest == [], (status, rest[:3])
        after = committed(node, name)
        assert all(after[name, partition] == 100 for partition in parts["kurier"]), after
        described_until(node, name, lambda it: it["state"] == "Stable" and len(it["members"]) == 1
                        and it["members"][0]["assignment"])
        at(node, "produce", name, "--partition", parts["kurier"][0], stdin="taken over\n")
        assert kcat_member.take(1) == [f"{parts['kurier'][0]} taken over"]
    finally:
        for member in members:
            member.kill()


def static_member(node):
    """With an instance id it does not leave: it is back before its session is over, and nobody rebalances."""
    create(node, "static", 1)
    at(node, "produce", "static", stdin="a\nb\nc\n")
    options = ["--group", "static", "--group-instance-id", "one", "--from-beginning"]
    assert at(node, "consume", "static", *options, "-n", 1) == "a\n"
    described = rows(node, "group describe", "static")[0]
    assert [member["instance_id"] for member in described["members"]] == ["one"] and described["state"] == "Stable", described
    assert at(node, "consume", "static", *options, "-n", 2) == "b\nc\n"
    assert committed(node, "static") == {("static", 0): 3}


def like_apache_kafkas_tools(node, classpath):
    """The same reset planned by kafka-consumer-groups; the same records printed by the console consumer."""
    create(node, "compared", 2)
    for partition in (0, 1):
        at(node, "produce", "compared", "--partition", partition, "--key-separator", ":", "-H", "a=b", "-H", "c=d",
           stdin="".join(f"k{i}:v{i}\n" for i in range(20)))
    for group in ("theirs", "ours"):
        rows(node, "group reset", group, "--topic", "compared", "--to-offset", 10, "--execute")
    where = ["--bootstrap-server", node.address]
    future = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S.000")
    for how in (["--shift-by", "-3"], ["--to-offset", "1000"], ["--to-datetime", future], ["--by-duration", "PT1H"]):
        text = java(classpath, TOOLS + "consumer.group.ConsumerGroupCommand", *where, "--reset-offsets", "--group", "theirs",
                    "--topic", "compared", *how, "--dry-run")
        lines = [line.split() for line in text.splitlines() if line.split()]
        head = next(i for i, words in enumerate(lines) if words[0] == "GROUP")
        theirs = {int(row[2]): int(row[3]) for row in lines[head + 1:]}
        ours = {row["partition"]: row["after"] for row in rows(node, "group reset", "ours", "--topic", "compared", *how)}
        assert ours == theirs, (how, ours, theirs)
    properties = [part for name in ("timestamp", "partition", "offset", "headers", "key") for part in
                  ("--formatter-property", f"print.{name}=true")]
    theirs = java(classpath, TOOLS + "consumer.ConsoleConsumer", *where, "--topic", "compared", "--from-beginning",
                  "--max-messages", 40, *properties)
    ours = at(node, "consume", "compared", "--from-beginning", "--max-messages", 40, *properties)
    assert sorted(ours.splitlines()) == sorted(theirs.splitlines()), (ours[:300], theirs[:300])


def apache_kafka(classpath, tools):
    """The same commands against Apache Kafka."""
    with tempfile.TemporaryDirectory(prefix="kurier-tool-") as directory:
        node = Kurier(directory)
        node.start()  # formats
        assert node.stop() == 0
        kafka = ApacheKafka(classpath, node, ["offsets.topic.replication.factor=1", "group.initial.rebalance.delay.ms=0",
                                              "transaction.state.log.replication.factor=1"])
        try:
            kafka.wait_until_ready()
            for check in (produces, consumes, group_life, static_member):
                check(node)
            for ours_first in (True, False):
                shared(node, ours_first)
            like_apache_kafkas_tools(node, tools)
        finally:
            kafka.stop()
            kafka.kill()


def main():
    checks = Checks()
    tools = jars("tools")
    with kurier(["group.initial.rebalance.delay.ms=0"]) as node:
        checks.check("produce: kcat reads every codec, key and header; acks, nulls", produces, node)
        checks.check("consume: what kcat wrote, from where it is told", consumes, node)
        checks.check("what is wrong is said: what, where, and what would be right", refuses, node)
        checks.check("a group's life: consume, list, describe, reset, delete", group_life, node)
        checks.check("a group shared with librdkafka, ours first; SIGTERM commits and leaves", shared, node, True)
        checks.check("a group shared with librdkafka, theirs first", shared, node, False)
        checks.check("a static member", static_member, node)
        if tools is None:
            checks.skip("compared with Apache Kafka's tools", "Java or Maven is missing")
        else:
            checks.check("compared with Apache Kafka's tools", like_apache_kafkas_tools, node, tools)
    classpath = jars("kafka")
    if classpath is None or tools is None:
        checks.skip("against Apache Kafka", "Java or Maven is missing")
    elif "--kurier-only" not in sys.argv[1:]:
        checks.check("against Apache Kafka", apache_kafka, classpath, tools)
    checks.finish()


if __name__ == "__main__":
    main()
