"""The page's parts that are written by the tool, between marks; what stands outside of them is written by people and kept."""
import pathlib

HEAD = "<!-- written by tools/compare: {} -->"
TAIL = "<!-- end: {} -->"

SKELETON = """# kurier beside Apache Kafka

Both brokers on one machine, on one disk, measured by the same client (`kurier bench`, [benchmark.md](benchmark.md)) over loopback.
`tools/compare` writes this page: it installs Apache Kafka from Maven Central and runs it with the values of its server.properties
and the heap and JVM options of its start scripts; kurier runs as `kurier serve`. Both are warmed up with 5 GB and more, then every
row is run against both, one directly after the other, and who comes first changes with every round. The one setting that is not
the default, on both sides: the files of a deleted topic go after 0.2 s, not after a minute, so that their end does not fall into
the next run; between two runs everything is written back. While one broker is measured the other is stopped (SIGSTOP), as it would not
be on the same machine: an idle JVM wakes up all the time. At a fixed rate the client is awake from 100 µs before a request is due, so that
no timer is late. Apache Kafka writes no log file here (the jars from Maven hold no binding for it), which is to its advantage.

<!-- written by tools/compare: machine -->
<!-- end: machine -->

## The table

<!-- written by tools/compare: table -->
<!-- end: table -->

## Where kurier is slower

<!-- written by tools/compare: slower -->
<!-- end: slower -->

## User and system time, beside what the hardware allows

<!-- written by tools/compare: splits -->
<!-- end: splits -->

## What the hardware allows

<!-- written by tools/compare: hardware -->
<!-- end: hardware -->

## How cost grows

<!-- written by tools/compare: curves -->
<!-- end: curves -->
"""


def write(path, sections):
    """Puts each section (name: text) between its marks."""
    path = pathlib.Path(path)
    text = path.read_text() if path.is_file() else SKELETON
    for name, content in sections.items():
        head, tail = HEAD.format(name), TAIL.format(name)
        begin, end = text.find(head), text.find(tail)
        if begin < 0 or end < begin:
            raise ValueError(f"{path}: the marks of '{name}' are missing")
        text = text[:begin + len(head)] + "\n" + content.strip() + "\n" + text[end:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def table(head, rows, numbers_from=1):
    """Markdown; the columns from `numbers_from` on are aligned to the right."""
    rule = ["---" if at < numbers_from else "---:" for at in range(len(head))]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, rule, *rows])


def number(value):
    """Three digits that say something."""
    if value != value or value in (float("inf"), float("-inf")):
        return "–"
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    digits = 0
    while size < 10 and digits < 4:
        size *= 10
        digits += 1
    return f"{value:.{digits + 1}f}"


def ratio(values):
    """A spread of ratios; small ones as one part of so many."""
    if not 0 < values.median < 0.1:
        return spread(values)
    parts = [f"1/{1 / value:.0f}" if value > 0 else "0" for value in (values.median, values.low, values.high)]
    return parts[0] if len(values.values) < 2 else f"{parts[0]} ({parts[1]}–{parts[2]})"


def spread(values):
    """Median, and the lowest and highest where there are several."""
    if len(values.values) < 2:
        return number(values.median)
    return f"{number(values.median)} ({number(values.low)}–{number(values.high)})"
