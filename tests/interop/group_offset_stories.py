"""Committed offsets, and groups as administrators see them: OffsetCommit, OffsetFetch, OffsetDelete, DescribeGroups, ListGroups,
DeleteGroups, FindCoordinator."""
from group_story import answers, gather, only, offsets, rejoin, share, subscription

NOBODY = "nobody-00000000-0000-0000-0000-000000000000"
UNKNOWN_ID, NO_ID = bytes(range(16)), bytes(16)


def with_ids(story, topics):
    """From version 10 on topics have ids instead of names; each version takes what it knows."""
    return topics and [dict({"topic_id": story.prepared.get(topic["name"], UNKNOWN_ID)}, **topic) for topic in topics]


def commit(story, version, topics, suffix="", **changes):
    values = {"group_id": story.group(suffix), "generation_id_or_member_epoch": -1, "member_id": ""}
    return story.tell("OffsetCommit", version, **dict(dict(values, topics=with_ids(story, topics)), **changes))


def by_topic(answer):
    """All offsets of a group come from a hash map."""
    for holder in answer.get("groups", [answer]):
        holder["topics"].sort(key=lambda topic: topic.get("name") or topic.get("topic_id"))
        for topic in holder["topics"]:
            topic["partitions"].sort(key=lambda partition: partition["partition_index"])
    return answer


def asked(topics):
    return topics if topics is None else [{"name": topic, "partition_indexes": list(indexes)} for topic, indexes in topics.items()]


def fetch(story, version, topics, suffix="", require_stable=False, group=None, **more):
    group_id = story.group(suffix) if group is None else group
    topics = asked(topics)
    if version < 8:
        return story.tell("OffsetFetch", version, change=by_topic if topics is None else None, group_id=group_id, topics=topics,
                          require_stable=require_stable)
    topics = with_ids(story, topics)
    return story.tell("OffsetFetch", version, change=by_topic if topics is None else None, require_stable=require_stable,
                      groups=[dict({"group_id": group_id, "topics": topics}, **more)])


def simple_consumer(story, version):
    """Commits of nobody in particular."""
    fetch(story, max(version, 2), {"plain": (0, 1)})
    commit(story, version, offsets("plain", {0: 5, 2: 7}))
    story.describe()
    story.describe(5)
    commit(story, version, offsets("plain", {0: 4}) + offsets("other", {1: 0}, "m"))
    for reading in range(1, 11):
        fetch(story, reading, {"plain": (0, 1, 2), "other": (1, 0)})
        if reading > 1:
            fetch(story, reading, None)
    for changes in ({"generation_id_or_member_epoch": 0}, {"generation_id_or_member_epoch": 1}, {"member_id": NOBODY},
                    {"member_id": NOBODY, "generation_id_or_member_epoch": 3}, {"member_id": "x"}, {"generation_id_or_member_epoch": -2}):
        commit(story, version, offsets("plain", {1: 1}), **changes)
        commit(story, version, offsets("plain", {1: 1}), "-new", **changes)
    if version >= 7:
        commit(story, version, offsets("plain", {1: 1}), group_instance_id="i")
        commit(story, version, offsets("plain", {1: 1}), "-newer", group_instance_id="i")
        commit(story, version, offsets("plain", {1: 1}), "-newer", group_instance_id="i", member_id="x", generation_id_or_member_epoch=2)
    commit(story, version, offsets("plain", {1: 1}), group_id="")
    commit(story, version, offsets("plain", {1: 1}), group_id="", generation_id_or_member_epoch=4)
    story.describe(6, "", "-new", "-newer")
    a = story.member("a")
    gather(a)
    commit(story, version, offsets("plain", {1: 9}))
    commit(story, version, offsets("plain", {1: 9}), member_id=a.id, generation_id_or_member_epoch=1)
    a.leave()
    commit(story, version, offsets("plain", {1: 10}))
    fetch(story, max(version, 2), None)
    fetch(story, max(version, 2), None, "-new")
    story.tell("DeleteGroups", 2, groups_names=[""])


