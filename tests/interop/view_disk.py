#!/usr/bin/env python3
"""The view of a coordinator's partition against its log: after a clean end, kill -9, with a view of an older time, a damaged one or none,
and after Apache Kafka had the directory, a node answers as one that has replayed the whole log.

usage: view_disk.py                 the checks
       view_disk.py measure [N]     the time to the first OffsetFetch, and what was read until then, with N (a million) committed offsets and
                                    with one, in turns; and without a view
       view_disk.py stall [N]       how long others wait at most while N (a million) offsets in 10,000 groups lose their topic or expire
"""
import pathlib
import re
import shutil
import statistics
import sys
import tempfile
import threading
import time
import typing

import messages
from disk import ApacheKafka
from harness import Checks, Kurier, jars

GROUPS = [f"group-{number}" for number in range(8)]
PARTITIONS = 40
SETTINGS = ["offsets.topic.num.partitions=2"]


def ask(node, name, version, **fields):
    """Until the coordinator is there; the node itself holds its answer for a moment while it loads."""
    deadline = time.monotonic() + 60
    while True:
        answer = messages.ask(node.port, name, version, **fields)
        if answer is not None and not re.search(r"'error_code': (14|15|16)\b", str(answer)):
            return answer
        assert time.monotonic() < deadline, answer


def create_topic(node, partitions=PARTITIONS):
    answer = ask(node, "CreateTopics", 7, topics=[{"name": "t", "num_partitions": partitions, "replication_factor": 1}], timeout_ms=30000)
    assert answer["topics"][0]["error_code"] == 0, answer


def commit(node, group, offsets):
    partitions = [{"partition_index": index, "committed_offset": offset, "committed_metadata": f"m{offset}"} for index, offset in offsets.items()]
    answer = ask(node, "OffsetCommit", 8, group_id=group, generation_id_or_member_epoch=-1, topics=[{"name": "t", "partitions": partitions}])
    wrong = [partition for partition in answer["topics"][0]["partitions"] if partition["error_code"]]
    assert not wrong, wrong


def work(node, time_of_it):
    """Commits, deleted offsets, deleted groups; another at each time."""
    ask(node, "FindCoordinator", 4, key_type=0, coordinator_keys=["group-0"])
    for number, group in enumerate(GROUPS):
        commit(node, group, {index: 1000 * time_of_it + index for index in range(PARTITIONS) if (index + number + time_of_it) % 3})
    partitions = [{"partition_index": index} for index in range(time_of_it % 4, PARTITIONS, 4)]
    ask(node, "OffsetDelete", 0, group_id=GROUPS[0], topics=[{"name": "t", "partitions": partitions}])
    ask(node, "DeleteGroups", 2, groups_names=[GROUPS[time_of_it % len(GROUPS)]])


def answers(node):
    told = {}
    for group in GROUPS:
        topics = ask(node, "OffsetFetch", 8, groups=[{"group_id": group, "topics": None}])["groups"][0]["topics"]
        told[group] = {(topic["name"], part["partition_index"]): (part["committed_offset"], part["metadata"], part["error_code"])
                       for topic in topics for part in topic["partitions"]}
        told[group, "state"] = ask(node, "DescribeGroups", 5, groups=[group])["groups"][0]["group_state"]
    listed = ask(node, "ListGroups", 5)["groups"]
    told["listed"] = sorted((group["group_id"], group["group_state"], group["group_type"]) for group in listed)
    return told


def served(directory, scratch, keep_view):
    """What a node says on a copy of `directory`, and what it said of its views."""
    copy = pathlib.Path(scratch) / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(directory, copy)
    if not keep_view:
        shutil.rmtree(copy / "state")
    node = Kurier(copy, settings=SETTINGS)
    try:
        node.start()
        told = answers(node)
        assert node.stop() == 0
        return told, "\n".join(node.output)
    finally:
        node.kill()


