#!/usr/bin/env python3
"""Random requests of administrators and of members that are mistaken, between what the members of a group do (group_walks.py): kurier and
Apache Kafka give the same answers, field by field. A history that differs prints its seed and its steps; `group_requests.py SEED` repeats it."""
import collections
import sys

from group_log_directories import partition_of
from group_offset_stories import NO_ID, NOBODY, UNKNOWN_ID, by_topic
from group_rules import AT_ONCE, prepare
from group_story import Story, offsets, only, subscription
from group_walks import Walk
from harness import Checks, jars
from pair import differences, masked, pair

SEEDS = range(1, 19)
STEPS = 150
TOPICS = {"plain": (0, 1, 2, 9), "timed": (0, 1), "other": (0, 1, -1), "nowhere": (0, 1), "": (0,), "__consumer_offsets": (0,)}
STATES = ["Stable", "stable", "Empty", "PreparingRebalance", "completingrebalance", "Dead", "Assigning", "nonsense", "", " Stable "]
TYPES = ["classic", "Classic", "consumer", "share", "streams", "nonsense", ""]
LAST_VERSIONS = {"JoinGroup": 9, "SyncGroup": 5, "Heartbeat": 4, "LeaveGroup": 5, "OffsetCommit": 10, "OffsetFetch": 10, "OffsetDelete": 0,
                 "DescribeGroups": 6, "ListGroups": 5, "DeleteGroups": 2, "FindCoordinator": 6}
FIRST_VERSIONS = {"OffsetCommit": 2, "OffsetFetch": 1}


def errors(answer):
    """All that an answer says."""
    for name, part in answer.items():
        if name == "error_code":
            yield part
        for inner in part if isinstance(part, list) else []:
            if isinstance(inner, dict):
                yield from errors(inner)


# The errors that have to come up, which they do many times.
ANSWERS = {"DeleteGroups": (0, 68, 69), "DescribeGroups": (0, 69), "FindCoordinator": (0, 42), "Heartbeat": (22, 25), "LeaveGroup": (0, 25),
           "JoinGroup": (0, 23, 24, 25, 26, 79), "ListGroups": (0,), "OffsetCommit": (0, 3, 12, 22, 25), "OffsetDelete": (0, 3, 24, 69),
           "OffsetFetch": (0,), "SyncGroup": (25,)}


