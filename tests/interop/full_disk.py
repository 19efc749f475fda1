#!/usr/bin/env python3
"""A disk without a single free byte: the node starts nevertheless, topics can be deleted, and then there is room again."""
import contextlib
import errno
import os
import pathlib
import subprocess
import tempfile
import time

import batches
import messages
from file_events import await_files
from harness import Checks, Kurier
from topic_deletion import create, delete

STORAGE_ERROR = 56
SETTINGS = ("log.segment.bytes=1048576", "log.segment.delete.delay.ms=0")
TOPICS = ("first", "second")


def can_mount():
    return os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL).returncode == 0


@contextlib.contextmanager
def small_disk(megabytes):
    with tempfile.TemporaryDirectory(prefix="kurier-full-") as directory:
        disk = pathlib.Path(directory)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "kurier-full", disk], check=True, stderr=subprocess.PIPE)
        try:
            yield disk
        finally:
            subprocess.run(["umount", disk], check=True)


def produce(client, topic, size=100_000):
    data = [{"index": 0, "records": batches.batch(batches.record(value=bytes(size)), timestamp=int(time.time() * 1000))}]
    answer = client.ask("Produce", 9, acks=1, timeout_ms=10000, topic_data=[{"name": topic, "partition_data": data}])
    return answer["responses"][0]["partition_responses"][0]["error_code"]


def fill(path):
    """With a file, down to the last byte."""
    with open(path, "wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError as error:
                assert error.errno == errno.ENOSPC, error


def filled(node):
    """Topics until the disk takes no more; then the rest goes too."""
    client = messages.Client(node.port)
    try:
        for topic in TOPICS:
            create(client, topic, 1)
        for topic in TOPICS:
            for _ in range(60 if topic == "first" else 1000):
                if produce(client, topic) == STORAGE_ERROR:
                    break
        assert produce(client, "second") == STORAGE_ERROR
    finally:
        client.close()
    await_files(node.directory / "state", (node.directory / "state/reserve").exists)


def starts(how):
    with small_disk(24) as disk:
        node = Kurier(disk, settings=SETTINGS)
        try:
            node.start()
            filled(node)
            if how == "clean":
                assert node.stop() == 0
            else:
                node.kill()
            fill(disk / "ballast")
            for _ in range(5):  # a few more starts must not use it up
                node.start()
                assert any("kept in reserve" in line for line in node.output), node.output
                node.kill()
                fill(disk / "ballast2")
            node.start()
            client = messages.Client(node.port)
            assert produce(client, "second") == STORAGE_ERROR
            log = disk / "log"
            delete(client, "first")
            await_files(log, lambda: not any(path.name.startswith("first-") for path in log.iterdir()))
            assert produce(client, "second") == 0
            create(client, "third", 1)
            assert produce(client, "third") == 0
            client.close()
            assert node.stop() == 0
            node.start()
            assert node.stop() == 0
        finally:
            node.kill()


def needs_the_reserve():
    """Without it one of the same starts fails: what is shown above is its doing."""
    with small_disk(24) as disk:
        node = Kurier(disk, settings=SETTINGS)
        try:
            node.start()
            filled(node)
            assert node.stop() == 0
            refused = False
            for i in range(5):
                (disk / "state/reserve").unlink(missing_ok=True)
                fill(disk / f"ballast{i}")
                try:
                    node.start()
                    node.kill()
                except AssertionError:
                    assert any("No space left on device" in line for line in node.output), node.output
                    refused = True
            assert refused, "it started without the reserve"
        finally:
            node.kill()


def main():
    checks = Checks()
    if not can_mount():
        checks.skip("a full disk", "a tmpfs cannot be mounted here")
        checks.finish()
    for how in ("clean", "kill -9"):
        checks.check(f"started on a full disk ({how}), topics deleted, room again", starts, how)
    checks.check("the reserve is what makes it start", needs_the_reserve)
    checks.finish()


if __name__ == "__main__":
    main()
