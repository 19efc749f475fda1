"""Figures: what is read from which row's result, and what is asked of it (kurier ÷ Apache Kafka)."""
import dataclasses
import statistics
from collections.abc import Callable

from compare_lib.results import of_kind

KAFKA, KURIER = "kafka", "kurier"


@dataclasses.dataclass(frozen=True)
class Figure:
    row: str
    title: str
    unit: str
    value: Callable
    at_most: float | None = None   # of the ratio
    at_least: float | None = None  # of the ratio, where more is better
    more_is_better: bool = False
    kurier_at_most: float | None = None  # of kurier's own value


def user(result):
    return result["broker"]["user_s_per_gb"]


def system(result):
    return result["broker"]["system_s_per_gb"]


def cpu(result):
    return user(result) + system(result)


def request_user(result):
    return result["broker"]["user_us_per_request"]


def request_cpu(result):
    return request_user(result) + result["broker"]["system_us_per_request"]


def produced(result):
    return result["produced_mb_per_s"]


def fetched(result):
    return result["fetched_mb_per_s"]


def acknowledged(percentile):
    return lambda result: result["produce_latency_us"][percentile] / 1e3


def consumed(percentile):
    return lambda result: result["end_to_end_latency_us"][percentile] / 1e3


def sent_late(percentile):
    return lambda result: result["sent_late_us"][percentile] / 1e3


PRODUCE = {"produce16": "produce, 16 KiB batches", "produce64": "produce, 64 KiB batches", "produce1m": "produce, 1 MB batches"}
FETCH = {"fetch1m": "fetch, 1 MiB a partition", "fetch64": "fetch, 64 KiB a partition"}
USER_AT_MOST = {"produce16": 0.15, "produce64": 0.2, "produce1m": 0.15}
FETCH_AT_MOST = {"fetch1m": 1.0, "fetch64": 0.4}

FIGURES = [
    Figure("start", "exec to first Metadata answer, empty directory", "ms", lambda r: r["first_metadata_ms"], at_most=1 / 100),
    Figure("restart", "the same after kill -9 under load", "ms", lambda r: r["first_metadata_ms"], at_most=1 / 40),
    Figure("restart", "after kill -9: exec until all partitions are served", "ms", lambda r: r["served_ms"]),
    Figure("start", "resident memory, idle", "MB", lambda r: r["broker"]["rss_bytes"] / 1e6, at_most=1 / 25),
    Figure("memory", "resident memory after 5 GB of load", "MB", lambda r: r["rss_bytes"] / 1e6, at_most=1 / 20),
    *(Figure(row, f"user CPU, {title}", "s/GB", user, at_most=USER_AT_MOST[row]) for row, title in PRODUCE.items()),
    *(Figure(row, f"user and system CPU, {title}", "s/GB", cpu, at_most=0.5) for row, title in PRODUCE.items()),
    *(Figure(row, f"user and system CPU, {title}", "s/GB", cpu, at_most=FETCH_AT_MOST[row]) for row, title in FETCH.items()),
    Figure("requests", "user and system CPU, a one-record produce request", "µs", request_cpu, at_most=0.25),
    Figure("requests", "one-record produce requests a second", "/s", lambda r: r["produce_requests_per_s"], more_is_better=True),
    Figure("latency", "acknowledged at 1,000 requests/s, p50", "ms", acknowledged("p50")),
    Figure("latency", "acknowledged at 1,000 requests/s, p99", "ms", acknowledged("p99"), at_most=0.25),
    Figure("latency", "acknowledged at 1,000 requests/s, p99.9", "ms", acknowledged("p99_9"), at_most=0.15),
    Figure("latency", "of it, the client late in sending, p99", "ms", sent_late("p99")),
    Figure("latency", "of it, the client late in sending, p99.9", "ms", sent_late("p99_9")),
    Figure("latency", "produce to consume at 1,000/s, p50", "ms", consumed("p50"), at_most=0.6),
    Figure("latency", "produce to consume at 1,000/s, p99", "ms", consumed("p99"), at_most=0.2),
    Figure("partitions", "2,000 partitions created until all are served", "s", lambda r: r["served_seconds"], at_most=0.2),
    Figure("fsync", "requests/s, flush.messages=1, 8 producers, 1 partition", "/s", lambda r: r["1"]["produce_requests_per_s"],
           at_least=5, more_is_better=True),
    Figure("fsync", "requests/s, flush.messages=1, 8 producers, 8 partitions", "/s", lambda r: r["8"]["produce_requests_per_s"],
           at_least=5, more_is_better=True),
    *(Figure(row, f"throughput, {title}", "MB/s", produced, at_least=1, more_is_better=True) for row, title in PRODUCE.items()),
    *(Figure(row, f"throughput, {title}", "MB/s", fetched, at_least=1, more_is_better=True) for row, title in FETCH.items()),
    Figure("connections", "resident memory of an idle connection, fresh broker", "bytes", lambda r: r["rss_bytes_per_connection"],
           kurier_at_most=4096),
]