def odd_commits(story, version):
    """Topics, partitions, offsets and metadata that are not there, too long or out of range."""
    commit(story, version, [])
    commit(story, version, offsets("plain", {}))
    commit(story, version, offsets("nowhere", {0: 1}))
    commit(story, version, offsets("nowhere", {}))
    story.describe()
    for topics in (offsets("plain", {0: 1, 9: 1, -1: 1, 2: 1}), offsets("nowhere", {0: 1, 1: 1}) + offsets("plain", {0: 2}),
                   offsets("plain", {0: 3}) + offsets("nowhere", {0: 1}) + offsets("other", {0: 3}), offsets("plain", {0: 1}) + offsets("plain", {0: 2, 1: 2}),
                   offsets("bad name!", {0: 1}), offsets("", {0: 1}), offsets("x" * 300, {0: 1}), offsets("__consumer_offsets", {0: 1}),
                   offsets("plain", {0: -1}), offsets("plain", {0: -2, 1: 1 << 62}), offsets("plain", {0: (1 << 63) - 1}),
                   offsets("plain", {0: 8, 1: 8}, None), offsets("plain", {0: 9}, "x" * 20), offsets("plain", {0: 10}, "x" * 21),
                   offsets("plain", {0: 11}, "\U0001d11e" * 10), offsets("plain", {0: 12}, "\U0001d11e" * 11), offsets("plain", {0: 13}, "\u00e4" * 20),
                   offsets("plain", {0: 14}, "x" * 21) + offsets("other", {0: 14}, "y"), offsets("plain", {0: 15}, "\0"),
                   offsets("plain", {0: 16}, "x" * 21) + offsets("plain", {0: 17})):
        commit(story, version, topics)
        fetch(story, 8, {"plain": (0, 1)})
    if version >= 6:
        for epoch in (-1, -2, 0, 7, 1 << 30):
            topics = offsets("plain", {0: 20})
            topics[0]["partitions"][0]["committed_leader_epoch"] = epoch
            commit(story, version, topics)
            fetch(story, 8, {"plain": (0,)})
    if version >= 10:
        for topics in (offsets("plain", {0: 30}, topic_id=UNKNOWN_ID), offsets("plain", {0: 31}, topic_id=NO_ID),
                       offsets("plain", {0: 32}, topic_id=UNKNOWN_ID) + offsets("plain", {1: 33}) + offsets("plain", {2: 34}, topic_id=NO_ID)):
            commit(story, version, topics)
            fetch(story, 10, None)
    fetch(story, 7, None)
    fetch(story, 8, None)
    fetch(story, 10, None)


def retention_of_its_own(story, version):
    """Versions 2 to 4 say how long an offset is kept."""
    for index, retention in enumerate((-1, 0, 1, 1000, 1 << 40, -2)):
        commit(story, version, offsets("plain", {0: index}), f"-{index}", retention_time_ms=retention)
        fetch(story, 8, {"plain": (0,)}, f"-{index}")


def commits_of_members(story, version):
    """OffsetCommit of a member in each state of its group."""
    a, b, s = story.member("a"), story.member("b"), story.member("s", instance="i")
    count = 0

    def commits():
        nonlocal count
        instances = [{}] + ([{"group_instance_id": "i"}, {"group_instance_id": "j"}] if version >= 7 else [])
        for member in (a, s):
            for generation in (member.generation, member.generation - 1, member.generation + 1, -1):
                for instance in instances:
                    for member_id in (member.id, NOBODY, ""):
                        count += 1
                        commit(story, version, offsets("plain", {0: count}), member_id=member_id, generation_id_or_member_epoch=generation, **instance)
        fetch(story, 8, {"plain": (0,)})

    commits()
    a.enter()
    a.answer()
    commits()
    share(a)
    commits()
    rejoin(s, a)
    commits()
    share(a, s)
    commits()
    b.enter()
    story.until_state("PreparingRebalance")
    commits()
    a.join()
    s.join()
    answers(a, b, s)
    commits()
    a.leave(members=[{"member_id": member.id} for member in (a, b)] + [{"member_id": "", "group_instance_id": "i"}])
    commits()
    story.describe()


