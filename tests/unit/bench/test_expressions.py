from random import Random

import pytest

from bench.expressions import Task, balanced, float_chain, integer_sum, small_jobs
from bench.peers.operations import Ref, compute, known, levels, operations_of


def an_expression_of_each_kind() -> list[Task]:
    """Return small, balanced and long ones."""
    rng = Random(1)
    return [
        *small_jobs(rng, 200),
        balanced(rng, 257),
        float_chain(rng, 300),
        integer_sum(rng, 300),
    ]


def test_an_answer_is_what_python_makes_of_the_text() -> None:
    """To the bit and to the type: a benchmark that checks answers must know the right ones."""
    for task in an_expression_of_each_kind():
        assert repr(eval(task.text)) == repr(task.answer)


def test_the_same_seed_gives_the_same_expressions() -> None:
    """Whoever repeats a measurement measures the same."""
    assert small_jobs(Random(7), 50) == small_jobs(Random(7), 50)


@pytest.mark.parametrize("operations", [1, 2, 10, 100, 1_000])
def test_a_balanced_expression_has_as_many_operations_as_asked_for(operations: int) -> None:
    """The cost of one operation is a total divided by this number."""
    assert len(operations_of(balanced(Random(2), operations).text)) == operations


def test_the_operations_for_the_peers_compute_the_same_answer() -> None:
    """What is compared is the same work."""
    for task in an_expression_of_each_kind():
        results: list[int | float] = []
        for symbol, left, right in operations_of(task.text):
            results.append(compute(symbol, known(left, results), known(right, results)))
        assert repr(results[-1]) == repr(task.answer)


def test_a_level_holds_what_waits_for_earlier_levels_alone() -> None:
    """A level is sent as a whole: nothing in it may need another one's result."""
    jobs = [operations_of(task.text) for task in small_jobs(Random(4), 20)]
    done: set[tuple[int, int]] = set()
    for level in levels(jobs):
        for number, index in level:
            _, left, right = jobs[number][index]
            assert {(number, o.place) for o in (left, right) if isinstance(o, Ref)} <= done
        done |= set(level)
    assert len(done) == sum(map(len, jobs))
