#!/usr/bin/env python3
"""How a node starts and refuses to start: messages, exit status, and what is on the disk afterwards. stop.py has the stops."""
import fcntl
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

from disk import ApacheKafka
from harness import ROOT, Checks, Kurier, free_port, jars, kurier
from messages import ask
from plain_requests import create_topic, high_watermark_of, produce, produced_offset
from record_batch import record_batch
from wire import connect, exchange, header

BINARY = os.environ.get("KURIER_BINARY", str(ROOT / "build/release/kurier"))


def run(*arguments, cwd=None, user=None):
    """(exit status, everything it said); it has to end by itself."""
    done = subprocess.run([BINARY, *map(str, arguments)], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=60, user=user)
    return done.returncode, done.stdout


def tree(*roots):
    """Every file with its bytes, every directory."""
    found = {}
    for root in roots:
        for path in sorted(pathlib.Path(root).rglob("*")):
            found[str(path)] = path.read_bytes() if path.is_file() else None
    return found


def append_metadata(directory, value):
    """One more batch with the record `value` at the end of the metadata log."""
    log = directory / "log/__cluster_metadata-0/00000000000000000000.log"
    data = log.read_bytes()
    at = 0
    while at < len(data):
        base, length, epoch = struct.unpack_from(">qii", data, at)
        next_offset = base + struct.unpack_from(">i", data, at + 23)[0] + 1
        at += 12 + length
    log.write_bytes(data + record_batch([value], key=None, base_offset=next_offset, epoch=epoch))


def compact(text):
    return bytes([len(text) + 1]) + text


# ---- faults of the configuration

