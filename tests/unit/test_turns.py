"""Turns of the loop: how much fits into one."""

import asyncio
from contextlib import ExitStack

from engine.turns import FEW, LINGER, ROOM, SHORT_ROOM, Turns


def test_turns_are_short_while_a_few_hurry_and_for_some_turns_after_it() -> None:
    """What is little work goes through many of them, and whoever came may come again."""
    turns = Turns()
    assert turns.room == ROOM
    with turns.hurrying():
        assert turns.room == SHORT_ROOM
        with turns.hurrying():
            assert turns.room == SHORT_ROOM
    assert turns.room == SHORT_ROOM

    async def lingering() -> None:
        for _ in range(LINGER):
            assert turns.room == SHORT_ROOM
            await turns.take(1)
            await asyncio.sleep(0)  # the turn is over

    asyncio.run(lingering())
    assert turns.room == ROOM


def test_of_many_who_hurry_none_makes_turns_short() -> None:
    """What many wait for comes soonest when most is done in a turn."""
    turns = Turns()
    with ExitStack() as few:
        for _ in range(FEW):
            few.enter_context(turns.hurrying())
        with turns.hurrying():
            assert turns.room == ROOM
        assert turns.room == SHORT_ROOM
