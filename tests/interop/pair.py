"""A kurier and an Apache Kafka that began from the same directory: the same cluster, topics, ids and records, and the same
requests to both, whose responses are compared field by field."""
import contextlib
import pathlib
import shutil
import tempfile
import time

from disk import ApacheKafka
from harness import Kurier
from messages import Client, ask

MASK = "masked"
# What kurier takes from the stock server.properties, and Apache Kafka only if it is told so.
STOCK = ("listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL",
         "log.segment.bytes=1073741824", "log.retention.hours=168", "log.retention.check.interval.ms=300000", "num.io.threads=8",
         "num.network.threads=3", "num.partitions=1", "num.recovery.threads.per.data.dir=2", "offsets.topic.replication.factor=1",
         "transaction.state.log.replication.factor=1", "transaction.state.log.min.isr=1", "share.coordinator.state.topic.replication.factor=1",
         "share.coordinator.state.topic.min.isr=1", "socket.receive.buffer.bytes=102400", "socket.request.max.bytes=104857600",
         "socket.send.buffer.bytes=102400")


def differences(ours, theirs, path=""):
    """What differs, one line each."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in sorted(set(ours) | set(theirs)):
            yield from differences(ours.get(name, "absent"), theirs.get(name, "absent"), f"{path}.{name}" if path else name)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (mine, other) in enumerate(zip(ours, theirs)):
            yield from differences(mine, other, f"{path}[{index}]")
    elif ours != theirs:
        yield f"{path}: kurier {ours!r}, Apache Kafka {theirs!r}"


def masked(value, names):
    if isinstance(value, dict):
        return {name: (MASK if part not in (None, -1, 0) else part) if name in names else masked(part, names)
                for name, part in value.items()}
    if isinstance(value, list):
        return [masked(part, names) for part in value]
    return value


class Pair:
    def __init__(self, kurier, kafka):
        self.nodes = (kurier, kafka)  # with their ports

    def ports(self, on_controller):
        return [node.controller_port if on_controller else node.port for node in self.nodes]

    def normal(self, value, node):
        """Each node's own ports, under the names that they have."""
        if isinstance(value, dict):
            return {name: self.normal(part, node) for name, part in value.items()}
        if isinstance(value, list):
            return [self.normal(part, node) for part in value]
        if value == node.port:
            return "broker port"
        return "controller port" if value == node.controller_port else value

    def ask(self, name, version, on_controller=False, **values):
        """(kurier's answer, Apache Kafka's), with ports made equal."""
        answers = []
        for node, port in zip(self.nodes, self.ports(on_controller)):
            client = Client(port)
            try:
                answers.append(self.normal(client.ask(name, version, **values), node))
            finally:
                client.close()
        return answers

    def same(self, name, version, mask=(), on_controller=False, **values):
        """Kurier's answer, which is Apache Kafka's but for the fields that are masked."""
        ours, theirs = self.ask(name, version, on_controller, **values)
        found = list(differences(masked(ours, mask), masked(theirs, mask)))
        assert not found, f"{name} version {version} {values}:\n  " + "\n  ".join(found)
        return ours


class Conversation:
    """The same requests, one after the other on one connection each. Session ids are those of each node."""

    def __init__(self, pair, on_controller=False):
        self.pair = pair
        self.clients = [Client(port) for port in pair.ports(on_controller)]
        self.sessions = [0, 0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for client in self.clients:
            client.close()

    def send(self, name, version, **values):
        for client, session in zip(self.clients, self.sessions):
            client.send(name, version, dict(values, session_id=session) if values.get("session_id") == "own" else values)

    def same(self, name, version, mask=(), **values):
        self.send(name, version, **values)
        return self.compare(name, version, mask, values)

    def compare(self, name, version, mask=(), values=()):
        answers = [self.pair.normal(client.answer(name, version), node) for client, node in zip(self.clients, self.pair.nodes)]
        self.sessions = [(answer or {}).get("session_id") or session for answer, session in zip(answers, self.sessions)]
        ours, theirs = (masked(answer, (*mask, "session_id")) for answer in answers)
        found = list(differences(ours, theirs))
        assert not found, f"{name} version {version} {values}:\n  " + "\n  ".join(found)
        return answers[0]


def wait_until_all_is_led(node):
    """Apache Kafka answers before it leads what its directory holds: its election is a record that it has yet to read."""
    deadline = time.monotonic() + 60
    while missing := not_led(node):
        assert time.monotonic() < deadline, f"Apache Kafka does not lead {missing}"


def not_led(node):
    """Names and partitions, with the error that Metadata or the leader tells."""
    topics = ask(node.port, "Metadata", 12, topics=None)["topics"]
    found = [(topic["name"], partition["partition_index"], partition["error_code"])
             for topic in topics for partition in topic["partitions"] if partition["error_code"]]
    if found or not topics:
        return found
    answer = ask(node.port, "ListOffsets", 7, replica_id=-1, topics=[
        {"name": topic["name"], "partitions": [{"partition_index": partition["partition_index"], "timestamp": -1}
                                               for partition in topic["partitions"]]} for topic in topics])
    return [(topic["name"], partition["partition_index"], partition["error_code"])
            for topic in answer["topics"] for partition in topic["partitions"] if partition["error_code"]]


@contextlib.contextmanager
def pair(classpath, prepare, settings=()):
    """`prepare(node)` fills the directory of a running kurier, which is then stopped and copied for Apache Kafka."""
    with tempfile.TemporaryDirectory(prefix="kurier-pair-") as directory:
        first = Kurier(pathlib.Path(directory) / "kurier", settings=settings)
        second = Kurier(pathlib.Path(directory) / "kafka", settings=settings)  # never started: ports and a directory
        kafka = None
        try:
            first.directory.mkdir()
            first.start()
            prepared = prepare(first)
            assert first.stop() == 0
            shutil.copytree(first.directory / "log", second.directory / "log", ignore=shutil.ignore_patterns(".lock"))
            kafka = ApacheKafka(classpath, second, (*STOCK, *settings))
            first.start()
            kafka.wait_until_ready()
            wait_until_all_is_led(second)
            both = Pair(first, second)
            both.prepared = prepared
            yield both
        except Exception:
            print("\n".join(first.output[-20:]))
            raise
        finally:
            first.kill()
            if kafka:
                kafka.kill()
