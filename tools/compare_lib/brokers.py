"""The brokers that are compared, each in a directory of its own: started, awaited, killed, begun anew.

Apache Kafka runs as its distribution starts it: the values of its server.properties, the heap and the JVM options of its
start scripts. kurier runs as `kurier serve`. Both get addresses and directories, and one setting that is not the default:
the files of a deleted topic go at once and not after a minute, so that they do not go during somebody else's run.
"""
import ctypes
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

from harness import ROOT, free_port

HEAP = ["-Xmx1G", "-Xms1G"]
JVM = ["-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
       "-XX:+ExplicitGCInvokesConcurrent", "-XX:MaxInlineLevel=15", "-Djava.awt.headless=true"]
HEARTBEAT_S = 2  # broker.heartbeat.interval.ms
DELETE_SOON = "log.segment.delete.delay.ms=200"

# What server.properties sets, without addresses and directories.
STOCK = """num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
num.partitions=1
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
"""


PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def end_with_parent():
    """In a new process: it is killed when whoever started it ends, however that ends. A paused process is not ended by SIGTERM."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Failed(Exception):
    """What could not be measured, for the person who runs this."""


class Broker:
    def __init__(self, name, directory):
        self.name = name
        self.directory = pathlib.Path(directory)
        self.port = free_port()
        self.controller_port = free_port()
        self.process = None
        self.directory.mkdir(parents=True, exist_ok=True)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self):
        return self.process.pid

    @property
    def log(self):
        return self.directory / "log"

    def renew(self):
        """An empty directory, as far as this broker can start with one."""
        for part in ("log", "state"):
            shutil.rmtree(self.directory / part, ignore_errors=True)

    def start(self):
        """Returns when it answers."""
        with open(self.directory / "output", "wb") as output:
            self.process = subprocess.Popen(self.command(), stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                            preexec_fn=end_with_parent, start_new_session=True)
        asked = subprocess.run(["kcat", "-b", self.address, "-L", "-m", "60", "-X", "log_level=0"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, timeout=90)
        if asked.returncode != 0 or self.process.poll() is not None:
            said = (self.directory / "output").read_text(errors="replace")
            self.kill()
            raise Failed(f"{self.name} did not start:\n{said[-3000:]}")
        return self

    def kill(self):
        """SIGKILL, and waits for its end."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self.process = None

    def pause(self):
        """Until resume: an idle JVM has threads that wake up all the time, and would be part of the other's figures."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self, timeout_s=30):
        """Returns when it has caught up: a broker that was silent is fenced by its own controller, until it has told that it lives."""
        self.process.send_signal(signal.SIGCONT)
        deadline = time.monotonic() + timeout_s
        time.sleep(HEARTBEAT_S)
        while not self.is_listed():
            if time.monotonic() > deadline:
                raise Failed(f"{self.name} was paused, and is not in its own Metadata {timeout_s} s after it was let go on")
            time.sleep(0.1)
        return self

    def is_listed(self):
        asked = subprocess.run(["kcat", "-b", self.address, "-L", "-J", "-m", "5", "-X", "log_level=0"], capture_output=True, timeout=30)
        return asked.returncode == 0 and len(json.loads(asked.stdout)["brokers"]) == 1

    def rss_bytes(self):
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:"))

    def log_bytes(self, topic):
        return sum(path.stat().st_size for path in self.log.glob(f"{topic}-*/*.log"))

    def settle(self, timeout_s=120):
        """The files of deleted topics are gone, and nothing is left to write back: the next run begins with neither."""
        deadline = time.monotonic() + timeout_s
        while any(name.endswith("-delete") for name in os.listdir(self.log)):
            if time.monotonic() > deadline:
                raise Failed(f"{self.name}: the files of deleted topics are still there after {timeout_s} s")
            time.sleep(0.05)
        os.sync()


class KurierBroker(Broker):
    def __init__(self, name, directory, binary, settings=()):
        super().__init__(name, directory)
        self.binary = binary
        self.settings = settings

    def command(self):
        settings = [f"listeners=PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:{self.controller_port}",
                    f"log.dirs={self.log}", f"kurier.state.dir={self.directory / 'state'}", DELETE_SOON, *self.settings]
        return [str(self.binary), "serve", *(word for setting in settings for word in ("--set", setting))]


class KafkaBroker(Broker):
    """Its directory has to be formatted before it starts: once, and copied whenever it is to be empty again."""

    def __init__(self, name, directory, jars):
        super().__init__(name, directory)
        self.jars = jars
        self.formatted = self.directory / "formatted"
        self.properties = self.directory / "server.properties"
        self.properties.write_text(f"""process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{self.controller_port}
listeners=PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:{self.controller_port}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={self.log}
{STOCK}{DELETE_SOON}
""")

    def command(self):
        gc_log = f"-Xlog:gc*:file={self.directory / 'gc.log'}:time,tags:filecount=10,filesize=100M"
        return ["java", *HEAP, *JVM, gc_log, "-cp", f"{self.jars}/*", "kafka.Kafka", str(self.properties)]

    def renew(self):
        super().renew()
        if not self.formatted.is_dir():
            subprocess.run(["java", "-cp", f"{self.jars}/*", "kafka.tools.StorageTool", "format", "--standalone", "-t",
                            "MkU3OEVBNTcwNTJENDM2Qg", "-c", str(self.properties)], check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, timeout=60)
            self.log.rename(self.formatted)
        shutil.copytree(self.formatted, self.log)


def default_binary():
    return pathlib.Path(os.environ.get("KURIER_BINARY", ROOT / "build/release/kurier"))
