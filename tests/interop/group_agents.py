"""The stock clients as members of groups: how each is built and started, and what it can do (clients/groups/README.md)."""
import collections
import functools
import os
import shutil
import subprocess
import sys
import threading

from agents import CLIENTS, CONFLUENT_KAFKA, GO_ENVIRONMENT, Missing, check_go
from harness import CACHE, ROOT, jars
from history import event

GROUPS = CLIENTS / "groups"
ALL = ("range", "roundrobin", "sticky", "cooperative-sticky")
KAFKA_PYTHON, AIOKAFKA = "kafka-python==3.0.12", "aiokafka==0.14.0"
LOCK = threading.Lock()  # builds are one at a time, and each once

# `assignors`: those of the four names that Apache Kafka's own consumer has too. `statics`: the assignors that it can use in a group in
# which some members have a group.instance.id. `stays`: a node that is down for a moment does not make it
# join again; others do when a heartbeat falls into that moment. `careful`: what it commits, it has handed out, also when it leaves.
Client = collections.namedtuple("Client", "command assignors statics stays careful", defaults=[ALL, True, True])


def built(function):
    """Once in this process, whoever asks first; what is missing stays missing."""
    @functools.cache
    def once():
        try:
            return function(), None
        except Missing as missing:
            return None, missing

    def locked():
        with LOCK:
            command, missing = once()
        if missing:
            raise missing
        return command
    return locked


def python_with(package):
    """The interpreter of a virtual environment that has this package."""
    directory = CACHE / package
    python = directory / "bin/python3"
    if not python.exists():
        unfinished = directory.with_name(directory.name + ".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", unfinished], check=True)
        subprocess.run([unfinished / "bin/python3", "-m", "pip", "install", "-q", package], check=True)
        unfinished.rename(directory)
    return python


@built
def java():
    classpath = jars("kafka")
    if classpath is None or not shutil.which("javac"):
        raise Missing("Java or Maven is missing")
    classes = CACHE / "java-groups"
    subprocess.run(["javac", "-Xlint:all,-processing", "-cp", f"{classpath}/*", "-d", classes, GROUPS / "GroupAgent.java"], check=True)
    # Several short-lived machines at once: what they compile and how they collect is not what is tested.
    return ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{classes}{os.pathsep}{classpath}/*", "GroupAgent"]


@built
def confluent_kafka():
    return [python_with(CONFLUENT_KAFKA), GROUPS / "confluent_members.py"]


@built
def librdkafka():
    program = ROOT / "build/release/tests/interop/clients/librdkafka/librdkafka_members"
    if not program.exists():
        raise Missing("librdkafka_members is not built")
    return [program]


@built
def kafka_python():
    return [python_with(KAFKA_PYTHON), GROUPS / "kafka_python_members.py"]


@built
def aiokafka():
    return [python_with(AIOKAFKA), GROUPS / "aiokafka_members.py"]


@built
def kcat():
    if not shutil.which("kcat"):
        raise Missing("kcat is missing")
    return [sys.executable, GROUPS / "kcat_members.py"]


@built
def go_programs():
    check_go(GROUPS / "go")
    directory = CACHE / "go-groups"
    directory.mkdir(parents=True, exist_ok=True)
    subprocess.run(["go", "build", "-o", directory, "./..."], cwd=GROUPS / "go", env=GO_ENVIRONMENT, check=True)
    return directory


def go(name):
    return lambda: [go_programs() / name]


@built
def rdkafka():
    if not shutil.which("cargo"):
        raise Missing("cargo is missing")
    target = CACHE / "rdkafka"
    built = subprocess.run(["cargo", "build", "--quiet", "--locked", "--target-dir", target], cwd=GROUPS / "rdkafka", text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if built.returncode != 0:
        raise Missing(f"it does not build here:\n{built.stdout}")
    return [target / "debug/rdkafka_members"]


@built
def kafkajs():
    if not shutil.which("npm"):
        raise Missing("npm is missing")
    directory = CACHE / "kafkajs"
    if not (directory / "node_modules").is_dir():
        directory.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(GROUPS / "kafkajs" / name, directory)
        subprocess.run(["npm", "ci", "--silent"], cwd=directory, check=True)
    shutil.copy(GROUPS / "kafkajs/agent.js", directory)
    return ["node", directory / "agent.js"]


CLIENTS_OF_GROUPS = {
    "java": Client(java, ALL),
    "confluent-kafka": Client(confluent_kafka, ("range", "roundrobin", "cooperative-sticky")),
    "librdkafka": Client(librdkafka, ("range", "roundrobin", "cooperative-sticky")),
    # kcat lets librdkafka commit what it has not written yet, and on SIGTERM does not write it any more.
    "kcat": Client(kcat, ("range", "roundrobin"), careful=False),
    "franz-go": Client(go("franz-go"), ALL, stays=False),
    # kafka-python's other two assignors forget some members without an instance where members with one stand between them.
    "kafka-python": Client(kafka_python, ALL, statics=("sticky", "cooperative-sticky")),
    "aiokafka": Client(aiokafka, ("range", "roundrobin", "sticky")),
    "sarama": Client(go("sarama"), ("range", "roundrobin", "sticky"), stays=False),
    "rdkafka": Client(rdkafka, ("range", "roundrobin", "cooperative-sticky")),
    "kafka-go": Client(go("kafka-go"), ("range", "roundrobin"), statics=(), stays=False),
    "kafkajs": Client(kafkajs, ("roundrobin",), statics=(), stays=False),
}


class Process:
    """One running agent; its events go to `tell`."""

    def __init__(self, command, address, tell):
        self.process = subprocess.Popen([*map(str, command), address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.tell = tell
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            if not line.endswith("\n"):
                return  # it was killed in the middle of a word
            stamp, kind, member, *words = line.split()
            if kind == "got":
                words = [words[0], int(words[1]), int(words[2])]
            elif kind == "committed":
                words = [words[0], int(words[1])]
            self.tell(event(stamp, kind, member, *words))

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def kill(self):
        """SIGKILL; what it said before is read to the end."""
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdin.close()
        self.process.stdout.close()
