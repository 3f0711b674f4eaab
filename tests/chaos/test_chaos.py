"""Masters that are killed under load lose nothing: a short run; `make chaos` is the long one."""

import asyncio

from engine.crashpoints import Point
from tests.chaos.siege import besiege, visit

# A few; `tests/chaos/run` takes all of them.
SOME: list[Point] = [
    "submit.stored",
    "write.before_commit",
    "finish.stored",
    "recovery.taken_up",
]


def silent(_: str) -> None:
    """Say nothing."""


def test_masters_that_die_at_any_moment_lose_nothing() -> None:
    """Half of them at crash points, with workers that die, hang and come back meanwhile."""
    report = asyncio.run(besiege(6, 1, silent))
    assert report.is_clean, report
    assert report.acknowledged


def test_masters_that_die_at_named_moments_lose_nothing() -> None:
    """Each point is reached: a life that ends otherwise is a fault of the test."""
    report = asyncio.run(visit(SOME, 1, silent))
    assert report.is_clean, report
    assert report.points.total() == len(SOME)
