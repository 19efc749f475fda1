#!/usr/bin/env python3
"""Counts the instructions of a broker for fixed workloads and compares them with those of instructions.txt:
tests/performance/instructions.py [--update] [--repeat N] [--keep DIRECTORY]

The broker runs under callgrind, with one shard. Each workload runs in two sizes, each in a broker of its own; the difference of
the counts, divided by that of the sizes, has neither start nor stop in it. --update writes the file; --repeat N counts N times and
prints the spread; --keep leaves callgrind's files there. The last line is "N passed, N failed, N skipped".
"""
import argparse
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tests/interop"))
from harness import Kurier  # noqa: E402

KEPT = HERE / "instructions.txt"
START_S = 120  # everything is some fifty times as slow
TOLERANCE = 0.015  # which requests share a round of the loop makes 0.5 % of difference in a burst, else 0.05 % (--repeat)

# name: (arguments of kurier bench, option that is the size, small, large, unit, how many units one of the size is)
ONE_AT_A_TIME = ["--connections", "1", "--in-flight", "1", "--partitions", "1"]
WORKLOADS = {
    "one-record produce request": (["requests", *ONE_AT_A_TIME], "--requests", 1_000, 6_000, 1),
    "one-record produce request of a burst": (["requests", "--connections", "2", "--in-flight", "5", "--partitions", "8"],
                                              "--requests", 1_000, 6_000, 1),
    "produced GB in 64 KiB batches": (["produce", *ONE_AT_A_TIME, "--batch-bytes", "65536"],
                                      "--total-bytes", 4_000_000, 44_000_000, 1e9),
    "fetched GB in 64 KiB a partition": (["fetch", "--connections", "1", "--in-flight", "1", "--partitions", "1", "--total-bytes",
                                          "8000000", "--partition-max-bytes", "65536", "--fetch-max-bytes", "65536"],
                                         "--passes", 1, 6, 1e9 / 8e6),
}


def without_debug_information(directory):
    """The program as valgrind can read it: that of Debian 12 does not know the DWARF of clang 19."""
    program = directory / "kurier"
    subprocess.run(["llvm-objcopy-19", "--strip-debug", ROOT / "build/release/kurier", program], check=True)
    return program


def instructions_of(directory, arguments, kept_as):
    """Of one life of a broker that served one run of the bench."""
    counts = directory / "callgrind"
    node = Kurier(directory, without_debug_information(directory), settings=["kurier.shards=1"],
                  under=["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={counts}"])
    try:
        node.start(START_S)
        run = subprocess.run([node.binary, "bench", arguments[0], "--address", node.address, *arguments[1:]], text=True,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=START_S)
        if run.returncode != 0:
            raise AssertionError(f"kurier bench {' '.join(arguments)}: {run.stdout}")
        status = node.stop(START_S)
        if status != 0:
            raise AssertionError("kurier did not stop cleanly:\n" + "\n".join(node.output[-20:]))
    finally:
        node.kill()
    if kept_as:
        shutil.copy(counts, kept_as)
    return int(re.search(r"^(?:summary|totals): (\d+)", counts.read_text(errors="replace"), re.MULTILINE).group(1))


def count(name, keep):
    arguments, option, small, large, unit = WORKLOADS[name]
    totals = []
    for size in (small, large):
        kept_as = keep / f"callgrind.{name.replace(' ', '-')}.{size}" if keep else None
        with tempfile.TemporaryDirectory(prefix="kurier-") as directory:
            totals.append(instructions_of(pathlib.Path(directory), [*arguments, option, str(size)], kept_as))
    return round((totals[1] - totals[0]) / (large - small) * unit)


def first_line(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[0]


def counted_with():
    """What else decides the number: the compiler, the C library, and what valgrind shows the program of the CPU."""
    flags = re.search(r"^flags\s*:(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE).group(1).split()
    level = "x86-64-v3" if {"avx2", "bmi2", "movbe"} <= set(flags) else "x86-64-v2"
    return ", ".join([first_line("clang++-19", "--version"), " ".join(platform.libc_ver()), first_line("valgrind", "--version"), level])


def kept():
    """({name: instructions}, what they were counted with)"""
    text = KEPT.read_text()
    numbers = {name: int(number) for number, name in re.findall(r"^(\d+) (.+)$", text, re.MULTILINE)}
    return numbers, re.search(r"^counted with: (.*)$", text, re.MULTILINE).group(1)


def keep_numbers(numbers):
    head = KEPT.read_text().split("counted with: ")[0]
    lines = [f"{number} {name}\n" for name, number in numbers.items()]
    KEPT.write_text(f"{head}counted with: {counted_with()}\n\n{''.join(lines)}")


def compare(name, found, expected):
    """Whether it is no more than it was."""
    print(f"{name}: {found} instructions, {found / expected - 1:+.2%}", flush=True)
    if found > expected * (1 + TOLERANCE):
        print(f"FAILED: {name}: {expected} in {KEPT.name}; what has made it dearer? (--keep DIRECTORY, then callgrind_annotate)")
        return False
    if found < expected * (1 - TOLERANCE):
        print(f"{name}: better than {expected}: write it into {KEPT.name} (--update), so that it stays so")
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--keep", type=pathlib.Path)
    options = parser.parse_args()
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    found = {}
    for name in WORKLOADS:
        counts = [count(name, options.keep) for _ in range(options.repeat)]
        found[name] = round(statistics.median(counts))
        if options.repeat > 1:
            print(f"{name}: {min(counts)} to {max(counts)}, {max(counts) / min(counts) - 1:.3%}", flush=True)
    if options.update:
        keep_numbers(found)
    expected, others = kept()
    if counted_with() != others:
        for name in found:
            print(f"skipped: {name}: {found[name]} instructions with {counted_with()}; the number kept is for {others}")
        print(f"0 passed, 0 failed, {len(found)} skipped")
        return 0
    passed = sum(compare(name, found[name], expected[name]) for name in found)
    print(f"{passed} passed, {len(found) - passed} failed, 0 skipped")
    return 1 if passed < len(found) else 0


if __name__ == "__main__":
    sys.exit(main())
