"""From tasks to plans: in turns with others, however many or large they are."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import overload

from engine.errors import ExpressionError
from engine.planner import CHARACTERS, LONG_SHARE, Planner, TextInHand
from engine.settings import JobsSettings, LimitsSettings
from engine.turns import PIECE, ROOM, Turns

LARGE = JobsSettings().large_bytes


class Watched(Sequence[str]):
    """Tasks that know in which turn of the loop each of them was taken."""

    def __init__(self, tasks: Sequence[str]) -> None:
        self.taken_in: list[int] = []
        self.turn = 0
        self._tasks = tasks

    def __len__(self) -> int:
        return len(self._tasks)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...
    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        return self._tasks[place]

    def __iter__(self) -> Iterator[str]:
        for task in self._tasks:
            self.taken_in.append(self.turn)
            yield task


def planned(tasks: Sequence[str]) -> Counter[int]:
    """Plan tasks; return how many characters were begun with in each turn of the loop."""
    watched = Watched(tasks)

    async def main() -> None:
        planner = Planner(JobsSettings(), LimitsSettings().task_bytes, Turns())
        planning = asyncio.ensure_future(planner.plan_many(watched))
        while not planning.done():
            await asyncio.sleep(0)
            watched.turn += 1
        assert not any(isinstance(plan, ExpressionError) for plan in await planning)

    asyncio.run(main())
    characters: Counter[int] = Counter()
    for task, turn in zip(tasks, watched.taken_in, strict=True):
        characters[turn] += len(task)
    return characters


def test_of_many_small_tasks_as_many_are_planned_in_a_turn_as_there_is_room_for() -> None:
    """A thousand of them are some twenty turns, and not a thousand; none of those is long."""
    tasks = ["1+2*3-4/5"] * 1_000
    by_turn = planned(tasks)
    assert max(by_turn.values()) <= CHARACTERS * (ROOM + PIECE)
    assert len(by_turn) <= len(tasks) / 10


def test_of_tasks_that_are_planned_at_once_each_takes_its_room() -> None:
    """Four of them in a turn would hold the loop for 30 ms."""
    task = "1" + "+1" * (LARGE // 2 - 1)
    by_turn = planned([task] * 20)
    assert max(by_turn.values()) <= 2 * len(task)  # one that is being begun with, and one before
    assert len(by_turn) >= 19


def test_a_large_task_takes_its_turns_itself() -> None:
    """What is small behind it need not pay for it."""
    large = "1" + "+1" * LARGE
    by_turn = planned([large, "1+1", large, "1+1"])
    assert len(by_turn) <= 3


class Holders:
    """Hold some text until they are told to let go of it."""

    def __init__(self, text: TextInHand) -> None:
        self._text = text
        self.holding: list[str] = []
        self._over = {name: asyncio.Event() for name in "abcd"}

    async def hold(self, name: str, characters: int) -> None:
        """Hold so much."""
        async with self._text.holding(characters):
            self.holding.append(name)
            await self._over[name].wait()
            self.holding.remove(name)

    async def let_go(self, name: str) -> None:
        """Let go, and let others have their turn."""
        self._over[name].set()
        await turns()


async def turns() -> None:
    """Let what can go on go on."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_only_so_much_text_is_in_hand_and_the_rest_waits_in_order() -> None:
    """Whoever needs less does not pass by; what is longer than all room has it to itself."""

    async def main() -> None:
        holders = Holders(TextInHand(10))
        needs = {"a": 6, "b": 15, "c": 4, "d": 6}
        async with asyncio.TaskGroup() as group:
            for name, characters in needs.items():
                group.create_task(holders.hold(name, characters))
            await turns()
            assert holders.holding == ["a"]
            await holders.let_go("a")
            assert holders.holding == ["b"]
            await holders.let_go("b")
            assert holders.holding == ["c", "d"]
            await holders.let_go("c")
            await holders.let_go("d")

    asyncio.run(main())


def test_who_gives_up_takes_no_room() -> None:
    """Neither while it waits nor when its turn has just come."""

    async def main() -> None:
        holders = Holders(TextInHand(10))
        first, waits, next_one, last = (
            asyncio.ensure_future(holders.hold(name, 10)) for name in "abcd"
        )
        await turns()
        waits.cancel()
        await turns()
        first.cancel()
        await asyncio.sleep(0)
        next_one.cancel()
        await turns()
        assert holders.holding == ["a", "d"]  # the first one was broken off where it held it
        await holders.let_go("d")
        await asyncio.wait([first, waits, next_one, last])

    asyncio.run(main())


def test_long_texts_wait_among_themselves() -> None:
    """And what is planned at once waits for nobody."""

    async def main() -> None:
        most = LimitsSettings().task_bytes
        planner = Planner(JobsSettings(), most, Turns())
        async with planner.in_hand(most), planner.in_hand(most // LONG_SHARE):
            async with planner.in_hand(LARGE):
                pass
            waiting = asyncio.ensure_future(entered(planner, most))
            await turns()
            assert not waiting.done()
        await waiting

    asyncio.run(main())


async def entered(planner: Planner, characters: int) -> None:
    """Have so much in hand for a moment."""
    async with planner.in_hand(characters):
        pass
