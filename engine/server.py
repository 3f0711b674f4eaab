"""An HTTP server that is bounded in every direction: connections, sizes, and how long it waits.

Nobody holds a connection for long with half a request, or an answer by not reading it. Tornado has
time-outs for requests alone, at the cost of two timers and a task for each; here one look a second
finds what is waited for in vain.

A request that is refused before it has been read gets its problem at once, and is the last one of
its connection. What it still sends is read for a while and forgotten: a socket that is closed with
something unread is reset, and the client might never see the answer. What Tornado itself gives up
gets no problem, since it asks nobody: a head that is no HTTP or over twice its limit, bad chunks.
"""

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Awaitable, Hashable, Mapping
from http import HTTPStatus
from time import time
from typing import Generic, TypeVar

from tornado.http1connection import HTTP1Connection, HTTP1ServerConnection
from tornado.httpserver import HTTPServer
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
    format_timestamp,
)
from tornado.iostream import IOStream, StreamClosedError

from engine.logs import Seldom
from engine.messages import Problem, encode
from engine.web import PROBLEM_TYPE, RequestRefused, quoted

log = logging.getLogger(__name__)

Connection = TypeVar("Connection", bound=Hashable)

BACKLOG = 4096  # connections that wait to be accepted
MAX_HEADER_BYTES = 16 * 1024
BODY_S = 10.0  # that a client may pause in one, and the first of which no rate is asked
LEAST_BYTES_PER_S = 10_000  # after them: a byte now and then holds no connection
READER_S = 15.0  # for a client to take more of an answer, in which none of it leaves
REST_S = 10.0  # for which it may go on after it has been refused
LONGEST_LENGTH = 18  # digits: no body has so many bytes
SLOW_REST_S = 2.0  # the same, after it has been too slow
MAX_REST_BYTES = 64 * 1024 * 1024  # and how much it may send in them
PIECE_BYTES = 64 * 1024
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

    def for_body(self, connection: Connection, now: float, began: float, received: int) -> None:
        """Wait for more of its body, of which so many bytes have come since it began."""
        in_time = began + received / LEAST_BYTES_PER_S
        self._due[connection] = self._body_s + min(now, in_time)

    def for_rest(self, connection: Connection, now: float, rest_s: float) -> None:
        """Wait until it has noticed that it is refused."""
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


_Waits = Waits[HTTP1ServerConnection]


class _Awaited(HTTPMessageDelegate):
    """A request on its way: how far it has come, and whether it may come at all."""

    _method = ""
    _began = 0.0
    _received = 0  # of the body, and after a refusal of the rest
    _is_in_body = False
    _is_refused = False

    def __init__(
        self,
        request: HTTPMessageDelegate,
        http: HTTP1Connection,
        connection: HTTP1ServerConnection,
        waits: _Waits,
        max_body_bytes: int,
    ) -> None:
        self._request = request
        self._http = http
        self._connection = connection
        self._waits = waits
        self._max_body_bytes = max_body_bytes

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        assert isinstance(start_line, RequestStartLine)  # noqa: S101  # this is a server
        self._method = start_line.method
        self._began = now = asyncio.get_running_loop().time()
        self._waits.for_body(self._connection, now, now, 0)
        try:
            self._look_at(start_line, headers)
            taken = self._request.headers_received(start_line, headers)
        except RequestRefused as refusal:
            return self._refuse_unread(refusal)
        except HTTPInputError as error:
            what = f"mend what HTTP does not allow and send it again: {quoted(str(error))}"
            return self._refuse_unread(_bad_request(what))
        self._is_in_body = True
        return taken

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self._received += len(chunk)
        if self._is_refused:
            if self._received > MAX_REST_BYTES:
                self._connection.stream.close()
            return None
        if self._received > self._max_body_bytes:
            self._refuse_midway(self._too_large(), REST_S)
            return None
        now = asyncio.get_running_loop().time()
        self._waits.for_body(self._connection, now, self._began, self._received)
        return self._request.data_received(chunk)

    def finish(self) -> None:
        if self._is_refused:
            self._connection.stream.close()
            return
        self._waits.over(self._connection)
        self._request.finish()

    def on_connection_close(self) -> None:
        self._waits.over(self._connection)
        if not self._is_refused:
            self._request.on_connection_close()

    def give_up(self) -> None:
        """Wait no more for what does not come; in the middle of a body say why."""
        if self._is_in_body and not self._is_refused:
            self._refuse_midway(
                RequestRefused(
                    HTTPStatus.REQUEST_TIMEOUT,
                    "too_slow",
                    f"a body should come with no pause of {BODY_S:g} s, and in the long run at"
                    f" {LEAST_BYTES_PER_S} bytes a second; send it again, faster or in parts",
                ),
                SLOW_REST_S,
            )
        else:
            self._connection.stream.close()

    def _look_at(self, start_line: RequestStartLine, headers: HTTPHeaders) -> None:
        size = len(start_line.path) + sum(len(name) + len(text) for name, text in headers.get_all())
        if size > MAX_HEADER_BYTES:
            raise RequestRefused(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                "too_large",
                f"path and headers may have {MAX_HEADER_BYTES} bytes together; send shorter ones",
            )
        length = headers.get("Content-Length")
        if "Transfer-Encoding" in headers:
            if length is not None or headers["Transfer-Encoding"].lower() != "chunked":
                raise _bad_request("send a body either with its Content-Length or as plain chunks")
            self._http.set_max_body_size(sys.maxsize)  # counted here, so that it can be told
        elif length is not None:
            if not length.isdecimal():
                raise _bad_request("Content-Length should be one whole number of bytes")
            if len(length) > LONGEST_LENGTH or int(length) > self._max_body_bytes:
                raise self._too_large()

    def _too_large(self) -> RequestRefused:
        return RequestRefused(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "too_large",
            f"a body may have {self._max_body_bytes} bytes; send less in one request",
        )

    async def _refuse_unread(self, refusal: RequestRefused) -> None:
        stream = self._http.detach()  # Tornado reads and serves no more of it
        self._waits.for_rest(self._connection, asyncio.get_running_loop().time(), REST_S)
        rest = MAX_REST_BYTES
        with contextlib.suppress(StreamClosedError):
            _say_last(stream, refusal, self._method)
            while rest > 0:
                rest -= len(await stream.read_bytes(PIECE_BYTES, partial=True))
                await asyncio.sleep(0)
        stream.close()

    def _refuse_midway(self, refusal: RequestRefused, rest_s: float) -> None:
        self._is_refused = True
        self._received = 0
        self._waits.for_rest(self._connection, asyncio.get_running_loop().time(), rest_s)
        self._request.on_connection_close()
        with contextlib.suppress(StreamClosedError):
            _say_last(self._connection.stream, refusal, self._method)


