#!/usr/bin/env python3
"""Transactions found on the disk: an aborted one is skipped by those who read what is committed, an open one stays open, ends
what they can read, and is reported at the start."""
import struct
import subprocess
import tempfile

import batches
from harness import Checks, Kurier

TRANSACTIONAL = 0x10
CONTROL = 0x20


def stamped(offset, batch):
    return struct.pack(">q", offset) + batch[8:]


def transactional(offset, producer_id, values):
    payload = b"".join(batches.record(offset_delta=i, key=None, value=value) for i, value in enumerate(values))
    return stamped(offset, batches.batch(payload, count=len(values), attributes=TRANSACTIONAL, producer_id=producer_id,
                                           producer_epoch=0, base_sequence=0))


def abort_marker(offset, producer_id):
    payload = batches.record(key=struct.pack(">hh", 0, 0), value=struct.pack(">hi", 0, 0))
    return stamped(offset, batches.batch(payload, count=1, attributes=TRANSACTIONAL | CONTROL, producer_id=producer_id,
                                           producer_epoch=0))


def read(node, isolation):
    done = subprocess.run(["kcat", "-b", node.address, "-C", "-t", "t", "-e", "-q", "-X", f"isolation.level={isolation}"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().split()


def main():
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="kurier-transactions-") as directory:
        node = Kurier(directory, settings=["log.retention.ms=-1"])  # the records are of 1970
        try:
            node.start()
            subprocess.run(["kcat", "-b", node.address, "-P", "-t", "t"], input=b"0\n1\n2\n", check=True, timeout=60)
            assert node.stop() == 0
            plain = stamped(8, batches.batch(batches.record(key=None, value=b"8")))
            with open(f"{directory}/log/t-0/00000000000000000000.log", "ab") as segment:
                segment.write(transactional(3, 71, [b"3", b"4"]) + abort_marker(5, 71) + transactional(6, 72, [b"6", b"7"]) + plain)
            (node.directory / "log/.kafka_cleanshutdown").unlink()

            def reported():
                node.start()
                lines = [line for line in node.output if "open transaction" in line]
                assert len(lines) == 1 and "t-0" in lines[0] and "72" in lines[0] and "offset 6" in lines[0], node.output

            def committed_ends_there():
                assert read(node, "read_committed") == ["0", "1", "2"], read(node, "read_committed")

            def uncommitted_is_everything():
                assert read(node, "read_uncommitted") == ["0", "1", "2", "3", "4", "6", "7", "8"]

            def still_so_after_a_clean_restart():
                assert node.stop() == 0
                reported()
                committed_ends_there()

            checks.check("an open transaction is reported at the start", reported)
            checks.check("read_committed skips the aborted one and ends before the open one", committed_ends_there)
            checks.check("read_uncommitted sees all records", uncommitted_is_everything)
            checks.check("it stays open over a clean restart", still_so_after_a_clean_restart)
        finally:
            node.kill()
    checks.finish()


if __name__ == "__main__":
    main()
