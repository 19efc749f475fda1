"""What members are told: JoinGroup, SyncGroup, Heartbeat, LeaveGroup in every state and version."""
from group_story import answers, gather, offsets, only, rejoin, share, subscription

RANGE, STICKY, OTHER = subscription("plain"), subscription("plain", user_data=b"s"), subscription("timed")
NOBODY = "nobody-00000000-0000-0000-0000-000000000000"
MEMBER_VERSIONS = [(join, min(join, 5), min(join, 4), min(join, 5)) for join in range(10)]


def whole_life(story, versions):
    """Two members, from the first join to the end, described at every step."""
    a, b = (story.member(name, versions=versions) for name in "ab")
    story.describe()
    a.enter()
    a.answer()
    story.describe(5)
    a.heartbeat()
    share(a)
    story.describe()
    a.heartbeat()
    b.introduce()
    story.describe()
    b.join()
    story.until_state("PreparingRebalance")
    story.describe()
    a.heartbeat()
    a.sync()
    a.answer()
    a.join()
    answers(a, b)
    story.describe()
    for member in (a, b):
        member.heartbeat()
    share(a, b)
    for version in range(7):
        story.describe(version, "", "nowhere", include_authorized_operations=version >= 3)
    b.sync()  # again, in the stable group
    b.answer()
    b.leave()
    b.heartbeat()
    b.leave()
    a.heartbeat()
    story.describe()
    a.join()
    a.answer()
    share(a)
    a.leave()
    story.describe()
    a.heartbeat()
    a.sync()
    a.answer()
    a.join()
    a.answer()


def refused_joins(story, version):
    """JoinGroup that nobody accepts, to no group, to an empty one and to one with a member."""
    join = dict(session_timeout_ms=30000, rebalance_timeout_ms=60000, protocol_type="consumer", protocols=[{"name": "range", "metadata": RANGE}])

    def refusals(group):
        for changes in ({"session_timeout_ms": 199}, {"session_timeout_ms": 1800001}, {"session_timeout_ms": -1}, {"group_id": ""},
                        {"group_id": "", "session_timeout_ms": 1}, {"member_id": NOBODY}, {"member_id": "x"}, {"protocols": []},
                        {"protocol_type": ""}, {"protocol_type": "", "protocols": []}, {"member_id": NOBODY, "protocols": []}):
            story.tell("JoinGroup", version, **dict(dict(join, group_id=group, member_id=""), **changes))
        if version >= 5:
            for changes in ({"member_id": NOBODY}, {"protocols": []}, {"protocol_type": ""}):
                story.tell("JoinGroup", version, **dict(dict(join, group_id=group, member_id="", group_instance_id="i"), **changes))

    refusals(story.group())
    story.describe()
    a = story.member("a", versions=MEMBER_VERSIONS[version])
    a.enter()
    a.answer()
    share(a)
    for changes in ({"protocol_type": "connect"}, {"protocols": [{"name": "sticky", "metadata": b""}]}, {"protocols": []}, {"protocol_type": ""},
                    {"member_id": NOBODY}, {"member_id": NOBODY, "protocol_type": "connect"}, {"session_timeout_ms": 199}):
        story.tell("JoinGroup", version, **dict(dict(join, group_id=story.group(), member_id=""), **changes))
        if "member_id" not in changes:
            story.tell("JoinGroup", version, **dict(dict(join, group_id=story.group(), member_id=a.id), **changes))
    if version >= 5:
        story.tell("JoinGroup", version, **dict(join, group_id=story.group(), member_id=a.id, group_instance_id="i"))
    story.describe()
    a.leave()
    story.describe()
    if version >= 5:
        for index, instance in enumerate(("", "bad name", ".", "x" * 250)):  # what clients would not send
            story.tell("JoinGroup", version, **dict(join, group_id=story.group(f"-{index}"), member_id="", group_instance_id=instance))