class Requests(Walk):
    def __init__(self, both, seed, seen):
        super().__init__(both, seed)
        self.count = 0
        self.seen = seen
        self.kinds = [method for name, method in vars(Requests).items() if name.startswith("ask_")]

    def step(self):
        if self.random.random() < 0.3:
            return super().step()
        self.count += 1
        self.random.choice(self.kinds)(self)
        self.listen()
        self.until_described_alike()
        return None

    def leads(self, member):
        """Or may do so without having been told yet."""
        return super().leads(member) or self.stories[0].state()["group_state"] != "Stable"

    def tell(self, name, version, make, change=None):
        """`make(node)` is the request, whose member ids are those of the node. Kurier's answer."""
        self.steps.append(f"{name} {version}")
        answers = [story.tell(name, version, change, **make(index)) for index, story in enumerate(self.stories)]
        found = list(differences(*(story.transcript[-1][1] for story in self.stories)))
        assert not found, f"{self.stories[0].transcript[-1][0]}\n    " + "\n    ".join(found)
        self.seen.update((name, error) for error in errors(answers[0]))
        return answers[0]

    # ---- what is chosen

    def version(self, name):
        return self.random.randint(FIRST_VERSIONS.get(name, 0), LAST_VERSIONS[name])

    def some(self, choices, most):
        return [self.random.choice(choices) for _ in range(self.random.randint(0, most))]

    def maybe(self, share=0.5):
        return self.random.random() < share

    def suffix(self):
        return self.random.choice(["", "", "-a", "-b", "-nowhere"])

    def group(self, suffix):
        return self.stories[0].group(suffix)

    def groups(self, most=4):
        return [self.group(self.suffix()) if self.maybe(0.9) else self.random.choice(["", "."]) for _ in range(self.random.randint(0, most))]

    def somebody(self):
        """(their id on each node, their generation, their instance)."""
        known = [twins for twins in self.members if twins.ours.id]
        twins = self.random.choice(known) if known and self.maybe(0.7) else None
        ids = [member.id for member in twins.both] if twins else [self.random.choice(["", NOBODY, "x"])] * 2
        generation = (twins.ours.generation if twins else 0) + self.random.choice([0, 0, 0, 1, -1])
        instance = twins.instance if twins else None
        return ids, self.random.choice([generation, generation, -1]), self.random.choice([instance, instance, instance, "i", "zz"])

    def identity(self, name, version, ids, generation, instance, node):
        first_with_instance = {"JoinGroup": 5, "SyncGroup": 3, "Heartbeat": 3, "OffsetCommit": 7}[name]
        identity = {"member_id": ids[node]}
        if name != "JoinGroup":
            identity["generation_id_or_member_epoch" if name == "OffsetCommit" else "generation_id"] = generation
        if version >= first_with_instance:
            identity["group_instance_id"] = instance
        return identity

    def topics(self, by_id, entries):
        """[(name, what its partitions are)] as the version has them."""
        prepared = self.stories[0].prepared
        return [{"topic_id": prepared.get(name) or self.random.choice([UNKNOWN_ID, NO_ID]), **parts} if by_id else {"name": name, **parts}
                for name, parts in entries]

    def names(self, most=3):
        names = self.some(list(TOPICS), most) if self.maybe(0.3) else self.some(["plain", "timed", "other"], most)
        return names if self.maybe(0.2) else list(dict.fromkeys(names))

    # ---- requests

    def ask_describe(self):
        version = self.version("DescribeGroups")
        groups = self.groups()
        more = {"include_authorized_operations": self.maybe()} if version >= 3 else {}
        self.tell("DescribeGroups", version, lambda _: dict(groups=groups, **more))

    def ask_list(self):
        version = self.version("ListGroups")
        filters = {}
        if version >= 4:
            filters["states_filter"] = self.some(STATES, 3)
        if version >= 5:
            filters["types_filter"] = self.some(TYPES, 3)
        self.tell("ListGroups", version, lambda _: filters, lambda answer: only(answer, self.stories[0]))

    def ask_fetch(self):
        version = self.version("OffsetFetch")
        stable = {"require_stable": self.maybe()} if version >= 7 else {}

        def wanted():
            if version >= 2 and self.maybe(0.3):
                return None
            return self.topics(version >= 10, [(name, {"partition_indexes": self.some(TOPICS[name], 4)}) for name in self.names()])

        if version < 8:
            group, topics = self.group(self.suffix()), wanted()
            self.tell("OffsetFetch", version, lambda _: dict(group_id=group, topics=topics, **stable), by_topic if topics is None else None)
            return
        asked = []
        for name in dict.fromkeys(self.groups()):
            ids, generation, _ = self.somebody()
            asked.append((name, wanted(), ids, generation if self.maybe(0.3) else -1))

        def request(node):
            groups = [{"group_id": name, "topics": topics} for name, topics, _, _ in asked]
            if version >= 9:
                for group, (_, _, ids, epoch) in zip(groups, asked):
                    group.update({"member_id": ids[node] or None, "member_epoch": epoch})
            return dict(groups=groups, **stable)

        everything = {name for name, topics, _, _ in asked if topics is None}

        def in_order(answer):
            for group in answer["groups"]:
                if group["group_id"] in everything:
                    by_topic(group)
            return dict(answer, groups=sorted(answer["groups"], key=str))

        self.tell("OffsetFetch", version, request, in_order)

    def ask_commit(self):
        version = self.version("OffsetCommit")
        suffix = self.suffix()
        names = self.names()
        metadata = self.random.choice(["", "m", None, "x" * 20, "x" * 21])
        if metadata == "x" * 21:  # of which alone Apache Kafka would make a group for a moment
            names = ["plain"] + [name for name in names if name != "plain"]

        def part(index, text):
            epoch = {"committed_leader_epoch": self.random.choice([-1, 0, 7])} if version >= 6 else {}
            return dict(partition_index=index, committed_offset=self.random.choice([self.count, self.count, 0, -1, 1 << 62]), committed_metadata=text, **epoch)

        entries = []
        for name in names:
            parts = [part(index, metadata) for index in self.some(TOPICS[name], 3)]
            if metadata == "x" * 21 and name == "plain":
                parts.append(part(2, "fits"))
            entries.append((name, {"partitions": parts}))
        topics = self.topics(version >= 10, entries)
        ids, generation, instance = self.somebody()
        if self.maybe(0.4) or suffix in ("-a", "-b") and self.maybe():
            ids, generation, instance = ["", ""], -1, None
        retention = {"retention_time_ms": self.random.choice([-1, 1 << 40])} if version <= 4 else {}
        self.tell("OffsetCommit", version, lambda node: dict(group_id=self.group(suffix), topics=topics, **retention,
                                                             **self.identity("OffsetCommit", version, ids, generation, instance, node)))

    def ask_delete_offsets(self):
        group = self.random.choice([self.group(self.suffix()), self.group(self.suffix()), ""])
        topics = [{"name": name, "partitions": [{"partition_index": index} for index in self.some(TOPICS[name], 3)]} for name in dict.fromkeys(self.names())]
        self.tell("OffsetDelete", 0, lambda _: dict(group_id=group, topics=topics))

    def ask_delete_groups(self):
        groups = self.groups(3)
        self.tell("DeleteGroups", self.version("DeleteGroups"), lambda _: dict(groups_names=groups),
                  lambda answer: dict(answer, results=sorted(answer["results"], key=lambda result: result["group_id"])))

    def ask_leave(self):
        version = self.version("LeaveGroup")
        leaving = []
        for _ in range(self.random.randint(0, 4) if version >= 3 else 1):
            can_go = [twins for twins in self.members if twins.ours.id and not twins.waits and not twins.retired and not self.leads(twins)]
            twins = self.random.choice(can_go) if can_go and self.maybe(0.3) else None
            ids = [member.id for member in twins.both] if twins else [self.random.choice(["", NOBODY, "x"])] * 2
            instance = twins.instance if twins and self.maybe(0.9) else self.random.choice([None, None, "zz"])
            leaving.append((twins, ids, instance))
        group = self.group("" if any(twins for twins, _, _ in leaving) else self.suffix())
        if version < 3:
            self.tell("LeaveGroup", version, lambda node: dict(group_id=group, member_id=leaving[0][1][node]))
            gone = leaving[0][0] and [leaving[0][0]] or []
        else:
            reason = {"reason": "told"} if version >= 5 else {}
            answer = self.tell("LeaveGroup", version, lambda node: dict(group_id=group, members=[
                dict(member_id=ids[node], group_instance_id=instance, **reason) for _, ids, instance in leaving]))
            gone = [twins for (twins, _, _), member in zip(leaving, answer["members"]) if twins and member["error_code"] == 0]
        for twins in gone:
            for member in twins.both:
                member.id = ""

    def ask_heartbeat(self):
        version = self.version("Heartbeat")
        ids, generation, instance = self.somebody()
        group = self.group(self.suffix()) if self.maybe(0.9) else ""
        self.tell("Heartbeat", version, lambda node: dict(group_id=group, **self.identity("Heartbeat", version, ids, generation, instance, node)))

    def ask_wrong_sync(self):
        """Never one that would have to wait."""
        version = self.version("SyncGroup")
        ids, generation, instance = self.somebody()
        protocol = {"protocol_type": "consumer", "protocol_name": "range"} if version >= 5 else {}
        wrong = self.random.choice(["member", "generation", "protocol", "group"])
        if wrong == "member" or wrong == "protocol" and version < 5:
            ids = [NOBODY] * 2
        elif wrong == "generation":
            generation += 7
        elif wrong == "protocol":
            protocol.update(self.random.choice([{"protocol_type": None}, {"protocol_name": None}, {"protocol_type": "connect"}, {"protocol_type": ""}]))
        group = self.random.choice(["", self.group("-a"), self.group("-nowhere")]) if wrong == "group" else self.group("")
        assignments = [{"member_id": NOBODY, "assignment": b"x"}] if self.maybe() else []
        self.tell("SyncGroup", version, lambda node: dict(group_id=group, assignments=assignments, **protocol,
                                                          **self.identity("SyncGroup", version, ids, generation, instance, node)))

    def ask_wrong_join(self):
        """Into the members' group or one of offsets alone; never one that would have to wait."""
        self.join(self.group(self.suffix()), self.random.choice(["session", "protocols", "type", "member"]))

    def ask_lonely_join(self):
        """Into a group of its own, where nobody has to be waited for."""
        self.join(self.group(f"-lonely-{self.count}") if self.maybe(0.9) else "", None)

    def join(self, group, wrong):
        version = self.version("JoinGroup")
        ids, _, instance = self.somebody()
        if wrong is None and self.maybe(0.7):
            ids = ["", ""]
        values = {"session_timeout_ms": self.random.choice([30000, 1800000] if wrong or self.maybe(0.8) else [199, 0, -1, 1800001, (1 << 31) - 1]),
                  "protocol_type": self.random.choice(["consumer", "consumer", "connect"]),
                  "protocols": [{"name": name, "metadata": metadata} for name, metadata in self.random.choice([
                      [("range", subscription("plain"))], [("range", b"")], [("range", b"\0\7garbage")], [("", b"")],
                      [("sticky", subscription("plain")), ("range", subscription("timed", "plain"))]])]}
        if wrong is None and values["session_timeout_ms"] == 30000:
            values["session_timeout_ms"] = 1800000  # it is not to die while others look
        if version >= 1:
            values["rebalance_timeout_ms"] = self.random.choice([60000, 0, -1])
        if version >= 8:
            values["reason"] = self.random.choice([None, "told", ""])
        if wrong == "session":
            values["session_timeout_ms"] = self.random.choice([199, 0, -1, 1800001])
        elif wrong == "protocols" or wrong is None and self.maybe(0.1):
            values["protocols"] = []
        elif wrong == "type" or wrong is None and self.maybe(0.1):
            values["protocol_type"] = ""
        elif wrong == "member":
            ids = [self.random.choice([NOBODY, "x"])] * 2
        self.tell("JoinGroup", version, lambda node: dict(group_id=group, **values, **self.identity("JoinGroup", version, ids, -1, instance, node)))

    def ask_find(self):
        version = self.version("FindCoordinator")
        # Transactions and share groups have no coordinators yet.
        values = {"key_type": 0 if self.maybe(0.7) else self.random.choice([3, -1, 127])} if version >= 1 else {}
        keys = self.groups()
        values.update({"coordinator_keys": keys} if version >= 4 else {"key": (keys or [""])[0]})
        self.tell("FindCoordinator", version, lambda _: values, lambda answer: masked(answer, ("port",)))


