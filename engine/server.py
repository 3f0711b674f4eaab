"""An HTTP server that is bounded in every direction: connections, sizes, and how long it waits.

Nobody holds a connection for long with half a request, or an answer by not reading it. Tornado has
time-outs for requests alone, at the cost of two timers and a task for each; here one look a second
finds what is waited for in vain.
"""

import asyncio
from collections.abc import Awaitable, Hashable, Mapping
from typing import Generic, TypeVar

from tornado.http1connection import HTTP1ServerConnection
from tornado.httpserver import HTTPServer
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.iostream import IOStream

Connection = TypeVar("Connection", bound=Hashable)

BACKLOG = 4096  # connections that wait to be accepted
MAX_HEADER_BYTES = 16 * 1024
BODY_S = 10.0  # that a client may take to send one
READER_S = 15.0  # for a client to take more of an answer, in which none of it leaves
LOOK_EVERY_S = 1.0


class Waits(Generic[Connection]):
    """Until when each connection is waited for: to send a request, or to take an answer. Pure."""

    def __init__(self, idle_s: float, body_s: float, reader_s: float) -> None:
        self._idle_s = idle_s
        self._body_s = body_s
        self._reader_s = reader_s
        self._due: dict[Connection, float] = {}
        self._leaving: dict[Connection, tuple[int, float]] = {}  # bytes, and when more are due

    def for_request(self, connection: Connection, now: float) -> None:
        """Wait for the head of a request."""
        self._due[connection] = now + self._idle_s

    def for_body(self, connection: Connection, now: float) -> None:
        """Wait for its body."""
        self._due[connection] = now + self._body_s

    def over(self, connection: Connection) -> None:
        """Wait no more: the request is there, or will never be."""
        self._due.pop(connection, None)

    def for_readers(self, leaving: Mapping[Connection, int], now: float) -> None:
        """Wait for more to leave, where some of an answer has not: tell the bytes that have."""
        before, self._leaving = self._leaving, {}
        for connection, count in leaving.items():
            count_before, due = before.get(connection, (-1, now))
            is_stuck = count == count_before
            self._leaving[connection] = (count, due if is_stuck else now + self._reader_s)

    def in_vain(self, now: float) -> list[Connection]:
        """Return what has been waited for long enough."""
        readers = [connection for connection, (_, due) in self._leaving.items() if due <= now]
        return readers + [connection for connection, due in self._due.items() if due <= now]


_Waits = Waits[HTTP1ServerConnection]


class _Awaited(HTTPMessageDelegate):
    """A request on its way, which tells how far it has come."""

    def __init__(
        self, request: HTTPMessageDelegate, connection: HTTP1ServerConnection, waits: _Waits
    ) -> None:
        self._request = request
        self._connection = connection
        self._waits = waits
        self.data_received = request.data_received  # type: ignore[method-assign]

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        self._waits.for_body(self._connection, asyncio.get_running_loop().time())
        return self._request.headers_received(start_line, headers)

    def finish(self) -> None:
        self._waits.over(self._connection)
        self._request.finish()

    def on_connection_close(self) -> None:
        self._waits.over(self._connection)
        self._request.on_connection_close()


class BoundedServer(HTTPServer):
    """An HTTP server that closes connections: those over a bound, and those waited for in vain."""

    max_connections: int
    waits: _Waits
    _looking: asyncio.TimerHandle | None = None

    def handle_stream(self, stream: IOStream, address: tuple[str, int]) -> None:
        """Take a new connection if there is room for it."""
        if len(self._connections) >= self.max_connections:
            stream.close()
            return
        super().handle_stream(stream, address)
        if self._looking is None:
            self._look_later()

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """Wait for a request."""
        assert isinstance(server_conn, HTTP1ServerConnection)  # noqa: S101  # Tornado's only one
        self.waits.for_request(server_conn, asyncio.get_running_loop().time())
        return _Awaited(super().start_request(server_conn, request_conn), server_conn, self.waits)

    def on_close(self, server_conn: object) -> None:
        """Forget a connection."""
        assert isinstance(server_conn, HTTP1ServerConnection)  # noqa: S101  # as above
        self.waits.over(server_conn)
        super().on_close(server_conn)

    def _look_later(self) -> None:
        self._looking = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        self._looking = None
        now = asyncio.get_running_loop().time()
        self.waits.for_readers(self._leaving(), now)
        for connection in self.waits.in_vain(now):
            connection.stream.close()
        if self._connections:
            self._look_later()

    def _leaving(self) -> dict[HTTP1ServerConnection, int]:
        """Return the connections on which some of an answer waits, and the bytes that have left."""
        return {
            connection: connection.stream._total_write_done_index  # Tornado tells it nowhere else
            for connection in self._connections
            if connection.stream.writing()
        }


def server(
    served: HTTPServerConnectionDelegate,
    *,
    max_body_bytes: int,
    max_connections: int,
    idle_s: float,
    body_s: float = BODY_S,
    reader_s: float = READER_S,
) -> BoundedServer:
    """Return a server for what is to be served, a site of ours or an application of Tornado's.

    It waits `idle_s` for a request, `body_s` for the rest of it, and `reader_s` for a client to
    take more of an answer.
    """
    bounded = BoundedServer(
        served,
        max_body_size=max_body_bytes,
        max_buffer_size=max_body_bytes + MAX_HEADER_BYTES,
        max_header_size=MAX_HEADER_BYTES,
    )
    bounded.conn_params.header_timeout = None  # `Waits` knows
    bounded.max_connections = max_connections
    bounded.waits = Waits(idle_s, body_s, reader_s)
    return bounded
