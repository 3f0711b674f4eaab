"""An event loop whose time is virtual: it jumps to the next timer instead of waiting for it.

Hours pass in milliseconds, and the same program gives the same history. Nothing may come from
outside (threads, sockets): when no timer is left and nothing is ready, the loop would wait for
ever, so it raises `Deadlock`.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class Deadlock(Exception):
    """Raised when nothing is left that could ever happen."""


class _JumpingSelector(selectors.SelectSelector):
    loop: "VirtualTimeLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Deadlock("every coroutine waits, and no timer is set")
        self.loop.jump(timeout)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio loop on virtual time, in seconds from 0."""

    def __init__(self) -> None:
        self._now = 0.0
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        """Return the virtual time."""
        return self._now

    def jump(self, seconds: float) -> None:
        """Let time pass, with nothing happening in it: as when the whole process was stopped."""
        self._now += max(0.0, seconds)


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run `main` on a virtual-time loop of its own and return its result."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