def fetches(story, version):
    """OffsetFetch of what is there and what is not."""
    commit(story, 9, offsets("plain", {0: 5, 2: 7}, "m") + offsets("timed", {0: 1}))
    commit(story, 9, offsets("other", {0: 9}), "-other")
    lists = [{"plain": (0,)}, {"plain": (2, 1, 0)}, {"plain": (0, 0)}, {"plain": (9, -1)}, {"timed": (0,), "plain": (0,)}, {"nowhere": (0, 1)}, {"plain": ()},
             {"": (0,)}, {"bad name!": (0,), "plain": (2,)}, {}]
    for topics in lists + ([None] if version >= 2 else []):
        for stable in (False, True) if version >= 7 else (False,):
            fetch(story, version, topics, require_stable=stable)
            fetch(story, version, topics, "-nowhere", require_stable=stable)
        fetch(story, version, topics, group="")
    if version < 8:
        return
    groups = [{"group_id": story.group(suffix), "topics": with_ids(story, asked(topics))} for suffix, topics in
              (("-other", {"other": (0,)}), ("", {"plain": (0,)}), ("-nowhere", {"plain": (0,)}), ("", {"timed": (0,)}))]
    for chosen in (groups, groups[:1], groups[:3], groups[::-1], []):
        story.tell("OffsetFetch", version, groups=chosen, change=lambda answer: dict(answer, groups=sorted(answer["groups"], key=str)))
    for more in ({"member_id": "x"}, {"member_id": "x", "member_epoch": 3}, {"member_id": None, "member_epoch": 0}, {"member_id": "", "member_epoch": 5}):
        if version >= 9:
            for suffix in ("", "-nowhere"):
                fetch(story, version, {"plain": (0,)}, suffix, **more)
                fetch(story, version, None, suffix, **more)
    if version >= 10:
        for topics in ([{"topic_id": UNKNOWN_ID, "partition_indexes": [0, 1]}], [{"topic_id": NO_ID, "partition_indexes": [0]}],
                       [{"topic_id": story.prepared["plain"], "partition_indexes": [0]}, {"topic_id": UNKNOWN_ID, "partition_indexes": [0]}]):
            for suffix in ("", "-nowhere"):
                story.tell("OffsetFetch", version, groups=[{"group_id": story.group(suffix), "topics": topics}])


def delete_offsets(story, topics, suffix="", **changes):
    story.tell("OffsetDelete", 0, **dict({"group_id": story.group(suffix), "topics": [
        {"name": topic, "partitions": [{"partition_index": index} for index in indexes]} for topic, indexes in topics.items()]}, **changes))


def deleted_offsets(story):
    """OffsetDelete in each state."""
    lists = ({"plain": (0,)}, {"plain": (1, 9, -1, 0)}, {"timed": (0,)}, {"timed": (0,), "nowhere": (0, 1), "plain": (2,)}, {"nowhere": (0,)}, {"": (0,)},
             {"plain": ()}, {}, {"plain": (2, 2)}, {"other": (0, 1)})

    def deletions():
        for topics in lists:
            delete_offsets(story, topics)

    deletions()
    delete_offsets(story, {"plain": (0,)}, group_id="")
    delete_offsets(story, {"nowhere": (0,)}, group_id="")
    everything = offsets("plain", {0: 1, 1: 2, 2: 3}) + offsets("timed", {0: 4}) + offsets("other", {0: 5})
    commit(story, 9, everything)
    deletions()
    fetch(story, 8, None)
    a, b = story.member("a"), story.member("b", protocols=[("range", subscription("other"))])
    a.enter()
    a.answer()
    deletions()
    share(a)
    a.commit(topics=everything)
    deletions()
    fetch(story, 8, None)
    rejoin(b, a)
    deletions()
    share(a, b)
    a.commit(topics=everything)
    deletions()
    fetch(story, 8, None)
    b.leave()
    deletions()
    a.leave()
    deletions()
    fetch(story, 8, None)


def in_each_state(story):
    """A group in every state, by the name of the state."""
    members = {suffix: story.member("m" + suffix, group="-" + suffix) for suffix in ("stable", "completing", "preparing", "left", "pending")}
    commit(story, 9, offsets("plain", {0: 1}), "-simple")
    members["pending"].introduce()
    members["completing"].enter()
    members["completing"].answer()
    gather(*(members[suffix] for suffix in ("stable",)))
    gather(members["left"])
    members["left"].commit()
    members["left"].leave()
    gather(members["preparing"])
    newcomer = story.member("new", group="-preparing")
    newcomer.enter()
    story.until_state("PreparingRebalance", "-preparing")
    connect = story.member("c", group="-connect", protocol_type="connect", protocols=[("v1", b"")])
    gather(connect)
    return ["-" + suffix for suffix in (*members, "simple", "connect", "nowhere")]


