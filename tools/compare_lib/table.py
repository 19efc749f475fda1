"""The table's rows and rounds: every row is run against both brokers, one after the other, in every round."""
import contextlib
import dataclasses
import statistics
import subprocess
import tempfile
import time

from compare_lib import client
from compare_lib.brokers import Failed, KafkaBroker, KurierBroker
from compare_lib.figures import KAFKA, KURIER
from harness import ROOT

PARTITIONS = 8
PRODUCE_RUNS = 2


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much each row does; the same for both brokers."""
    warm_up_bytes: int = 5_000_000_000
    warm_up_requests: int = 100_000
    produce16_bytes: int = 1_500_000_000
    produce_bytes: int = 2_000_000_000
    fetch_bytes: int = 1_000_000_000
    fetch_passes: int = 3
    requests: int = 120_000
    latency_seconds: float = 10
    partitions: int = 2_000
    fsync_requests: dict = dataclasses.field(default_factory=lambda: {1: 700, 8: 6_000})  # by partitions
    restart_bytes: int = 2_000_000_000
    connections: int = 5_000
    hold_seconds: float = 1
    hardware_bytes: int = 500_000_000
    hardware_seconds: float = 0.2
    echo_seconds: float = 4
    settles: bool = True  # waits between two runs until the files of the first are gone


QUICK = Sizes(warm_up_bytes=100_000_000, warm_up_requests=5_000, produce16_bytes=100_000_000, produce_bytes=100_000_000,
              fetch_bytes=50_000_000, fetch_passes=2, requests=10_000, latency_seconds=2, partitions=50, fsync_requests={1: 200, 8: 1_000},
              restart_bytes=100_000_000, connections=200, hold_seconds=0.2, hardware_bytes=50_000_000, hardware_seconds=0.1, echo_seconds=0.2,
              settles=False)


class Side:
    """One of the two that are compared: a warm broker that lives through all rounds, and another that is begun anew."""

    def __init__(self, name, warm, fresh):
        self.name = name
        self.warm = warm
        self.fresh = fresh

    def kill(self):
        self.warm.kill()
        self.fresh.kill()


def produce(batch_bytes, size):
    """Several runs, and their means: one that is long enough for CPU time counted in ticks would meet the kernel's write-back."""
    def measured(side, sizes):
        runs = []
        for _ in range(PRODUCE_RUNS):
            runs.append(client.bench(side.warm, "produce", "--partitions", PARTITIONS, "--batch-bytes", batch_bytes, "--total-bytes",
                                     getattr(sizes, size)))
            if sizes.settles:
                side.warm.settle()
        return mean(runs)
    return measured


def mean(runs):
    """Of every number; what else they tell, as the last tells it."""
    return {name: mean([run[name] for run in runs]) if isinstance(last, dict)
            else statistics.fmean(run[name] for run in runs) if isinstance(last, (int, float)) and not isinstance(last, bool) else last
            for name, last in runs[-1].items()}


def fetch(partition_max_bytes):
    return lambda side, sizes: client.bench(side.warm, "fetch", "--partitions", PARTITIONS, "--total-bytes", sizes.fetch_bytes,
                                            "--passes", sizes.fetch_passes, "--partition-max-bytes", partition_max_bytes)


def requests(side, sizes):
    return client.bench(side.warm, "requests", "--connections", 8, "--in-flight", 5, "--requests", sizes.requests)


def latency(side, sizes):
    return client.bench(side.warm, "latency", "--rate", 1_000, "--seconds", sizes.latency_seconds)


def partitions(side, sizes):
    return client.bench(side.warm, "partitions", "--partitions", sizes.partitions)


def fsync(side, sizes):
    return {str(count): client.bench(side.warm, "requests", "--connections", 8, "--partitions", count, "--requests", number,
                                     "--topic-config", "flush.messages=1") for count, number in sizes.fsync_requests.items()}


def memory(side, sizes):
    return {"rss_bytes": side.warm.rss_bytes()}


def start(side, sizes):
    side.fresh.renew()
    return client.run("start", "--address", side.fresh.address, "--hold-seconds", sizes.hold_seconds, "--", *side.fresh.command())


def begin_fresh(side):
    side.fresh.renew()
    return side.fresh.start()


def connections(side, sizes):
    """The broker that it starts is that of restart, if that is measured too: starting Apache Kafka takes its time."""
    result = client.bench(begin_fresh(side), "connections", "--connections", sizes.connections)
    side.fresh.pause()
    return result


