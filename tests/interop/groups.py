#!/usr/bin/env python3
"""Groups of stock clients under load: ten members join, leave, are killed and come back, and so does the node; then a checker
(history.py) reads what every member saw.

usage: groups.py [CLIENT[+CLIENT…][:ASSIGNOR]…]
"""
import concurrent.futures
import contextlib
import pathlib
import struct
import sys
import threading
import time

import history_test
import messages
from agents import AGENTS, Agent, Missing, Record
from group_agents import CLIENTS_OF_GROUPS, Process
from harness import Checks, kurier
from history import event, faults

TOPIC, PARTITIONS = "work", 20
SESSION_MS, STATIC_SESSION_MS = 10_000, 60_000  # many processes on few cores: a shorter one ends by itself now and then
WAIT_S = 120  # what does not happen within it does not happen
NODE = ["group.initial.rebalance.delay.ms=200", "group.min.session.timeout.ms=1000", "log.segment.bytes=1048576"]


def now_us():
    return time.time_ns() // 1000


class Load(threading.Thread):
    """An idempotent producer that writes to every partition, values that are the offsets, until told to stop."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.producer = Agent(AGENTS["confluent-kafka"](), node.address)
        self.producer.ask("create_topic", TOPIC, PARTITIONS)
        self.producer.producer(linger_ms=0)
        self.ending = threading.Event()
        self.written = 0  # in each partition
        self.failure = None

    def run(self):
        try:
            while not self.ending.wait(0.02):  # the pace
                for partition in range(PARTITIONS):
                    self.producer.send(TOPIC, [Record(-1, None, b"%d" % self.written)], partition)
                reports = self.producer.flush()
                assert reports == [(partition, self.written) for partition in range(PARTITIONS)], reports
                self.written += 1
        except Exception as failure:
            self.failure = failure

    def end(self):
        self.ending.set()
        self.join()
        if self.failure:
            raise self.failure
        return {str(partition): self.written for partition in range(PARTITIONS)}

    def close(self):
        self.ending.set()
        self.producer.close()


class Observer(threading.Thread):
    """Reads the group's committed offsets again and again, and notes whatever it reads."""

    def __init__(self, node, group, tell):
        super().__init__(daemon=True)
        self.node, self.group, self.tell = node, group, tell
        self.ending = threading.Event()

    def ask(self):
        asked = now_us()
        answer = messages.ask(self.node.port, "OffsetFetch", 8, groups=[{"group_id": self.group, "topics": None}])
        if answer is None:
            return
        group, = answer["groups"]
        if group["error_code"] == 0:
            for topic in group["topics"]:
                for each in topic["partitions"]:
                    assert each["error_code"] == 0, each
                    self.tell(event(asked, "observed", str(each["partition_index"]), each["committed_offset"]))

    def run(self):
        while not self.ending.wait(0.05):  # the pace
            try:
                self.ask()
            except (OSError, TimeoutError):
                pass  # the node is down


def generation(node, group):
    """What the last GroupMetadata record of a group says, read from the files under __consumer_offsets."""
    found = 0
    key = struct.pack(">hh", 2, len(group)) + group.encode()
    for path in sorted((node.directory / "log").glob("__consumer_offsets-*/*.log")):
        data = path.read_bytes()
        at = data.find(key)
        while at >= 0:
            reader = messages.Reader(data)
            reader.position = at + len(key)
            with contextlib.suppress(IndexError, AssertionError):  # the node is writing the rest of it
                if reader.take(1) != b"\1":  # not a tombstone
                    reader.position -= 1
                    reader.unsigned_varint()  # the value's length
                    reader.number("int16")  # version
                    reader.take(reader.number("int16"))  # protocol type
                    found = max(found, reader.number("int32"))
            at = data.find(key, at + 1)
    return found