def compare(directory, scratch, expected, discarded=False, replayed_nothing=False):
    told, said = served(directory, scratch, keep_view=True)
    replayed, _ = served(directory, scratch, keep_view=False)
    assert told == replayed, f"with the view\n  {told}\nbut from the log\n  {replayed}"
    assert expected is None or told == expected, f"before\n  {expected}\nafter\n  {told}"
    assert any(told[group] for group in GROUPS), "nothing was committed"
    assert ("is discarded" in said or "made anew" in said) == discarded, said
    if not discarded:
        spans = [(int(first), int(end)) for first, end in re.findall(r"replayed from offset (\d+) to (\d+)", said)]
        assert any(first > 0 for first, _ in spans), "no view was used:\n" + said
        if replayed_nothing:
            assert all(first == end for first, end in spans), "there was something to replay:\n" + said


class Story:
    """One directory through its times."""

    def __init__(self, checks, directory, scratch):
        self.checks, self.directory, self.scratch = checks, pathlib.Path(directory) / "node", scratch
        self.directory.mkdir()
        self.node = Kurier(self.directory, settings=SETTINGS)

    def live(self, time_of_it, clean):
        try:
            self.node.start()
            if time_of_it == 1:
                create_topic(self.node)
            work(self.node, time_of_it)
            told = answers(self.node)
            if clean:
                assert self.node.stop() == 0
            return told
        finally:
            self.node.kill()

    def check(self, name, *arguments, **more):
        self.checks.check(name, lambda: compare(self.directory, self.scratch, *arguments, **more))

    def kurier_alone(self):
        told = self.live(1, clean=True)
        self.check("after a clean end: nothing is replayed", told, replayed_nothing=True)
        old = self.directory.parent / "old"
        shutil.copytree(self.directory / "state", old)
        self.check("after kill -9: the view is behind the log", self.live(2, clean=False))
        told = self.live(3, clean=True)
        self.check("after another clean end", told)
        shutil.rmtree(self.directory / "state")
        shutil.copytree(old, self.directory / "state")
        self.check("with a view of an older time", told)
        manifest, = (self.directory / "state/views").glob("MANIFEST-*")
        manifest.write_bytes(b"garbage")
        self.check("with a damaged view", told, discarded=True)
        told = self.live(4, clean=True)
        self.check("after it was made anew", told)
        newest = self.directory.parent / "newest"
        shutil.copytree(self.directory / "state", newest)
        return old, newest

    def log_of_another_time(self):
        """The view is ahead of a log that has lost its end."""
        told = self.live(5, clean=True)
        logs = [path for path in (self.directory / "log").glob("__consumer_offsets-*/*.log") if path.stat().st_size]
        for path in logs:
            with open(path, "r+b") as file:
                file.truncate(path.stat().st_size // 2)
        (self.directory / "log/.kafka_cleanshutdown").unlink()
        (self.directory / "log/recovery-point-offset-checkpoint").write_text("0\n0\n")
        told_then, said = served(self.directory, self.scratch, keep_view=True)
        replayed, _ = served(self.directory, self.scratch, keep_view=False)
        assert told_then == replayed and told_then != told, "the log has not lost anything, or the view was believed"
        assert "the log ends at offset" in said, said

    def another_history(self):
        """The log directory is put back from a copy and goes on without the view: the same offsets, in the same leader epoch."""
        backup, view = self.directory.parent / "backup", self.directory.parent / "view"
        shutil.copytree(self.directory / "log", backup)
        self.live(7, clean=True)
        shutil.copytree(self.directory / "state", view)
        for path in ("log", "state"):
            shutil.rmtree(self.directory / path)
        shutil.copytree(backup, self.directory / "log")
        try:
            self.node.start()
            for time_of_it in (8, 9, 10):
                work(self.node, time_of_it)
            told = answers(self.node)
            assert self.node.stop() == 0
        finally:
            self.node.kill()
        shutil.rmtree(self.directory / "state")
        shutil.copytree(view, self.directory / "state")
        compare(self.directory, self.scratch, told, discarded=True)
        assert "is another one than it knows" in served(self.directory, self.scratch, keep_view=True)[1]

    def offsets_topic_made_again(self):
        """The views of the one before are no more: erased when it is deleted, or at the next start if that was too early."""
        told = self.live(6, clean=True)
        old = self.directory.parent / "before-deletion"
        shutil.copytree(self.directory / "state", old)
        nothing = dict(dict.fromkeys(GROUPS, {}), listed=[])
        for erased_at_start in (False, True):
            if erased_at_start:
                shutil.rmtree(self.directory / "state")
                shutil.copytree(old, self.directory / "state")
            self.node.start()
            ask(self.node, "FindCoordinator", 4, key_type=0, coordinator_keys=["group-0"])
            assert answers(self.node) == told
            if not erased_at_start:
                answer = ask(self.node, "DeleteTopics", 5, topic_names=["__consumer_offsets"], timeout_ms=10000)
                assert answer["responses"][0]["error_code"] == 0, answer
                ask(self.node, "FindCoordinator", 4, key_type=0, coordinator_keys=["group-0"])
                told = answers(self.node)
                assert {name: told[name] for name in nothing} == nothing, told
            assert self.node.stop() == 0
            said = "\n".join(self.node.output)
            assert ("the views of 1 deleted topics are erased" in said) == erased_at_start, said

    def kafka_in_between(self, classpath):
        for clean in (True, False):
            kafka = ApacheKafka(classpath, self.node, SETTINGS)
            try:
                kafka.wait_until_ready()
                work(self.node, 6 + clean)
                told = answers(self.node)
                if clean:
                    kafka.stop()
            finally:
                kafka.kill()
            self.check(f"after Apache Kafka had the directory ({'clean end' if clean else 'kill -9'})", told)


def main():
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="kurier-view-") as directory, tempfile.TemporaryDirectory(prefix="kurier-view-") as scratch:
        story = Story(checks, directory, scratch)
        story.kurier_alone()
        classpath = jars("kafka")
        if classpath is None:
            checks.skip("after Apache Kafka had the directory", "Java or Maven is missing")
        else:
            story.kafka_in_between(classpath)
        checks.check("with a log that was put back and has gone on without it", story.another_history)
        checks.check("with a log that has lost its end", story.log_of_another_time)
        checks.check("after __consumer_offsets was deleted and made again", story.offsets_topic_made_again)
    checks.finish()


