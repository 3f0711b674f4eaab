"""Time as an argument: what decides takes `now`, what waits takes a clock.

`now()` is monotonic and only good for differences; `wall()` is for records that people read. On
the simulation's event loop, whose time is virtual, `LoopClock` needs no other form: it asks the
loop.
"""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Where coroutines get the time from."""

    def now(self) -> float:
        """Return monotonic seconds."""
        ...

    def wall(self) -> float:
        """Return seconds since the epoch."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of this clock."""
        ...


class LoopClock:
    """The running event loop's time."""

    def now(self) -> float:
        """Return the loop's monotonic seconds."""
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Suspend the caller for `seconds`."""
        await asyncio.sleep(seconds)