def restart(side, sizes):
    """Killed while it is being written to; the page cache still holds what it wrote."""
    broker = side.fresh.resume() if side.fresh.process else begin_fresh(side)
    try:
        load = subprocess.Popen(client.command("produce", "--address", broker.address, "--topic", "load", "--keep-topic", "--partitions",
                                               PARTITIONS, "--total-bytes", 100 * sizes.restart_bytes),
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while broker.log_bytes("load") < sizes.restart_bytes:
                if load.poll() is not None:
                    raise Failed(f"{broker.name}: the load ended by itself")
                time.sleep(0.01)
            broker.kill()
        finally:
            load.kill()
            load.wait()
        written = broker.log_bytes("load")
        result = client.run("start", "--address", broker.address, "--topic", "load", "--partitions", PARTITIONS, "--",
                            *broker.command())
    finally:
        broker.kill()
        broker.renew()
    return {**result, "written_bytes": written}


# In this order; those that only read or ask come between those that write, so that writing back is spread.
ROWS = {
    "start": start,
    "produce16": produce(16_384, "produce16_bytes"),
    "produce64": produce(65_536, "produce_bytes"),
    "produce1m": produce(1_000_000, "produce_bytes"),
    "memory": memory,
    "fetch1m": fetch(1_048_576),
    "fetch64": fetch(65_536),
    "requests": requests,
    "latency": latency,
    "partitions": partitions,
    "fsync": fsync,
    "connections": connections,
    "restart": restart,
}
ON_FRESH = {"start", "connections", "restart"}
CHUNKS = (16_384, 65_536, 1_000_000)


def warm_up(side, sizes):
    """Everything that will be measured warm: a JIT compiles what runs often, and a heap grows to what it needs."""
    side.warm.renew()
    side.warm.start()
    for batch_bytes, share in ((16_384, 0.3), (65_536, 0.4), (1_000_000, 0.3)):
        client.bench(side.warm, "produce", "--partitions", PARTITIONS, "--batch-bytes", batch_bytes, "--total-bytes",
                   int(sizes.warm_up_bytes * share))
    for most in (1_048_576, 65_536):
        client.bench(side.warm, "fetch", "--partitions", PARTITIONS, "--total-bytes", sizes.fetch_bytes, "--passes", 2,
                   "--partition-max-bytes", most)
    client.bench(side.warm, "requests", "--requests", sizes.warm_up_requests)
    client.bench(side.warm, "latency", "--rate", 1_000, "--seconds", sizes.latency_seconds / 2)
    if sizes.settles:
        side.warm.settle()


@contextlib.contextmanager
def awake(broker, sizes):
    """Each has the machine to itself while it is measured: outside of this the warm brokers are paused."""
    broker.resume()
    yield
    if sizes.settles:
        broker.settle()
    broker.pause()


@contextlib.contextmanager
def directory():
    """On the disk that the build is on, not in memory as /tmp may be; gone at the end."""
    parent = ROOT / "build/compare"
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=parent) as made:
        yield made


@contextlib.contextmanager
def two_sides(kurier, against, jars):
    with directory() as made:
        def side(name, make):
            return Side(name, make(f"{made}/{name}-warm"), make(f"{made}/{name}-fresh"))
        if against:
            theirs = side(KAFKA, lambda path: KurierBroker("the other kurier", path, against))
        else:
            theirs = side(KAFKA, lambda path: KafkaBroker("Apache Kafka", path, jars))
        ours = side(KURIER, lambda path: KurierBroker("kurier", path, kurier))
        try:
            yield theirs, ours
        finally:
            theirs.kill()
            ours.kill()


def measure(sides, rows, rounds, sizes, results, say):
    if set(rows) - ON_FRESH:
        for side in sides:
            started = time.monotonic()
            warm_up(side, sizes)
            side.warm.pause()
            say(f"{side.warm.name}: warmed up in {time.monotonic() - started:.0f} s")
    for number in range(1, rounds + 1):
        started = time.monotonic()
        for chunk in CHUNKS:
            results.add("hardware", round=number,
                        result=client.run("hardware", "--directory", sides[0].warm.directory, "--total-bytes", sizes.hardware_bytes,
                                          "--chunk-bytes", chunk, "--passes", 1, "--seconds", sizes.hardware_seconds,
                                          "--rate", 1_000, "--echo-seconds", sizes.echo_seconds))
        for row in rows:
            for side in sides if number % 2 else reversed(sides):  # who comes first changes
                before = time.monotonic()
                with contextlib.nullcontext() if row in ON_FRESH else awake(side.warm, sizes):
                    results.add("run", round=number, broker=side.name, row=row, result=ROWS[row](side, sizes))
                say(f"round {number}: {row}, {side.warm.name}: {time.monotonic() - before:.1f} s")
        for side in sides:
            side.fresh.kill()
        say(f"round {number}: {time.monotonic() - started:.0f} s")
