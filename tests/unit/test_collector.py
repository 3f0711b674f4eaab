"""The collector of reference cycles: nothing while there is work, all of it in the end."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from engine.clock import LoopClock
from engine.collector import (
    ALL_EVERY_S,
    FEW,
    IDLE_SHARE,
    LOOK_EVERY_S,
    MOMENT_S,
    Collector,
    Generation,
    collect_when_idle,
)
from tests.simulation.loop import run

MANY = FEW + 1
QUIET_S = 0.9 * IDLE_SHARE * MOMENT_S


def test_the_young_are_looked_at_when_the_thread_was_idle() -> None:
    """So nobody waits for it."""
    collector = Collector(0.0, 0.0)
    assert collector.due(1.0, 0.9 * IDLE_SHARE, QUIET_S, MANY) is Generation.YOUNG


def test_nothing_is_looked_at_while_there_is_work() -> None:
    """However much is young: that is when a look would take longest."""
    collector = Collector(0.0, 0.0)
    for second in range(1, int(ALL_EVERY_S)):
        assert collector.due(second, IDLE_SHARE * second, QUIET_S, 10_000 * second) is None


def test_a_load_that_has_just_begun_is_work() -> None:
    """Thousands of jobs are made in its first tenth of a second, and all of them are young."""
    collector, busy_s = Collector(0.0, 0.0), IDLE_SHARE * MOMENT_S
    assert collector.due(1.0, 0.1, busy_s, MANY) is None
    assert collector.due(2.0, 0.1, QUIET_S, MANY) is Generation.YOUNG


def test_a_few_objects_are_not_worth_a_look() -> None:
    """An idle master stays idle."""
    assert Collector(0.0, 0.0).due(1.0, 0.0, QUIET_S, FEW) is None


def test_idleness_is_that_of_the_time_since_the_last_question() -> None:
    """What was done long ago does not count, nor does what was not done."""
    collector = Collector(0.0, 0.0)
    assert collector.due(10.0, 10.0, QUIET_S, MANY) is None
    assert collector.due(11.0, 10.0, QUIET_S, MANY) is Generation.YOUNG
    assert collector.due(12.0, 11.0, QUIET_S, MANY) is None


def test_everything_is_looked_at_in_the_end() -> None:
    """Every ten minutes, by the first idle second after that."""
    collector = Collector(0.0, 0.0)
    assert collector.due(ALL_EVERY_S - 1, 0.0, QUIET_S, 0) is None
    assert collector.due(ALL_EVERY_S, 0.0, QUIET_S, 0) is Generation.ALL
    assert collector.due(ALL_EVERY_S + 1, 0.0, QUIET_S, 0) is None
    assert collector.due(2 * ALL_EVERY_S, 0.0, QUIET_S, 0) is Generation.ALL


def test_a_load_that_never_ceases_does_not_put_it_off_for_ever() -> None:
    """Then it is every twenty minutes: memory is bounded whatever comes."""
    collector = Collector(0.0, 0.0)
    assert collector.due(1.9 * ALL_EVERY_S, 1.9 * ALL_EVERY_S, QUIET_S, MANY) is None
    assert collector.due(2.0 * ALL_EVERY_S, 2.0 * ALL_EVERY_S, QUIET_S, MANY) is Generation.ALL


class Knot:
    """A reference cycle: no reference count frees it."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture
def interpreters_own() -> Iterator[None]:
    """Put the interpreter's way back, whatever a test has left."""
    yield
    gc.enable()


@pytest.mark.usefixtures("interpreters_own")
def test_knots_of_the_young_are_untied_within_a_second_of_idleness() -> None:
    """And the interpreter does not look by itself, until that is over."""

    async def knot_and_wait() -> tuple[bool, bool]:
        collecting = asyncio.create_task(collect_when_idle(LoopClock()))
        await asyncio.sleep(0)
        knots = [Knot() for _ in range(10 * FEW)]
        last = weakref.ref(knots[-1])
        del knots
        before = last() is not None
        await asyncio.sleep(1.5 * LOOK_EVERY_S)
        collecting.cancel()
        await asyncio.gather(collecting, return_exceptions=True)
        return before, last() is None

    assert run(knot_and_wait()) == (True, True)
    assert gc.isenabled()
