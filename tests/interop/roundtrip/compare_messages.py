#!/usr/bin/env python3
"""Random values of every message and version through Apache Kafka's own classes and ours, both ways, byte for byte.

compare_messages.py ROUNDTRIP DIRECTORY_OF_JARS [--seed N] [--count N] [--only NAME[/VERSION]]

ROUNDTRIP is the program of that name of the build. Each side writes, per message and version, COUNT random values, the
same bytes written at another version, and damaged bytes; the other side must read the same values, write the same bytes
and refuse the same. One check a message and version; it passes if both directions and all three kinds do. Then both read
thousands of strings that are no UTF-8, and both checkers are given exchanges with planted faults and must report each. The seed is printed; with --seed and --only a
failure is shown again. Ends with `N passed, N failed, N skipped`.
"""
import argparse
import collections
import itertools
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SEED, COUNT, STRINGS = 20260, 20, 10_000
KINDS = {"r": "round trip", "x": "another version", "m": "damaged"}


class Side:
    """Apache Kafka or kurier: generates frames, checks those of the other."""

    def __init__(self, name, command, where=()):
        self.name = name
        self.generate_command, self.check_command = [*command, "generate", *where], [*command, "check", *where]
        self.strings_command = [*command, "strings"]

    def strings(self, lines):
        """What it reads of each, both as hexadecimal digits."""
        done = subprocess.run(self.strings_command, check=True, input="\n".join(lines) + "\n", stdout=subprocess.PIPE, text=True)
        return done.stdout.splitlines()

    def generate(self, seed, count, path, only):
        subprocess.run([*self.generate_command, str(seed), str(count), str(path), *only], check=True)

    def check(self, path):
        """{(name, version): {kind: [passed, failed]}} and the lines that say what failed."""
        done = subprocess.run([*self.check_command, str(path)], check=True, stdout=subprocess.PIPE)
        tallies, said = collections.defaultdict(dict), []
        for line in done.stdout.decode(errors="replace").split("\n"):
            if line.startswith("tally\t"):
                _, name, version, kind, passed, failed = line.split("\t")
                tallies[name, int(version)][kind] = [int(passed), int(failed)]
            elif line:
                said.append(line)
        return tallies, said


def sides(program, jars, classes):
    class_path = f"{jars}/*"
    subprocess.run(["javac", "-cp", class_path, "-d", classes, HERE / "RoundTrip.java"], check=True)
    java = ["java", "-Xmx512m", "-XX:+UseSerialGC", "-cp", f"{class_path}:{classes}", "RoundTrip"]
    return Side("Apache Kafka", java, [jars]), Side("kurier", [program])


def compare(sides_and_files):
    """(passed, failed) of all messages and versions that either side knows."""
    found = {}
    for writer, reader, path in sides_and_files:
        found[writer.name], said = reader.check(path)
        for line in said:
            print(f"written by {writer.name}, read by {reader.name}: {line}" if line.startswith("FAILED") else line)
    failed = set()
    everything = set().union(*found.values())
    for what in sorted(everything):
        for writer, tallies in found.items():
            for kind, meaning in KINDS.items():
                passed, wrong = tallies.get(what, {}).get(kind, (0, 0))
                if wrong or not passed:
                    print(f"FAILED: {what[0]} {what[1]}, {meaning}, from {writer}: {wrong} of {passed + wrong}")
                    failed.add(what)
    return len(everything) - len(failed), len(failed)


# Bytes around which the rules of UTF-8 change.
EDGES = [0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef,
         0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf7, 0xf8, 0xfb, 0xfc, 0xfe, 0xff]


def byte_strings(seed):
    """All of up to three such bytes; others at random: of these bytes, of any, and text that was cut or damaged."""
    random_ = random.Random(seed)
    for length in (1, 2, 3):
        yield from map(bytes, itertools.product(EDGES, repeat=length))
    for _ in range(STRINGS):
        yield bytes(random_.choices(EDGES, k=random_.randrange(4, 24)))
        yield random_.randbytes(random_.randrange(1, 40))
        text = "".join(chr(random_.choice((random_.randrange(32, 0x800), random_.randrange(0xe000, 0x110000)))) for _ in range(8)).encode()
        yield text[random_.randrange(4):random_.randrange(4, len(text))]
        at = random_.randrange(len(text))
        yield text[:at] + random_.randbytes(1) + text[at + 1:]


