"""What waits for another worker's word: who may have it."""

from collections.abc import Hashable

from engine.unconfirmed import Asked, Entry, Unconfirmed
from tests.builders import an_operation

ALL = frozenset({"sum", "mul"})


def waiting(*asked: str, name: str = "sum") -> Unconfirmed[str, Hashable]:
    """Return a queue with an operation for each, told apart by index: the workers in each asked."""
    queue: Unconfirmed[str, Hashable] = Unconfirmed()
    for index, workers in enumerate(asked):
        queue.put(("job", an_operation(index, name), 0.0), frozenset(workers))
    return queue


def somebody(_name: str, _asked: Asked[Hashable]) -> bool:
    """Say that there is always somebody else."""
    return False


def indexes(entries: list[Entry[str]]) -> list[int]:
    """Return which operations these are."""
    return [operation.index for _, operation, _ in entries]


def test_a_worker_gets_what_it_was_not_asked_for() -> None:
    """In the order in which it came, and no more than it has room for."""
    queue = waiting("a", "b", "ab", "b", "b")
    assert indexes(queue.take("a", ALL, 2, somebody)) == [1, 3]
    assert indexes(queue.take("a", ALL, 9, somebody)) == [4]
    assert indexes(queue.take("c", ALL, 9, somebody)) == [0, 2]
    assert len(queue) == 0


def test_a_worker_gets_only_what_it_takes() -> None:
    """By name."""
    queue = waiting("a", name="div")
    assert queue.take("b", ALL, 9, somebody) == []
    assert len(queue) == 1


def test_when_nobody_else_is_left_it_goes_to_one_that_was_asked() -> None:
    """Nothing waits for a worker that may never come."""
    queue = waiting("a", "ab")
    taken = queue.take("a", ALL, 9, lambda _name, asked: asked == {"a"})
    assert indexes(taken) == [0]


def test_what_waits_can_be_seen() -> None:
    """For those who ask what a job waits for."""
    assert sorted(indexes(list(waiting("a", "b", "a")))) == [0, 1, 2]


def test_what_nobody_wants_any_more_is_let_go() -> None:
    """All of one owner, and nothing of another."""
    queue = waiting("a", "b", "a")
    queue.put(("another job", an_operation(7), 0.0), frozenset("a"))
    queue.drop("job")
    assert len(queue) == 1
    assert indexes(queue.take("b", ALL, 9, somebody)) == [7]
