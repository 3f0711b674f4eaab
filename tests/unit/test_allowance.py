"""An allowance: so much a second, whenever it is asked for."""

from random import Random

import pytest

from engine.allowance import Allowance


@pytest.mark.parametrize("pause_s", [0.0001, 0.004, 0.05, 1.0])
def test_over_any_time_no_more_is_spent_than_the_pace_allows(pause_s: float) -> None:
    """However often somebody comes for all that there is; and at a tick's pace it is all spent."""
    allowance, chance = Allowance(200, 10, 0.0), Random(3)
    now, spent = 0.0, 0
    while now < 10:
        now += chance.uniform(0, pause_s)
        left = allowance.left(now)
        allowance.spend(left)
        spent += left
        assert spent <= 10 + 200 * now
    if pause_s <= 0.05:
        assert spent > 0.95 * 200 * now


def test_what_was_not_used_is_kept_up_to_the_most() -> None:
    """Nobody makes up for a quiet hour in a moment."""
    allowance = Allowance(200, 10, 0.0)
    allowance.spend(allowance.left(0.0))
    assert [allowance.left(now) for now in (0.0, 0.01, 0.02, 3600.0)] == [0, 2, 4, 10]


def test_a_pace_of_less_than_one_a_tick_holds_too() -> None:
    """Fractions add up."""
    allowance, spent = Allowance(1, 1, 0.0), 0
    for tick in range(200):
        left = allowance.left(tick * 0.05)
        allowance.spend(left)
        spent += left
    assert spent in (10, 11)
