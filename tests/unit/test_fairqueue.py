"""The fair queue: one operation per job in turn."""

from weakref import ref

from hypothesis import given
from hypothesis import strategies as st

from engine.fairqueue import FairQueue
from tests.builders import an_operation, operations

ALL = frozenset(("sum", "sub", "mul", "div"))


class Owner:
    """A job."""


def a_queue(*abilities: frozenset[str]) -> FairQueue[str]:
    """Return a queue for workers of these abilities besides those that take all."""
    queue: FairQueue[str] = FairQueue()
    queue.arrange([ALL, *abilities])
    return queue


def test_a_small_job_behind_a_large_one_is_served_in_the_next_round() -> None:
    """However many operations another job has waiting, one turn later it is my turn."""
    queue = a_queue()
    queue.put("large", operations(1000), 0.0)
    queue.put("small", operations(1), 0.0)
    assert [owner for owner, _, _ in queue.take(ALL, 2)] == ["large", "small"]


def test_one_jobs_operations_come_out_in_the_order_in_which_they_went_in() -> None:
    """Within a job and a name the queue is first in, first out."""
    queue = a_queue()
    queue.put("job", operations(5), 0.0)
    queue.put("job", [an_operation(5)], 0.0)
    assert [operation.index for _, operation, _ in queue.take(ALL, 10)] == [0, 1, 2, 3, 4, 5]


def test_a_dedicated_worker_gets_its_operations_only() -> None:
    """What nobody asked for stays where it is."""
    mul, rest = frozenset(("mul",)), frozenset(("sum", "sub"))
    queue = a_queue(mul, rest)
    queue.put("job", [an_operation(0, "sum"), an_operation(1, "mul"), an_operation(2, "sum")], 0.0)
    assert [operation.name for _, operation, _ in queue.take(mul, 5)] == ["mul"]
    assert queue.count(rest) == 2
    assert queue.count(mul) == 0
    assert len(queue) == 2


def test_what_waits_is_kept_when_workers_of_other_abilities_come() -> None:
    """It is arranged anew, and those may take it too; each job's operations keep their order."""
    queue = a_queue()
    queue.put("job", [an_operation(0, "sum"), an_operation(1, "mul"), an_operation(2, "sum")], 0.0)
    queue.put("other", [an_operation(0, "mul")], 1.0)
    adding = frozenset(("sum",))
    queue.arrange([ALL, adding])
    assert [operation.index for _, operation, _ in queue.take(adding, 9)] == [0, 2]
    assert {owner for owner, _, _ in queue.take(ALL, 9)} == {"job", "other"}


def test_in_a_turn_a_job_may_take_several_that_stand_together() -> None:
    """So that what belongs together can travel together, and nobody waits for long."""
    queue = a_queue()
    names = ["sum", "mul"] * 5
    queue.put("large", [an_operation(index, name) for index, name in enumerate(names)], 0.0)
    queue.put("small", operations(1), 0.0)
    taken = queue.take(ALL, 9, turn=4)
    assert [(owner, operation.index) for owner, operation, _ in taken] == [
        *[("large", index) for index in range(4)],
        ("small", 0),
        *[("large", index) for index in range(4, 8)],
    ]


def test_what_a_job_dropped_is_gone_and_the_others_keep_theirs() -> None:
    """Dropping one owner's operations touches nobody else's."""
    queue = a_queue()
    queue.put("gone", operations(3), 0.0)
    queue.put("stays", operations(2), 0.0)
    queue.drop("gone")
    queue.drop("gone")
    assert len(queue) == 2
    assert {owner for owner, _, _ in queue.take(ALL, 9)} == {"stays"}


def test_who_has_gone_is_forgotten_though_nobody_takes_anything() -> None:
    """Jobs that end while there is no worker for them leave nothing."""
    queue: FairQueue[Owner] = FairQueue()
    queue.arrange([ALL])
    stays = Owner()
    queue.put(stays, operations(2), 0.0)
    gone = []
    for _ in range(100):
        owner = Owner()
        queue.put(owner, operations(1), 0.0)
        queue.drop(owner)
        gone.append(ref(owner))
    del owner
    assert sum(kept() is not None for kept in gone) <= 1  # as many as there are others
    assert [entry[0] for entry in queue.take(ALL, 2)] == [stays, stays]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(sorted(ALL))), max_size=60),
    st.lists(st.integers(1, 7), max_size=40),
    st.integers(1, 5),
)
def test_nothing_is_lost_or_doubled(
    puts: list[tuple[str, str]], takes: list[int], turn: int
) -> None:
    """Whatever goes in comes out once, in whatever portions it is taken."""
    queue = a_queue()
    for index, (owner, name) in enumerate(puts):
        queue.put(owner, [an_operation(index, name)], 0.0)
    out = [entry for at_most in takes for entry in queue.take(ALL, at_most, turn)]
    assert len(queue) + len(out) == len(puts)
    out += queue.take(ALL, len(puts))
    assert sorted(operation.index for _, operation, _ in out) == list(range(len(puts)))
    assert len(queue) == 0


@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.integers(1, 40))
def test_no_job_is_more_than_one_operation_ahead_of_another(sizes: list[int], taken: int) -> None:
    """As long as two jobs have operations of a name waiting, they are served in turn."""
    queue: FairQueue[int] = FairQueue()
    queue.arrange([ALL])
    for owner, size in enumerate(sizes):
        queue.put(owner, operations(size), 0.0)
    served = [0] * len(sizes)
    for owner, _, _ in queue.take(ALL, taken):
        served[owner] += 1
    still_waiting = [served[owner] for owner, size in enumerate(sizes) if served[owner] < size]
    if still_waiting:
        assert max(served) - min(still_waiting) <= 1
