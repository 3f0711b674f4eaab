"""A disk that forgets what was not synced, and the store on it that the simulated master uses.

Transactions wait until their group is committed, a moment later. A power cut in that moment keeps
a first part of the group, whole transactions only, and tells nobody which.
"""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

from engine.errors import StoreError
from engine.store.memory import MemoryRecord

SYNC_S = 0.002


class SimulatedStore:
    """The store contract on a record that outlives it, with group commit and power cuts."""

    def __init__(self, disk: MemoryRecord, random: Random) -> None:
        self._disk = disk
        self._random = random
        self._group: list[tuple[Callable[[], Any], asyncio.Future[Any]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._cut = False
        self.full = False  # writes fail, as on a full disk
        self.broken = False

    async def open(self) -> None:
        """Nothing to do: the record is there."""

    async def close(self) -> None:
        """Commit what waits."""
        self._commit()

    def power_cut(self) -> None:
        """Lose what is not synced: of the open group a first part may be on the disk already."""
        self._cut = True
        for transaction, _ in self._group[: self._random.randint(0, len(self._group))]:
            transaction()
        self._group.clear()
        if self._timer is not None:
            self._timer.cancel()

    async def _write(self, transaction: Callable[[], Any]) -> Any:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        if not self._cut:
            self._group.append((transaction, done))
            if self._timer is None:
                delay_s = SYNC_S * self._random.uniform(0.5, 3.0)
                self._timer = loop.call_later(delay_s, self._commit)
        return await done  # after a power cut for ever: nobody is there to be answered

    def _commit(self) -> None:
        self._timer = None
        group, self._group = self._group, []
        for transaction, done in group:
            result = StoreError("the disk is full") if self.full else transaction()
            if done.done():
                continue
            if isinstance(result, Exception):
                done.set_exception(result)
            else:
                done.set_result(result)