class Start(typing.NamedTuple):
    """What a start until its first answer to an OffsetFetch took. What was read includes all logs' segments and indexes."""
    from_start_ms: float
    from_ready_ms: float
    read_kib: float
    resident_mib: float

    def __str__(self):
        return (f"{self.from_start_ms:7.1f} ms from start, {self.from_ready_ms:6.1f} ms from ready, "
                f"{self.read_kib:8.0f} KiB read, {self.resident_mib:5.1f} MiB resident")


def first_fetch(node, expected):
    asked = [{"group_id": "group-7", "topics": [{"name": "t", "partition_indexes": [0]}]}]
    began = time.monotonic()
    node.start()
    ready = time.monotonic()
    client = messages.Client(node.port)
    answer = client.ask("OffsetFetch", 8, groups=asked)
    now = time.monotonic()
    process = pathlib.Path(f"/proc/{node.process.pid}")
    read = int(re.search(r"rchar: (\d+)", (process / "io").read_text())[1]) / 1024
    resident = int(re.search(r"VmRSS:\s+(\d+)", (process / "status").read_text())[1]) / 1024
    if answer["groups"][0]["error_code"]:  # it takes longer than the node lets a request wait: asked until it is there
        answer = ask(node, "OffsetFetch", 8, groups=asked)
        now = time.monotonic()
    assert answer["groups"][0]["topics"][0]["partitions"][0]["committed_offset"] == expected, answer
    return Start((now - began) * 1000, (now - ready) * 1000, read, resident)


