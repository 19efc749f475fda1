"""What the interop tests share: a running kurier in a directory of its own, Apache Kafka's jars, and counted checks."""
import collections
import contextlib
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import traceback

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CACHE = ROOT / "build/interop"


# A sanitizer's red zones, and what it keeps from being used again, are memory too.
MEMORY_FACTOR = 8 if os.environ.get("KURIER_SANITIZER") else 1


class Checks:
    """Runs named checks; the last line that it prints is the tally."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def check(self, name, function, *arguments):
        try:
            function(*arguments)
            self.passed += 1
            print("ok:", name, flush=True)
        except Exception:  # a failed check must not keep the others from running
            self.failed += 1
            print("FAILED:", name, flush=True)
            traceback.print_exc(file=sys.stdout)

    def skip(self, name, why):
        self.skipped += 1
        print(f"skipped: {name}: {why}", flush=True)

    def finish(self):
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        sys.exit(1 if self.failed or self.passed + self.skipped == 0 else 0)


# Of the same number as the ports that were given out: another script that asks meanwhile is given others. The last ones only,
# as the first are long listened on by then, or free again.
_given_out = collections.deque(maxlen=200)


def free_port():
    """Not one of those that the system gives to connections: somebody else's could take it before it is listened on."""
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with socket.socket() as probe, contextlib.suppress(OSError):
            datagrams.bind(("127.0.0.1", port))
            probe.bind(("127.0.0.1", port))
            _given_out.append(datagrams)
            return port
        datagrams.close()


class Kurier:
    """A node in `directory`. What it says is collected; `start` returns when it says that it is ready."""

    def __init__(self, directory, binary=None, settings=(), under=()):
        """`under`: a program that runs it, with its arguments."""
        self.directory = pathlib.Path(directory)
        self.under = list(under)
        self.binary = binary or os.environ.get("KURIER_BINARY", ROOT / "build/release/kurier")
        self.settings = list(settings)
        self.log_dirs = [self.directory / "log"]
        self.port = free_port()
        self.controller_port = free_port()
        self.process = None
        self.output = []
        self.said = threading.Condition()  # notified with every line of output, and when there will be no more

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self, timeout_s=30):
        self.launch()
        if not self.await_output(lambda: self.says(" ready: "), timeout_s):
            self.kill()
            raise AssertionError("kurier did not become ready:\n" + "\n".join(self.output))
        return self

    def says(self, text):
        return any(text in line for line in self.output)

    def await_output(self, holds, timeout_s=30):
        """Whether it holds; looked at after every line, until the process has closed its output or time is up."""
        with self.said:
            self.said.wait_for(lambda: holds() or self.has_ended, timeout_s)
            return holds()

    def launch(self):
        """Does not wait for anything."""
        command = [*self.under, str(self.binary), "serve",
                   "--set", f"listeners=PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}",
                   "--set", f"log.dirs={','.join(map(str, self.log_dirs))}", "--set", f"kurier.state.dir={self.directory / 'state'}"]
        for setting in self.settings:
            command += ["--set", setting]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        self.output = []
        self.has_ended = False
        self.reader = threading.Thread(target=self._read, args=(self.process.stdout, self.output), daemon=True)
        self.reader.start()

    def _read(self, stream, output):
        for line in stream:
            with self.said:
                output.append(line.rstrip())
                self.said.notify_all()
        with self.said:
            self.has_ended = True
            self.said.notify_all()

    def stop(self, timeout_s=30):
        """SIGTERM; the exit status."""
        self.process.terminate()
        status = self.process.wait(timeout_s)
        self.reader.join()
        if status != 0:
            print(f"stopped with status {status}:", *self.output[-20:], sep="\n")
        return status

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process:
            self.reader.join()


@contextlib.contextmanager
def kurier(settings=()):
    with tempfile.TemporaryDirectory(prefix="kurier-") as directory:
        node = Kurier(directory, settings=settings)
        try:
            yield node.start()
        except Exception:
            print("\n".join(node.output[-30:]))
            raise
        finally:
            node.kill()


def jars(name):
    """The directory with the jars of tests/interop/<name>/pom.xml; None without Maven or Java."""
    directory = CACHE / name
    if not directory.is_dir():
        if not shutil.which("mvn") or not shutil.which("java"):
            return None
        unfinished = CACHE / (name + ".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        subprocess.run(["mvn", "-q", "-B", "-f", str(ROOT / f"tests/interop/{name}/pom.xml"), "dependency:copy-dependencies",
                        f"-DoutputDirectory={unfinished}"], check=True)
        unfinished.rename(directory)
    return directory


def java(classpath, main, *arguments, stdin=None, timeout_s=120):
    """Runs a Java program; its standard output. An exit status other than 0 is an error."""
    done = subprocess.run(["java", "-Xmx256m", "-cp", f"{classpath}/*", main, *map(str, arguments)], input=stdin, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout_s)
    assert done.returncode == 0, f"{main} {arguments}: exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
