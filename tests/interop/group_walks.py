#!/usr/bin/env python3
"""Random walks: members of one group do what comes to their minds, and kurier tells them the same as Apache Kafka. A walk that differs
prints its seed and its steps; `group_walks.py SEED` repeats it."""
import random
import select
import sys
import time

from group_member_stories import MEMBER_VERSIONS
from group_rules import AT_ONCE, prepare
from group_story import PATIENCE_S, Story, offsets, subscription
from harness import Checks, jars
from pair import differences, pair

PROTOCOLS = [[("range", subscription("plain"))], [("range", subscription("timed"))], [("sticky", subscription("plain")), ("range", subscription("plain"))],
             [("sticky", subscription("plain"))]]
UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID = 25, 82


class Twins:
    """A member on both nodes."""

    def __init__(self, walk, name, instance=None):
        self.walk, self.name, self.instance = walk, name, instance
        self.ours, self.theirs = (story.member(name, instance=instance) for story in walk.stories)
        self.both = (self.ours, self.theirs)
        self.retired = False

    @property
    def waits(self):
        return bool(self.ours.waiting)

    def heard(self, patience_s):
        """Reads what both were answered; False if neither was within the time."""
        sockets = [member.client.socket for member in self.both]
        if not select.select(sockets, [], [], patience_s)[0]:
            return False
        mine, other = (member.answer() for member in self.both)
        found = list(differences(self.ours.story.transcript[-1][1], self.theirs.story.transcript[-1][1]))
        assert not found, f"{self.ours.story.transcript[-1][0]}\n    " + "\n    ".join(found)
        if mine.get("error_code") == UNKNOWN_MEMBER_ID:
            for member in self.both:
                member.id = ""
        self.retired = self.retired or mine.get("error_code") == FENCED_INSTANCE_ID
        return True


class Walk:
    def __init__(self, both, seed):
        self.random = random.Random(seed)
        self.stories = [Story(node, f"walk-{seed}", both.prepared) for node in both.nodes]
        for story in self.stories:
            story.until_loaded()
        self.members = [Twins(self, "a"), Twins(self, "b"), Twins(self, "c"), Twins(self, "s", "i"), Twins(self, "t", "j")]
        self.steps = []

    def listen(self):
        heard = True
        while heard:
            heard = False
            for member in self.members:
                heard = member.waits and member.heard(0) or heard

    def leads(self, member):
        """Without its leader a group takes another by the order of Apache Kafka's hash map: it does not leave."""
        last = next((answer for label, answer in reversed(self.stories[0].transcript) if "JoinGroup" in label and answer["error_code"] == 0), None)
        return last is None or last["leader"].split("#")[0] == (member.instance or member.name)

    def step(self):
        choose = self.random
        member = choose.choice([one for one in self.members if not one.retired and not one.waits] or [None])
        what = choose.choices(("join", "sync", "heartbeat", "commit", "leave", "restart"), (8, 8, 2, 2, 1, 1))[0]
        if what == "restart":
            old = choose.choice([one for one in self.members if one.instance and not one.retired and one.ours.id] or [None])
            if old is None:
                return
            member, what = Twins(self, old.name, old.instance), "join"
            self.members.append(member)
        if member is None:
            return
        if what == "leave" and (self.leads(member) or not member.ours.id):
            return
        version = choose.randrange(5 if member.instance else 0, 10)
        versions = MEMBER_VERSIONS[version]
        wrong = choose.random() < 0.1
        protocols = choose.choice(PROTOCOLS) if choose.random() < 0.3 else None
        self.steps.append(f"{member.name} {what} version {version}{' wrong' if wrong else ''}{' other protocols' if protocols else ''}")
        for one in member.both:
            one.join_version, one.sync_version, one.heartbeat_version, one.leave_version = versions
            if protocols:
                one.protocols = protocols
            generation = one.generation - wrong
            if what == "join":
                one.join()
            elif what == "sync":
                everyone = [other for twins in self.members for other in twins.both if other.story is one.story and other.id]
                parts = {other.id: f"{other.name} {generation}".encode() for other in everyone} if one.id == one.leader else {}
                one.sync(assignments=parts, generation_id=generation)
            elif what == "heartbeat":
                one.send("Heartbeat", one.heartbeat_version, dict(one.identity, generation_id=generation))
            elif what == "commit":
                one.send("OffsetCommit", max(2, version), dict(one.identity, generation_id_or_member_epoch=generation,
                                                                       topics=offsets("plain", {0: len(self.steps)})))
            else:
                one.send("LeaveGroup", max(one.leave_version, 3), {"group_id": one.group_id, "members": [
                    {"member_id": one.id, "group_instance_id": one.instance}]})
        if not member.heard(0.15):
            self.steps[-1] += " …"
        self.listen()
        if what == "leave" and not member.waits:
            for one in member.both:
                one.id = ""
        self.until_described_alike()

    def until_described_alike(self):
        """Also makes sure that both have dealt with a request that neither answers yet."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            found = list(differences(*(sorted_names(story, story.state()) for story in self.stories)))
            if not found:
                return
            assert time.monotonic() < deadline, "described after it:\n    " + "\n    ".join(found)

    def close(self):
        for story in self.stories:
            story.close()


def sorted_names(story, described):
    described = story.names.mask(described)
    described["members"].sort(key=lambda member: member["member_id"])
    return described


def walk(both, seed, steps=120):
    walking = Walk(both, seed)
    try:
        for _ in range(steps):
            walking.step()
    except Exception as error:
        raise AssertionError(f"seed {seed}, after\n    " + "; ".join(walking.steps) + f"\n{type(error).__name__}: {error}") from error
    finally:
        walking.close()


def main():
    checks = Checks()
    classpath = jars("kafka")
    if classpath is None:
        checks.skip("random walks of groups", "Java or Maven is missing")
        checks.finish()
    with pair(classpath, prepare, AT_ONCE) as both:
        for seed in map(int, sys.argv[1:] or range(1, 13)):
            checks.check(f"walk {seed}", walk, both, seed)
    checks.finish()


if __name__ == "__main__":
    main()