def filled(directory, offsets):
    """A stopped node whose group-7 has an offset of partition 0; `offsets`: of as many as that in groups of 1,000."""
    a_group = 1000
    directory.mkdir()
    node = Kurier(directory, settings=SETTINGS)
    try:
        node.start()
        create_topic(node, a_group)
        ask(node, "FindCoordinator", 4, key_type=0, coordinator_keys=["g"])
        if offsets == 1:
            commit(node, "group-7", {0: 8})
        for number in range(offsets // a_group):
            commit(node, f"group-{number}", {index: number + 1 for index in range(a_group)})
        assert node.stop() == 0
    finally:
        node.kill()
    return node


def measure(count):
    """In turns, so that what else the machine does is the same for both; what is told is the median."""
    runs = 15
    with tempfile.TemporaryDirectory(prefix="kurier-view-") as directory:
        few, many = (filled(pathlib.Path(directory) / name, offsets) for name, offsets in (("few", 1), ("many", count)))

        def medians(nodes, end, runs=runs):
            starts = [[] for _ in nodes]
            for _ in range(runs):
                for node, its in zip(nodes, starts):
                    try:
                        its.append(first_fetch(node, 8))
                        end(node)
                    finally:
                        node.kill()
            return [Start(*map(statistics.median, zip(*its))) for its in starts]

        print(f"first OffsetFetch, the median of {runs} starts, one after the other:")
        for what, end in (("after a clean end", lambda node: node.stop()), ("after kill -9", lambda node: node.kill())):
            one, million = medians([few, many], end)
            print(f"{what}, one committed offset: {one}")
            print(f"{what}, {count} offsets:   {million}")
            print(f"{what}, the difference:       {million.from_start_ms - one.from_start_ms:7.1f} ms from start, "
                  f"{million.from_ready_ms - one.from_ready_ms:6.1f} ms from ready, {million.read_kib - one.read_kib:8.0f} KiB read")
        shutil.rmtree(many.directory / "state")
        print(f"{count} offsets, no view:             ", medians([many], lambda node: node.stop(), runs=1)[0])


class Waiting:
    """Somebody who asks for nothing in particular all the time, and how long the answers took."""

    def __init__(self, node):
        self.client = messages.Client(node.port, timeout_s=120)
        self.done = threading.Event()
        self.longest = self.count = 0
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.done.is_set():
            began = time.monotonic()
            assert self.client.ask("ApiVersions", 0)
            self.longest, self.count = max(self.longest, time.monotonic() - began), self.count + 1

    def __enter__(self):
        self.began = time.monotonic()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()
        self.seconds = time.monotonic() - self.began

    def __str__(self):
        return f"{self.count} answers in {self.seconds:.1f} s, the longest took {self.longest * 1000:.1f} ms"


def stall(count):
    groups, retention_s = 10000, 60
    a_group = count // groups
    settings = ["offsets.topic.num.partitions=1", "kurier.shards=1", "offsets.retention.minutes=1", "offsets.retention.check.interval.ms=600000"]
    with tempfile.TemporaryDirectory(prefix="kurier-view-") as directory:
        node = Kurier(directory, settings=settings)
        try:
            node.start()
            ask(node, "FindCoordinator", 4, key_type=0, coordinator_keys=["g"])
            with Waiting(node) as nothing:
                time.sleep(2)
            print("nothing else:", nothing)

            def fill():
                create_topic(node, a_group)
                for number in range(groups):
                    commit(node, f"group-{number}", {index: number + 1 for index in range(a_group)})

            def until_gone():
                while ask(node, "OffsetFetch", 8, groups=[{"group_id": "group-9999", "topics": None}])["groups"][0]["topics"]:
                    time.sleep(0.05)

            fill()
            ask(node, "DeleteTopics", 5, topic_names=["t"], timeout_ms=120000)
            with Waiting(node) as deleting:
                until_gone()
            print(f"{count} offsets lose their topic:", deleting)
            fill()
            committed = time.monotonic()
            assert node.stop() == 0
            node.settings = [*settings[:-1], f"offsets.retention.check.interval.ms={(retention_s + 5) * 1000}"]
            node.start()
            time.sleep(max(0, committed + retention_s - time.monotonic()))
            with Waiting(node) as expiring:
                until_gone()
            print(f"{count} offsets expire:", expiring)
        finally:
            node.kill()


if __name__ == "__main__":
    run = {"measure": measure, "stall": stall}.get((sys.argv + [""])[1])
    sys.exit(run(int((sys.argv + ["1000000"])[2])) if run else main())
