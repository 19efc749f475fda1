#!/usr/bin/env python3
"""The same logs cleaned by Apache Kafka's cleaner and by kurier's: the same batches, segments, indexes and checkpoints, byte for byte.

compare_cleaners.py CLEANER_TOOL DIRECTORY_OF_JARS [--seed N] [--count N] [--keep DIRECTORY]

CLEANER_TOOL is the program of that name of the build. CleanerCases.java makes COUNT random scripts (the first ones with one
feature each, see there), performs them with Apache Kafka's classes, and compares what cleaner_tool has made of them. Compressed
batches are compared by what is in them, for compressors differ; everything else by its bytes. One check a case. One case is
written by hand: it shows the one defect of Apache Kafka's cleaner that kurier does not copy, and that it is the only difference
there (MendedLog.java). Then results with planted faults must be told apart. The seed is printed; with --keep the directories
are left to be looked at.
Ends with `N passed, N failed, N skipped`.
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SEED, COUNT = 44, 150
# What the cases must have reached, or they show nothing.
WANTED = ("batches that have lost records", "batches with a horizon", "empty batches", "files .index", "files .timeindex", "files .txnindex",
          "logs with a passed marker", "markers with a horizon", "nothing due", "several rounds", "batches of gzip", "batches of lz4",
          "batches of snappy", "batches of zstd")


class Java:
    def __init__(self, jars, classes):
        self.class_path = f"{jars}/*"
        subprocess.run(["javac", "-cp", self.class_path, "-d", classes, *HERE.glob("*.java")], check=True, stderr=subprocess.DEVNULL)
        self.classes = classes

    def run(self, *arguments):
        done = subprocess.run(["java", "-Xmx512m", "-XX:+UseSerialGC", "-cp", f"{self.class_path}:{self.classes}", "CleanerCases",
                               *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def compared(java, directory):
    """{case: what differs, or ""}, {what was seen: how often}."""
    verdicts, seen = {}, {}
    for line in java.run("compare", directory).splitlines():
        words = line.split("\t")
        if words[0] in ("ok", "FAILED"):
            verdicts[words[1]] = "\t".join(words[2:])
            last = words[1]
        elif words[0] == "seen":
            seen[words[1]] = int(words[2])
        else:
            verdicts[last] += "\n" + line
    return verdicts, seen


def change_byte(path, position):
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def largest(directory, suffix):
    return max(directory.glob(f"kurier.*/*{suffix}"), key=lambda path: path.stat().st_size)


# Each spoils the results of one case.
PLANTED = {
    "a changed byte of a log": lambda case: change_byte(largest(case, ".log"), 70),
    "a lost log": lambda case: largest(case, ".log").unlink(),
    "a shorter index": lambda case: largest(case, ".index").write_bytes(largest(case, ".index").read_bytes()[:-8]),
    "a changed byte of a time index": lambda case: change_byte(largest(case, ".timeindex"), 0),
    "another checkpoint": lambda case: change_byte(largest(case, "cleaner-offset-checkpoint"), -2),
    "another result of a round": lambda case: change_byte(largest(case, "rounds"), 0),
}


def plant(java, case, directory):
    """Whether each planted fault is reported; prints those that are not."""
    for fault, spoil in PLANTED.items():
        copy = directory / "planted"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(case, copy / case.name)
        spoil(copy / case.name)
        verdicts, _ = compared(java, copy)
        if not verdicts[case.name]:
            print(f"FAILED: nobody has seen {fault}")
            return False
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("jars")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--keep", type=pathlib.Path)
    arguments = parser.parse_args()
    if not shutil.which("javac"):
        print("skipped: needs javac")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    print(f"seed {arguments.seed}, {arguments.count} cases", flush=True)
    # Apache Kafka syncs a lot: in memory, where there is such a place.
    memory = pathlib.Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() and shutil.disk_usage(memory).free > 2 << 30 else None) as name:
        cases = arguments.keep or pathlib.Path(name) / "cases"
        cases.mkdir(parents=True)
        classes = pathlib.Path(name) / "classes"
        classes.mkdir()
        java = Java(arguments.jars, classes)
        java.run("generate", cases, arguments.seed, arguments.count)
        java.run("clean", cases)
        tool = subprocess.run([arguments.program, cases], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
        verdicts, seen = compared(java, cases)
        wrong = {case: what for case, what in verdicts.items() if what}
        for case, what in wrong.items():
            print(f"FAILED: {case}: {what}")
        for line in re.findall(r"^FAILED.*$", tool.stdout, re.M):
            print(line)
        print(", ".join(f"{count} {what}" for what, count in seen.items()))
        passed, failed = len(verdicts) - len(wrong), len(wrong) + (tool.returncode != 0)
        missed = [what for what in WANTED if what not in seen]
        for what in missed:
            print("FAILED: no case has", what)
        planted = plant(java, next(path for path in sorted(cases.iterdir()) if path.name.endswith("-tombstones")), pathlib.Path(name))
        passed, failed = passed + planted, failed + len(missed) + (not planted)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
