#!/usr/bin/env python3
"""How a node stops, and how far its limits let a client go: what is answered, exit status, and what is on the disk afterwards."""
import pathlib
import signal
import struct
import sys
import tempfile
import threading

from harness import Checks, Kurier, kurier
from plain_requests import create_topic, fetch, high_watermark_of, produce, produced_offset, send
from record_batch import record_batch
from wire import connect, exchange, header, receive


def requests_in_flight():
    """A fetch that waits is answered at once; what was acknowledged while the node stopped is there afterwards."""
    topic = b"stop"
    with tempfile.TemporaryDirectory(prefix="kurier-") as directory:
        node = Kurier(directory, settings=["log.flush.interval.messages=1"])
        node.start()
        try:
            with connect(node.port) as waiting, connect(node.port) as producing:
                create_topic(producing, topic)
                send(producing, produce(topic, record_batch([b"first"])))
                size = struct.unpack(">i", receive(producing, 4))[0]
                assert produced_offset(receive(producing, size), topic) == 0
                send(waiting, fetch(topic, 1, 600_000, 1_000_000))
                acknowledged = [0]
                enough = threading.Event()

                def keep_producing():
                    try:
                        while True:
                            answer = exchange(producing, produce(topic, record_batch([b"more"])))
                            if answer is None:
                                return
                            acknowledged.append(produced_offset(answer, topic))
                            if len(acknowledged) == 20:
                                enough.set()
                    except (ConnectionError, BrokenPipeError):
                        return

                producer = threading.Thread(target=keep_producing)
                producer.start()
                assert enough.wait(30)
                node.process.terminate()
                size = struct.unpack(">i", receive(waiting, 4))[0]
                answer = receive(waiting, size)
                assert answer is not None and topic in answer
                assert receive(waiting, 1) is None
                producer.join(30)
                assert node.process.wait(30) == 0
                node.reader.join()
            assert any("stopped cleanly" in line for line in node.output), node.output
            mark = pathlib.Path(directory) / "log/.kafka_cleanshutdown"
            assert mark.is_file()
            assert acknowledged == list(range(len(acknowledged))), acknowledged
            node.start()
            assert not mark.exists()
            with connect(node.port) as connection:
                high_watermark = high_watermark_of(connection, topic)
                assert high_watermark >= len(acknowledged), (high_watermark, len(acknowledged))
            assert node.stop() == 0
        finally:
            node.kill()


def second_signal():
    """A client that does not take its answer holds the stop; the second signal ends it."""
    topic = b"large"
    with kurier() as node:
        with connect(node.port) as producing, connect(node.port) as stalled:
            create_topic(producing, topic)
            for _ in range(30):
                answer = exchange(producing, produce(topic, record_batch([bytes(1_000_000)])))
                produced_offset(answer, topic)
            send(stalled, fetch(topic, 0, 0, 1))
            receive(stalled, 4)  # the answer has begun and does not fit into the sockets' buffers
            node.process.terminate()
            assert node.await_output(lambda: node.says("stopping on signal 15")), node.output
            node.process.send_signal(signal.SIGINT)
            assert node.process.wait(10) == 128 + signal.SIGINT
            assert not (node.directory / "log/.kafka_cleanshutdown").exists()


def hang_up():
    with kurier() as node:
        node.process.send_signal(signal.SIGHUP)
        assert node.process.wait(30) == 0


def limits():
    """max.connections.per.ip.overrides and queued.max.request.bytes, seen from outside. Each shard has its part of the bytes: one shard."""
    topic = b"limits"
    with kurier(["kurier.shards=1", "max.connections.per.ip.overrides=127.0.0.1:2", "socket.request.max.bytes=2000000",
                 "queued.max.request.bytes=2000000", "max.connection.creation.rate=1000"]) as node:
        with connect(node.port) as first, connect(node.port) as second:
            create_topic(first, topic)
            # Half a request holds the whole budget: nobody else begins one, until it is complete.
            whole = produce(topic, record_batch([bytes(1_000_000)]))
            first.sendall(struct.pack(">i", 2_000_000))
            assert exchange_with_timeout(second, header(18, 0, False), 0.3) is None
            first.close()
            assert second_answer(second)
            with connect(node.port) as third, connect(node.port) as fourth:
                assert exchange(third, header(18, 0, False)) is not None
                assert receive(fourth, 1) is None, "a third connection of one address"
            assert produced_offset(exchange(second, whole), topic) == 0


def exchange_with_timeout(connection, body, seconds):
    """None if there is no answer meanwhile: this alone is about nothing happening."""
    send(connection, body)
    connection.settimeout(seconds)
    try:
        return connection.recv(1)
    except TimeoutError:
        return None
    finally:
        connection.settimeout(20)


def second_answer(connection):
    size = struct.unpack(">i", receive(connection, 4))[0]
    return receive(connection, size)


def main():
    checks = Checks()
    checks.check("requests in flight when it stops", requests_in_flight)
    checks.check("the second signal", second_signal)
    checks.check("SIGHUP", hang_up)
    checks.check("limits", limits)
    checks.finish()


if __name__ == "__main__":
    sys.exit(main())
