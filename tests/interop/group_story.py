"""A story of groups: requests of many members to one node, and what was answered. Played on two nodes, the transcripts are compared."""
import itertools
import re
import select
import struct
import threading
import time

from messages import Client
from pair import differences

MEMBER_ID = re.compile(r"(.*)-([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})", re.DOTALL)
LOADING = (14, 15, 16)  # COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR
PATIENCE_S = 20


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def subscription(*topics, user_data=b"", version=0):
    """The metadata of a consumer (ConsumerProtocolSubscription)."""
    return struct.pack(">hi", version, len(topics)) + b"".join(map(text, topics)) + struct.pack(">i", len(user_data)) + user_data


class Names:
    """Random member ids by the order in which they appear: a#1 is the first id that was made for the prefix "a"."""

    def __init__(self):
        self.known = {}
        self.counts = {}
        self.topics = {}

    def of(self, member_id):
        match = MEMBER_ID.fullmatch(member_id)
        if not match:
            return member_id
        if member_id not in self.known:
            prefix = match.group(1)
            self.counts[prefix] = self.counts.get(prefix, 0) + 1
            self.known[member_id] = f"{prefix}#{self.counts[prefix]}"
        return self.known[member_id]

    def of_topic(self, topic_id):
        return self.topics.setdefault(topic_id, f"topic #{len(self.topics) + 1}")

    def mask(self, value):
        if isinstance(value, dict):
            return {name: self.mask(part) for name, part in value.items()}
        if isinstance(value, list):
            return [self.mask(part) for part in value]
        return self.of(value) if isinstance(value, str) else value


def in_order(name, answer):
    """Apache Kafka lists from maps that have no order: members of a group, groups that several coordinators describe."""
    if not isinstance(answer, dict):
        return answer
    if name == "JoinGroup":
        answer["members"].sort(key=lambda member: member["member_id"])
    if name == "DescribeGroups":
        answer["groups"].sort(key=lambda group: group["group_id"])
        for group in answer["groups"]:
            group["members"].sort(key=lambda member: member["member_id"])
    if name == "ListGroups":
        answer["groups"].sort(key=lambda group: group["group_id"])
    return answer


class Story:
    def __init__(self, node, name, prepared=None):
        self.node, self.name, self.prepared = node, name, prepared
        self.transcript = []
        self.any_leader = False  # the leader is gone: Apache Kafka takes another by the order of a hash map
        self.names = Names()
        self.clients = []
        self.admin = self.connect("admin")
        self.watcher = self.connect("watcher")
        self.members = []

    def connect(self, client_id):
        self.clients.append(Client(self.node.port, PATIENCE_S, client_id))
        return self.clients[-1]

    def reconnect(self):
        """To whoever serves now; what still waits is not read."""
        self.close()
        self.clients = []
        self.admin, self.watcher = self.connect("admin"), self.connect("watcher")
        for member in self.members:
            member.reconnect()

    def close(self):
        for client in self.clients:
            client.close()

    def group(self, suffix=""):
        return self.name + suffix

    def say(self, label, name, answer):
        if name == "JoinGroup" and answer and self.any_leader:
            answer = dict(answer, leader=bool(answer["leader"]), members=[])
        self.transcript.append((label, in_order(name, self.names.mask(answer))))

    def tell(self, name, version, change=None, **values):
        """A request of an administrator."""
        answer = self.admin.ask(name, version, **values)
        self.say(f"{name} {version} {self.names.mask(values)}", name, change(answer) if change else answer)
        return answer

    def describe(self, version=6, *suffixes, **values):
        return self.tell("DescribeGroups", version, groups=[self.group(suffix) for suffix in suffixes or ("",)], **values)

    def member(self, name, **traits):
        self.members.append(Member(self, name, **traits))
        return self.members[-1]

    def state(self, suffix=""):
        return self.watcher.ask("DescribeGroups", 5, groups=[self.group(suffix)])["groups"][0]

    def until(self, reached, suffix=""):
        deadline = time.monotonic() + PATIENCE_S
        while not reached(described := self.state(suffix)):
            assert time.monotonic() < deadline, f"the group is still {described}"

    def until_state(self, state, suffix="", members=None):
        self.until(lambda group: group["group_state"] == state and members in (None, len(group["members"])), suffix)

    def until_loaded(self, suffix=""):
        self.until(lambda group: group["error_code"] not in LOADING, suffix)


