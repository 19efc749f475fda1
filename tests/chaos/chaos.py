#!/usr/bin/env python3
"""Chaos on one node: producers and a consumer go on while it is killed, stopped, frozen, and its disk is full.

usage: chaos.py [--seconds N] [SEED…]     SEED is a number, or full-NUMBER for the full disk

Without seeds: a few fixed ones, then new ones until the time is up. A seed that fails is printed with the command that
replays it; what it decides is the same every time, what the machine does in between is not.
"""
import argparse
import contextlib
import json
import os
import pathlib
import queue
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/interop"))

from agents import confluent_python  # noqa: E402
from checker import faults, self_test  # noqa: E402
from file_events import await_files  # noqa: E402
from harness import Checks, Kurier  # noqa: E402

FIXED_SEEDS = [1, 2, 3, 4]
TOPIC, PARTITIONS = "chaos", 3
IDEMPOTENT = {"acks": "all", "enable.idempotence": True, "message.timeout.ms": 300_000}
# One request in flight keeps the order; a retry may write twice.
ONCE_ACKED = {"acks": "1", "enable.idempotence": False, "max.in.flight": 1, "message.timeout.ms": 300_000}


class Worker:
    """A running worker.py; `progress` waits until it got so many records further."""

    def __init__(self, python, command, node, *arguments):
        self.process = subprocess.Popen([python, pathlib.Path(__file__).parent / "worker.py", command, node.address, TOPIC, str(PARTITIONS),
                                         *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        self.count = self.errors = self.stuck = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def _line(self, timeout_s):
        line = self.lines.get(timeout=timeout_s)
        assert line is not None, "a worker ended before its time"
        return line

    def progress(self, more, timeout_s=60):
        """Until this many more than when it was last asked about; what it had said before does not count."""
        while not self.lines.empty():
            self._count(self._line(0))
        wanted = self.count + more
        while self.count < wanted:
            self._count(self._line(timeout_s))

    def await_error(self, timeout_s=60):
        while self.errors == 0:
            self._count(self._line(timeout_s))

    def await_stuck(self, times, timeout_s=60):
        """Until it has found so many times more that all it may send is sent, and that no answer comes."""
        while not self.lines.empty():
            self._count(self._line(0))
        wanted = self.stuck + times
        while self.stuck < wanted:
            self._count(self._line(timeout_s))

    def _count(self, line):
        self.count, self.errors, self.stuck = map(int, line.split()[1:])

    def result(self, line=None, timeout_s=120):
        """Says `line` (None: nothing) and waits for what the worker has found out."""
        if line is not None:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        while True:
            said = self._line(timeout_s)
            if not said.startswith("progress"):
                return json.loads(said)

    def close(self):
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def running(node):
    """The node, ended whatever happens; a list of workers that end with it."""
    workers = []
    try:
        node.start()
        yield workers
    except BaseException:
        print("\n".join(node.output[-20:]))
        raise
    finally:
        for worker in workers:
            worker.close()
        node.kill()


def read_everything(python, node, workers):
    ends = Worker(python, "ends", node)
    workers.append(ends)
    ends = json.dumps(ends.result())
    reader = Worker(python, "consume", node)
    workers.append(reader)
    return ends, reader.result(ends)


def kill(node, *_):
    node.kill()
    node.start()


def kill_twice(node, *_):
    """The second time as soon as it serves."""
    kill(node)
    kill(node)


def kill_in_the_start(node, *_):
    """The second time once it leads the metadata log, which is when it begins to look at the others."""
    node.kill()
    quorum = node.directory / "log/__cluster_metadata-0"
    before = (quorum / "quorum-state").read_text()
    node.launch()
    await_files(quorum, lambda: (quorum / "quorum-state").read_text() != before)
    kill(node)


def stop(node, *_):
    assert node.stop() == 0, node.output[-5:]
    node.start()


def freeze(node, seed, producers):
    node.process.send_signal(signal.SIGSTOP)
    seed.choice(producers).await_stuck(seed.randrange(1, 12))
    node.process.send_signal(signal.SIGCONT)


def freeze_and_kill(node, seed, producers):
    node.process.send_signal(signal.SIGSTOP)
    seed.choice(producers).await_stuck(seed.randrange(1, 4))
    kill(node)


EVENTS = [kill, kill, kill, kill_twice, kill_in_the_start, stop, freeze, freeze_and_kill]


def under_load(python, number):
    seed = random.Random(number)
    settings = [f"log.segment.bytes={seed.choice([1 << 20, 1 << 22, 1 << 30])}", f"num.partitions={PARTITIONS}",
                f"kurier.shards={seed.choice([1, 2, 3])}"]
    if seed.random() < 0.25:
        settings.append("log.flush.interval.messages=1")
    codec = {"compression.type": seed.choice(["none", "gzip", "snappy", "zstd"])}
    kinds = {"idempotent": IDEMPOTENT | codec, "once-acked": ONCE_ACKED | codec}
    with tempfile.TemporaryDirectory(prefix="kurier-chaos-") as directory:
        node = Kurier(directory, settings=settings)
        with running(node) as workers:
            producers = {name: Worker(python, "produce", node, name, json.dumps(kind)) for name, kind in kinds.items()}
            workers += producers.values()
            for producer in producers.values():
                producer.progress(100)
            watcher = Worker(python, "consume", node)
            workers.append(watcher)
            for _ in range(seed.randrange(4, 9)):
                # The moment is an acknowledgement: the n-th from here on, n from 1 to 3000, often a small one.
                seed.choice(list(producers.values())).progress(round(3000 ** seed.random()))
                seed.choice(EVENTS)(node, seed, list(producers.values()))
            for producer in producers.values():
                producer.progress(100)
            reports = {name: producer.result("stop") for name, producer in producers.items()}
            ends, served = read_everything(python, node, workers)
            watched = watcher.result(ends)
            judge(served, watched, reports)
            for name, report in reports.items():
                errors = [entry for entries in report["reports"] for entry in entries if isinstance(entry[1], str)]
                assert not errors and not report["unreported"], f"{name} gave up on {errors[:3]} and {report['unreported']} more"


def judge(served, watched, reports):
    found = []
    for partition in range(PARTITIONS):
        found += faults(partition, served[partition], watched[partition], {
            name: {"idempotent": name != "once-acked", "sent": report["sent"][partition], "reports": report["reports"][partition]}
            for name, report in reports.items()})
    assert not found, "\n".join(found)


@contextlib.contextmanager
def small_disk(directory, megabytes):
    disk = pathlib.Path(directory) / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "kurier-chaos", disk], check=True, stderr=subprocess.PIPE)
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


