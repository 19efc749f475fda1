#!/usr/bin/env python3
"""kcat (librdkafka) against a running kurier: produce and consume in every way it has."""
import subprocess

from harness import Checks, kurier

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def kcat(node, *arguments, stdin=None, status=0):
    done = subprocess.run(["kcat", "-b", node.address, *arguments], input=stdin, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == status, f"kcat {arguments}: {done.returncode}: {done.stderr.decode()}"
    return done.stdout


def codec(node, name):
    lines = b"".join(b"%d some text that compresses\n" % i for i in range(5000))
    kcat(node, "-P", "-t", f"codec-{name}", "-z", name, "-X", "enable.idempotence=true", stdin=lines)
    assert kcat(node, "-C", "-t", f"codec-{name}", "-e", "-q") == lines


def acks(node, value):
    kcat(node, "-P", "-t", f"acks{value}", "-X", f"acks={value}", stdin=b"a\nb\nc\n")
    assert kcat(node, "-C", "-t", f"acks{value}", "-c", "3", "-q") == b"a\nb\nc\n"


def keys_headers_and_nulls(node):
    kcat(node, "-P", "-t", "parts", "-K:", "-H", "h1=v1", "-H", "h2=", stdin=b"key:value\n")
    kcat(node, "-P", "-t", "parts", "-K:", "-Z", stdin=b"key2:\n")
    text = kcat(node, "-C", "-t", "parts", "-e", "-q", "-f", "%o|%K|%k|%S|%s|%h\n").decode()
    assert text.splitlines() == ["0|3|key|5|value|h1=v1,h2=", "1|4|key2|-1||"], text


def seek_by_offset(node):
    kcat(node, "-P", "-t", "seek", stdin=b"".join(b"%d\n" % i for i in range(1000)))
    assert kcat(node, "-C", "-t", "seek", "-o", "990", "-e", "-q") == b"".join(b"%d\n" % i for i in range(990, 1000))
    assert kcat(node, "-C", "-t", "seek", "-o", "-3", "-e", "-q") == b"997\n998\n999\n"
    assert kcat(node, "-Q", "-t", "seek:0:-1").split() == [b"seek", b"[0]", b"offset", b"1000"]
    assert kcat(node, "-Q", "-t", "seek:0:-2").split() == [b"seek", b"[0]", b"offset", b"0"]


def seek_by_time(node):
    kcat(node, "-P", "-t", "time", stdin=b"first\n")
    stamp = int(kcat(node, "-C", "-t", "time", "-e", "-q", "-f", "%T"))
    assert kcat(node, "-Q", "-t", f"time:0:{stamp}").split()[-1] == b"0"
    assert kcat(node, "-Q", "-t", f"time:0:{stamp - 1000}").split()[-1] == b"0"
    # Beyond the last record there is nothing to find.
    assert kcat(node, "-Q", "-t", f"time:0:{stamp + 60_000}").split()[-1] == b"-1"


def large_messages(node):
    body = b"x" * 900_000
    kcat(node, "-P", "-t", "large", "-D", "\x01", stdin=body)
    assert kcat(node, "-C", "-t", "large", "-e", "-q", "-D", "") == body
    too_large = subprocess.run(["kcat", "-b", node.address, "-P", "-t", "large", "-D", "\x01", "-X", "message.max.bytes=3000000"],
                               input=b"y" * 2_000_000, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert b"too large" in too_large.stderr.lower(), too_large.stderr


def long_poll(node):
    """A consumer that waits gets what is produced meanwhile."""
    kcat(node, "-P", "-t", "poll", stdin=b"before\n")
    consumer = subprocess.Popen(["kcat", "-b", node.address, "-C", "-t", "poll", "-q", "-u", "-X", "fetch.wait.max.ms=20000"],
                                stdout=subprocess.PIPE)
    try:
        assert consumer.stdout.readline() == b"before\n"
        kcat(node, "-P", "-t", "poll", stdin=b"after\n")
        assert consumer.stdout.readline() == b"after\n"
    finally:
        consumer.kill()
        consumer.wait()


def survives(node):
    """Clean stop and kill -9: what was acknowledged is there."""
    lines = b"".join(b"%d\n" % i for i in range(20_000))
    kcat(node, "-P", "-t", "kept", "-X", "acks=all", stdin=lines)
    assert node.stop() == 0, node.output
    assert (node.directory / "log/.kafka_cleanshutdown").is_file()
    node.start()
    assert kcat(node, "-C", "-t", "kept", "-e", "-q") == lines
    kcat(node, "-P", "-t", "kept", "-X", "acks=all", stdin=lines)
    node.kill()
    with open(node.directory / "log/kept-0/00000000000000000000.log", "ab") as log:
        log.write(b"what a torn write leaves behind" * 10)
    node.start()
    assert kcat(node, "-C", "-t", "kept", "-e", "-q") == lines * 2


def durable_at_once(node):
    """flush.messages=1: also what a crash left unsynced is synced, and shown, before producing goes on."""
    for _ in range(3):
        kcat(node, "-P", "-t", "durable", "-X", "acks=1", stdin=b"a\nb\n")
        node.kill()
        node.start()
    assert kcat(node, "-C", "-t", "durable", "-e", "-q") == b"a\nb\n" * 3


def start_is_refused(node):
    def refused(*arguments):
        done = subprocess.run([str(node.binary), "serve", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=30)
        assert done.returncode != 0
        return done.stdout

    locked = refused("--set", f"log.dirs={node.directory / 'log'}", "--set", f"kurier.state.dir={node.directory / 'state'}")
    assert "locked" in locked and str(node.directory / "log") in locked, locked
    in_use = refused("--set", f"log.dirs={node.directory / 'other'}", "--set", f"kurier.state.dir={node.directory / 'state2'}",
                     "--set", f"listeners=PLAINTEXT://127.0.0.1:{node.port},CONTROLLER://127.0.0.1:{node.controller_port}")
    assert "in use" in in_use and str(node.port) in in_use, in_use
    unknown = refused("--set", "num.partition=3")
    assert "num.partitions" in unknown, unknown


def main():
    checks = Checks()
    with kurier() as node:
        for name in CODECS:
            checks.check(f"codec {name}, idempotent", codec, node, name)
        for value in ("0", "1", "all"):
            checks.check(f"acks={value}", acks, node, value)
        checks.check("keys, headers, null values", keys_headers_and_nulls, node)
        checks.check("seek by offset", seek_by_offset, node)
        checks.check("seek by time", seek_by_time, node)
        checks.check("messages up to the limit and beyond", large_messages, node)
        checks.check("long polling", long_poll, node)
        checks.check("clean stop and kill -9", survives, node)
        checks.check("a start that cannot be is refused with its reason", start_is_refused, node)
    with kurier(["log.flush.interval.messages=1"]) as node:
        checks.check("flush.messages=1 through kill -9", durable_at_once, node)
    checks.finish()


if __name__ == "__main__":
    main()
