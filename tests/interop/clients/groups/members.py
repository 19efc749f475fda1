"""What the Python agents for groups share: members as threads, commands from standard input, events to standard output (README.md)."""
import sys
import threading
import time


def line(kind, member, *words):
    return " ".join(map(str, (time.time_ns() // 1000, kind, member, *words))) + "\n"


OUTPUT = threading.Lock()


def say(lines):
    with OUTPUT:  # what is longer than a buffer leaves in several writes, between which another member's would come
        sys.stdout.write(lines)
        sys.stdout.flush()


class Member(threading.Thread):
    """`consume` has a client's loop and returns when `leaving` is set and the member has left."""

    def __init__(self, address, name, group, topic, assignor, instance, session_ms):
        super().__init__(daemon=True)
        self.address, self.name, self.group, self.topic, self.assignor = address, name, group, topic, assignor
        self.instance = None if instance == "-" else instance
        self.session_ms = int(session_ms)
        self.leaving = threading.Event()
        self.owned = set()

    def leave(self):
        self.leaving.set()

    def assigned(self, partitions):
        self.owned |= set(partitions)
        say(line("owns", self.name, *sorted(self.owned)))

    def revoked(self, partitions):
        self.owned -= set(partitions)
        say(line("owns", self.name, *sorted(self.owned)))

    def got(self, records):
        """(partition, offset, value) each, in the order of delivery. The offset that each partition has got to."""
        say("".join(line("got", self.name, partition, offset, value.decode()) for partition, offset, value in records))
        return {partition: offset + 1 for partition, offset, _ in records}

    def committed(self, positions):
        say("".join(line("committed", self.name, partition, offset) for partition, offset in positions.items()))

    def run(self):
        try:
            self.consume()
        except Exception as error:
            say(line("failed", self.name, type(error).__name__, str(error).replace("\n", " ")))
            raise
        say(line("left", self.name))


def serve(kind):
    members = {}
    for command in sys.stdin:
        words = command.split()
        if words[0] == "join":
            members[words[1]] = kind(sys.argv[1], *words[1:])
            members[words[1]].start()
        else:
            members[words[1]].leave()
