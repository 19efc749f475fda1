"""Static members, members that die or come too late, and how many members a group takes."""
from group_member_stories import MEMBER_VERSIONS, NOBODY, OTHER, RANGE, STICKY
from group_story import answers, gather, rejoin, share


def static_members(story, version):
    """A static member's restarts: its old id is fenced, nobody else notices."""
    versions = MEMBER_VERSIONS[version]
    a, s = story.member("a", versions=versions), story.member("s", instance="i", versions=versions)
    gather(a, s)
    story.describe()
    old, new = s, story.member("s", instance="i", versions=versions)
    new.enter()
    new.answer()
    story.describe()
    fenced(story, old)
    a.heartbeat()
    new.heartbeat()
    new.sync()
    new.answer()
    new.join()  # a follower with nothing new
    new.answer()
    new.join(group_instance_id="j")
    new.answer()
    old.join()
    old.answer()
    another = story.member("s", instance="i", protocols=[("range", OTHER)], versions=versions)
    another.enter()  # other topics, the same protocol
    another.answer()
    story.describe()
    another.sync()
    another.answer()
    a.heartbeat()
    a.join()
    story.until_state("PreparingRebalance")
    last = story.member("s", instance="i", versions=versions)
    last.enter()  # takes another's place while the group prepares
    answers(a, last)
    a.sync(assignments={a.id: b"a", last.id: b"s"})
    a.answer()
    last.sync()
    last.answer()
    fenced(story, another)
    last.leave(members=[{"member_id": "", "group_instance_id": "i"}])
    story.describe()
    a.join()
    a.answer()
    share(a)


def fenced(story, old):
    for version in (3, 4):
        old.heartbeat(version)
    old.sync(3)
    old.answer()
    old.commit(7)
    old.commit(9, generation_id_or_member_epoch=-1)
    old.leave(3)
    old.leave(5)
    old.heartbeat(2)  # without its instance it is unknown
    old.commit(6)


def static_leader(story, version):
    """A static leader's restart: it learns that it leads only from version 9 on."""
    versions = MEMBER_VERSIONS[version]
    s, b = story.member("s", instance="i", versions=versions), story.member("b", versions=versions)
    gather(s, b)
    new = story.member("s", instance="i", versions=versions)
    new.enter()
    new.answer()
    new.sync(assignments={new.id: b"another"})
    new.answer()
    story.describe()
    b.heartbeat()
    new.join()
    story.until_state("PreparingRebalance")
    story.describe()
    changed = story.member("s", instance="i", protocols=[("range", RANGE), ("sticky", STICKY)], versions=versions)
    changed.enter()  # takes the place of the one that waits, which is told so
    new.answer()
    story.describe()
    b.join()
    answers(changed, b)


def static_in_rebalance(story):
    """A static member that restarts while the group waits for its assignment."""
    s, b = story.member("s", instance="i"), story.member("b")
    gather(s)
    rejoin(b, s)
    new = story.member("s", instance="i")
    new.enter()
    story.until_state("PreparingRebalance")
    b.join()
    answers(new, b)
    s.heartbeat()
    s.sync()
    s.answer()
    share(new, b)
    t = story.member("t", instance="j")
    t.enter()
    story.until_state("PreparingRebalance", members=3)
    b.join()
    story.describe()
    other = story.member("s", instance="i")
    other.enter()
    answers(t, b, other)
    story.describe()
    b.leave(members=[{"member_id": other.id, "group_instance_id": "i"}, {"member_id": "", "group_instance_id": "j"}])
    story.describe()


def static_only(story):
    """Static members alone, one of which has another protocol than before."""
    s, t = story.member("s", instance="i", session=60000), story.member("t", instance="j", session=60000)
    gather(s, t)
    new = story.member("s", instance="i", session=60000, protocols=[("sticky", STICKY)])
    new.enter()
    new.answer()  # t does not know that protocol
    new = story.member("s", instance="i", session=60000, protocols=[("sticky", STICKY), ("range", RANGE)])
    new.enter()
    new.answer()
    story.describe()
    for member in (s, t, new):
        member.heartbeat()
    t.leave()
    story.describe()
    new.join()
    new.answer()
    new.sync(assignments={new.id: b"all"})
    new.answer()
    new.leave()
    story.describe()


def leaving_without_instance(story):
    """Static members leave as dynamic ones, and dynamic ones as static ones."""
    s, t, a = (story.member("s", instance="i"), story.member("t", instance="j"), story.member("a"))
    gather(a, s, t)
    a.leave(members=[{"member_id": s.id, "group_instance_id": "j"}, {"member_id": a.id, "group_instance_id": "i"}])
    story.describe()
    s.leave(2)
    t.leave(members=[{"member_id": t.id}])
    story.describe()
    a.leave(members=[{"member_id": a.id, "group_instance_id": "unknown"}])
    story.describe()
    s.heartbeat()
    s.join()
    s.answer()
    s.id = ""
    s.enter()
    story.until_state("PreparingRebalance", members=2)
    a.join()
    answers(a, s)
    share(a, s)