def history(both, seed, seen):
    walking = Requests(both, seed, seen)
    try:
        for _ in range(STEPS):
            walking.step()
    except Exception as error:
        raise AssertionError(f"seed {seed}, after\n    " + "; ".join(walking.steps) + f"\n{type(error).__name__}: {error}") from error
    finally:
        walking.close()


def of_every_kind(seen):
    missing = [(name, error) for name, wanted in ANSWERS.items() for error in wanted if not seen[name, error]]
    assert not missing, f"never answered: {missing}\nseen: {sorted(seen.items())}"


def more_partitions(both):
    """Of __consumer_offsets: they count from the next start on."""
    topic, before, after = "__consumer_offsets", 3, 7
    groups = [f"moving-{number}" for number in range(20)]

    def fetched(ask, group):
        answer = ask("OffsetFetch", 8, groups=[{"group_id": group, "topics": [{"name": "plain", "partition_indexes": [0]}]}])
        return answer["groups"][0]["topics"][0]["partitions"][0]["committed_offset"]

    for group in groups:
        both.same("OffsetCommit", 8, group_id=group, generation_id_or_member_epoch=-1, topics=offsets("plain", {0: 5}))
    both.same("CreatePartitions", 3, topics=[{"name": topic, "count": after, "assignments": None}], timeout_ms=10000)
    for group in groups:
        both.same("FindCoordinator", 4, key_type=0, coordinator_keys=[group])
        assert fetched(both.same, group) == 5, group
    kurier = both.nodes[0]
    assert kurier.stop() == 0
    kurier.start()
    story = Story(kurier, "moving")
    for group in groups:
        story.until_loaded(group.removeprefix("moving"))
        stays = partition_of(group, before) == partition_of(group, after)
        assert fetched(story.admin.ask, group) == (5 if stays else -1), group
    story.close()


def main():
    checks = Checks()
    classpath = jars("kafka")
    if classpath is None:
        checks.skip("random requests about groups", "Java or Maven is missing")
        checks.finish()
    with pair(classpath, prepare, AT_ONCE) as both:
        seen = collections.Counter()
        for seed in map(int, sys.argv[1:] or SEEDS):
            checks.check(f"history {seed}", history, both, seed, seen)
        if not sys.argv[1:]:
            checks.check("the answers are of every kind", of_every_kind, seen)
            checks.check("more partitions of __consumer_offsets count from the next start on", more_partitions, both)
    checks.finish()


if __name__ == "__main__":
    main()