HEAD = """process.roles: [broker, controller]
node.id: 1
listeners: ["PLAINTEXT://127.0.0.1:1092", "CONTROLLER://127.0.0.1:1093"]
controller: {listener.names: CONTROLLER, quorum.bootstrap.servers: "127.0.0.1:1093"}
"""
FAULTS = [  # what, file name, content, arguments, what must be said
    ("unknown property", "a.yaml", HEAD + "num.partition: 2\n", [], "a.yaml:5: num.partition: no such property; did you mean num.partitions?"),
    ("wrong type", "a.yaml", HEAD + "num.partitions: many\n", [], 'a.yaml:5: num.partitions: "many" is not an int; expected an int, 1 or more'),
    ("out of range", "a.yaml", HEAD + "log.segment.bytes: 5\n", [], 'a.yaml:5: log.segment.bytes: "5" is not allowed; expected an int, 1048576 or more'),
    ("no boolean", "a.yaml", HEAD + "auto.create.topics.enable: perhaps\n", [], 'a.yaml:5: auto.create.topics.enable: "perhaps" is not allowed; expected true or false'),
    ("impossible combination", "a.yaml", HEAD + "replica.fetch.wait.max.ms: 40000\n", [],
     "a.yaml:5: replica.fetch.wait.max.ms: 40000 is larger than replica.lag.time.max.ms=30000"),
    ("another quorum", "a.yaml", HEAD.replace('"127.0.0.1:1093"}', '"a:1093,b:1093"}'), [],
     "controller.quorum.bootstrap.servers: a:1093 is refused, because this version runs as a single node"),
    ("YAML that is none", "a.yaml", HEAD + "log: [1, 2\n", [], "a.yaml:6: not YAML: "),
    ("no closing quote", "a.yaml", HEAD + 'broker.rack: "r\n', [], "a.yaml:5: "),
    ("set twice", "a.yaml", HEAD + "num.partitions: 2\nnum: {partitions: 3}\n", [], "a.yaml:6: num.partitions: set twice; line 5 sets it too"),
    ("a list of maps", "a.yaml", HEAD + "log.dirs:\n  - {path: /x}\n", [], "a.yaml:6: log.dirs: a list may hold only plain values"),
    ("a rack that no record can carry", "a.yaml", HEAD + f"broker.rack: {'r' * 40000}\n", [],
     "a.yaml:5: broker.rack: 40000 bytes are too long; expected at most 32767"),
    ("a host that no record can carry", "a.yaml", HEAD + f"advertised.listeners: ['PLAINTEXT://{'h' * 40000}:1092']\n", [],
     "a.yaml:5: advertised.listeners: 40017 bytes are too long; expected at most 32767"),
    ("an empty map", "a.yaml", HEAD + "num.partitions: {}\n", [], 'a.yaml:5: num.partitions: no value; write "" for an empty one'),
    ("not UTF-8", "a.yaml", HEAD.encode() + b"broker.rack: \xe4\n", [], "a.yaml:5: the byte 0xe4 is not UTF-8"),
    ("not UTF-8 on the command line", None, None, ["--set", os.fsdecode(b"broker.rack=\xe4")], "--set: broker.rack: the value is not UTF-8"),
    ("half a character", "a.properties", "broker.rack=\\uD83D\n", [], "a.properties:1: \\uD800 to \\uDFFF are halves of a character"),
    ("NUL", "a.properties", "broker.rack=a\\u0000b\n", [], "a.properties:1: broker.rack: the value holds a NUL character"),
    ("behind a byte order mark", "a.yaml", "\ufeff" + HEAD + "num.partitions: x\n", [], 'a.yaml:5: num.partitions: "x" is not an int'),
    ("a limit of a listener", None, None, ["--set", "listener.name.plaintext.max.connections=many"],
     '--set: listener.name.plaintext.max.connections: "many" is not allowed; expected an int, 0 or more'),
    ("no value", "a.yaml", HEAD + "broker.rack: null\n", [], 'a.yaml:5: broker.rack: no value; write "" for an empty one'),
    ("TLS", "a.properties", "process.roles=broker,controller\nnode.id=1\ncontroller.listener.names=C\nlisteners=SSL://h:1,\\\n  C://h:2\n"
     "listener.security.protocol.map=SSL:SSL,C:PLAINTEXT\ninter.broker.listener.name=SSL\ncontroller.quorum.voters=1@h:2\n", [],
     "a.properties:4: listeners: SSL (SSL) is refused, because TLS and SASL are not there yet"),
    ("an authorizer", "a.yaml", HEAD + "authorizer.class.name: org.apache.kafka.metadata.authorizer.StandardAuthorizer\n", [],
     "a.yaml:5: authorizer.class.name: "),
    ("a broken escape", "a.properties", "broker.rack=\\u00zz\n", [], "a.properties:1: \\u needs four hexadecimal digits"),
    ("missing file", None, None, ["--config", "nowhere.yaml"], "nowhere.yaml: No such file or directory"),
    ("--set without =", None, None, ["--set", "node.id"], "--set node.id: expected name=value"),
    ("unknown option", None, None, ["--sett", "node.id=1"], "--sett"),
    ("state in the logs", None, None, ["--set", "kurier.state.dir=kurier-data/log/x"], "kurier.state.dir: kurier-data/log/x is or lies in the log directory ./kurier-data/log"),
    ("logs in the state", None, None, ["--set", "kurier.state.dir=kurier-data"], "kurier.state.dir: kurier-data holds the log directory ./kurier-data/log"),
    ("one directory twice", None, None, ["--set", "log.dirs=a,./a/"], "log.dirs: ./a/ is or lies in the log directory a"),
]


def fault(name, content, arguments, message):
    with tempfile.TemporaryDirectory(prefix="kurier-") as directory:
        if name:
            (pathlib.Path(directory) / name).write_bytes(content if isinstance(content, bytes) else content.encode())
            arguments = ["--config", name]
        before = tree(directory)
        status, said = run("serve", *arguments, cwd=directory)
        assert status == 2, (status, said)
        assert message in said, said
        assert "ready" not in said and tree(directory) == before


def all_faults_at_once():
    with tempfile.TemporaryDirectory(prefix="kurier-") as directory:
        status, said = run("serve", "--set", "num.partitions=0", "--set", "what=1", "--set", "log.roll.hours=x", cwd=directory)
        assert status == 2 and said.count("--set: ") == 3, said


def help_and_version():
    status, said = run("--help")
    assert status == 0 and "serve" in said, said
    status, said = run("serve", "--help")
    assert status == 0 and "--config" in said and "--set" in said, said
    status, said = run("--version")
    assert status == 0 and said.startswith("kurier ") and "4.4" in said, said
    status, said = run()
    assert status == 2, (status, said)


