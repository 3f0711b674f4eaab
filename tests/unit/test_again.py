"""What is to be asked again: who may have it, and with what else."""

from engine.again import Again, Entry, Terms, Workers
from tests.builders import an_operation

ALL = frozenset({"sum", "mul"})


class Job:
    """What is known of each of its operations, by index; and how often that was asked."""

    def __init__(self, *terms: Terms) -> None:
        self.terms = list(terms)
        self.asked = 0

    def entries(self) -> list[Entry["Job"]]:
        """Return all of its operations."""
        return [
            (self, an_operation(index, terms.name), float(index))
            for index, terms in enumerate(self.terms)
        ]


def terms_of(entry: Entry[Job]) -> Terms:
    """Return what is known of an operation now."""
    job, operation, _ = entry
    job.asked += 1
    return job.terms[operation.index]


def waiting(*jobs: Job) -> Again[Job]:
    """Return a queue with all operations of some jobs."""
    queue = Again(terms_of)
    for job in jobs:
        queue.put(job.entries())
    return queue


def avoiding(workers: str, **more: bool) -> Terms:
    """Return the terms of a sum that avoids these workers, each a letter."""
    return Terms("sum", frozenset(workers), **more)


def somebody(_name: str, _avoid: Workers) -> bool:
    """Say that there is always somebody else."""
    return False


def take(queue: Again[Job], worker: str, at_most: int = 9, *, is_idle: bool = True) -> list[int]:
    """Let a worker that takes all take; return which operations it got."""
    taken = queue.take(worker, ALL, at_most, somebody, is_idle=is_idle)
    assert taken is not None
    return [operation.index for _, operation, _ in taken]


def test_a_worker_gets_what_does_not_avoid_it() -> None:
    """In the order in which it came, and no more than it has room for."""
    queue = waiting(Job(*map(avoiding, ("a", "b", "ab", "b", "b"))))
    assert take(queue, "a", 2) == [1, 3]
    assert take(queue, "a") == [4]
    assert take(queue, "c") == [0, 2]
    assert len(queue) == 0


def test_a_worker_gets_only_what_it_takes() -> None:
    """By name."""
    queue = waiting(Job(Terms("div")))
    assert take(queue, "b") == []
    assert (queue.count(ALL), queue.count({"div"}), len(queue)) == (0, 1, 1)


def test_when_nobody_else_is_left_it_goes_to_one_that_it_avoids() -> None:
    """Nothing waits for a worker that may never come."""
    queue = waiting(Job(avoiding("a"), avoiding("ab")))
    taken = queue.take("a", ALL, 9, lambda _name, avoid: avoid == {"a"}, is_idle=True)
    assert taken is not None
    assert [operation.index for _, operation, _ in taken] == [0]


def test_what_is_to_be_alone_is_alone() -> None:
    """It comes with nothing, and to nothing."""
    queue = waiting(Job(avoiding("b"), avoiding("b", alone=True), avoiding("b", alone=True)))
    assert take(queue, "a") == [0]
    assert take(queue, "a") == [1]
    assert take(queue, "a") == [2]


def test_what_is_suspected_waits_for_a_worker_that_is_idle_and_others_wait_behind_it() -> None:
    """Else a worker might never be idle. One that may not have it is not concerned."""
    suspected = avoiding("b", alone=True, suspected=True)
    queue = waiting(Job(suspected, avoiding("")))
    assert queue.take("a", ALL, 9, somebody, is_idle=False) is None
    assert take(queue, "b", is_idle=False) == [1]
    assert take(queue, "a") == [0]


def test_no_group_keeps_another_one_waiting() -> None:
    """Each has its turn, however much there is of one."""
    queue = waiting(Job(*[avoiding("b")] * 3, avoiding("c")))
    assert [take(queue, "a", 1) for _ in range(4)] == [[0], [3], [1], [2]]


def test_what_was_learned_of_an_operation_while_it_waits_counts() -> None:
    """It has failed elsewhere meanwhile: a copy of it was on its way."""
    job = Job(avoiding("b"), avoiding("b"))
    queue = waiting(job)
    job.terms[0] = avoiding("ab")
    assert take(queue, "a") == [1]
    assert take(queue, "a") == []
    assert take(queue, "c") == [0]


def test_what_nobody_may_have_now_costs_nothing() -> None:
    """However much of it there is, and however often others look."""
    gone = Job(*[avoiding("a")] * 1_000, *[Terms("div")] * 1_000)
    queue = waiting(gone)
    gone.asked = 0
    for _ in range(50):
        assert take(queue, "a") == []
    assert gone.asked == 0


def test_what_waits_can_be_seen() -> None:
    """For those who ask what a job waits for, and for how long."""
    queue = waiting(Job(*map(avoiding, "aba")))
    assert sorted(operation.index for _, operation, _ in queue) == [0, 1, 2]
    assert queue.oldest() == 0.0
    assert take(queue, "b") == [0, 2]
    assert queue.oldest() == 1.0
    assert take(queue, "a") == [1]
    assert queue.oldest() is None


def test_what_nobody_wants_any_more_is_let_go() -> None:
    """All of one job, and nothing of another."""
    gone, stays = Job(*map(avoiding, "aba")), Job(avoiding("a"))
    queue = waiting(gone, stays)
    queue.drop(gone)
    assert len(queue) == 1
    assert [owner for owner, _, _ in queue] == [stays]
    assert take(queue, "b") == [0]