class Member:
    def __init__(self, story, name, group="", instance=None, protocols=(("range", subscription("plain")),), protocol_type="consumer",
                 session=30000, rebalance=60000, versions=(9, 5, 4, 5)):
        self.story, self.name, self.group_id, self.instance = story, name, story.group(group), instance
        self.suffix = group
        self.protocols, self.protocol_type, self.session, self.rebalance = list(protocols), protocol_type, session, rebalance
        self.join_version, self.sync_version, self.heartbeat_version, self.leave_version = versions
        self.id, self.generation, self.leader, self.protocol = "", -1, None, None
        self.reconnect()

    def reconnect(self):
        """What still waits on the old connection is not read."""
        self.client = self.story.connect(self.name)
        self.waiting = []

    @property
    def identity(self):
        return {"group_id": self.group_id, "member_id": self.id, "group_instance_id": self.instance}

    def send(self, name, version, values):
        self.client.send(name, version, values)
        self.waiting.append((name, version))

    def answer(self):
        name, version = self.waiting.pop(0)
        answer = self.client.answer(name, version)
        if name == "JoinGroup" and answer:
            self.id = answer["member_id"] or self.id
            if answer["error_code"] == 0:
                self.generation, self.leader, self.protocol = answer["generation_id"], answer["leader"], answer["protocol_name"]
        self.story.say(f"{self.name}: {name} {version}", name, answer)
        return answer

    def heard(self):
        """Whether the oldest request was answered at all, and what."""
        name, version = self.waiting[0]
        if select.select([self.client.socket], [], [], 0.5)[0]:
            self.answer()
        else:
            self.story.say(f"{self.name}: {name} {version}", name, "no answer")

    def ask(self, name, version, values):
        self.send(name, version, values)
        return self.answer()

    def join(self, version=None, **changes):
        """Sent, not awaited."""
        values = dict(self.identity, session_timeout_ms=self.session, rebalance_timeout_ms=self.rebalance, protocol_type=self.protocol_type,
                      protocols=[{"name": name, "metadata": metadata} for name, metadata in self.protocols], reason="told")
        self.send("JoinGroup", self.join_version if version is None else version, dict(values, **changes))

    def introduce(self, version=None, **changes):
        """The first of the two steps, where there are two."""
        version = self.join_version if version is None else version
        if version >= 4 and self.instance is None and not self.id:
            self.join(version, **changes)
            return self.answer()
        return None

    def enter(self, version=None, **changes):
        self.introduce(version, **changes)
        self.join(version, **changes)

    def sync(self, version=None, assignments=None, **changes):
        values = dict(self.identity, generation_id=self.generation, protocol_type=self.protocol_type, protocol_name=self.protocol,
                      assignments=[{"member_id": member, "assignment": assignment} for member, assignment in (assignments or {}).items()])
        self.send("SyncGroup", self.sync_version if version is None else version, dict(values, **changes))

    def heartbeat(self, version=None, **changes):
        return self.ask("Heartbeat", self.heartbeat_version if version is None else version,
                        dict(dict(self.identity, generation_id=self.generation), **changes))

    def leave(self, version=None, **changes):
        version = self.leave_version if version is None else version
        values = {"group_id": self.group_id}
        if version < 3:
            values["member_id"] = self.id
        else:
            values["members"] = [{"member_id": self.id, "group_instance_id": self.instance, "reason": "told"}]
        return self.ask("LeaveGroup", version, dict(values, **changes))

    def commit(self, version=9, topics=None, **changes):
        return self.ask("OffsetCommit", version, dict(dict(self.identity, generation_id_or_member_epoch=self.generation,
                                                           topics=topics or offsets("plain", {0: 5})), **changes))


def offsets(topic, committed, metadata="", **more):
    return [dict({"name": topic, "partitions": [{"partition_index": index, "committed_offset": offset, "committed_metadata": metadata,
                                                 "committed_leader_epoch": 0} for index, offset in committed.items()]}, **more)]


def answers(*members):
    for member in members:
        member.answer()


def only(answer, story):
    """Of all groups those of the story."""
    answer["groups"] = [group for group in answer["groups"] if group["group_id"].startswith(story.name)]
    return answer


def share(*members):
    """Everyone is in the generation and asks for its part; the leader, which is asked last, says what it is."""
    leader = next(member for member in members if member.id == member.leader)
    for member in members:
        if member is not leader:
            member.sync()
    leader.sync(assignments={member.id: f"part of {member.name}".encode() for member in members})
    answers(*members)


def rejoin(first, *others):
    """A rebalance that `first` causes and the others follow."""
    first.enter()
    if others:
        first.story.until_state("PreparingRebalance", first.suffix)
    for member in others:
        member.join()
    answers(first, *others)


def gather(*members):
    """One comes after the other; then all have their parts."""
    for count, member in enumerate(members):
        rejoin(member, *members[:count])
        share(*members[:count + 1])
    return members


def play(both, name, telling, *arguments):
    """The story on both nodes at once: what differs."""
    stories = [Story(node, name, both.prepared) for node in both.nodes]
    errors = [None, None]

    def tell(index):
        try:
            stories[index].until_loaded()
            telling(stories[index], *arguments)
        except Exception as error:  # told with what was said until then
            errors[index] = error

    threads = [threading.Thread(target=tell, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = []
    for mine, other in itertools.zip_longest(*(story.transcript for story in stories)):
        if mine is None or other is None or mine[0] != other[0]:
            found.append(f"kurier: {mine}\n    Apache Kafka: {other}")
            break
        lines = list(differences(mine[1], other[1]))
        if lines:
            found.append(mine[0] + "\n    " + "\n    ".join(line[:400] for line in lines[:8]))
    for story in stories:
        story.close()
    for who, error in zip(("kurier", "Apache Kafka"), errors):
        if error:
            found.append(f"{who}: {type(error).__name__}: {error}")
    return found


def same(both, name, telling, *arguments):
    found = play(both, name, telling, *arguments)
    assert not found, f"{len(found)} differences\n  " + "\n  ".join(found[:20])


def different(both, name, telling, expected):
    """A story in which the nodes differ on purpose, in as many answers as expected."""
    found = play(both, name, telling)
    assert len(found) == expected, f"{len(found)} differences, not {expected}\n  " + "\n  ".join(found[:20])