def dying(story):
    """A member without heartbeats is gone after its session; the others rebalance."""
    a, b, s = story.member("a"), story.member("b", session=400), story.member("s", instance="i", session=400)
    gather(a)
    rejoin(b, a)
    share(a, b)
    story.until_state("PreparingRebalance", members=1)
    a.heartbeat()
    b.heartbeat()
    a.join()
    a.answer()
    share(a)
    rejoin(s, a)
    share(a, s)
    story.until_state("PreparingRebalance", members=1)
    s.heartbeat()
    a.join()
    a.answer()
    share(a)
    a.session = 300
    a.join()
    a.answer()
    share(a)
    story.until_state("Empty")
    story.describe()
    a.heartbeat()


def never_rejoined(story):
    """Who does not come back to a rebalance in its time is gone; a static member stays until its session ends."""
    a, b, s = (story.member("a", rebalance=500), story.member("b", rebalance=500), story.member("s", instance="i", rebalance=500))
    gather(a, b, s)
    a.join()
    a.answer()
    story.describe()
    a.sync(assignments={a.id: b"a", s.id: b"s"})
    a.answer()
    story.describe()
    b.heartbeat()
    s.heartbeat()
    s.join()
    s.answer()


def never_synced(story):
    """Who joins and does not ask for its part holds the others up for one rebalance timeout."""
    a, b = story.member("a"), story.member("b", rebalance=400)
    a.rebalance = 400
    gather(a)
    rejoin(b, a)
    a.sync(assignments={a.id: b"a", b.id: b"b"})
    a.answer()
    story.until_state("PreparingRebalance", members=1)
    b.heartbeat()
    a.heartbeat()
    a.join()
    a.answer()
    share(a)
    story.describe()


def full_group(story, version):
    """group.max.size (5): whoever comes to a full group is refused, and who joins again too late to a group that has filled up."""
    versions = MEMBER_VERSIONS[version]
    members = [story.member(name, versions=versions, rebalance=1500, session=20000) for name in "abcde"]
    gather(*members)
    f, static = story.member("f", versions=versions), story.member("s", instance="i", versions=versions)
    for member in (f, static) if version >= 5 else (f,):
        member.join()
        member.answer()
        member.join(member_id=NOBODY)
        member.answer()
        member.id = ""
    members[1].join()
    members[1].answer()
    story.describe()
    members[4].leave()
    f.enter()
    story.until_state("PreparingRebalance", members=5)
    for member in members[:4]:
        member.join()
    answers(*members[:4], f)
    share(*members[:4], f)
    story.describe()


def overfull_group(story, version):
    """Newcomers fill a group that rebalances, and its leader comes too late."""
    versions = MEMBER_VERSIONS[version]
    a, *others = (story.member(name, versions=versions, rebalance=1500, session=20000) for name in "abcdefg")
    gather(a)
    for count, member in enumerate(others[:5]):
        member.enter()
        story.until_state("PreparingRebalance", members=count + 2)
    story.describe()
    others[5].join()
    others[5].answer()
    a.join()
    a.answer()
    story.any_leader = True
    answers(*others[:5])
    share(*others[:5])
    story.describe()
    a.heartbeat()


def pending_ends(story):
    """An id that is not used in a session timeout is gone."""
    a, b = story.member("a"), story.member("b", session=300)
    b.introduce()
    gather(a)
    while b.ask("Heartbeat", 4, dict(b.identity, generation_id=-1))["error_code"] == 0:
        pass
    story.transcript = [entry for entry in story.transcript if not entry[0].startswith("b: Heartbeat")]


def odd_timeouts(story):
    """Timeouts at their limits and beyond."""
    for index, (session, rebalance, version) in enumerate(((200, 60000, 9), (1800000, 60000, 9), (30000, 0, 9), (30000, -1, 9), (30000, 2147483647, 9),
                                                           (30000, -1, 0), (30000, -1, 1), (1800000, -1, 0))):
        a = story.member(f"a{index}", group=f"-{index}", session=session, rebalance=rebalance, versions=MEMBER_VERSIONS[version])
        a.enter()
        a.answer()


STORIES = ([(f"static members {version}", static_members, version) for version in range(5, 10)]
           + [(f"static leader {version}", static_leader, version) for version in range(5, 10)]
           + [(f"full group {version}", full_group, version) for version in (0, 3, 4, 5, 9)]
           + [(f"overfull group {version}", overfull_group, version) for version in (0, 3, 4, 5, 9)]
           + [(telling.__name__.replace("_", " "), telling) for telling in (
               static_in_rebalance, static_only, leaving_without_instance, dying, never_rejoined, never_synced, pending_ends, odd_timeouts)])