# ---- what is on the disk

def arguments_of(directory, port, controller_port, log="log"):
    return ["serve", "--set", f"listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
            "--set", f"log.dirs={','.join(str(directory / d) for d in log.split(','))}", "--set", f"kurier.state.dir={directory / 'state'}"]


def meta(directory, key, value, log="log"):
    path = directory / log / "meta.properties"
    path.write_text("".join(f"{key}={value}\n" if line.startswith(key + "=") else line
                            for line in path.read_text().splitlines(keepends=True)))


def second_log(directory, **changes):
    shutil.copytree(directory / "log", directory / "log2")
    shutil.rmtree(directory / "log2/__cluster_metadata-0")
    for key, value in changes.items():
        meta(directory, key.replace("_", "."), value, "log2")


def make_file(path):
    shutil.rmtree(path)
    path.write_text("no directory")


def state(directory, old, new):
    path = directory / "state/kurier.properties"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def metadata_log(directory):
    return directory / "log/__cluster_metadata-0/00000000000000000000.log"


def rot(path):
    """One bit in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


OTHER_ID = "AAAAAAAAAAAAAAAAAAAAAQ"
REFUSED = [  # what, the change, log.dirs, what must be said
    ("a newer meta.properties", lambda d: meta(d, "version", 2), "log", "version '2' of the directory's format"),
    ("another node's directory", lambda d: meta(d, "node.id", 7), "log", "meta.properties says node.id=7, the configuration node.id=1"),
    ("directories of two clusters", lambda d: second_log(d, cluster_id="other", directory_id=OTHER_ID), "log,log2", "a node's directories are of one cluster"),
    ("two directories with one id", second_log, "log,log2", "one is a copy of the other"),
    ("a file for a directory", lambda d: make_file(d / "log"), "log", "this is no directory"),
    ("metadata.version of the future", lambda d: append_metadata(d, b"\x01\x0c\x00" + compact(b"metadata.version") + struct.pack(">h", 999) + b"\x00"),
     "log", "finalized metadata.version at level 999"),
    ("an unknown record type", lambda d: append_metadata(d, b"\x01\xe7\x07\x00\x00"), "log", "unknown type 999"),
    ("a record version of the future", lambda d: append_metadata(d, b"\x01\x02\x63" + compact(b"t") + bytes(16) + b"\x00"), "log", "of version 99"),
    ("the same, with a directory to be added", lambda d: append_metadata(d, b"\x01\xe7\x07\x00\x00"), "log,log3", "unknown type 999"),
    ("a metadata log that has rotted", lambda d: rot(metadata_log(d)), "log", "are no whole batch, though the node was stopped cleanly"),
    ("a metadata log that is gone", lambda d: metadata_log(d).unlink(), "log", "the metadata log has no record, though the node was stopped"),
    ("a metadata log that was emptied", lambda d: metadata_log(d).write_bytes(b""), "log", "the metadata log has no record, though"),
    ("quorum-state that is none", lambda d: (d / "log/__cluster_metadata-0/quorum-state").write_bytes(bytes(90)), "log",
     'quorum-state: no number "data_version"'),
    ("client quotas", lambda d: append_metadata(d, b"\x01\x0e\x00\x02" + compact(b"user") + compact(b"alice") + b"\x00" +
                                                compact(b"producer_byte_rate") + struct.pack(">d", 1000.0) + b"\x00\x00"),
     "log", "1 client quotas, which are not enforced yet"),
    ("no metadata directory", lambda d: None, "log4,log", "without its metadata the cluster's topics are unknown"),
    ("data without meta.properties", lambda d: (d / "log/meta.properties").unlink(), "log", "no meta.properties"),
    ("somebody's files", lambda d: (d / "log5/photos").mkdir(parents=True), "log5", "it holds photos but no meta.properties"),
    ("the state of another cluster", lambda d: state(d, "cluster.id=", "cluster.id=x"), "log", "remove it: what it holds is made anew"),
    ("the state of another node", lambda d: state(d, "node.id=1", "node.id=5"), "log", "belongs to node 5"),
    ("newer state", lambda d: state(d, "version=1", "version=2"), "log", "has the format version '2', this program knows 1"),
    ("a file for the state", lambda d: make_file(d / "state"), "log", "no directory that can be read"),
]


def refused(template, change, log, message):
    with tempfile.TemporaryDirectory(prefix="kurier-") as top:
        directory = pathlib.Path(top) / "node"
        shutil.copytree(template, directory)
        change(directory)
        before = tree(directory)
        status, said = run(*arguments_of(directory, free_port(), free_port(), log))
        assert status == 1, (status, said)
        assert message in said, said
        after = tree(directory)
        assert after == before, {path for path in after.keys() | before.keys() if after.get(path, 0) != before.get(path, 0)}


def address_in_use(template):
    with tempfile.TemporaryDirectory(prefix="kurier-") as top, socket.socket() as holder:
        directory = pathlib.Path(top) / "node"
        shutil.copytree(template, directory)
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        status, said = run(*arguments_of(directory, port, free_port()))
        assert status == 1 and f"address 127.0.0.1:{port} is in use by another process" in said, (status, said)
        assert "listener PLAINTEXT" in said, said
        assert (directory / "log/.kafka_cleanshutdown").exists(), "a start that failed counts as a crash"


def locked_by_kurier():
    with kurier() as node:
        status, said = run(*arguments_of(node.directory, free_port(), free_port()))
        assert status == 1 and f"is locked by process {node.process.pid}" in said and "a broker may be running" in said, (status, said)
        other = node.directory / "other"
        arguments = arguments_of(node.directory, free_port(), free_port())
        arguments[4] = f"log.dirs={other}"
        status, said = run(*arguments)
        assert status == 1 and "kurier.state.dir" in said, (status, said)


def locked_by_kafka(classpath):
    with tempfile.TemporaryDirectory(prefix="kurier-") as directory:
        node = Kurier(directory)
        node.start()
        assert node.stop() == 0
        kafka = ApacheKafka(classpath, node)
        try:
            kafka.wait_until_ready()
            status, said = run(*arguments_of(node.directory, free_port(), free_port()))
            assert status == 1 and f"is locked by process {kafka.process.pid}" in said, (status, said)
            kafka.stop()
            # And the other way round. With ports of its own nothing but the lock can stop it, as the next start shows.
            node.start()
            elsewhere = Kurier(directory)
            kafka = ApacheKafka(classpath, elsewhere)
            assert kafka.process.wait(60) != 0
            kafka.kill()
            assert node.stop() == 0
            kafka = ApacheKafka(classpath, elsewhere).wait_until_ready()
        finally:
            kafka.kill()
            node.kill()


CHECKPOINTS = ("recovery-point-offset-checkpoint", "log-start-offset-checkpoint", "replication-offset-checkpoint",
               "__cluster_metadata-0/leader-epoch-checkpoint", "kept-0/leader-epoch-checkpoint")


def damaged_checkpoints():
    """They save work, or can be made anew: one that cannot be read is said and costs nothing that was acknowledged."""
    topic = b"kept"
    with tempfile.TemporaryDirectory(prefix="kurier-") as directory:
        node = Kurier(directory)
        node.start()
        try:
            with connect(node.port) as connection:
                create_topic(connection, topic)
                assert produced_offset(exchange(connection, produce(topic, record_batch([b"1", b"2", b"3"]))), topic) == 0
            for is_clean in (True, False):
                if is_clean:
                    assert node.stop() == 0
                else:
                    node.kill()
                for name in CHECKPOINTS:
                    (node.directory / "log" / name).write_bytes(b"0\n1\n rotten")
                node.start()
                with connect(node.port) as connection:
                    assert high_watermark_of(connection, topic) == 3
                for name in CHECKPOINTS:
                    said = [line for line in node.output if f"/{name}" in line]
                    assert name.startswith("replication") or any("damaged" in line for line in said), (name, node.output)
            assert node.stop() == 0
        finally:
            node.kill()


def port_zero():
    """The system chooses the ports: the line that says that the node is ready, Metadata and the quorum name them."""
    with tempfile.TemporaryDirectory(prefix="kurier-") as directory:
        for _ in range(2):
            command = [BINARY, "serve", "--set", "listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0"]
            process = subprocess.Popen(command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            try:
                ready = next(line for line in process.stdout if " ready: " in line)
                port, controller_port = (int(found) for found in re.findall(r"://127\.0\.0\.1:(\d+)", ready))
                assert [(broker["host"], broker["port"]) for broker in ask(port, "Metadata", 8, topics=[])["brokers"]] == [("127.0.0.1", port)]
                voter = ask(controller_port, "DescribeQuorum", 2, topics=[{"topic_name": "__cluster_metadata", "partitions": [{"partition_index": 0}]}])
                assert voter["nodes"][0]["listeners"] == [{"name": "CONTROLLER", "host": "127.0.0.1", "port": controller_port}], voter
                process.terminate()
                rest = process.stdout.read()
                assert process.wait(30) == 0, rest
            finally:
                end(process)


def named_listeners():
    """A client is told the address of the listener through which it came, in Metadata and by FindCoordinator."""
    ports = [free_port() for _ in range(3)]
    with tempfile.TemporaryDirectory(prefix="kurier-") as directory:
        command = [BINARY, "serve", "--set", "listeners=INSIDE://127.0.0.1:{},OUTSIDE://127.0.0.1:{},CONTROLLER://127.0.0.1:{}".format(*ports),
                   "--set", f"advertised.listeners=INSIDE://127.0.0.1:{ports[0]},OUTSIDE://outside.example:19092",
                   "--set", "listener.security.protocol.map=INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
                   "--set", "inter.broker.listener.name=INSIDE"]
        process = subprocess.Popen(command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            next(line for line in process.stdout if " ready: " in line)
            for port, address in ((ports[0], ("127.0.0.1", ports[0])), (ports[1], ("outside.example", 19092))):
                assert [(broker["host"], broker["port"]) for broker in ask(port, "Metadata", 8, topics=[])["brokers"]] == [address]
                found = ask(port, "FindCoordinator", 4, key_type=0, coordinator_keys=["g"])["coordinators"]
                assert [(each["error_code"], each["host"], each["port"]) for each in found] == [(0, *address)], found
            process.terminate()
            rest = process.stdout.read()
            assert process.wait(30) == 0, rest
        finally:
            end(process)


def not_writable(template):
    with tempfile.TemporaryDirectory(prefix="kurier-") as top:
        directory = pathlib.Path(top) / "node"
        shutil.copytree(template, directory)
        os.chmod(top, 0o755)
        user = None
        if os.geteuid() == 0:
            user = 65534  # nobody: root may write everywhere
        for path in (directory, *directory.rglob("*")):
            os.chmod(path, 0o555 if path.is_dir() else 0o444)
        try:
            status, said = run(*arguments_of(directory, free_port(), free_port()), user=user)
            assert status == 1 and f"log directory {directory / 'log'}" in said and "Permission denied" in said, (status, said)
            status, said = run(*arguments_of(directory, free_port(), free_port(), "fresh"), user=user)
            assert status == 1 and f"log directory {directory / 'fresh'}" in said and "Permission denied" in said, (status, said)
        finally:
            for path in (directory, *directory.rglob("*")):
                os.chmod(path, 0o755)


def bootstrap_checkpoint(classpath, is_standalone):
    """What Apache Kafka 4.3 formats: the features lie beside the metadata log, not in it. With static voters there is nothing else."""
    with tempfile.TemporaryDirectory(prefix="kurier-") as directory:
        node = Kurier(directory)
        quorum = (f"controller.quorum.bootstrap.servers=127.0.0.1:{node.controller_port}" if is_standalone else
                  f"controller.quorum.voters=1@127.0.0.1:{node.controller_port}")
        node.settings = [quorum]
        properties = node.directory / "kafka.properties"
        properties.write_text(f"""process.roles=broker,controller
