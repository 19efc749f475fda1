#!/usr/bin/env python3
"""Replays the corpus of every fuzz target, then looks for new inputs for a bounded time: run.py [--seconds N] [--only T …]

Two targets at a time. The last line is "N passed, N failed, N skipped"; a target passes if neither the replay nor the
search found a fault.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys

import seeds

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAMS = ROOT / "build/asan/tests/fuzz"
WORK = ROOT / "build/fuzz"
# An allocation that grows with a number from the input is a fault, as is an input that takes seconds.
LIMITS = ["-malloc_limit_mb=128", "-rss_limit_mb=2048", "-timeout=20", "-max_len=4096", "-verbosity=1"]
ENVIRONMENT = dict(os.environ, ASAN_SYMBOLIZER_PATH="/usr/lib/llvm-19/bin/llvm-symbolizer", UBSAN_OPTIONS="print_stacktrace=1")


def run(command):
    done = subprocess.run([str(part) for part in command], cwd=ROOT, env=ENVIRONMENT, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    return done.returncode, done.stdout


def fault(name, program, output):
    """What the operator needs: the report, the input, the command that replays it."""
    lines = output.splitlines()
    began = next((i for i, line in enumerate(lines) if re.search(r"ERROR: |runtime error|CHECK|expected", line)), 0)
    text = lines[max(0, began - 2):began + 40]
    inputs = re.findall(r"Test unit written to (\S+)", output) or re.findall(r"^Running: (\S+)", output, re.MULTILINE)[-1:]
    for path in inputs:
        text += [f"FAILED: fuzz {name}: input {path}", f"  replay: {program.relative_to(ROOT)} {path}"]
    return "\n".join(text or [f"FAILED: fuzz {name}: no output"])


def fuzz(name, seconds):
    program = PROGRAMS / f"fuzz_{name}"
    work = WORK / name
    found = work / "found"
    found.mkdir(parents=True, exist_ok=True)
    kept = ROOT / "tests/fuzz/corpus" / name
    corpus = [path for path in (kept, WORK / "seeds" / name) if path.is_dir()]
    inputs = sorted(path for directory in corpus for path in directory.iterdir())
    if not inputs:
        return f"FAILED: fuzz {name}: no corpus", False
    status, output = run([program, *LIMITS, f"-artifact_prefix={work}/", *inputs])
    if status != 0:
        return fault(name, program, output), False
    status, output = run([program, *LIMITS, f"-artifact_prefix={work}/", f"-max_total_time={seconds}", "-print_final_stats=1",
                          found, *corpus])
    if status != 0:
        return fault(name, program, output), False
    runs = re.search(r"number_of_executed_units: (\d+)", output)
    cover = re.findall(r"cov: (\d+)", output)
    return f"ok: fuzz {name}: {len(inputs)} inputs replayed, {runs.group(1)} tried, {cover[-1] if cover else '?'} edges", True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=30, help="of searching, each target (default 30)")
    parser.add_argument("--only", action="append", help="this target (may be repeated)")
    arguments = parser.parse_args()
    names = sorted(path.name.removesuffix("_fuzz.cc") for path in (ROOT / "tests/fuzz").glob("*_fuzz.cc"))
    names = [name for name in names if not arguments.only or name in arguments.only]
    shutil.rmtree(WORK / "seeds", ignore_errors=True)
    seeds.write(WORK / "seeds")
    passed = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for text, good in pool.map(lambda name: fuzz(name, arguments.seconds), names):
            print(text, flush=True)
            passed += good
    print(f"{passed} passed, {len(names) - passed} failed, 0 skipped")
    return 1 if passed != len(names) or not names else 0


if __name__ == "__main__":
    sys.exit(main())
