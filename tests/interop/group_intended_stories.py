"""Where kurier is not Apache Kafka on purpose (docs/coordinator.md): each with the number of answers that differ."""
from group_story import answers, gather, share, subscription


def replaced_join(story):
    """A JoinGroup that a newer one of the same member replaces: Apache Kafka never answers it."""
    a, b = gather(story.member("a"), story.member("b"))
    c = story.member("c")
    c.enter()
    story.until_state("PreparingRebalance")
    first = story.member("c")
    first.client, first.waiting, first.id = c.client, c.waiting, c.id
    c.reconnect()
    c.join()
    first.heard()
    a.join()
    b.join()
    answers(a, b, c)
    share(a, b, c)


def named_twice(story):
    """A protocol that a client names twice counts once; Apache Kafka fails and does not answer."""
    a = story.member("a", protocols=[("range", subscription("plain"))] * 2)
    a.introduce()
    a.join()
    a.heard()


def no_transactions(story):
    """Coordinators of transactions and share groups are not there yet."""
    story.tell("FindCoordinator", 6, key_type=1, coordinator_keys=["t"], change=lambda answer: answer["coordinators"][0]["error_code"])
    story.tell("FindCoordinator", 3, key_type=1, key="t", change=lambda answer: answer["error_code"])


STORIES = [(replaced_join, 1), (named_twice, 1), (no_transactions, 2)]