def same_strings(apache, kurier, seed):
    """Whether both read the same of bytes that need not be UTF-8; prints the first that differ."""
    lines = [data.hex() for data in byte_strings(seed)]
    theirs, ours = apache.strings(lines), kurier.strings(lines)
    assert len(theirs) == len(ours) == len(lines)
    wrong = [what for what in zip(lines, theirs, ours) if what[1] != what[2]]
    replaced = sum("efbfbd" in text for text in theirs)
    assert replaced > STRINGS, f"only {replaced} of {len(lines)} strings were malformed"
    for given, expected, found in wrong[:10]:
        print(f"FAILED: the string {given} is {expected} to Apache Kafka and {found} to kurier")
    print(f"{len(lines)} strings, {replaced} of them malformed: {len(wrong)} are read in another way")
    return not wrong


# Frames on disk, as roundtrip.h has them.

def read_frames(path):
    data = path.read_bytes()
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from(">ch", data, at)
        name = data[at + 3:at + 3 + length].decode()
        at += 3 + length
        version, to_version, outcome = struct.unpack_from(">hhb", data, at)
        at += 5
        parts = []
        for _ in range(3):
            size, = struct.unpack_from(">i", data, at)
            parts.append(data[at + 4:at + 4 + size])
            at += 4 + size
        yield [kind.decode(), name, version, to_version, outcome, *parts]


def write_frames(path, frames):
    with path.open("wb") as out:
        for kind, name, version, to_version, outcome, *parts in frames:
            out.write(struct.pack(">ch", kind.encode(), len(name)) + name.encode())
            out.write(struct.pack(">hhb", version, to_version, outcome))
            for part in parts:
                out.write(struct.pack(">i", len(part)) + part)


def changed(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


# Each takes a round trip's frame and makes one that must be reported.
PLANTED = {
    "a changed byte": lambda f: [*f[:5], changed(f[5], len(f[5]) // 2), *f[6:]],
    "a changed value": lambda f: [*f[:6], changed(f[6], f[6].index(b"=") + 1), f[7]],
    "a changed output": lambda f: [*f[:7], changed(f[7], 0)],
    "a byte too few": lambda f: [*f[:5], f[5][:-1], *f[6:]],
    "a byte too many": lambda f: [*f[:5], f[5] + b"\0", *f[6:]],
    "a refusal that was none": lambda f: [*f[:4], 1, *f[5:]],
    "another message": lambda f: [f[0], "FetchRequest" if f[1] != "FetchRequest" else "FetchResponse", 12, 12, *f[4:]],
    "an unknown message": lambda f: [f[0], "Nothing", *f[2:]],
    "an unknown version": lambda f: [f[0], f[1], 99, 99, *f[4:]],
}


def plant(writer, reader, path, directory):
    """Whether `reader` reports every planted fault, in every message; prints those that it does not."""
    originals = {}
    for frame in read_frames(path):
        if frame[0] == "r" and frame[5] and b"=" in frame[6]:
            originals[frame[1], frame[2]] = frame  # the last: a random one
    bad = directory / "planted"
    all_seen = True
    for fault, make in PLANTED.items():
        write_frames(bad, [make(frame) for frame in originals.values()])
        tallies, _ = reader.check(bad)
        passed = sum(counts[0] for kinds in tallies.values() for counts in kinds.values())
        failed = sum(counts[1] for kinds in tallies.values() for counts in kinds.values())
        if passed or failed != len(originals) or not originals:
            all_seen = False
            missed = [what for what, kinds in tallies.items() if any(counts[0] for counts in kinds.values())]
            print(f"FAILED: {reader.name} saw {failed} of {len(originals)} times {fault}, planted in what {writer.name} wrote; "
                  f"not in {missed[:5]}")
    return all_seen


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("jars")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--only", default="", help="NAME or NAME/VERSION")
    arguments = parser.parse_args()
    if not shutil.which("javac"):
        print("skipped: needs javac")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    print(f"seed {arguments.seed}, {arguments.count} values a message and version", flush=True)
    only = [part for part in arguments.only.split("/") if part]
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        apache, kurier = sides(arguments.program, arguments.jars, name)
        paths = {apache: directory / "apache.frames", kurier: directory / "kurier.frames"}
        for side, path in paths.items():
            side.generate(arguments.seed, arguments.count, path, only)
        passed, failed = compare([(apache, kurier, paths[apache]), (kurier, apache, paths[kurier])])
        if failed:
            print(f"again: {' '.join(sys.argv[:3])} --seed {arguments.seed} --count {arguments.count} --only NAME/VERSION")
        same = same_strings(apache, kurier, arguments.seed)
        passed, failed = passed + same, failed + (not same)
        for writer, reader in [(apache, kurier), (kurier, apache)]:
            seen = plant(writer, reader, paths[writer], directory)
            passed, failed = passed + seen, failed + (not seen)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