def listings(story):
    """DescribeGroups and ListGroups with every filter."""
    suffixes = in_each_state(story)
    for version in range(7):
        story.describe(version, *suffixes)
        story.describe(version, "-stable", "-stable")
        if version >= 3:
            story.describe(version, *suffixes, include_authorized_operations=True)
        story.tell("DescribeGroups", version, groups=[])
        story.tell("DescribeGroups", version, groups=["", "."])
    filters = [{}]
    for states in (["Stable"], ["stable"], ["STABLE"], ["Stable", "Empty"], ["PreparingRebalance"], ["preparingRebalance", "CompletingRebalance"], ["Dead"],
                   ["nonsense"], [""], [" Stable "], ["Empty", "nonsense"], ["Assigning"], ["Reconciling"], ["NotReady"], ["Unknown"]):
        filters.append({"states_filter": states})
    for types in (["classic"], ["Classic"], ["CLASSIC"], ["consumer"], ["share"], ["streams"], ["classic", "consumer"], ["nonsense"], [""], [" classic"],
                  ["unknown"], ["classic", "nonsense"]):
        filters.append({"types_filter": types})
        filters.append({"types_filter": types, "states_filter": ["Empty"]})
    for version in range(6):
        for chosen in filters:
            if not ("states_filter" in chosen and version < 4 or "types_filter" in chosen and version < 5):
                story.tell("ListGroups", version, change=lambda answer: only(answer, story), **chosen)


def deletions(story, version):
    """DeleteGroups of groups in every state."""
    suffixes = in_each_state(story)
    def delete(*names):
        answer = story.tell("DeleteGroups", version, groups_names=list(names),
                            change=lambda answer: dict(answer, results=sorted(answer["results"], key=lambda result: result["group_id"])))
        assert answer is not None
    delete()
    delete("")
    delete("", ".", story.group("-nowhere"))
    delete(*(story.group(suffix) for suffix in suffixes))
    story.describe(6, *suffixes)
    delete(*(story.group(suffix) for suffix in suffixes))
    for suffix in ("-simple", "-left"):
        fetch(story, 8, None, suffix)
        fetch(story, 8, {"plain": (0,)}, suffix)
        commit(story, 9, offsets("plain", {1: 3}), suffix)
        fetch(story, 8, None, suffix)
        delete(story.group(suffix), story.group(suffix))
    story.tell("ListGroups", 5, change=lambda answer: only(answer, story))


def odd_group_names(story):
    """Ids that nothing forbids."""
    for name in (" ", ".", "..", "a/b", "\u00e4\u00f6\u00fc", "\U0001d11e clef", "x" * 1000, "tab\t", "\0", "a:b"):
        suffix = "-" + name
        a = story.member("a", group=suffix)
        commit(story, 9, offsets("plain", {0: 1}), suffix)
        gather(a)
        story.describe(6, suffix)
        a.leave()
        fetch(story, 8, None, suffix)
        story.tell("DeleteGroups", 2, groups_names=[story.group(suffix)])


def no_group_id(story):
    """Offsets under the empty id, under which nobody can be a member."""
    story.tell("OffsetCommit", 8, group_id="", generation_id_or_member_epoch=-1, topics=offsets("plain", {0: 1}))
    for version in range(6):
        protocol = {"protocol_type": "consumer", "protocol_name": "range"} if version >= 5 else {}
        story.tell("SyncGroup", version, group_id="", member_id=NOBODY, generation_id=0, **protocol)
    for version in range(5):
        story.tell("Heartbeat", version, group_id="", member_id=NOBODY, generation_id=0)
    story.tell("LeaveGroup", 5, group_id="", members=[{"member_id": NOBODY}])
    story.tell("JoinGroup", 9, group_id="", session_timeout_ms=30000, protocol_type="consumer", protocols=[{"name": "range", "metadata": b""}])
    story.tell("OffsetFetch", 8, groups=[{"group_id": "", "topics": None}])
    story.tell("DeleteGroups", 2, groups_names=[""])


def ids_too_long(story):
    """Of clients and instances, out of which no member id can be made."""
    for name, instance in (("c" * 32731, None), ("c", "i" * 32731), ("c" * 32730, None)):
        for version in (5, 9):
            a = story.member("a", group=f"-{len(name)}-{version}", instance=instance)
            a.client = story.connect(name)
            a.join(version)
            a.answer()


def odd_clients(story):
    """Clients without a name, or with one that looks like a member id."""
    for index, client_id in enumerate((None, "", "a b", "\u00e4", NOBODY)):
        a = story.member("a", group=f"-{index}")
        a.client = story.connect(client_id)
        a.introduce()
        a.join()
        a.answer()
        story.describe(6, f"-{index}")
        a.sync(assignments={a.id: b""})
        a.answer()
        story.describe(6, f"-{index}")