class Group:
    """The processes of one group, what is known about it, and its history."""

    def __init__(self, node, name, assignor):
        self.node, self.name, self.assignor = node, name, assignor
        self.changed = threading.Condition()
        self.history = []
        self.owned = {}  # of each member that lives
        self.committed = {str(partition): 0 for partition in range(PARTITIONS)}  # as observed
        self.failures = []
        self.processes = {}
        self.members = {}  # name → (process, instance)
        self.observer = Observer(node, name, self.note)
        self.observer.start()

    def note(self, each):
        with self.changed:
            if each.kind == "failed":
                self.failures.append(each)
            else:
                self.history.append(each)
            if each.kind == "owns":
                self.owned[each.words[0]] = frozenset(each.words[1:])
            elif each.kind in ("left", "killed"):
                self.owned.pop(each.words[0], None)
            elif each.kind == "observed":
                self.committed[each.words[0]] = each.words[1]
            self.changed.notify_all()

    def mark(self, kind, *words):
        self.note(event(now_us(), kind, *words))

    def wait(self, predicate, what, timeout_s=WAIT_S):
        with self.changed:
            happened = self.changed.wait_for(lambda: self.failures or predicate(), timeout_s)
            assert not self.failures, self.failures
            assert happened, f"not within {timeout_s} s: {what}\n{ {name: sorted(has) for name, has in self.owned.items()} }"

    def start(self, process, client):
        self.processes[process] = Process(CLIENTS_OF_GROUPS[client].command(), self.node.address, self.note)

    def join(self, process, *names, static=False):
        for name in names:
            self.members[name] = (process, static)
            self.processes[process].ask("join", name, self.name, TOPIC, self.assignor, name if static else "-",
                                        STATIC_SESSION_MS if static else SESSION_MS)

    def leave(self, *names):
        for name in names:
            self.processes[self.members[name][0]].ask("leave", name)
        self.wait(lambda: not any(name in self.owned for name in names), f"{names} leave")
        for name in names:
            del self.members[name]

    def kill(self, process):
        """kill -9. The names of its members, whom the group does not have any longer."""
        names = [name for name, (where, _) in self.members.items() if where == process]
        self.processes[process].kill()
        for name in names:
            self.mark("killed", name)
            del self.members[name]
        return names

    def settled(self):
        """Every member lives and has something, and every partition has one owner."""
        owners = [partition for has in self.owned.values() for partition in has]
        return (set(self.owned) == set(self.members) and all(self.owned.values())
                and sorted(owners) == sorted(map(str, range(PARTITIONS))))

    def is_stable(self):
        answer = messages.ask(self.node.port, "DescribeGroups", 5, groups=[self.name])
        return answer["groups"][0]["group_state"] == "Stable"

    def settle(self, why):
        """Until every partition has its owner and no further rebalance is under way: a cooperative one leads to another."""
        for _ in range(50):
            self.wait(self.settled, f"settled after {why}")
            before = generation(self.node, self.name)
            self.progress(40)  # by then every member has sent heartbeats
            if self.settled() and self.is_stable() and generation(self.node, self.name) == before:
                return
        raise AssertionError(f"{self.name} goes on rebalancing after {why}")

    def progress(self, count=5):
        """The committed offset of every partition moves on."""
        with self.changed:
            goals = {partition: offset + count for partition, offset in self.committed.items()}
        self.wait(lambda: all(self.committed[partition] >= goal for partition, goal in goals.items()), "progress")

    def calm(self, *restarting):
        before = generation(self.node, self.name)
        assert before > 0
        self.mark("calm", *restarting)
        self.mark("generation", before)

    def disturb(self):
        self.mark("generation", generation(self.node, self.name))
        self.mark("disturbed")

    def close(self):
        self.observer.ending.set()
        for process in self.processes.values():
            process.kill()


