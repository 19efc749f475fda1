#!/usr/bin/env python3
"""Several clients at once, for what goes wrong between threads: producers and consumers of one topic with many partitions,
topics created and deleted meanwhile, and a clean stop in the middle of it. Meant for a kurier with sanitizers
(KURIER_BINARY); what matters besides the checks here is what the sanitizer says.
"""
import subprocess

from harness import Checks, kurier

PRODUCERS = 4
LINES = 20_000
TALKS = 50


def start(node, *arguments, **streams):
    return subprocess.Popen(["kcat", "-b", node.address, "-q", *arguments], stderr=subprocess.DEVNULL, **streams)


def end(processes):
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()


def produce_and_consume(node):
    """Everything that is produced by many at once is consumed by many at once, once each."""
    lines = [b"".join(b"%d %d some more bytes in this line\n" % (i, j) for j in range(LINES)) for i in range(PRODUCERS)]
    producers, consumers = [], []
    try:
        producers = [start(node, "-P", "-t", "load", "-X", "acks=all", "-X", "linger.ms=1",
                           "-z", "lz4" if i % 2 else "none", stdin=subprocess.PIPE) for i in range(PRODUCERS)]
        for producer in producers:
            producer.stdin.write(lines[producers.index(producer)])
            producer.stdin.close()
        for producer in producers:
            assert producer.wait(120) == 0
        consumers = [start(node, "-C", "-t", "load", "-e", stdout=subprocess.PIPE) for _ in range(3)]
        wanted = sorted(b"".join(lines).splitlines())
        for consumer in consumers:
            assert sorted(consumer.communicate(timeout=120)[0].splitlines()) == wanted
    finally:
        end(producers + consumers)


def one_by_one(node):
    """So little that the shards sleep in between, and stand in for each other: each line is there before the next is sent."""
    processes = []

    def say(line):
        producer = start(node, "-P", "-t", "talk", "-X", "linger.ms=0", stdin=subprocess.PIPE)
        processes.append(producer)
        producer.communicate(line, timeout=60)
        assert producer.returncode == 0, producer.returncode

    try:
        say(b"hello\n")
        consumers = [start(node, "-C", "-t", "talk", "-u", stdout=subprocess.PIPE) for _ in range(2)]
        processes += consumers
        for consumer in consumers:
            assert consumer.stdout.readline() == b"hello\n"
        for i in range(TALKS):
            line = b"%d %s\n" % (i, b"x" * (900_000 if i % 10 == 9 else 10))
            say(line)
            for consumer in consumers:
                assert consumer.stdout.readline() == line, i
    finally:
        end(processes)


def connections_that_come_and_go(node):
    """Metadata, offsets and small topics by many short connections, while others wait in a long poll."""
    waiting = []
    try:
        waiting = [start(node, "-C", "-t", "load", "-o", "end", "-u", "-X", "fetch.wait.max.ms=30000",
                         stdout=subprocess.DEVNULL) for _ in range(4)]
        for round_ in range(5):
            short = [start(node, "-L", stdout=subprocess.DEVNULL), start(node, "-Q", "-t", "load:0:-1", stdout=subprocess.DEVNULL),
                     start(node, "-P", "-t", f"short-{round_}", "-X", "acks=1", stdin=subprocess.PIPE)]
            waiting += short
            short[2].stdin.write(b"a\nb\n")
            short[2].stdin.close()
            for process in short:
                assert process.wait(60) == 0, process.args
    finally:
        end(waiting)


def stop_under_load(node):
    """SIGTERM while clients are busy: exit status 0. The clients are then ended."""
    clients = []
    try:
        clients = [start(node, "-C", "-t", "load", stdout=subprocess.DEVNULL) for _ in range(3)]
        producer = start(node, "-P", "-t", "load", "-X", "message.timeout.ms=2000", stdin=subprocess.PIPE)
        clients.append(producer)
        producer.stdin.write(b"line\n" * 1000)
        producer.stdin.flush()
        status = node.stop()
        assert status == 0, f"exit status {status}: " + "\n".join(node.output[-20:])
    finally:
        end(clients)


def main():
    checks = Checks()
    with kurier(["num.partitions=8", "kurier.shards=4"]) as node:
        checks.check("many producers, many consumers", produce_and_consume, node)
        checks.check("one line at a time", one_by_one, node)
        checks.check("connections that come and go", connections_that_come_and_go, node)
        checks.check("stop under load", stop_under_load, node)
    checks.finish()


if __name__ == "__main__":
    main()
