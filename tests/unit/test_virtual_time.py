"""The loop of virtual time: what asyncio promises of a loop, without waiting for anything."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.simulation.loop import Deadlock, run


def test_time_jumps_to_the_next_timer() -> None:
    """A day passes at once."""

    async def main() -> float:
        await asyncio.sleep(86_400.0)
        return asyncio.get_running_loop().time()

    assert run(main()) == 86_400.0


def test_timers_come_in_order_and_those_of_one_moment_as_they_were_made() -> None:
    """A cancelled one never comes."""
    came: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for at, name in ((2.0, "c"), (1.0, "a"), (1.0, "b"), (3.0, "d")):
            loop.call_at(at, came.append, name)
        loop.call_at(1.5, came.append, "cancelled").cancel()
        await asyncio.sleep(5.0)

    run(main())
    assert came == ["a", "b", "c", "d"]


def test_what_is_ready_comes_before_what_it_makes_ready() -> None:
    """As in asyncio: a turn calls what was ready when it began."""
    came: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: loop.call_soon(came.append, "second turn"))
        loop.call_soon(came.append, "first turn")
        await asyncio.sleep(1.0)

    run(main())
    assert came == ["first turn", "second turn"]


def test_waiting_for_what_can_never_happen_is_a_deadlock() -> None:
    """Nothing may come from outside."""

    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock):
        run(main())


def test_a_time_out_ends_what_waits() -> None:
    """It does so at its own time."""

    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.0):
                await asyncio.sleep(10.0)
        return asyncio.get_running_loop().time()

    assert run(main()) == 2.0


def test_a_callback_that_raises_is_told_and_stops_nothing() -> None:
    """The exception handler is told."""
    told: list[BaseException | None] = []

    def fail() -> None:
        raise ValueError("by intention")

    async def main() -> str:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
        loop.call_soon(fail)
        await asyncio.sleep(1.0)
        return "went on"

    assert run(main()) == "went on"
    assert [str(error) for error in told] == ["by intention"]


def test_a_generator_that_nobody_reads_on_is_closed() -> None:
    """Its `finally` is run to the end."""
    closed = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(1.0)
            closed.append("closed")

    async def main() -> None:
        async for _ in numbers():
            break
        await asyncio.sleep(2.0)

    run(main())
    assert closed == ["closed"]
