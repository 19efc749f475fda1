"""Results: JSON lines, each an object with a kind. Everything that is written on the page is read from them."""
import json
import os
import pathlib
import platform
import subprocess
import time

from harness import ROOT


class Results:
    """Appends to a file, if there is one, as the results come."""

    def __init__(self, path=None):
        self.lines = []
        self.file = open(path, "w") if path else None

    def add(self, kind, **values):
        line = {"kind": kind, **values}
        self.lines.append(line)
        if self.file:
            self.file.write(json.dumps(line) + "\n")
            self.file.flush()

    def close(self):
        if self.file:
            self.file.close()


def read(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text().splitlines() if line.strip()]


def of_kind(lines, kind):
    return [line for line in lines if line["kind"] == kind]


def machine(arguments, sides):
    """What a reader has to know about this run."""
    def first_line(command):
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)
        except OSError:
            return ""
        return done.stdout.splitlines()[0] if done.returncode == 0 and done.stdout else ""

    processor = next((line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                      if line.startswith("model name")), platform.machine())
    return {"date": time.strftime("%Y-%m-%d", time.gmtime()), "processor": processor, "cores": os.cpu_count(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "kernel": platform.release(),
            "java": first_line(["java", "-version"]), "commit": first_line(["git", "rev-parse", "--short=12", "HEAD"]),
            "arguments": arguments, "sides": sides}
