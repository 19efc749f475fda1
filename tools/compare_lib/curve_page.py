"""The plots, and the curves' part of docs/performance.md, from results alone."""
import dataclasses
import pathlib
import statistics

from compare_lib import sections, svg
from compare_lib.results import of_kind
from compare_lib.sections import number, table


@dataclasses.dataclass(frozen=True)
class Plot:
    curve: str
    member: str
    file: str
    title: str
    x_title: str
    y_title: str
    grows: bool = False  # as it must: no bend that a factor would show


PLOTS = [
    Plot("created", "served_s", "partitions-created", "A topic is created: until all partitions are served", "partitions", "seconds",
         grows=True),
    Plot("partitions", "user_s_per_gb", "produce-partitions-user", "Produce in 16 KiB batches: user CPU", "partitions", "user CPU, s/GB"),
    Plot("partitions", "cpu_s_per_gb", "produce-partitions-cpu", "Produce in 16 KiB batches: user and system CPU", "partitions",
         "CPU, s/GB"),
    Plot("requests", "cpu_us_per_request", "requests-connections", "One-record produce requests, 8 partitions", "connections",
         "user and system CPU, µs a request"),
    Plot("idle", "rss_mb", "idle-connections", "Resident memory with idle connections", "connections", "MB", grows=True),
    Plot("groups", "joins_us", "groups-joins", "JoinGroup and SyncGroup, 5 members a group", "groups", "user and system CPU, µs a member"),
    Plot("groups", "heartbeats_us", "groups-heartbeats", "Heartbeat, 5 members a group", "groups", "user and system CPU, µs"),
    Plot("groups", "commits_us", "groups-commits", "OffsetCommit of one partition, 5 members a group", "groups",
         "user and system CPU, µs"),
]
BEND = 1.5  # from one point to the next


def series(lines, plot):
    """{broker: [(x, median), …]}"""
    found = {}
    for line in of_kind(lines, "point"):
        if line["curve"] == plot.curve:
            found.setdefault(line["broker"], {}).setdefault(line["x"], []).append(line["values"][plot.member])
    return {broker: [(x, statistics.median(values)) for x, values in sorted(points.items())] for broker, points in found.items()}


def bends(points, x_title):
    """Where the cost of one grows or falls by more than half from a point to the next."""
    said = []
    for (x1, y1), (x2, y2) in zip(points, points[1:]):
        if y1 > 0 and y2 > 0 and not 1 / BEND < y2 / y1 < BEND:
            said.append(f"{number(y2 / y1)} times from {x1:,} to {x2:,} {x_title}")
    return "; ".join(said) or "no bend"


def plot_part(lines, plot, folder):
    found = series(lines, plot)
    xs = sorted({x for points in found.values() for x, _ in points})
    rows = [[broker, *(number(dict(points)[x]) if x in dict(points) else "" for x in xs)] for broker, points in found.items()]
    told = "" if plot.grows else "\n".join(f"- {broker}: {bends(points, plot.x_title)}" for broker, points in found.items())
    return "\n\n".join(part for part in (f"### {plot.title}", f"![{plot.title}]({folder}/{plot.file}.svg)",
                                         table([f"{plot.y_title}; {plot.x_title}:", *(f"{x:,}" for x in xs)], rows), told) if part)


def measured(lines):
    return [plot for plot in PLOTS if series(lines, plot)]


def text(lines, folder="performance"):
    about = of_kind(lines, "machine")[0]
    rounds = max(line["round"] for line in of_kind(lines, "point"))
    intro = (f"Measured on {about['date']} at {about['commit']}, {'once' if rounds == 1 else f'{rounds} times'} a point. Every program "
             f"here may open {about['descriptors']:,} descriptors, the hard limit of this machine: the limit was raised to it beforehand. "
             "Producing leaves out what the first batch of a partition costs. "
             f"A line bends where a figure changes by more than a factor of {BEND:g} from one point to the next.")
    return "\n\n".join([intro, *(plot_part(lines, plot, folder) for plot in measured(lines))])


def write(path, lines):
    path = pathlib.Path(path)
    folder = path.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    for plot in measured(lines):
        drawn = svg.plot(plot.title, plot.x_title, plot.y_title, series(lines, plot))
        (folder / f"{plot.file}.svg").write_text(drawn)
    sections.write(path, {"curves": text(lines, folder.name)})
