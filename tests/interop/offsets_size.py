#!/usr/bin/env python3
"""A million commits of a thousand live keys: what __consumer_offsets keeps is bounded by the keys, and is the last of each."""
import collections
import struct
import tempfile
import time

import messages
from file_events import await_files
from harness import Checks, Kurier

COMMITS, GROUPS, PARTITIONS = 1_000_000, 10, 100
ROUNDS = COMMITS // GROUPS // PARTITIONS
SEGMENT_BYTES = 1 << 20
IN_FLIGHT = 16
TIMEOUT_S = 120
LOADING = 14  # COORDINATOR_LOAD_IN_PROGRESS: clients ask again
TOPIC, PLACE = "committed", 0x1122334455667788
SETTINGS = ("offsets.topic.num.partitions=1", f"offsets.topic.segment.bytes={SEGMENT_BYTES}", "log.cleaner.backoff.ms=50",
            "log.segment.delete.delay.ms=0", "log.initial.task.delay.ms=100", "group.initial.rebalance.delay.ms=0")


def commit_request(group):
    """Of all its partitions; the offset is put in later."""
    partitions = [{"partition_index": i, "committed_offset": PLACE, "committed_leader_epoch": -1, "committed_metadata": ""}
                  for i in range(PARTITIONS)]
    return messages.encode_request("OffsetCommit", 7, {
        "group_id": group, "generation_id_or_member_epoch": -1, "member_id": "", "group_instance_id": None,
        "topics": [{"name": TOPIC, "partitions": partitions}]})


def offset_of(group, round_number):
    return round_number * GROUPS + group


class Committer:
    def __init__(self, node):
        self.client = messages.Client(node.port, timeout_s=TIMEOUT_S)
        self.requests = [commit_request(f"group-{i}") for i in range(GROUPS)]
        self.expected = None  # the answer that has no error, as bytes
        self.waiting = 0

    def commit(self, group, offset):
        if self.waiting == IN_FLIGHT:
            self.take()
        self.client.socket.sendall(self.requests[group].replace(struct.pack(">q", PLACE), struct.pack(">q", offset)))
        self.waiting += 1

    def take(self):
        self.waiting -= 1
        frame = self.client.receive(struct.unpack(">i", self.client.receive(4))[0])
        if self.expected is None:
            answer = messages.decode_response("OffsetCommit", 7, frame)
            codes = [each["error_code"] for topic in answer["topics"] for each in topic["partitions"]]
            assert codes == [0] * PARTITIONS, answer
            self.expected = frame
        assert frame == self.expected, messages.decode_response("OffsetCommit", 7, frame)

    def finish(self):
        while self.waiting:
            self.take()
        self.client.close()


def commit_all(node):
    committer = Committer(node)
    for round_number in range(ROUNDS):
        for group in range(GROUPS):
            committer.commit(group, offset_of(group, round_number))
    committer.finish()


def directory(node):
    return node.directory / "log/__consumer_offsets-0"


def log_files(node):
    """Base offset: size, of what the log holds and of what waits to be removed."""
    sizes = collections.Counter()
    for path in directory(node).iterdir():
        if ".log" in path.name:
            try:
                sizes[int(path.name.split(".")[0])] += path.stat().st_size
            except FileNotFoundError:
                pass  # removed meanwhile
    return sizes


def cleaned_to(node):
    path = node.directory / "log/cleaner-offset-checkpoint"
    found = [line.split() for line in path.read_text().splitlines()[2:]] if path.exists() else []
    return max((int(offset) for topic, _, offset in found if topic == "__consumer_offsets"), default=0)


def wait_until_cleaned(node):
    """Up to the active segment, and the files of what was cleaned are gone."""
    await_files(node.directory / "log", lambda: cleaned_to(node) == max(log_files(node)) > 0, TIMEOUT_S)
    await_files(directory(node), lambda: not list(directory(node).glob("*.deleted")), TIMEOUT_S)
    return log_files(node)


def fetched(node, group):
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        answer = messages.ask(node.port, "OffsetFetch", 8, groups=[{"group_id": f"group-{group}", "topics": None}])["groups"][0]
        if answer["error_code"] != LOADING:
            break
        assert time.monotonic() < deadline, "the coordinator is still loading"
    assert answer["error_code"] == 0, answer
    return {each["partition_index"]: each["committed_offset"] for topic in answer["topics"] for each in topic["partitions"]}


def last_commits_are_there(node):
    for group in range(GROUPS):
        wanted = offset_of(group, ROUNDS - 1)
        assert fetched(node, group) == {i: wanted for i in range(PARTITIONS)}, fetched(node, group)


def bounded(node):
    assert fetched(node, 0) == {}  # the coordinator has loaded
    started = time.monotonic()
    commit_all(node)
    took = time.monotonic() - started
    sizes = wait_until_cleaned(node)
    active = sizes.pop(max(sizes))
    clean = sum(sizes.values())
    print(f"{COMMITS} commits in {took:.1f} s; {clean} bytes cleaned and {active} in the active segment are left")
    # A commit of these names takes less than 200 bytes even alone in its batch.
    assert clean < GROUPS * PARTITIONS * 200, sizes
    assert active <= SEGMENT_BYTES, active
    last_commits_are_there(node)


def after_a_crash(node):
    node.kill()
    node.start()
    last_commits_are_there(node)


def main():
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="kurier-offsets-") as name:
        node = Kurier(name, settings=SETTINGS)
        try:
            node.start()
            made = messages.ask(node.port, "CreateTopics", 7, timeout_ms=30_000, validate_only=False, topics=[
                {"name": TOPIC, "num_partitions": PARTITIONS, "replication_factor": 1, "assignments": [], "configs": []}])
            assert made["topics"][0]["error_code"] == 0, made
            found = messages.ask(node.port, "FindCoordinator", 4, key_type=0, coordinator_keys=["group-0"])
            assert found["coordinators"][0]["error_code"] == 0, found
            checks.check("a million commits: __consumer_offsets is as large as its live keys", bounded, node)
            checks.check("after kill -9 the last commit of each is there", after_a_crash, node)
        finally:
            node.kill()
    checks.finish()


if __name__ == "__main__":
    main()