def _bad_request(detail: str) -> RequestRefused:
    return RequestRefused(HTTPStatus.BAD_REQUEST, "invalid_request", detail)


def _say_last(stream: IOStream, refusal: RequestRefused, method: str) -> None:
    """Answer with a problem, and nothing after it."""
    status = refusal.status
    body = encode(Problem(status.phrase, status.value, refusal.code, refusal.detail))
    headers = {
        "Date": format_timestamp(time()),
        "Content-Type": PROBLEM_TYPE,
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    lines = [f"HTTP/1.1 {status.value} {status.phrase}"]
    lines += [f"{name}: {text}" for name, text in headers.items()]
    stream.write("\r\n".join([*lines, "", ""]).encode() + (b"" if method == "HEAD" else body))
    if stream.writing():  # to one that reads nothing
        stream.close()
    if not stream.closed():
        with contextlib.suppress(OSError):
            stream.socket.shutdown(socket.SHUT_WR)


class BoundedServer(HTTPServer):
    """An HTTP server that closes connections: those over a bound, and those waited for in vain."""

    max_body_bytes: int
    max_connections: int
    turned_away: Seldom
    waits: _Waits
    requests: dict[HTTP1ServerConnection, _Awaited]  # the latest one of each connection
    _looking: asyncio.TimerHandle | None = None

    def handle_stream(self, stream: IOStream, address: tuple[str, int]) -> None:
        """Take a new connection if there is room for it."""
        if len(self._connections) >= self.max_connections:
            stream.close()
            self._note_turned_away()
            return
        super().handle_stream(stream, address)
        if self._looking is None:
            self._look_later()

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """Wait for a request."""
        assert isinstance(server_conn, HTTP1ServerConnection)  # noqa: S101  # Tornado's only one
        assert isinstance(request_conn, HTTP1Connection)  # noqa: S101  # and its only one
        self.waits.for_request(server_conn, asyncio.get_running_loop().time())
        request = super().start_request(server_conn, request_conn)
        awaited = _Awaited(request, request_conn, server_conn, self.waits, self.max_body_bytes)
        self.requests[server_conn] = awaited
        return awaited

    def on_close(self, server_conn: object) -> None:
        """Forget a connection."""
        assert isinstance(server_conn, HTTP1ServerConnection)  # noqa: S101  # as above
        self.waits.over(server_conn)
        self.requests.pop(server_conn, None)
        super().on_close(server_conn)

    def _note_turned_away(self) -> None:
        if count := self.turned_away.happened(asyncio.get_running_loop().time()):
            log.warning(
                "connections turned away since the last such line: %d; %d are open, which is all"
                " that there may be",
                *(count, len(self._connections)),
            )

    def _look_later(self) -> None:
        self._looking = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        self._looking = None
        now = asyncio.get_running_loop().time()
        for connection in self.waits.in_vain(now):
            self.requests[connection].give_up()
        for connection in self.waits.stuck(self._leaving(), now):
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

    It waits `idle_s` for a request, `body_s` for each further piece of it, and `reader_s` for a
    client to take more of an answer.
    """
    bounded = BoundedServer(
        served,
        max_body_size=max_body_bytes,
        max_buffer_size=max_body_bytes + 2 * MAX_HEADER_BYTES,
        max_header_size=2 * MAX_HEADER_BYTES,  # over its own limit, it tells the client nothing
    )
    bounded.conn_params.header_timeout = None  # `Waits` knows
    bounded.max_body_bytes = max_body_bytes
    bounded.max_connections = max_connections
    bounded.turned_away = Seldom()
    bounded.waits = Waits(idle_s, body_s, reader_s)
    bounded.requests = {}
    return bounded