def pending_members(story):
    """Members that have an id and nothing else."""
    a, b, c = (story.member(name) for name in "abc")
    a.introduce()
    story.describe()
    story.tell("ListGroups", 5, change=lambda answer: only(answer, story))
    a.heartbeat(generation_id=0)
    a.heartbeat(generation_id=-1)
    a.sync(generation_id=0)
    a.answer()
    a.commit(generation_id_or_member_epoch=0)
    a.commit(generation_id_or_member_epoch=-1)
    a.join(group_instance_id="i")  # an id that was given to a dynamic member
    a.answer()
    a.join()
    a.answer()
    b.introduce()
    c.introduce()
    b.leave()
    b.leave()
    b.join()
    b.answer()
    c.leave(version=2)
    c.leave(version=2)
    story.describe()
    share(a)
    b.id = ""
    b.introduce()
    b.heartbeat(generation_id=a.generation)
    b.commit(generation_id_or_member_epoch=a.generation)
    b.join()
    story.until_state("PreparingRebalance")
    a.join()
    answers(a, b)
    share(a, b)


def votes(story):
    """Protocols are chosen by votes among those that all support."""
    def of(*names):
        return [(name, subscription("plain", user_data=name.encode())) for name in names]

    a, b, c = (story.member("a", protocols=of("range", "sticky", "third")), story.member("b", protocols=of("sticky", "range")),
               story.member("c", protocols=of("sticky", "range", "other")))
    gather(a)
    story.describe()
    rejoin(b, a)
    share(a, b)
    story.describe()
    rejoin(c, a, b)
    share(a, b, c)
    story.describe()
    c.leave()
    story.until_state("PreparingRebalance")
    a.join()
    b.join()
    answers(a, b)
    share(a, b)
    d = story.member("d", protocols=of("third"))
    d.introduce()
    d = story.member("d", protocols=of("range"))
    rejoin(d, a, b)
    story.describe()
    share(a, b, d)
    a.protocols = of("sticky")  # what d does not have
    a.join()
    a.answer()
    story.describe()


def ties(story):
    """Between protocols with as many votes, a hash map's order decides."""
    for index, names in enumerate((("range", "roundrobin"), ("sticky", "cooperative-sticky"), ("b", "a"), ("x", "y"), ("cooperative-sticky", "range"),
                                   ("proto1", "proto2"), ("uniform", "range"))):
        one, other = (story.member(f"{who}{index}", group=f"-{index}", protocols=[(name, b"") for name in order], protocol_type="test")
                      for who, order in (("a", names), ("b", names[::-1])))
        gather(one, other)
        story.describe(5, f"-{index}")


def rejoining(story):
    """Leader and follower join again, with the same and with other protocols, in every state."""
    a, b = gather(story.member("a"), story.member("b"))
    for version in range(10):
        b.join(version)
        b.answer()
    b.join(session_timeout_ms=20000)
    b.answer()
    story.describe()
    b.protocols = [("range", OTHER)]
    rejoin(b, a)
    a.join()  # again while the group waits for its assignment
    b.join()
    answers(a, b)
    for version in range(10):
        a.join(version)
        b.join(version)
        answers(a, b)
    b.protocols = [("range", RANGE)]
    b.join()
    story.until_state("PreparingRebalance")
    story.describe()
    a.join()
    answers(a, b)
    share(a, b)
    rejoin(a, b)  # the leader's wish is enough
    a.protocols = [("range", STICKY)]
    a.join()
    story.until_state("PreparingRebalance")
    b.join()
    answers(a, b)
    share(a, b)
    story.describe()


def syncing(story):
    """SyncGroup that is refused, and one that brings something else than expected."""
    a, b = story.member("a"), story.member("b")
    a.enter()
    a.answer()
    for version in range(6):
        for changes in ({"generation_id": 0}, {"generation_id": 2}, {"generation_id": -1}, {"member_id": NOBODY}, {"member_id": ""},
                        {"group_id": ""}, {"group_id": story.group("nowhere")}):
            a.sync(version, **changes)
            a.answer()
        if version >= 3:
            a.sync(version, group_instance_id="i")
            a.answer()
        if version >= 5:
            for changes in ({"protocol_type": "connect"}, {"protocol_name": "sticky"}, {"protocol_type": ""}, {"protocol_name": ""}):
                a.sync(version, **changes)
                a.answer()
    a.sync(protocol_type=None, protocol_name=None, assignments={a.id: b"mine", NOBODY: b"nobody's", "": b""})
    a.answer()
    story.describe()
    for version in range(6):
        a.sync(version, assignments={a.id: b"too late"})
        a.answer()
    a.sync(protocol_name="sticky")
    a.answer()
    rejoin(b, a)
    b.sync(4)
    a.sync(assignments={a.id: b"all"})  # nothing for b
    answers(a, b)
    story.describe()
    rejoin(a, b)
    a.sync()  # nothing for anybody
    a.answer()
    b.sync(0, assignments={b.id: b"not the leader"})
    b.answer()
    story.describe()


