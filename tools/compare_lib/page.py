"""The table's part of docs/performance.md, from results alone."""
from compare_lib import figures, sections
from compare_lib.figures import KAFKA, KURIER
from compare_lib.results import of_kind
from compare_lib.sections import number, ratio, spread, table

HARDWARE = {"receive": "receive over loopback TCP", "crc32c": "crc32c, in the processor's cache", "write": "write to the page cache",
            "sendfile": "send from the page cache, sendfile", "pread_send": "send from the page cache, pread and send"}
SYNCS = {"fsync": "append 1 KiB, fsync", "fdatasync": "append 1 KiB, fdatasync"}
CHUNKS = {16_384: "16 KiB", 65_536: "64 KiB", 1_000_000: "1 MB"}


def sides(lines):
    about = of_kind(lines, "machine")[0]["sides"]
    return about[KAFKA], about[KURIER]


def machine(lines):
    about = of_kind(lines, "machine")[0]
    rounds = {line["round"] for line in of_kind(lines, "run")}
    return (f"Measured on {about['date']} at {about['commit']}: {about['cores']} cores ({about['processor']}), "
            f"{about['memory_bytes'] / 1e9:.0f} GB of memory, Linux {about['kernel']}, {about['java']}; {len(rounds)} "
            f"round{'s' * (len(rounds) != 1)}. Each number is the median, in brackets the lowest and the highest; a ratio is that of "
            "two runs of the same round.")


def result(one):
    if one.passes() is None:
        return ""
    return "PASS" if one.passes() else "**short**"


def figure_table(lines):
    theirs, ours = sides(lines)
    measured = figures.measured(lines)
    rows = [[f"{one.figure.title} ({one.figure.unit})", spread(one.theirs), spread(one.ours), ratio(one.ratio), one.asked(),
             result(one)] for one in measured]
    asked = [one for one in measured if one.passes() is not None]
    short = "; ".join(one.figure.title for one in asked if not one.passes())
    verdict = (f"{sum(one.passes() for one in asked)} of {len(asked)} figures for which something is asked reach it."
               + (f" Short: {short}." if short else ""))
    return table(["figure", theirs, ours, f"kurier ÷ {theirs}", "asked", ""], rows) + "\n\n" + verdict + restart_note(lines)


def restart_note(lines):
    """How much was really written before the kill: it is not killed at the very byte."""
    written = {}
    for line in of_kind(lines, "run"):
        if line["row"] == "restart":
            written.setdefault(line["broker"], []).append(line["result"]["written_bytes"])
    if not written:
        return ""
    said = ", ".join(f"{'kurier' if broker == KURIER else sides(lines)[0]} {number(min(sizes) / 1e9)}–{number(max(sizes) / 1e9)} GB"
                     for broker, sizes in written.items())
    return f" Written when they were killed: {said}."


def slower(lines):
    """Every figure, asked for or not, in which kurier is behind, in the middle or in some round."""
    behind, sometimes = [], []
    for one in figures.measured(lines):
        worst = 1 / one.ratio.low if one.figure.more_is_better and one.ratio.low > 0 else one.ratio.high
        what = f"- {one.figure.title}: {spread(one.theirs)} and {spread(one.ours)} {one.figure.unit}, "
        if one.worse_by() > 1:
            behind.append(what + f"kurier is {number(one.worse_by())} times worse")
        elif worst > 1:
            sometimes.append(what + f"kurier was {number(worst)} times worse in one round")
    said = "\n".join(behind) or "Behind in no figure."
    return said + ("\n\nNot in the median, but in some round:\n\n" + "\n".join(sometimes) if sometimes else "")


def split_table(lines):
    theirs, ours = sides(lines)
    rows = []
    for row, title, unit, user, system in figures.SPLITS:
        cells = [figures.Spread(list(figures.values_of(lines, row, broker, value).values()))
                 for broker in (KAFKA, KURIER) for value in (user, system)]
        if not all(cell.values for cell in cells):
            continue
        floor = figures.floor_s_per_gb(lines, row)
        total = cells[2].median + cells[3].median
        rows.append([f"{title} ({unit})", *map(spread, cells), "" if floor is None else number(floor),
                     "" if not floor else number(total / floor)])
    if not rows:
        return "Not measured."
    head = ["", f"{theirs}: user", "system", f"{ours}: user", "system", "floor", "kurier ÷ floor"]
    return table(head, rows) + """

The floor is what no broker can leave out, user and system together, in pieces of the same size: for produce receive, crc32c and
write, for fetch sendfile."""


def hardware_table(lines):
    if not of_kind(lines, "hardware"):
        return "Not measured."
    rows = []
    for operation, title in HARDWARE.items():
        for chunk, size in CHUNKS.items():
            cells = [figures.hardware(lines, operation, chunk, member) for member in ("user_s_per_gb", "system_s_per_gb", "mb_per_s")]
            rows.append([f"{title}, {size} at once", *map(spread, cells)])
    text = table(["", "user s/GB", "system s/GB", "MB/s"], rows)
    rows = []
    for operation, title in SYNCS.items():
        cells = [figures.Spread([value for chunk in CHUNKS for value in figures.hardware(lines, operation, chunk, member).values])
                 for member in ("user_us_each", "system_us_each", "per_s")]
        rows.append([title, *map(spread, cells)])
    text += "\n\n" + table(["", "user µs", "system µs", "a second"], rows)
    echoes = [line for line in of_kind(lines, "hardware") if "echo_latency_us" in line["result"]]  # old results have none
    if not echoes:
        return text
    row = [f"{echoes[0]['result']['rate']:,.0f} small messages a second that come back at once"]
    row += [spread(figures.echo_ms(echoes, percentile)) for percentile in ("p50", "p99", "p99_9")]
    return text + "\n\n" + table(["", "p50 ms", "p99 ms", "p99.9 ms"], [row]) + """

The last is what this machine makes of any answer: one thread sends over loopback at a fixed rate, another sends back, and each
message counts from when it was due. No broker's latency at that rate can be below it."""


def parts(lines):
    return {"machine": machine(lines), "table": figure_table(lines), "slower": slower(lines), "splits": split_table(lines),
            "hardware": hardware_table(lines)}


def text(lines):
    return "\n\n".join(parts(lines).values())


def write(path, lines):
    sections.write(path, parts(lines))
