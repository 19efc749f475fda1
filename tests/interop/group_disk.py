#!/usr/bin/env python3
"""One story of groups over three lives of a broker, on one directory: kurier and Apache Kafka in every order, with clean ends and with
kill -9. Whoever serves, members and administrators are told the same as by Apache Kafka alone."""
import pathlib
import shutil
import sys
import tempfile

from disk import ApacheKafka
from group_offset_stories import commit, fetch
from group_rules import AT_ONCE, prepare
from group_story import LOADING, Story, answers, gather, offsets, only, rejoin, share
from harness import Checks, Kurier, jars
from messages import ask
from pair import STOCK, differences

# It waits for the registration of its last life to end.
IMPATIENT = ("broker.session.timeout.ms=1500", "broker.heartbeat.interval.ms=500")
SUFFIXES = ("-stable", "-left", "-simple", "-preparing", "-completing", "-deleted", "-pending")


class Lives:
    """Who serves the directory, one after the other."""

    def __init__(self, classpath, directory, servers, end):
        self.classpath, self.servers, self.end = classpath, list(servers), end
        self.node = Kurier(directory, settings=AT_ONCE)
        self.kafka = None

    def begin(self):
        if self.servers.pop(0) == "kurier":
            self.node.start()
        else:
            self.kafka = ApacheKafka(self.classpath, self.node, (*STOCK, *AT_ONCE, *IMPATIENT))
            self.kafka.wait_until_ready()

    def finish(self):
        if self.kafka:
            if self.end == "clean":
                self.kafka.stop()
            self.kafka.kill()
            self.kafka = None
        elif self.end == "clean":
            assert self.node.stop() == 0
        else:
            self.node.kill()

    def next(self, story):
        self.finish()
        self.begin()
        story.reconnect()
        story.until(lambda group: group["error_code"] == 0, "-stable")
        for suffix in SUFFIXES:
            story.until_loaded(suffix)

    def kill(self):
        self.node.kill()
        if self.kafka:
            self.kafka.kill()


def as_seen(story, members):
    """What everybody is told after a change of life."""
    story.describe(6, *SUFFIXES)
    story.tell("ListGroups", 5, change=lambda answer: only(answer, story))
    for suffix in SUFFIXES:
        fetch(story, 8, None, suffix)
        fetch(story, 10, None, suffix)
    for member in members:
        member.heartbeat()
        member.heartbeat(generation_id=member.generation - 1)


def three_lives(story, lives):
    a, b, s = (story.member(name, group="-stable", session=60000, **more) for name, more in (("a", {}), ("b", {}), ("s", {"instance": "i"})))
    p, q = story.member("p", group="-preparing", session=60000), story.member("q", group="-preparing", session=60000)
    c, left, gone = (story.member(name, group=group, session=60000) for name, group in (("c", "-completing"), ("l", "-left"), ("g", "-deleted")))
    pending = story.member("n", group="-pending", session=60000)
    gather(a, b, s)
    a.commit(topics=offsets("plain", {0: 5, 1: 6}, "m"))
    s.commit(topics=offsets("timed", {0: 7}))
    gather(left)
    left.commit()
    left.leave()
    gather(gone)
    gone.commit()
    gone.leave()
    story.tell("DeleteGroups", 2, groups_names=[gone.group_id])
    commit(story, 9, offsets("plain", {0: 1, 2: 1}) + offsets("other", {1: 8}), "-simple")
    commit(story, 3, offsets("other", {0: 9}), "-simple", retention_time_ms=86400000)
    commit(story, 9, offsets("plain", {2: 2}), "-simple")
    story.tell("OffsetDelete", 0, group_id=story.group("-simple"), topics=[{"name": "other", "partitions": [{"partition_index": 1}]}])
    pending.introduce()
    gather(p)
    q.enter()
    story.until_state("PreparingRebalance", "-preparing")
    c.enter()
    c.answer()

    members = [a, b, s, p, q, c, left, gone]
    lives.next(story)
    as_seen(story, members)
    pending.join()
    pending.answer()
    b.sync()
    b.answer()
    b.join()  # a follower with nothing new
    b.answer()
    c.sync(assignments={c.id: b"c"})
    c.answer()
    restarted = story.member("s", group="-stable", instance="i", session=60000)
    restarted.enter()
    restarted.answer()
    for member in (a, b, s, restarted):
        member.heartbeat()
    restarted.sync()
    restarted.answer()
    restarted.commit(topics=offsets("timed", {0: 17}))
    s.commit(topics=offsets("timed", {0: 18}))
    story.tell("DeleteGroups", 2, groups_names=[left.group_id])
    commit(story, 9, offsets("plain", {0: 11}) + offsets("timed", {0: 3}), "-simple")
    q.id = ""
    rejoin(q, p)
    share(p, q)

    members = [a, b, s, restarted, p, q, c]
    lives.next(story)
    as_seen(story, members)
    last = story.member("s", group="-stable", instance="i", session=60000)
    last.enter()
    last.answer()
    newcomer = story.member("d", group="-stable", session=60000)
    newcomer.enter()
    story.until_state("PreparingRebalance", "-stable", 4)
    for member in (a, b, last):
        member.join()
    answers(a, b, last, newcomer)
    share(a, b, last, newcomer)
    a.commit(topics=offsets("plain", {0: 50}))
    q.leave()
    p.heartbeat()
    commit(story, 9, offsets("plain", {0: 12}), "-simple")
    as_seen(story, [a, b, last, newcomer, p])
    story.tell("DeleteGroups", 2, groups_names=[story.group("-simple")])
    story.describe(6, "-simple")