# Printed beside one another, because system time depends on the state of the machine's memory; with what of the hardware's
# work none of it can be left out.
SPLITS = [(row, title, "s/GB", user, system) for row, title in {**PRODUCE, **FETCH}.items()]
SPLITS.append(("requests", "a one-record produce request", "µs", request_user, lambda r: r["broker"]["system_us_per_request"]))
CHUNK_OF = {"produce16": 16_384, "produce64": 65_536, "produce1m": 1_000_000, "fetch1m": 1_000_000, "fetch64": 65_536}
STEPS_OF = {"produce": ("receive", "crc32c", "write"), "fetch": ("sendfile",)}


@dataclasses.dataclass
class Spread:
    values: list

    @property
    def median(self):
        return statistics.median(self.values)

    @property
    def low(self):
        return min(self.values)

    @property
    def high(self):
        return max(self.values)


def values_of(lines, row, broker, value):
    """By round."""
    return {line["round"]: value(line["result"]) for line in of_kind(lines, "run")
            if line["row"] == row and line["broker"] == broker}


class Measured:
    """A figure over all rounds; the ratio of each round is that of the two runs that came after one another."""

    def __init__(self, lines, figure):
        self.figure = figure
        theirs = values_of(lines, figure.row, KAFKA, figure.value)
        ours = values_of(lines, figure.row, KURIER, figure.value)
        rounds = sorted(theirs.keys() & ours.keys())
        self.theirs = Spread([theirs[each] for each in rounds])
        self.ours = Spread([ours[each] for each in rounds])
        self.ratio = Spread([ours[each] / theirs[each] if theirs[each] > 0 else float("inf") for each in rounds])

    @property
    def exists(self):
        return bool(self.ratio.values)

    def asked(self):
        """As text; empty if nothing is asked."""
        figure = self.figure
        if figure.kurier_at_most is not None:
            return f"kurier ≤ {figure.kurier_at_most:,.0f} {figure.unit}"
        if figure.at_least is not None:
            return f"≥ {figure.at_least:g}"
        if figure.at_most is None:
            return ""
        return f"≤ 1/{1 / figure.at_most:.0f}" if figure.at_most < 0.1 else f"≤ {figure.at_most:g}"

    def passes(self):
        """None if nothing is asked."""
        figure = self.figure
        if figure.kurier_at_most is not None:
            return self.ours.median <= figure.kurier_at_most
        if figure.at_least is not None:
            return self.ratio.median >= figure.at_least
        return None if figure.at_most is None else self.ratio.median <= figure.at_most

    def worse_by(self):
        """By which factor kurier is behind: more than 1 where it is."""
        ratio = self.ratio.median
        return (1 / ratio if ratio else float("inf")) if self.figure.more_is_better else ratio


def measured(lines):
    """Against another kurier nothing is asked of a ratio."""
    is_kafka = of_kind(lines, "machine")[0]["sides"][KAFKA].startswith("Apache Kafka")
    asked = FIGURES if is_kafka else [dataclasses.replace(figure, at_most=None, at_least=None) for figure in FIGURES]
    return [one for one in (Measured(lines, figure) for figure in asked) if one.exists]


def hardware(lines, operation, chunk, member):
    """One figure of the hardware, over all passes of all rounds."""
    return Spread([one[member] for line in of_kind(lines, "hardware") if line["result"]["chunk_bytes"] == chunk
                   for one in line["result"][operation]])


def echo_ms(lines, percentile):
    """Of the hardware's echo, over all passes of all rounds."""
    return Spread([one[percentile] / 1e3 for line in lines for one in line["result"]["echo_latency_us"]])


def floor_s_per_gb(lines, row):
    """What a broker cannot avoid for this row, user and system; None if it was not measured."""
    if row not in CHUNK_OF:
        return None
    total = 0.0
    for step in STEPS_OF["produce" if row.startswith("produce") else "fetch"]:
        users, systems = (hardware(lines, step, CHUNK_OF[row], f"{who}_s_per_gb") for who in ("user", "system"))
        if not users.values:
            return None
        total += users.median + systems.median
    return total
