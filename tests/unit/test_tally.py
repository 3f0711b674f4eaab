"""What is counted, and how little it takes."""

from engine.errors import OperationFailed
from engine.tally import BOUNDS_S, Histogram, Tally
from tests.builders import an_operation


def test_a_call_counts_each_operation_by_its_name() -> None:
    """All with the time that the call took."""
    tally = Tally()
    steps = [an_operation(0, "sum"), an_operation(1, "mul"), an_operation(2, "sum")]
    tally.answered(steps, [3, 2, 3], 0.02)
    assert (tally.completed, tally.computed) == (3, {"sum": 2, "mul": 1})
    assert tally.call_s["sum"].sum == 0.04
    assert sum(tally.call_s["mul"].counts) == 1


def test_an_operation_without_a_result_counts_as_failed() -> None:
    """It came back all the same."""
    tally = Tally()
    failure = OperationFailed("overflow", "too large")
    tally.answered([an_operation(0, "mul"), an_operation(1, "sum")], [failure, 3], 0.1)
    assert (tally.computed["mul"], tally.failed["mul"], tally.failed["sum"]) == (1, 1, 0)


def test_a_call_that_brought_nothing_counts_by_its_reason() -> None:
    """Each operation aboard is to be tried again."""
    tally = Tally()
    tally.broke(7, "timed_out")
    assert (tally.broken, tally.retries["timed_out"], tally.completed) == (7, 7, 0)


def test_a_value_is_counted_where_it_belongs() -> None:
    """A bound belongs to the bucket that it closes; what is above all has one too."""
    histogram = Histogram()
    histogram.observe(BOUNDS_S[0])
    histogram.observe(BOUNDS_S[0] * 1.01)
    histogram.observe(1e9, times=2)
    assert histogram.counts[:2] == [1, 1]
    assert histogram.counts[-1] == 2
