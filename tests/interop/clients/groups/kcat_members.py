#!/usr/bin/env python3
"""kcat -G (librdkafka) as members of groups, one process each that dies with this one: README.md has the commands.

kcat commits by itself, at times of its own, so there is no answer to report.
"""
import ctypes
import re
import signal
import subprocess
import sys

import members

PR_SET_PDEATHSIG = 1
REBALANCED = re.compile(r"% Group \S+ rebalanced \(memberid [^)]*\): (assigned|revoked): (.*)")


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Member(members.Member):
    def consume(self):
        settings = {
            "client.id": self.name, "log_level": 2, "reconnect.backoff.max.ms": 200, "partition.assignment.strategy": self.assignor,
            "session.timeout.ms": self.session_ms, "heartbeat.interval.ms": 300, "max.poll.interval.ms": 60_000,
            "auto.offset.reset": "earliest", "auto.commit.interval.ms": 100}
        if self.instance:
            settings["group.instance.id"] = self.instance
        options = [word for name, value in settings.items() for word in ("-X", f"{name}={value}")]
        # Rebalances are reported on standard error; in one pipe with the records they stay in their order.
        kcat = subprocess.Popen(["kcat", "-b", self.address, "-u", "-E", "-f", "%p %o %s\n", *options, "-G", self.group, self.topic],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                preexec_fn=die_with_parent)
        self.process = kcat
        for line in kcat.stdout:
            rebalanced = REBALANCED.match(line)
            words = line.split()
            if rebalanced:
                partitions = map(int, re.findall(r"\[(\d+)\]", rebalanced[2]))
                (self.assigned if rebalanced[1] == "assigned" else self.revoked)(partitions)
            elif len(words) == 3 and words[0].isdigit():
                self.got([(int(words[0]), int(words[1]), words[2].encode())])
            elif not line.startswith("% Reached end") and not line.startswith("% Waiting for"):
                sys.stderr.write(f"{self.name}: {line}")
        status = kcat.wait()
        if status != 0:
            raise RuntimeError(f"kcat ended with {status}")

    def leave(self):
        self.process.send_signal(signal.SIGTERM)


members.serve(Member)