def heartbeats(story):
    """Heartbeat in every state and version, and what is wrong with it."""
    a, b = story.member("a"), story.member("b")

    def beat():
        for version in range(5):
            for changes in ({}, {"generation_id": a.generation - 1}, {"generation_id": a.generation + 1}, {"generation_id": -1}, {"member_id": NOBODY},
                            {"member_id": ""}, {"group_id": ""}, {"group_id": story.group("nowhere")}):
                a.heartbeat(version, **changes)
            if version >= 3:
                a.heartbeat(version, group_instance_id="i")

    beat()
    a.enter()
    a.answer()
    beat()
    share(a)
    beat()
    b.enter() if b.id else b.introduce()
    b.join()
    story.until_state("PreparingRebalance")
    beat()
    a.join()
    answers(a, b)
    beat()
    a.leave()
    beat()


def leaving(story, version):
    """LeaveGroup from every state."""
    versions = MEMBER_VERSIONS[9][:3] + (version,)
    a, b, c = (story.member(name, versions=versions) for name in "abc")
    a.leave()
    a.leave(group_id="")
    a.leave(group_id="", **({"member_id": "x"} if version < 3 else {"members": []}))
    a.enter()
    a.answer()
    a.leave()  # while it is to make the assignment
    story.describe()
    a.id = ""
    gather(a, b, c)
    c.leave()
    story.describe()
    c.sync()
    c.answer()
    b.leave()  # while the group prepares
    a.join()
    a.answer()
    b.id = ""
    b.introduce()
    b.join()
    answers_after = story.state()["group_state"]
    assert answers_after in ("CompletingRebalance", "PreparingRebalance"), answers_after
    story.until_state("PreparingRebalance")
    a.leave()  # the one that was waited for
    b.answer()
    story.describe()
    share(b)
    b.leave()
    b.leave()
    story.describe()
    if version < 3:
        return
    for members in ([], [{"member_id": ""}], [{"member_id": NOBODY}], [{"member_id": "", "group_instance_id": "i"}],
                    [{"member_id": NOBODY, "group_instance_id": "i"}, {"member_id": "x"}]):
        b.leave(members=members)
        b.leave(group_id=story.group("nowhere"), members=members)


def leaving_together(story, version):
    """LeaveGroup of several members, in one request."""
    versions = MEMBER_VERSIONS[9][:3] + (version,)
    a, b, c = (story.member(name, versions=versions) for name in "abc")
    s = story.member("s", instance="s", versions=versions)
    pending = story.member("p", versions=versions)
    gather(a, b, c, s)
    pending.introduce()
    a.leave(members=[{"member_id": NOBODY}, {"member_id": b.id}, {"member_id": b.id}, {"member_id": c.id, "group_instance_id": "c"},
                     {"member_id": "", "group_instance_id": "nobody"}, {"member_id": pending.id}])
    story.describe()
    a.leave(members=[{"member_id": s.id, "group_instance_id": "other"}, {"member_id": NOBODY, "group_instance_id": "s"}, {"member_id": c.id}])
    story.describe()
    a.leave(members=[{"member_id": "", "group_instance_id": "s"}, {"member_id": "", "group_instance_id": "s"}, {"member_id": s.id, "group_instance_id": "s"}])
    a.join()
    a.answer()
    share(a)
    a.leave(members=[{"member_id": a.id, "reason": None}, {"member_id": a.id, "reason": "x" * 300}])
    story.describe()


