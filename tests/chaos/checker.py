"""What must hold after chaos, as a pure function on what the workers saw; `self_test` shows that it catches what it claims to."""
import copy


def faults(partition, served, watched, producers):
    """Everything that is wrong with one partition.

    served: [offset, producer, n] as read at the end; watched: the same as a consumer saw it meanwhile; producers: name →
    {"idempotent": bool, "sent": count, "reports": [[n, offset or error]]}.
    """
    found = []
    at_offset = {offset: (name, n) for offset, name, n in served}
    if [record[0] for record in served] != list(range(len(served))):
        found.append(f"partition {partition}: the offsets served have a gap or are repeated")
    if watched != served:
        differs = next((i for i, (one, other) in enumerate(zip(watched, served)) if one != other), min(len(watched), len(served)))
        found.append(f"partition {partition}: the consumer saw something else, from record {differs} on: "
                     f"{watched[differs:differs + 2]} and not {served[differs:differs + 2]}")
    for name, producer in producers.items():
        numbers = [n for _, writer, n in served if writer == name]
        there = set(numbers)
        acknowledged = [(n, offset) for n, offset in producer["reports"] if isinstance(offset, int)]
        lost = [n for n, _ in acknowledged if n not in there]
        if lost:
            found.append(f"partition {partition}: {len(lost)} acknowledged records of {name} are lost, the first is {lost[0]}")
        moved = [(n, offset) for n, offset in acknowledged if offset >= 0 and at_offset.get(offset) != (name, n)]
        if moved:
            found.append(f"partition {partition}: {name} was told that {moved[0][0]} is at {moved[0][1]}, where "
                         f"{at_offset.get(moved[0][1])} is; {len(moved)} such")
        if producer["idempotent"] and len(numbers) != len(there):
            found.append(f"partition {partition}: {len(numbers) - len(there)} records of {name} are there twice")
        firsts = list(dict.fromkeys(numbers))
        if firsts != sorted(firsts):
            found.append(f"partition {partition}: the records of {name} are not in the order in which they were sent")
    return found


def self_test():
    """A correct run has no fault; each planted one is seen."""
    served = [[i, "a" if i % 2 == 0 else "b", i // 2] for i in range(20)]
    producers = {name: {"idempotent": name == "a", "sent": 10, "reports": [[n, 2 * n + (name == "b")] for n in range(10)]} for name in "ab"}

    def planted(change):
        records, writers = copy.deepcopy(served), copy.deepcopy(producers)
        watched = change(records, writers) or records
        return faults(0, records, watched, writers)

    def drop_last(records, _):
        records.pop()

    def lose_inside(records, _):
        records[4][1:] = ["c", 0]

    def repeat(records, _):
        records.append([20, "a", 9])

    def reorder(records, writers):
        records[4][2], records[6][2] = records[6][2], records[4][2]
        writers["a"]["reports"] = [[n, -1] for n in range(10)]

    def wrong_offset(_, writers):
        writers["b"]["reports"][3][1] += 2

    def gap(records, _):
        records[19][0] = 25

    assert planted(lambda records, writers: None) == []
    assert planted(lambda records, writers: writers["b"]["reports"].__setitem__(9, [9, "_MSG_TIMED_OUT"])) == []
    for change in (drop_last, lose_inside, repeat, reorder, wrong_offset, gap):
        assert planted(change), change.__name__
    assert planted(lambda records, writers: records[:-1]) and planted(lambda records, writers: [*records[:-1], [19, "b", 8]])
