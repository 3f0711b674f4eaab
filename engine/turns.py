"""Turns of the event loop: what takes long is done in pieces, and few of them fit into one turn.

Whoever has a piece to do asks for room first. So a turn stays short however much there is to do,
and whatever needs no room, a small job or a question, is served in between. Room is counted in
operations that are handled once, some microseconds each. Those that wait are served in order.
"""

import asyncio
from collections import deque
from contextlib import AbstractContextManager

ROOM = 192  # of one turn: a millisecond or two
SHORT_ROOM = 32  # while somebody hurries, who has some twenty turns to go through
PIECE = 48  # what it pays to ask for room for: a quarter of a millisecond
HANDING = 4  # operations handed to a queue, or planned by a step, take as long as one handled
CALL = 16  # that a call to a worker costs, with whatever it carries coming on top
FEW = 8  # that hurry: what many wait for comes soonest when most is done in a turn
LINGER = 64  # turns in which room is taken: who came may come again, and be read in short ones too


class _Hurry(AbstractContextManager[None]):
    """Entered by everybody who hurries, several at a time: it counts them."""

    def __init__(self) -> None:
        self.count = 0
        self.lingering = 0  # turns that are short still

    @property
    def is_by_few(self) -> bool:
        """Whether somebody hurries, and not so many that they only wait for each other."""
        return 0 < self.count <= FEW

    def __enter__(self) -> None:
        self.count += 1

    def __exit__(self, *_: object) -> None:
        self.count -= 1
        self.lingering = LINGER


class Turns:
    """Hands out the room of each turn."""

    def __init__(self) -> None:
        self._hurry = _Hurry()
        self._room = self._left = ROOM
        self._waiting: deque[tuple[asyncio.Future[None], int]] = deque()
        self._is_scheduled = False

    @property
    def room(self) -> int:
        """How much is to be done in one turn at the most, from the next one on."""
        if self._hurry.is_by_few or (self._hurry.lingering and not self._hurry.count):
            return SHORT_ROOM
        return ROOM

    def hurrying(self) -> AbstractContextManager[None]:
        """Keep turns short, and some after it: what is little work goes through many of them."""
        return self._hurry

    async def take(self, cost: int) -> None:
        """Return in a turn that has room for `cost`. What exceeds all room has a turn to itself."""
        if self._waiting or not self._fits(cost):
            has_room = asyncio.get_running_loop().create_future()
            self._waiting.append((has_room, cost))
            await has_room
        else:
            self._spend(cost)

    def _fits(self, cost: int) -> bool:
        return cost <= self._left or self._left == self._room

    def _spend(self, cost: int) -> None:
        self._left -= cost
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._begin_turn)

    def _begin_turn(self) -> None:
        self._is_scheduled = False
        self._hurry.lingering = max(0, self._hurry.lingering - 1)
        self._room = self._left = self.room
        while self._waiting and self._fits(self._waiting[0][1]):
            has_room, cost = self._waiting.popleft()
            if not has_room.done():  # nor cancelled
                has_room.set_result(None)
                self._spend(cost)