def other_protocol_types(story):
    """What is no consumer group: Connect's, and any."""
    for kind in ("connect", "any type", "sr"):
        a, b = (story.member(f"{name}{kind[0]}", group=f"-{kind}", protocol_type=kind, protocols=[("v1", b"\0\1"), ("v0", b"")]) for name in "ab")
        gather(a, b)
        story.describe(6, f"-{kind}")
        a.commit()
        story.tell("OffsetDelete", 0, group_id=a.group_id, topics=[{"name": "plain", "partitions": [{"partition_index": 0}]}])
        b.leave()
        a.leave()
        story.describe(6, f"-{kind}")
        story.tell("OffsetDelete", 0, group_id=a.group_id, topics=[{"name": "plain", "partitions": [{"partition_index": 0}]}])
    story.tell("ListGroups", 5, change=lambda answer: only(answer, story))


def odd_subscriptions(story):
    """Metadata of consumers that is malformed or from the future."""
    for index, metadata in enumerate((b"", b"\0", b"\0\0", subscription(), subscription("plain", version=9), subscription("plain", version=-1),
                                      b"\0\0\xff\xff\xff\xff", b"\0\0\0\0\0\5\0\1a", subscription("plain")[:-4])):
        a = story.member(f"a{index}", group=f"-{index}", protocols=[("range", metadata)])
        gather(a)
        a.commit(topics=offsets("plain", {0: 1, 1: 2}))
        for topic in ("plain", "timed"):
            story.tell("OffsetDelete", 0, group_id=a.group_id, topics=[{"name": topic, "partitions": [{"partition_index": 0}]}])
        story.describe(6, f"-{index}")


def retyped(story):
    """An empty group takes another protocol type, and only an empty one."""
    a = story.member("a")
    gather(a)
    a.leave()
    b = story.member("b", protocol_type="connect", protocols=[("v1", b"x")])
    gather(b)
    story.describe()
    c = story.member("c")
    c.introduce()
    b.leave()
    story.describe()


def too_large(story):
    """Subscriptions and assignments that no record takes."""
    a, b = story.member("a"), story.member("b", protocols=[("range", subscription("plain", user_data=b"x" * 1_200_000))])
    gather(a)
    rejoin(b, a)
    a.sync(assignments={a.id: b"a", b.id: b"b"})
    a.answer()
    story.describe()
    b.sync()
    b.answer()
    b.leave()
    a.join()
    a.answer()
    a.sync(assignments={a.id: b"x" * 1_200_000})
    a.answer()
    story.describe()
    a.heartbeat()
    a.join()
    a.answer()
    share(a)
    many = offsets("plain", {0: 1}, "x" * 20)
    many[0]["partitions"] *= 12_000
    answer = a.client.ask("OffsetCommit", 9, topics=many, generation_id_or_member_epoch=a.generation, **a.identity)
    story.say("OffsetCommit of 12000", "OffsetCommit", {partition["error_code"] for partition in answer["topics"][0]["partitions"]})
    story.describe()


def first_rebalance(story):
    """group.initial.rebalance.delay.ms: who comes soon after the first is in the first generation, which each newcomer puts off."""
    groups = [[story.member(f"{name}{version}", group=f"-{version}", versions=MEMBER_VERSIONS[version]) for name in "abc"] for version in (3, 9)]
    for count in range(3):
        for members in groups:
            members[count].enter()
            story.until_state("PreparingRebalance", members[0].suffix, count + 1)
    for members in groups:
        answers(*members)
        share(*members)
        story.describe(6, members[0].suffix)
        for member in members:
            member.heartbeat()
    # The group that was left by all begins anew, with its delay.
    first, second = (story.member(name, group="-9") for name in "de")
    groups[1][0].leave(members=[{"member_id": member.id} for member in groups[1]])
    first.enter()
    story.until_state("PreparingRebalance", "-9", 1)
    second.enter()
    answers(first, second)
    share(first, second)
    story.describe(6, "-9")


STORIES = ([(f"whole life, JoinGroup {join}", whole_life, versions) for join, versions in enumerate(MEMBER_VERSIONS)]
           + [(f"refused joins {version}", refused_joins, version) for version in range(10)]
           + [(f"leaving {version}", leaving, version) for version in range(6)]
           + [(f"leaving together {version}", leaving_together, version) for version in (3, 4, 5)]
           + [(telling.__name__.replace("_", " "), telling) for telling in (
               pending_members, votes, ties, rejoining, syncing, heartbeats, too_large, other_protocol_types, odd_subscriptions, retyped)])
