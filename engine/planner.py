"""From a task to its plan: at once if it is short, else piece by piece, between other work.

A text of a megabyte takes a second to plan. In a thread that would hold the interpreter from the
event loop again and again; in pieces it holds it for a millisecond a turn, and no longer.

What is made of a text takes some hundred times its room, so that only so much of it is in hand at a
time; the rest waits in order, the long texts among themselves.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

from engine.errors import ExpressionError, TaskTooLarge
from engine.expression.parser import parse, parse_in_pieces
from engine.plan import Plan
from engine.settings import JobsSettings
from engine.turns import HANDING, PIECE, Turns

CHARACTERS = 4  # of a task that is planned at once: they take as long as one operation handled
OPERATIONS = HANDING * PIECE  # of a piece
READ = 10 * PIECE  # characters of a piece: as many as that, or a few more
LONG_SHARE = 16  # of the longest task there may be: from this part of it on, a text is long
AT_ONCE = nullcontext()


class TextInHand:
    """Counts characters, up to `most`: whoever brings more waits. One text alone may be longer."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._characters = 0
        self._waiting: deque[tuple[asyncio.Future[None], int]] = deque()

    @asynccontextmanager
    async def holding(self, characters: int) -> AsyncIterator[None]:
        """Enter when there is room for so many, first come, first served; it is free at exit."""
        has_room = asyncio.get_running_loop().create_future()
        self._waiting.append((has_room, characters))
        self._let_in()
        try:
            await has_room
            yield
        finally:
            if not has_room.cancelled():
                self._characters -= characters
            self._let_in()

    def _let_in(self) -> None:
        while self._waiting:
            has_room, characters = self._waiting[0]
            if not has_room.cancelled():
                if self._characters and self._characters + characters > self._most:
                    return
                self._characters += characters
                has_room.set_result(None)
            self._waiting.popleft()


class Planner:
    """Makes plans as the settings say."""

    def __init__(self, settings: JobsSettings, task_bytes: int, turns: Turns) -> None:
        self._task_bytes = task_bytes
        self._large_bytes = settings.large_bytes
        self._how = {"balance_from": settings.balance_from, "chain_from": settings.chain_from}
        self._turns = turns
        self._long = TextInHand(task_bytes)
        self._short = TextInHand(task_bytes)

    def in_hand(self, characters: int) -> AbstractAsyncContextManager[None]:
        """Enter before so much text is planned; leave when its plans are in other hands."""
        if characters <= self._large_bytes:
            return AT_ONCE
        is_long = characters > self._task_bytes // LONG_SHARE
        return (self._long if is_long else self._short).holding(characters)

    def check(self, task: str) -> None:
        """Raise `TaskTooLarge` if a task has more bytes than one may have."""
        if len(task) > self._task_bytes or (
            len(task) * 4 > self._task_bytes
            and len(task.encode("utf-8", "surrogatepass")) > self._task_bytes
        ):
            raise TaskTooLarge(
                f"a task may have {self._task_bytes} bytes; split it, or raise limits.task_bytes"
            )

    async def plan_many(self, tasks: Sequence[str]) -> list[Plan | ExpressionError]:
        """Return the plan of each task, or why it has none; others have their turn in between."""
        plans: list[Plan | ExpressionError] = []
        characters = 0
        for task in tasks:
            if len(task) <= self._large_bytes:  # else it takes its turns itself
                characters += len(task)
            if characters >= CHARACTERS * PIECE:
                await self._turns.take(characters // CHARACTERS)
                characters = 0
            try:
                plans.append(await self.plan(task))
            except ExpressionError as error:
                plans.append(error.with_traceback(None))  # which has this frame, which has it
        return plans

    async def plan(self, task: str) -> Plan:
        """Return the plan of `task`. Raises `ExpressionError` if it has none."""
        if len(task) <= self._large_bytes:
            return Plan(parse(task), **self._how)
        making = self._in_pieces(task)
        while True:
            await self._turns.take(PIECE)
            try:
                next(making)
            except StopIteration as end:
                plan: Plan = end.value
                return plan

    def _in_pieces(self, task: str) -> Generator[None, None, Plan]:
        expression = yield from parse_in_pieces(task, READ)
        return (yield from Plan.in_pieces(expression, OPERATIONS, **self._how))