def deleted_topic(story):
    """With a topic its offsets go; a new topic of that name has none."""
    topic = story.name

    def create():
        created = story.admin.ask("CreateTopics", 7, timeout_ms=10000, topics=[{"name": topic, "num_partitions": 2, "replication_factor": 1}])
        story.say("CreateTopics", "CreateTopics", created["topics"][0]["error_code"])
        return created["topics"][0]["topic_id"]

    def until_known():
        while story.watcher.ask("OffsetCommit", 9, group_id=story.group("-probe"), topics=offsets(topic, {0: 0}))["topics"][0]["partitions"][0]["error_code"]:
            pass

    old = create()
    until_known()
    a = story.member("a", group="-member", protocols=[("range", subscription(topic))])
    gather(a)
    a.commit(topics=offsets(topic, {0: 1, 1: 2}) + offsets("plain", {0: 3}))
    commit(story, 9, offsets(topic, {1: 4}), "-only")
    commit(story, 9, offsets(topic, {0: 5}) + offsets("plain", {0: 6}), "-both")
    story.tell("DeleteTopics", 5, topic_names=[topic], timeout_ms=10000)
    for suffix in ("-member", "-only", "-both", "-probe"):
        while any(found["name"] == topic for found in story.watcher.ask("OffsetFetch", 8, groups=[
                {"group_id": story.group(suffix), "topics": None}])["groups"][0]["topics"]):
            pass
    commit(story, 9, offsets(topic, {0: 7}), "-both")
    fetch(story, 9, {topic: (0, 1), "plain": (0,)}, "-both")
    new = create()
    until_known()
    for suffix in ("-member", "-only", "-both"):
        fetch(story, 9, {topic: (0, 1), "plain": (0,)}, suffix)
        fetch(story, 9, None, suffix)
        for name, topic_id in (("old", old), ("new", new)):
            answer = story.admin.ask("OffsetFetch", 10, groups=[{"group_id": story.group(suffix), "topics": [{"topic_id": topic_id, "partition_indexes": [0]}]}])
            story.say(f"OffsetFetch 10 {suffix} {name}", "OffsetFetch", answer["groups"][0]["topics"][0]["partitions"])
            answer = story.admin.ask("OffsetCommit", 10, group_id=story.group("-ids"), topics=offsets("", {0: 8}, topic_id=topic_id))
            story.say(f"OffsetCommit 10 {name}", "OffsetCommit", answer["topics"][0]["partitions"])
    story.describe(6, "-member", "-only", "-both")


def coordinators(story):
    """FindCoordinator for groups."""
    def ports(answer):
        for one in answer.get("coordinators", [answer]):
            if one["port"] == story.node.port:
                one["port"] = "the broker's"
        return answer

    keys = ["", "group", story.group(), "\u00e4", "x" * 1000, "a:b:c", " "]
    for version in range(7):
        for key in keys:
            story.tell("FindCoordinator", version, change=ports, **({"coordinator_keys": [key]} if version >= 4 else {"key": key}))
        if version >= 1:
            for kind in (3, 4, -1, 127):
                story.tell("FindCoordinator", version, change=ports, key_type=kind, **({"coordinator_keys": ["group"]} if version >= 4 else {"key": "group"}))
        if version >= 4:
            for several in (keys, [], ["group", "group"], ["b", "a"]):
                story.tell("FindCoordinator", version, change=ports, coordinator_keys=several)
            story.tell("FindCoordinator", version, change=ports, key_type=5, coordinator_keys=keys)
            story.tell("FindCoordinator", version, change=ports, key_type=5, coordinator_keys=[])


STORIES = ([(f"simple consumer, OffsetCommit {version}", simple_consumer, version) for version in range(2, 11)]
           + [(f"odd commits {version}", odd_commits, version) for version in range(2, 11)]
           + [(f"retention {version}", retention_of_its_own, version) for version in (2, 3, 4)]
           + [(f"commits of members {version}", commits_of_members, version) for version in range(2, 11)]
           + [(f"fetches {version}", fetches, version) for version in range(1, 11)]
           + [(f"deletions {version}", deletions, version) for version in range(4)]
           + [(telling.__name__.replace("_", " "), telling) for telling in (deleted_offsets, deleted_topic, listings, odd_group_names, no_group_id, ids_too_long, odd_clients, coordinators)])