def full_disk(python, number):
    """Producers fill the disk. What was acknowledged is served meanwhile; once there is space again everything goes on."""
    seed = random.Random(number)
    quick = {"message.timeout.ms": 3000, "compression.type": "none"}
    with tempfile.TemporaryDirectory(prefix="kurier-chaos-") as directory, small_disk(directory, 24) as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(8 << 20))
        node = Kurier(disk, settings=[f"num.partitions={PARTITIONS}", f"log.segment.bytes={seed.choice([1 << 20, 1 << 22])}"])
        with running(node) as workers:
            settings = {"idempotent": IDEMPOTENT | quick, "once-acked": ONCE_ACKED | quick | {"retries": 0}}
            producers = {name: Worker(python, "produce", node, name, json.dumps(kind)) for name, kind in settings.items()}
            workers += producers.values()
            for producer in producers.values():
                producer.await_error()
            reports = {name: producer.result("stop") for name, producer in producers.items()}
            told = {name: {entry[1] for entries in report["reports"] for entry in entries if isinstance(entry[1], str)}
                    for name, report in reports.items()}
            assert told["once-acked"] == {"KAFKA_STORAGE_ERROR"} and told["idempotent"] == {"_MSG_TIMED_OUT"}, told
            assert node.process.poll() is None, "a full disk ended the node"
            _, served_while_full = read_everything(python, node, workers)
            judge(served_while_full, served_while_full, reports)
            ballast.unlink()
            seed.choice([lambda _: None, stop, kill])(node)
            more = Worker(python, "produce", node, "more", json.dumps(IDEMPOTENT))
            workers.append(more)
            more.progress(500)
            reports["more"] = more.result("stop")
            _, served = read_everything(python, node, workers)
            judge(served, served, reports)
            assert [records[:len(before)] for records, before in zip(served, served_while_full)] == served_while_full
            assert all(isinstance(entry[1], int) for entries in reports["more"]["reports"] for entry in entries)


def run(checks, python, name):
    function, number = (full_disk, int(name[5:])) if str(name).startswith("full-") else (under_load, int(name))
    failed = checks.failed
    checks.check(f"chaos, seed {name}", function, python, number)
    if checks.failed > failed:
        print(f"replay: python3 tests/chaos/chaos.py {name}", flush=True)


def can_mount():
    return os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL).returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("seeds", nargs="*")
    arguments = parser.parse_args()
    checks = Checks()
    checks.check("the checker catches planted faults", self_test)
    python = confluent_python()
    seeds = list(arguments.seeds) or [*FIXED_SEEDS, "full-1"]
    if not arguments.seeds and not can_mount():
        checks.skip("full disk", "a tmpfs cannot be mounted here")
        seeds.remove("full-1")
    started = time.monotonic()
    for seed in seeds:
        run(checks, python, seed)
    while not arguments.seeds and time.monotonic() - started < arguments.seconds:
        run(checks, python, random.SystemRandom().randrange(10**6))
    checks.finish()


if __name__ == "__main__":
    main()