def transcript(classpath, prepared, servers, end):
    with tempfile.TemporaryDirectory(prefix="kurier-lives-") as directory:
        shutil.copytree(prepared, directory, dirs_exist_ok=True)
        lives = Lives(classpath, directory, servers, end)
        story = None
        try:
            lives.begin()
            story = Story(lives.node, "lives", {})
            story.until_loaded("-stable")
            three_lives(story, lives)
            return story.transcript
        finally:
            if story:
                story.close()
            lives.kill()


def compare(classpath, prepared, expected, servers, end):
    ours = transcript(classpath, prepared, servers, end)
    assert [label for label, _ in ours] == [label for label, _ in expected]
    found = []
    for (label, mine), (_, other) in zip(ours, expected):
        lines = list(differences(mine, other))
        if lines:
            found.append(label + "\n    " + "\n    ".join(line[:400] for line in lines[:8]))
    assert not found, f"{len(found)} differences\n  " + "\n  ".join(found[:20])


# As Apache Kafka reads them the second and the third are one.
ODD_IDS = [b"gr\xfc\xdfe", b"a\xff", b"a\xfe", b"\xed\xa0\x80x"]
AS_READ = ["gr\ufffd\ufffde", "a\ufffd", "\ufffdx"]


def committed(node):
    """What is committed for each of them, once its coordinator has loaded."""
    found = []
    for group in ODD_IDS:
        answer = {"error_code": LOADING[0]}
        while answer["error_code"] in LOADING:
            answer = ask(node.port, "OffsetFetch", 7, group_id=group, topics=[{"name": "plain", "partition_indexes": [0]}])
        assert answer["error_code"] == 0, answer
        found.append(answer["topics"][0]["partitions"][0]["committed_offset"])
    return found


def commit_all(node, offset):
    for i, group in enumerate(ODD_IDS):
        topics = [{"name": "plain", "partitions": [{"partition_index": 0, "committed_offset": offset + i, "committed_metadata": b"m\xff"}]}]
        answer = ask(node.port, "OffsetCommit", 8, group_id=group, generation_id_or_member_epoch=-1, member_id="", topics=topics)
        assert answer["topics"][0]["partitions"][0]["error_code"] == 0, answer


def odd_ids(classpath, prepared):
    """Groups whose ids are no UTF-8 go on where they were, whoever has served them."""
    with tempfile.TemporaryDirectory(prefix="kurier-lives-") as directory:
        shutil.copytree(prepared, directory, dirs_exist_ok=True)
        lives = Lives(classpath, directory, ["kurier", "Apache Kafka", "kurier"], "clean")
        try:
            for before, offset in (([-1] * 4, 100), ([100, 102, 102, 103], 200), ([200, 202, 202, 203], 300)):
                lives.begin()
                found = committed(lives.node)
                assert found == before, (found, before)
                commit_all(lives.node, offset)
                groups = ask(lives.node.port, "ListGroups", 5, states_filter=[], types_filter=[])["groups"]
                assert sorted(AS_READ) == sorted(g["group_id"] for g in groups if "\ufffd" in g["group_id"]), groups
                lives.finish()
        finally:
            lives.kill()


def main():
    checks = Checks()
    classpath = jars("kafka")
    if classpath is None:
        checks.skip("groups that move between kurier and Apache Kafka", "Java or Maven is missing")
        checks.finish()
    with tempfile.TemporaryDirectory(prefix="kurier-lives-") as directory:
        node = Kurier(pathlib.Path(directory) / "first", settings=AT_ONCE)
        node.directory.mkdir()
        node.start()
        try:
            prepare(node)
            assert node.stop() == 0
        finally:
            node.kill()
        checks.check("ids that are no UTF-8", odd_ids, classpath, node.directory)
        for end in ("clean", "kill -9"):
            expected = transcript(classpath, node.directory, ["Apache Kafka"] * 3, end)
            for servers in (["kurier"] * 3, ["kurier", "Apache Kafka", "kurier"], ["Apache Kafka", "kurier", "Apache Kafka"]):
                checks.check(f"{', '.join(servers)} ({end})", compare, classpath, node.directory, expected, servers, end)
    checks.finish()


if __name__ == "__main__":
    sys.exit(main())
