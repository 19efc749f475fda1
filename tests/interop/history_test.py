#!/usr/bin/env python3
"""The checker of group histories sees what it is there to see: a sound history with one fault planted in it at a time."""
from harness import Checks
from history import event, faults

ENDS = {"0": 30, "1": 30}


def sound():
    """Two members and two partitions. b dies with a batch uncommitted, a takes over and reads that again; b comes back."""
    events = []

    def add(kind, *words):
        events.append(event(10 * len(events), kind, *words))

    def read(member, partition, start, end, commits=True):
        for offset in range(start, end):
            add("got", member, partition, offset, offset)
        if commits:
            add("committed", member, partition, end)
            add("observed", partition, end)

    add("owns", "a", "0")
    add("owns", "b", "1")
    add("calm")
    add("generation", 1)
    read("a", "0", 0, 10)
    read("b", "1", 0, 5)
    add("generation", 1)
    add("disturbed")
    read("b", "1", 5, 10, commits=False)
    add("killed", "b")
    add("owns", "a")
    add("owns", "a", "0", "1")
    read("a", "0", 10, 20)
    read("a", "1", 5, 20)
    add("owns", "a")
    add("owns", "a", "0")
    add("owns", "b", "1")
    add("calm", "b")  # b is static now
    add("generation", 3)
    add("killed", "b")
    add("owns", "b", "1")
    read("a", "0", 20, 30)
    read("b", "1", 20, 30)
    add("generation", 3)
    return events


def where(events, kind, *words):
    return next(i for i, each in enumerate(events) if each.kind == kind and each.words[:len(words)] == words)


def sees(text, change):
    events = sound()
    change(events)
    found = faults(events, ENDS)
    assert any(text in each for each in found), found


def swap(events):
    first = where(events, "got", "a", "0", 12)
    events[first], events[first + 1] = (events[first]._replace(words=events[first + 1].words),
                                        events[first + 1]._replace(words=events[first].words))


def insert(events, before, kind, *words):
    events.append(event(events[before].stamp_us - 5, kind, *words))


def absent(says_so):
    """b is not in one generation, in which a has its partition, and comes back."""
    events = [("owns", "b", "0"), *(("got", "b", "0", i, i) for i in range(5)), ("committed", "b", "0", 5),
              ("owns", "a", "0"), *(("got", "a", "0", i, i) for i in range(5, 20)), ("committed", "a", "0", 20),
              ("owns", "a"), *([("owns", "b")] if says_so else []), ("owns", "b", "0"), *(("got", "b", "0", i, i) for i in range(20, 30))]
    return [event(10 * i, *each) for i, each in enumerate(events)]


PLANTED = [
    ("a record that nobody got", "nobody got [29]", lambda events: events.pop(where(events, "got", "b", "1", 29))),
    ("a gap", "got 13 where 12 comes next", lambda events: events.pop(where(events, "got", "a", "0", 12))),
    ("two records in the wrong order", "got 13 where 12 comes next", swap),
    ("a record read again without a reason", "got 13 where 14 comes next",
     lambda events: insert(events, where(events, "got", "a", "0", 14), "got", "a", "0", 13, 13)),
    ("another record than was written", "record 7 has the offset 3",
     lambda events: events.__setitem__(where(events, "got", "a", "0", 3), event(50, "got", "a", "0", 3, 7))),
    ("a successor that begins too late", "b begins at 25",
     lambda events: [events.pop(where(events, "got", "b", "1", offset)) for offset in range(20, 25)]),
    ("a successor that begins before what was committed", "a begins at 4, but 5 is committed",
     lambda events: insert(events, where(events, "got", "a", "1", 5), "got", "a", "1", 4, 4)),
    ("a commit that goes back", "commits 3 after 10 was committed",
     lambda events: insert(events, where(events, "killed", "b"), "committed", "a", "0", 3)),
    ("a committed offset that is gone", "the committed offset is 0 after 10",
     lambda events: insert(events, where(events, "killed", "b"), "observed", "0", 0)),
    ("a rebalance while nothing happens", "needless rebalance: a",
     lambda events: insert(events, where(events, "got", "a", "0", 5), "owns", "a", "0")),
    ("a rebalance for a static member's restart", "needless rebalance: a",
     lambda events: insert(events, where(events, "got", "a", "0", 25), "owns", "a")),
    ("a generation for a static member's restart", "needless rebalance: generation 4 after 3",
     lambda events: events.__setitem__(-1, events[-1]._replace(words=(4,)))),
]


def planted(checks):
    def is_sound(events):
        assert faults(events, ENDS) == [], faults(events, ENDS)

    checks.check("checker: a sound history has no fault", is_sound, sound())
    reset = sound()
    end = reset[-1].stamp_us
    reset += [event(end + 1, "reset", "0", 2), event(end + 2, "observed", "0", 2), event(end + 3, "committed", "a", "0", 2)]
    checks.check("checker: a reset goes back", is_sound, reset)

    def comes_back():
        assert faults(absent(says_so=True), {"0": 30}) == []
        # Nobody can tell that from records that were skipped: agents say that a member has nothing, also if that is soon over.
        assert any("b got 20 where 5 comes next" in each for each in faults(absent(says_so=False), {"0": 30}))
    checks.check("checker: a member that was not in a generation goes on where the group is", comes_back)
    for name, text, change in PLANTED:
        checks.check("checker: " + name, sees, text, change)


def main():
    checks = Checks()
    planted(checks)
    checks.finish()


if __name__ == "__main__":
    main()
