"""What the members of a group saw, and what is wrong with it: lost records, disorder, offsets that go back, needless rebalances.

A history is a list of events of all members, the observer and the test itself, each with the time (µs since 1970, one machine's clock):

  owns MEMBER P…              the partitions that the member has from now on; also after a rebalance that changed nothing
  got MEMBER P OFFSET VALUE   a record was handed to the application; a producer writes as value the offset that the record gets
  committed MEMBER P OFFSET   the node has answered a commit
  left MEMBER                 the member has closed; killed MEMBER: the test ended its process with SIGKILL
  observed P OFFSET           a committed offset, read by the observer; the time is that of its question
  reset P OFFSET              somebody set the committed offset on purpose
  calm MEMBER…                from now on nothing gives a reason for a rebalance; the members named may restart
  generation N                the group's generation, as the node has written it
  disturbed                   the calm is over
"""
import collections

Event = collections.namedtuple("Event", "stamp_us kind words")


def event(stamp_us, kind, *words):
    return Event(int(stamp_us), kind, tuple(words))


class Reader:
    """Reads a history in the order of its times and collects the faults."""

    def __init__(self):
        self.faults = []
        self.next = collections.defaultdict(dict)  # of member and partition: the offset that must come next
        self.delivered = collections.defaultdict(set)
        self.committed = collections.defaultdict(int)  # the highest that was acknowledged
        self.observed = collections.defaultdict(int)
        self.calm = None  # the members that may restart
        self.generation = None

    def fault(self, at, text):
        self.faults.append(f"{at.stamp_us}: {text}")

    def on_owns(self, at, member, *partitions):
        self.next[member] = {p: offset for p, offset in self.next[member].items() if p in partitions}
        if self.calm is not None and member not in self.calm:
            self.fault(at, f"needless rebalance: {member} has partitions {partitions}")

    def on_got(self, at, member, partition, offset, value):
        if value != offset:
            self.fault(at, f"{partition}: record {value} has the offset {offset}")
        wanted = self.next[member].get(partition)
        if wanted is not None and offset != wanted:
            self.fault(at, f"{partition}: {member} got {offset} where {wanted} comes next")
        if wanted is None:
            end = max(self.delivered[partition], default=-1) + 1
            if offset > max(end, self.committed[partition]):
                self.fault(at, f"{partition}: {member} begins at {offset}, but nobody has got {end}")
            if offset < self.committed[partition]:
                self.fault(at, f"{partition}: {member} begins at {offset}, but {self.committed[partition]} is committed")
        self.delivered[partition].add(offset)
        self.next[member][partition] = offset + 1

    def on_committed(self, at, member, partition, offset):
        if offset < self.committed[partition]:
            self.fault(at, f"{partition}: {member} commits {offset} after {self.committed[partition]} was committed")
        self.committed[partition] = max(offset, self.committed[partition])

    def on_left(self, _, member):
        self.next.pop(member, None)

    on_killed = on_left

    def on_observed(self, at, partition, offset):
        known = max(self.committed[partition], self.observed[partition])
        if offset < known:
            self.fault(at, f"{partition}: the committed offset is {offset} after {known}")
        self.observed[partition] = max(offset, self.observed[partition])

    def on_reset(self, _, partition, offset):
        self.committed[partition] = self.observed[partition] = offset

    def on_calm(self, _, *members):
        self.calm = members
        self.generation = None

    def on_disturbed(self, _):
        self.calm = None

    def on_generation(self, at, number):
        if self.calm is not None and self.generation not in (None, number):
            self.fault(at, f"needless rebalance: generation {number} after {self.generation}")
        self.generation = number


def faults(events, ends):
    """What is wrong; `ends` has for each partition the number of records that its producer wrote."""
    reader = Reader()
    for each in sorted(events, key=lambda each: each.stamp_us):
        getattr(reader, "on_" + each.kind)(each, *each.words)
    for partition, end in ends.items():
        lost = set(range(end)) - reader.delivered[partition]
        if lost:
            reader.faults.append(f"{partition}: nobody got {sorted(lost)[:5]} ({len(lost)} of {end} records)")
        if reader.delivered[partition] - set(range(end)):
            reader.faults.append(f"{partition}: records from nowhere")
    return reader.faults
