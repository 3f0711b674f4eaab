"""The fair queue: one operation per job in turn."""

from hypothesis import given
from hypothesis import strategies as st

from engine.fairqueue import FairQueue
from tests.builders import an_operation, operations

ALL = ("sum", "sub", "mul", "div")


def test_a_small_job_behind_a_large_one_is_served_in_the_next_round() -> None:
    """However many operations another job has waiting, one turn later it is my turn."""
    queue: FairQueue[str] = FairQueue()
    queue.put("large", operations(1000), 0.0)
    queue.put("small", operations(1), 0.0)
    assert [owner for owner, _, _ in queue.take(ALL, 2)] == ["large", "small"]


def test_one_jobs_operations_come_out_in_the_order_in_which_they_went_in() -> None:
    """Within a job and a name the queue is first in, first out."""
    queue: FairQueue[str] = FairQueue()
    queue.put("job", operations(5), 0.0)
    queue.put("job", [an_operation(5)], 0.0)
    assert [operation.index for _, operation, _ in queue.take(ALL, 10)] == [0, 1, 2, 3, 4, 5]


def test_a_dedicated_worker_gets_its_operations_only() -> None:
    """What nobody asked for stays where it is."""
    queue: FairQueue[str] = FairQueue()
    queue.put("job", [an_operation(0, "sum"), an_operation(1, "mul"), an_operation(2, "sum")], 0.0)
    assert [operation.name for _, operation, _ in queue.take(("mul",), 5)] == ["mul"]
    assert queue.count(("sum",)) == 2
    assert queue.count(("mul",)) == 0
    assert len(queue) == 2


def test_what_a_job_dropped_is_gone_and_the_others_keep_theirs() -> None:
    """Dropping one owner's operations touches nobody else's."""
    queue: FairQueue[str] = FairQueue()
    queue.put("gone", operations(3), 0.0)
    queue.put("stays", operations(2), 0.0)
    queue.drop("gone")
    queue.drop("gone")
    assert len(queue) == 2
    assert {owner for owner, _, _ in queue.take(ALL, 9)} == {"stays"}


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(ALL)), max_size=60),
    st.lists(st.integers(1, 7), max_size=40),
)
def test_nothing_is_lost_or_doubled(puts: list[tuple[str, str]], takes: list[int]) -> None:
    """Whatever goes in comes out once, in whatever portions it is taken."""
    queue: FairQueue[str] = FairQueue()
    for index, (owner, name) in enumerate(puts):
        queue.put(owner, [an_operation(index, name)], 0.0)
    out = [entry for at_most in takes for entry in queue.take(ALL, at_most)]
    assert len(queue) + len(out) == len(puts)
    out += queue.take(ALL, len(puts))
    assert sorted(operation.index for _, operation, _ in out) == list(range(len(puts)))
    assert len(queue) == 0


@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.integers(1, 40))
def test_no_job_is_more_than_one_operation_ahead_of_another(sizes: list[int], taken: int) -> None:
    """As long as two jobs have operations of a name waiting, they are served in turn."""
    queue: FairQueue[int] = FairQueue()
    for owner, size in enumerate(sizes):
        queue.put(owner, operations(size), 0.0)
    served = [0] * len(sizes)
    for owner, _, _ in queue.take(ALL, taken):
        served[owner] += 1
    still_waiting = [served[owner] for owner, size in enumerate(sizes) if served[owner] < size]
    if still_waiting:
        assert max(served) - min(still_waiting) <= 1
