"""Curves: the same load on ever more partitions, connections and groups; kurier with its default of a shard a core, with one
shard, and Apache Kafka. A point is one run; with several rounds the page shows medians. To be done in minutes, Apache Kafka
stays below 10,000 partitions, and one shard has no groups and creates nothing to be timed."""
import contextlib
import dataclasses
import time

from compare_lib import client
from compare_lib.brokers import KafkaBroker, KurierBroker
from compare_lib.figures import cpu, request_cpu, user
from compare_lib.table import directory

MEMBERS = 5


@dataclasses.dataclass(frozen=True)
class Sizes:
    warm_up_bytes: int = 2_000_000_000
    produce_bytes: int = 500_000_000
    requests: int = 80_000
    joins: int = 3_000       # of all members together
    heartbeats: int = 40_000
    steps: tuple = (1, 10, 100, 1_000, 10_000)
    partitions: tuple = (1, 8, 100, 1_000, 9_900)  # one request may write 10,000 metadata records, the topic's own among them
    kafka_partitions_most: int = 1_000
    groups: tuple = (1, 10, 100, 1_000)


QUICK = Sizes(warm_up_bytes=50_000_000, produce_bytes=30_000_000, requests=5_000, joins=100, heartbeats=2_000, steps=(1, 10, 100),
              partitions=(1, 8, 50), groups=(1, 5))


def partition_counts(broker, sizes):
    return [count for count in sizes.partitions if count <= sizes.kafka_partitions_most or not isinstance(broker, KafkaBroker)]


def produce_partitions(broker, sizes):
    """16 KiB batches; what the first one of each partition costs is left out."""
    for count in partition_counts(broker, sizes):
        run = client.bench(broker, "produce", "--prime", "--batch-bytes", 16_384, "--partitions", count, "--total-bytes",
                           sizes.produce_bytes)
        yield count, {"user_s_per_gb": user(run), "cpu_s_per_gb": cpu(run), "mb_per_s": run["produced_mb_per_s"]}
        broker.settle()


def create_partitions(broker, sizes):
    for count in partition_counts(broker, sizes):
        run = client.bench(broker, "partitions", "--partitions", count)
        yield count, {"served_s": run["served_seconds"], "pss_bytes_each": run["pss_bytes_per_partition"]}
        broker.settle()


def request_connections(broker, sizes):
    """One-record requests, 5 in flight on each connection, 8 partitions."""
    for count in sizes.steps:
        run = client.bench(broker, "requests", "--connections", count, "--requests", sizes.requests)
        yield count, {"cpu_us_per_request": request_cpu(run), "requests_per_s": run["produce_requests_per_s"]}
        broker.settle()


def idle_connections(broker, sizes):
    """Each on a broker of its own: what an earlier run has left in a heap would hide what a connection takes."""
    for count in sizes.steps:
        broker.kill()
        broker.renew()
        broker.start()
        run = client.bench(broker, "connections", "--connections", count)
        yield count, {"rss_mb": run["broker"]["rss_bytes"] / 1e6, "rss_bytes_each": run["rss_bytes_per_connection"]}


def groups(broker, sizes):
    """As many joins, heartbeats and commits for every number of groups, each of 5 members."""
    for count in sizes.groups:
        members = count * MEMBERS
        beats = max(1, sizes.heartbeats // members)
        run = client.bench(broker, "groups", "--groups", count, "--members", MEMBERS, "--rounds", max(1, sizes.joins // members),
                           "--heartbeats", beats, "--commits", beats)
        yield count, {f"{phase}_us": run[phase]["cpu_us_each"] for phase in ("joins", "heartbeats", "commits")}
        broker.settle()


CURVES = {"created": create_partitions, "partitions": produce_partitions, "requests": request_connections, "idle": idle_connections, "groups": groups}
ONE_SHARD = "kurier, one shard"
SKIPPED = {(ONE_SHARD, "groups"), (ONE_SHARD, "created")}


def brokers(kurier, against, jars, made):
    """Each with its name on the plots."""
    yield "kurier", KurierBroker("kurier", f"{made}/kurier", kurier)
    yield ONE_SHARD, KurierBroker("kurier", f"{made}/one-shard", kurier, ["kurier.shards=1"])
    if against:
        yield "the other kurier", KurierBroker("the other kurier", f"{made}/other", against)
    else:
        yield "Apache Kafka", KafkaBroker("Apache Kafka", f"{made}/kafka", jars)


def warm_up(broker, sizes, chosen):
    broker.renew()
    broker.start()
    client.bench(broker, "produce", "--batch-bytes", 16_384, "--total-bytes", sizes.warm_up_bytes)
    client.bench(broker, "requests", "--requests", sizes.requests)
    if "groups" in chosen:
        client.bench(broker, "groups", "--groups", 10, "--members", MEMBERS, "--rounds", max(1, sizes.joins // 50), "--heartbeats",
                     sizes.heartbeats // 50, "--commits", sizes.heartbeats // 50)
    broker.settle()


def measure(chosen, arguments, jars, results, say):
    sizes = QUICK if arguments.quick else Sizes()
    with directory() as made, contextlib.ExitStack() as ends:
        for name, broker in brokers(arguments.kurier, arguments.against, jars, made):
            ends.callback(broker.kill)
            if set(chosen) - {"idle"}:
                warm_up(broker, sizes, {curve for curve in chosen if (name, curve) not in SKIPPED})
            for number in range(1, (arguments.rounds or 1) + 1):
                for curve in sorted(chosen, key=lambda each: each == "idle"):  # which ends the warm broker
                    if (name, curve) in SKIPPED:
                        continue
                    started = time.monotonic()
                    for x, values in CURVES[curve](broker, sizes):
                        results.add("point", round=number, broker=name, curve=curve, x=x, values=values)
                    say(f"{name}: {curve}: {time.monotonic() - started:.0f} s")
            broker.kill()
            broker.renew()
