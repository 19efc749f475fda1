"""The stock clients as agents: programs that do what one line each asks for (README.md has the commands)."""
import collections
import os
import pathlib
import queue
import re
import shutil
import subprocess
import sys
import threading

from harness import CACHE, ROOT, jars

CLIENTS = pathlib.Path(__file__).resolve().parent / "clients"
CONFLUENT_KAFKA = "confluent-kafka==2.16.1"

Record = collections.namedtuple("Record", "timestamp key value headers", defaults=[()])
Received = collections.namedtuple("Received", "topic partition offset timestamp_type record")


class Missing(Exception):
    """A toolchain is not there; what stands in it is why the client is skipped."""


class ClientError(Exception):
    """What a client said; `code` is Kafka's error code, "local" when the client did not ask the node."""

    def __init__(self, words):
        super().__init__(" ".join(words))
        self.code = words[0]


def to_word(value):
    return "~" if value is None else "=" + value.hex()


def to_bytes(word):
    return None if word == "~" else bytes.fromhex(word[1:])


def received(words):
    topic, partition, offset, timestamp_type, timestamp, key, value, *headers = words
    pairs = tuple((to_bytes(name).decode(), to_bytes(content)) for name, content in zip(headers[::2], headers[1::2]))
    return Received(topic, int(partition), int(offset), timestamp_type, Record(int(timestamp), to_bytes(key), to_bytes(value), pairs))


class Agent:
    """One running client. A method is a command; an answer that does not come within `timeout_s` fails."""

    def __init__(self, command, address, timeout_s=90):
        self.timeout_s = timeout_s
        self.process = subprocess.Popen([*map(str, command), address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.split())
        self.lines.put(None)

    def close(self):
        self.process.kill()
        self.process.wait()

    def tell(self, *words):
        """What `answer` waits for afterwards; for commands that take their time."""
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def answer(self):
        """(the lines before the last, the words of the last)"""
        before = []
        while True:
            try:
                words = self.lines.get(timeout=self.timeout_s)
            except queue.Empty:
                self.close()  # what it says later would be taken for the answer to something else
                raise AssertionError(f"no answer within {self.timeout_s} s") from None
            assert words is not None, f"the client ended: {before[-1:]}"
            if words[0] == "error":
                raise ClientError(words[1:])
            if words[0] in ("ok", "timeout"):
                return before, words
            before.append(words)

    def ask(self, *words):
        self.tell(*words)
        return self.answer()[1][1:]

    def producer(self, acks="all", idempotence=True, codec="none", linger_ms=5, batch_bytes=16384, size_max=0):
        """`size_max` is how long a record may be; 0 leaves it to the client."""
        self.ask("producer", f"acks={acks}", f"idempotence={str(idempotence).lower()}", f"codec={codec}", f"linger_ms={linger_ms}",
                 f"batch_bytes={batch_bytes}", f"size_max={size_max}")

    def send(self, topic, records, partition=0):
        lines = []
        for record in records:
            words = ["send", topic, str(partition), str(record.timestamp), to_word(record.key), to_word(record.value)]
            for name, value in record.headers:
                words += [to_word(name.encode()), to_word(value)]
            lines.append(" ".join(words) + "\n")
        self.process.stdin.write("".join(lines))

    def flush(self):
        """One (partition, offset), or the error code, for each record sent since the last flush, in order."""
        self.tell("flush")
        return [(int(words[1]), int(words[2])) if words[0] == "sent" else words[1] for words in self.answer()[0]]

    def produce(self, topic, records, partition=0):
        """Sends and flushes; all must be acknowledged. Returns the offsets."""
        self.send(topic, records, partition)
        reports = self.flush()
        assert len(reports) == len(records) and all(isinstance(report, tuple) for report in reports), reports[:5]
        assert partition == -1 or all(report[0] == partition for report in reports), reports[:5]
        return [offset for _, offset in reports]

    def consumer(self, isolation="read_uncommitted", reset="none", fetch_min_bytes=1, fetch_wait_ms=500):
        self.ask("consumer", f"isolation={isolation}", f"reset={reset}", f"fetch_min_bytes={fetch_min_bytes}",
                 f"fetch_wait_ms={fetch_wait_ms}")

    def read(self, count, timeout_ms=30_000):
        """Exactly `count` of them."""
        self.tell("read", count, timeout_ms)
        return self.received(count)

    def received(self, count):
        lines, last = self.answer()
        assert last == ["ok"] and len(lines) == count, f"{len(lines)} of {count} records came in time"
        return [received(words[1:]) for words in lines]

    def read_all(self, topic, counts, **settings):
        """The records of all partitions of a topic of which counts[i] are in partition i, as one list for each partition."""
        self.consumer(**settings)
        self.ask("assign", *(word for partition in range(len(counts)) for word in (topic, partition, "begin")))
        partitions = [[] for _ in counts]
        for each in self.read(sum(counts)):
            assert each.topic == topic and each.offset == len(partitions[each.partition]), each[:4]
            partitions[each.partition].append(each.record)
        assert [len(records) for records in partitions] == counts
        return partitions


def librdkafka():
    program = ROOT / "build/release/tests/interop/clients/librdkafka/librdkafka_agent"
    if not program.exists():
        raise Missing("librdkafka_agent is not built")
    return [program]


def confluent_python():
    """The interpreter of a virtual environment that has confluent-kafka."""
    directory = CACHE / CONFLUENT_KAFKA
    python = directory / "bin/python3"
    if not python.exists():
        unfinished = directory.with_name(directory.name + ".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", unfinished], check=True)
        subprocess.run([unfinished / "bin/python3", "-m", "pip", "install", "-q", CONFLUENT_KAFKA], check=True)
        unfinished.rename(directory)
    return python


def confluent_kafka():
    return [confluent_python(), CLIENTS / "confluent_kafka/agent.py"]


def java():
    classpath = jars("kafka")
    if classpath is None or not shutil.which("javac"):
        raise Missing("Java or Maven is missing")
    classes = CACHE / "java-agent"
    subprocess.run(["javac", "-Xlint:all,-processing", "-cp", f"{classpath}/*", "-d", classes, CLIENTS / "java/Agent.java"], check=True)
    return ["java", "-Xmx512m", "-cp", f"{classes}{os.pathsep}{classpath}/*", "Agent"]


GO_ENVIRONMENT = dict(os.environ, GOTOOLCHAIN="local", GOFLAGS="-mod=readonly")


def check_go(source):
    """Throws Missing unless a Go is here that is new enough for the module."""
    needed = re.search(r"^go (\d+)\.(\d+)", (source / "go.mod").read_text(), re.M)
    if not shutil.which("go"):
        raise Missing("Go is missing")
    there = re.search(r"go(\d+)\.(\d+)", subprocess.run(["go", "env", "GOVERSION"], env=GO_ENVIRONMENT, check=True, text=True,
                                                        stdout=subprocess.PIPE).stdout)
    if tuple(map(int, there.groups())) < tuple(map(int, needed.groups())):
        raise Missing(f"Go {needed[1]}.{needed[2]} is needed, {there[0]} is here")


def franz_go():
    source = CLIENTS / "franz-go"
    check_go(source)
    program = CACHE / "franz-go-agent"
    subprocess.run(["go", "build", "-o", program, "."], cwd=source, env=GO_ENVIRONMENT, check=True)
    return [program]


AGENTS = {"librdkafka": librdkafka, "confluent-kafka": confluent_kafka, "java": java, "franz-go": franz_go}