node.id=1
{quorum}
listeners=PLAINTEXT://127.0.0.1:{node.port},CONTROLLER://127.0.0.1:{node.controller_port}
controller.listener.names=CONTROLLER
log.dirs={node.directory / 'log'}
""")
        subprocess.run(["java", "-cp", f"{classpath}/*", "kafka.tools.StorageTool", "format", *(["--standalone"] if is_standalone else []),
                        "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", str(properties)], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        assert (node.directory / "log/bootstrap.checkpoint").is_file()
        try:
            for _ in range(2):  # the second start finds the features in the log
                node.start()
                assert any("MkU3OEVBNTcwNTJENDM2Qg" in line for line in node.output)
                with connect(node.port) as connection:
                    # The finalized features are tagged fields of the response: 4.3-IV0 is level 30.
                    answer = exchange(connection, header(18, 3, True) + compact(b"t") + compact(b"1") + b"\x00")
                    assert compact(b"metadata.version") + struct.pack(">hh", 30, 30) in answer, answer
                assert node.stop() == 0
        finally:
            node.kill()


# ---- starting and stopping

def in_an_empty_directory():
    with tempfile.TemporaryDirectory(prefix="kurier-") as directory:
        process = start_alone(directory)
        try:
            ready = next(line for line in process.stdout if " ready: " in line)
            for part in ("node 1", "broker, controller", "of cluster ", "PLAINTEXT://127.0.0.1:", "CONTROLLER://127.0.0.1:", " ms"):
                assert part in ready, ready
            process.send_signal(signal.SIGINT)
            rest = process.stdout.read()
            assert process.wait(30) == 0, rest
        finally:
            end(process)
        here = pathlib.Path(directory)
        assert (here / "kurier-data/log/meta.properties").is_file() and (here / "kurier-data/log/.kafka_cleanshutdown").is_file()
        assert (here / "kurier-data/state/kurier.properties").is_file()
        assert sorted(path.name for path in here.iterdir()) == ["kurier-data"]


# The keys that Apache Kafka's own config/server.properties sets.
STOCK = """# a comment
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:{controller}
listeners=PLAINTEXT://:{port},CONTROLLER://:{controller}
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:{port},CONTROLLER://localhost:{controller}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,\\
    SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs={directory}/kraft-combined-logs