def life(node, name, clients, assignor):
    """Three processes with four, three and three members; those of the second are static where their client can be."""
    static = all(assignor in CLIENTS_OF_GROUPS[client].statics for client in clients)
    group = Group(node, name, assignor)
    load = Load(node)
    first, second, third = [f"a{i}" for i in range(4)], [f"b{i}" for i in range(3)], [f"c{i}" for i in range(3)]
    try:
        load.start()
        for process, client in zip("abc", clients):
            group.start(process, client)
        group.join("a", *first)
        group.settle("four members joined")
        group.join("b", *second, static=static)
        group.join("c", *third)
        group.settle("ten members joined")
        group.progress()
        group.calm()
        group.progress()
        group.disturb()

        if CLIENTS_OF_GROUPS[clients[0]].careful:
            group.leave("a3")
            group.settle("one left")
            group.join("a", "a3")
            group.settle("one joined")
            group.progress()
        group.kill("c")
        group.settle("three were killed")
        group.progress()
        group.start("c", clients[2])
        group.join("c", *third)
        group.settle("three came back")
        group.progress()

        if static:
            static_restart(group, clients[1], second)
        if all(CLIENTS_OF_GROUPS[client].stays for client in clients):
            group.calm()
        node.kill()
        node.start()
        group.progress()
        group.disturb()

        ends = load.end()
        group.wait(lambda: group.committed == ends, "everything is committed")
        group.leave(*list(group.members))
        group.observer.ask()
        assert group.committed == ends
        found = faults(group.history, ends)
        assert not found, "\n".join([f"{len(found)} faults in {len(group.history)} events:", *found[:20]])
        assert sum(each.kind == "got" for each in group.history) >= sum(ends.values()) > 0
    except Exception:
        keep(group)
        raise
    finally:
        load.close()
        group.close()


def static_restart(group, client, members):
    before = {name: group.owned[name] for name in members}
    group.calm(*members)
    assert sorted(group.kill("b")) == members
    group.start("b", client)
    group.join("b", *members, static=True)
    group.settle("the static members came back")
    assert {name: group.owned[name] for name in members} == before
    group.progress()
    group.disturb()


def keep(group):
    """The history, for whoever wants to know why."""
    path = pathlib.Path("/tmp") / f"kurier-history-{group.name}"
    with group.changed:
        path.write_text("".join(f"{' '.join(map(str, (each.stamp_us, each.kind, *each.words)))}\n"
                                for each in sorted(group.history, key=lambda each: each.stamp_us)))
    print(f"the history is in {path}")


SCENARIOS = [
    "java:range", "java:roundrobin", "java:sticky", "java:cooperative-sticky",
    "confluent-kafka:range", "confluent-kafka:cooperative-sticky", "librdkafka:roundrobin", "librdkafka:cooperative-sticky",
    "rdkafka:range", "rdkafka:cooperative-sticky",
    "franz-go:range", "franz-go:sticky", "franz-go:cooperative-sticky",
    "kafka-python:range", "kafka-python:sticky", "aiokafka:roundrobin", "aiokafka:sticky",
    "sarama:range", "sarama:sticky", "kafka-go:range", "kafkajs:roundrobin",
    # One group, several languages.
    "java+confluent-kafka+franz-go:range", "confluent-kafka+java+franz-go:cooperative-sticky", "kcat+java+librdkafka:roundrobin",
    "kafka-python+aiokafka+sarama:roundrobin", "kafkajs+kafka-go+java:roundrobin", "franz-go+sarama+java:sticky",
]


def clients_of(scenario):
    return scenario.partition(":")[0].split("+")


def build(scenarios):
    """Before anything runs: a build takes all cores for minutes, and a member that restarts would have to wait for it."""
    for command in [AGENTS["confluent-kafka"], *(CLIENTS_OF_GROUPS[client].command for client in
                                                 sorted({client for scenario in scenarios for client in clients_of(scenario)}))]:
        try:
            command()
        except Exception as error:  # its scenarios say so, or why
            print(error, flush=True)


def run(scenario):
    assignor = scenario.partition(":")[2]
    clients = clients_of(scenario)
    if len(clients) < 3:
        clients = (clients * 3)[:3]
    name = scenario.replace(":", "-").replace("+", "-")
    with kurier(NODE) as node:
        life(node, name, clients, assignor)


def main():
    checks = Checks()
    history_test.planted(checks)
    scenarios = sys.argv[1:] or SCENARIOS
    build(scenarios)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        running = [(scenario, pool.submit(run, scenario)) for scenario in scenarios]
        for scenario, future in running:
            missing = future.exception() if isinstance(future.exception(), Missing) else None
            if missing:
                checks.skip(scenario, missing)
            else:
                checks.check(scenario, future.result)
    checks.finish()


if __name__ == "__main__":
    main()
