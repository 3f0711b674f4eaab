"""Turns of the event loop: what takes long is done in pieces, and few of them fit into one turn.

Whoever has a piece to do asks for room first. So a turn stays short however much there is to do,
and whatever needs no room, a small job or a question, is served in between. Room is counted in
operations that are handled once, some microseconds each. Those that wait are served in order.
"""

import asyncio
from collections import deque

ROOM = 192  # of one turn: a millisecond, or less
PIECE = 96  # what it pays to ask for room for


class Turns:
    """Hands out the room of each turn."""

    def __init__(self, room: int = ROOM) -> None:
        self._room = self._left = room
        self._waiting: deque[tuple[asyncio.Future[None], int]] = deque()
        self._is_scheduled = False

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
        self._left = self._room
        while self._waiting and self._fits(self._waiting[0][1]):
            has_room, cost = self._waiting.popleft()
            if not has_room.done():  # nor cancelled
                has_room.set_result(None)
                self._spend(cost)