num.partitions=1
num.recovery.threads.per.data.dir=2
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
"""


def stock_server_properties():
    with tempfile.TemporaryDirectory(prefix="kurier-") as directory:
        port, controller = free_port(), free_port()
        path = pathlib.Path(directory) / "server.properties"
        path.write_text(STOCK.format(directory=directory, port=port, controller=controller))
        process = subprocess.Popen([BINARY, "serve", "--config", str(path)], cwd=directory, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True)
        try:
            said = []
            for line in process.stdout:
                said.append(line)
                if " ready: " in line:
                    break
            assert any("num.network.threads, num.io.threads have no effect here" in line for line in said), said
            with connect(port) as connection:
                assert exchange(connection, header(18, 0, False)) is not None
            process.terminate()
            assert process.wait(30) == 0, said
        finally:
            end(process)
        assert (pathlib.Path(directory) / "kraft-combined-logs/meta.properties").is_file()
        assert (pathlib.Path(directory) / "kraft-combined-logs.kurier/kurier.properties").is_file()
        # Its broker.properties and controller.properties are for more nodes than one.
        for role, listeners in (("broker", f"PLAINTEXT://localhost:{port}"), ("controller", f"CONTROLLER://:{controller}")):
            text = STOCK.format(directory=directory, port=port, controller=controller).splitlines()
            kept = [line for line in text if not line.startswith(("process.roles", "listeners=", "advertised.", "inter.broker"))]
            path.write_text("\n".join([f"process.roles={role}", f"listeners={listeners}", *kept]))
            status, said = run("serve", "--config", str(path), cwd=directory)
            assert status == 2 and f'server.properties:1: process.roles: "{role}" is refused' in said, said


def start_alone(directory, *settings, **options):
    command = [BINARY, "serve", "--set", f"listeners=PLAINTEXT://127.0.0.1:{free_port()},CONTROLLER://127.0.0.1:{free_port()}"]
    for setting in settings:
        command += ["--set", setting]
    return subprocess.Popen(command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)


def end(process):
    if process.poll() is None:
        process.kill()
    process.wait()
    process.stdout.close()


def without_standard_descriptors(closed):
    """What is opened first must not get the numbers of those that are closed, or the log would be written into it."""
    with tempfile.TemporaryDirectory(prefix="kurier-") as directory:
        script = pathlib.Path(directory) / "closed"
        script.write_text(f'#!/bin/sh\nexec "{BINARY}" "$@" {closed}\n')
        script.chmod(0o755)
        node = Kurier(directory, binary=script)
        node.launch()
        try:
            deadline = time.monotonic() + 30
            while True:  # it cannot say that it is ready
                try:
                    assert ask(node.port, "Metadata", 8, topics=[])["brokers"]
                    break
                except ConnectionRefusedError:
                    assert time.monotonic() < deadline and node.process.poll() is None
                    time.sleep(0.02)
            targets = [os.readlink(f"/proc/{node.process.pid}/fd/{number}") for number in range(3)]
            assert all(targets[int(each[0])] == "/dev/null" for each in closed.split()), targets
            assert node.stop() == 0
        finally:
            node.kill()
        assert (node.directory / "log/.kafka_cleanshutdown").is_file()


def stopped_while_starting():
    """The start is held by a log that nobody reads; the signal comes meanwhile."""
    read_end, write_end = os.pipe()
    fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 4096)
    with tempfile.TemporaryDirectory(prefix="kurier-") as directory:
        settings = [f"listener.name.x{i}.{'y' * 100}=1" for i in range(100)]  # a notice each: more than the pipe holds
        command = [BINARY, "serve", "--set", f"listeners=PLAINTEXT://127.0.0.1:{free_port()},CONTROLLER://127.0.0.1:{free_port()}"]
        for setting in settings:
            command += ["--set", setting]
        process = subprocess.Popen(command, cwd=directory, stdout=write_end, stderr=write_end)
        os.close(write_end)
        with open(read_end, errors="replace") as said:
            try:
                first = said.readline()
                assert "has no effect here" in first, first
                process.send_signal(signal.SIGTERM)
                rest = said.read()
                assert process.wait(30) == 0, rest
                assert "stopping on signal 15" in rest and " ready: " not in rest, rest
            finally:
                if process.poll() is None:
                    process.kill()
                process.wait()
        assert (pathlib.Path(directory) / "kurier-data/log/.kafka_cleanshutdown").is_file()


def main():
    checks = Checks()
    for what, name, content, arguments, message in FAULTS:
        checks.check(f"configuration: {what}", fault, name, content, arguments, message)
    checks.check("all faults at once", all_faults_at_once)
    checks.check("help and version", help_and_version)
    checks.check("alone in an empty directory, stopped by SIGINT", in_an_empty_directory)
    checks.check("Apache Kafka's own server.properties", stock_server_properties)
    checks.check("stopped while it starts", stopped_while_starting)
    for closed in ("2>&-", "0<&- 1>&- 2>&-"):
        checks.check(f"started with {closed}", without_standard_descriptors, closed)
    with tempfile.TemporaryDirectory(prefix="kurier-") as directory:
        node = Kurier(directory)
        node.start()
        assert node.stop() == 0
        template = pathlib.Path(directory)
        for what, change, log, message in REFUSED:
            checks.check(f"refused, nothing written: {what}", refused, template, change, log, message)
        checks.check("address in use", address_in_use, template)
        checks.check("not writable", not_writable, template)
    checks.check("damaged checkpoints", damaged_checkpoints)
    checks.check("ports that the system chooses", port_zero)
    checks.check("several listeners, each with its address", named_listeners)
    checks.check("locked by another kurier", locked_by_kurier)
    classpath = jars("kafka")
    if classpath is None:
        checks.skip("locked by Apache Kafka", "Java or Maven is missing")
    else:
        checks.check("locked by Apache Kafka, and the reverse", locked_by_kafka, classpath)
        older = jars("kafka43")
        for is_standalone in (True, False):
            checks.check(f"formatted by Apache Kafka 4.3, {'standalone' if is_standalone else 'static voters'}", bootstrap_checkpoint, older,
                         is_standalone)
    checks.finish()


if __name__ == "__main__":
    sys.exit(main())
