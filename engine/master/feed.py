"""The stream of server-sent events: a bounded ring of them, and readers that go round in it.

A reader takes events from the ring at its own pace, so nothing is kept for a slow one: it loses its
place, and is let go.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Self

from engine.messages import Change, Snapshot, encode

RING = 240  # changes: a page that was away for a minute needs no new snapshot
RING_BYTES = 4 * 1024 * 1024
HEARTBEAT_S = 5.0  # of silence, after which a comment tells proxies that we are there
RECONNECT_MS = 1_000


class FollowerTooSlow(Exception):
    """Raised when a follower has not taken events that are no longer in the ring."""


class Feed:
    """The ring of the latest events, numbered from 1. Pure."""

    def __init__(self, era: str) -> None:
        self._era = era  # tells our numbers from those of a master before us
        self._events: deque[bytes] = deque()
        self._bytes = 0
        self.last = 0

    def event(self, kind: str, number: int, message: Snapshot | Change) -> bytes:
        """Return a message as an event of the stream."""
        return b"event: %s\nid: %s-%d\ndata: %s\n\n" % (
            kind.encode(),
            self._era.encode(),
            number,
            encode(message),
        )

    def add(self, change: Change) -> None:
        """Put a change into the ring; the oldest ones make room."""
        self.last += 1
        event = self.event("change", self.last, change)
        self._events.append(event)
        self._bytes += len(event)
        while len(self._events) > RING or (self._bytes > RING_BYTES and len(self._events) > 1):
            self._bytes -= len(self._events.popleft())

    def after(self, number: int) -> list[bytes]:
        """Return the events after `number`. Raises `FollowerTooSlow` if some are not kept."""
        missing = self.last - number
        if missing > len(self._events):
            raise FollowerTooSlow
        return list(islice(self._events, len(self._events) - missing, None))

    def forget(self) -> None:
        """Empty the ring: whoever comes back needs a snapshot."""
        self.last += 1
        self._events.clear()
        self._bytes = 0

    def place_of(self, event_id: str | None) -> int | None:
        """Return the number of an event after which all are kept, `None` if it is no such."""
        era, _, number = (event_id or "").rpartition("-")
        if era != self._era or not number.isascii() or not number.isdecimal():
            return None
        place = int(number[:18])
        return place if self.last - len(self._events) <= place <= self.last else None


class Follower:
    """One client's place in the feed: an async iterator of pieces of the stream."""

    def __init__(
        self, feed: Feed, first: bytes, place: int, on_close: Callable[["Follower"], None]
    ) -> None:
        self._feed = feed
        self._on_close = on_close
        self._first = first
        self._place = place
        self._news = asyncio.Event()
        self.closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """Return what is new, at the latest after `HEARTBEAT_S` a comment."""
        if self._first:
            piece, self._first = self._first, b""
            return piece
        try:
            async with asyncio.timeout(HEARTBEAT_S):
                while not self.closed and self._place == self._feed.last:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return b": still here\n\n"
        if self._place == self._feed.last:
            raise StopAsyncIteration
        events = self._feed.after(self._place)
        self._place += len(events)
        return b"".join(events)

    def wake(self) -> None:
        """Look whether there is something new."""
        self._news.set()

    def close(self) -> None:
        """End the stream after what is in it already."""
        self.closed = True
        self._on_close(self)
        self._news.set()
