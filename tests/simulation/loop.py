"""An event loop whose time is virtual: it jumps to the next timer instead of waiting for it.

Hours pass in milliseconds, and the same program gives the same history. Nothing may come from
outside (threads, sockets): when no timer is left and nothing is ready, the loop would wait for
ever, so it raises `Deadlock`. There being nothing to poll, it turns without a selector, and its
heap holds numbers to compare: a seed takes a fifth less time than on asyncio's own loop.
"""

import asyncio
import contextlib
import sys
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextvars import Context, copy_context
from heapq import heappop, heappush
from typing import Any, TypeVar

Result = TypeVar("Result")


class Deadlock(Exception):
    """Raised when nothing is left that could ever happen."""


class _Handle(asyncio.TimerHandle):
    """A callback that is to be called, unless it is cancelled."""

    __slots__ = ("arguments", "callback", "context")
    __hash__ = object.__hash__  # each is equal to itself alone
    __eq__ = object.__eq__

    def __init__(
        self,
        callback: Callable[..., object],
        arguments: tuple[object, ...],
        context: Context | None,
    ) -> None:
        self.callback: Callable[..., object] | None = callback
        self.arguments = arguments
        self.context = copy_context() if context is None else context

    def cancel(self) -> None:
        self.callback, self.arguments = None, ()

    def cancelled(self) -> bool:
        return self.callback is None


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio loop on virtual time, in seconds from 0."""

    def __init__(self) -> None:
        self._now = 0.0
        self._soon: deque[_Handle] = deque()
        self._timers: list[tuple[float, int, _Handle]] = []  # a heap
        self._timers_made = 0  # of two timers for one moment, the first that was made comes first
        self._stopped = True
        super().__init__()

    def time(self) -> float:
        """Return the virtual time."""
        return self._now

    def jump(self, seconds: float) -> None:
        """Let time pass, with nothing happening in it: as when the whole process was stopped."""
        self._now += seconds

    def call_soon(
        self, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> asyncio.Handle:
        """Call back at this moment, after what is to be called already."""
        handle = _Handle(callback, args, context)
        self._soon.append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: object,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call back in so many seconds."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: object,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call back at this time."""
        handle = _Handle(callback, args, context)
        self._timers_made += 1
        heappush(self._timers, (when, self._timers_made, handle))
        return handle

    def is_running(self) -> bool:
        """Return whether callbacks are being called."""
        return not self._stopped

    def stop(self) -> None:
        """Stop after what is ready now."""
        self._stopped = True

    def run_forever(self) -> None:
        """Call what is due, then let time jump to what is due next; until `stop`."""
        self._stopped = False
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(finalizer=self._close_generator)
        asyncio._set_running_loop(self)
        try:
            while not self._stopped:
                self._turn()
        finally:
            self._stopped = True
            asyncio._set_running_loop(None)
            sys.set_asyncgen_hooks(*hooks)

    def _turn(self) -> None:
        soon, timers = self._soon, self._timers
        if not soon:
            while timers and timers[0][2].cancelled():
                heappop(timers)
            if not timers:
                raise Deadlock("every coroutine waits, and no timer is set")
            self._now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= self._now:
            soon.append(heappop(timers)[2])
        for _ in range(len(soon)):
            handle = soon.popleft()
            if handle.callback is None:
                continue
            try:
                handle.context.run(handle.callback, *handle.arguments)
            except Exception as error:
                self.call_exception_handler({"message": "in a callback", "exception": error})

    def _close_generator(self, generator: AsyncGenerator[Any, Any]) -> None:
        if not self.is_closed():
            self.create_task(_closed(generator))


async def _closed(generator: AsyncGenerator[Any, Any]) -> None:
    with contextlib.suppress(Exception):
        await generator.aclose()


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run `main` on a virtual-time loop of its own and return its result."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
