"""Until when each connection is waited for: nobody holds one for long with half a request.

Or with an answer, by not reading it.
One look a second finds what is waited for in vain, instead of a timer or two for each request.
"""

from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

BODY_S = 10.0  # that a client may pause in one, and the first of which no rate is asked
LEAST_BYTES_PER_S = 10_000  # after them: a byte now and then holds no connection
READER_S = 15.0  # for a client to take more of an answer, in which none of it leaves

Connection = TypeVar("Connection", bound=Hashable)


class Waits(Generic[Connection]):
    """What is awaited of each connection, and until when. Pure."""

    def __init__(self, idle_s: float, body_s: float, reader_s: float) -> None:
        self._idle_s = idle_s
        self._body_s = body_s
        self._reader_s = reader_s
        self._due: dict[Connection, float] = {}
        self._leaving: dict[Connection, tuple[int, float]] = {}  # bytes, and when more are due

    def for_request(self, connection: Connection, now: float) -> None:
        """Wait for the head of a request."""
        self._due[connection] = now + self._idle_s

    def for_body(self, connection: Connection, now: float, began: float, received: int) -> None:
        """Wait for more of its body, of which so many bytes have come since it began."""
        in_time = began + received / LEAST_BYTES_PER_S
        self._due[connection] = self._body_s + min(now, in_time)

    def for_rest(self, connection: Connection, now: float, rest_s: float) -> None:
        """Wait for its end: it has been refused, or has said all and may have gone."""
        self._due[connection] = now + rest_s

    def over(self, connection: Connection) -> None:
        """Wait no more: the request is there, or will never be."""
        self._due.pop(connection, None)

    def stuck(self, leaving: Mapping[Connection, int], now: float) -> list[Connection]:
        """Return those that take nothing of an answer: tell whose waits, and the bytes that left.

        Each is given its time from when this is first asked with as many of them.
        """
        before, self._leaving = self._leaving, {}
        for connection, count in leaving.items():
            count_before, due = before.get(connection, (-1, now))
            is_stuck = count == count_before
            self._leaving[connection] = (count, due if is_stuck else now + self._reader_s)
        return [connection for connection, (_, due) in self._leaving.items() if due <= now]

    def in_vain(self, now: float) -> list[Connection]:
        """Return what has been waited for long enough."""
        return [connection for connection, due in self._due.items() if due <= now]
