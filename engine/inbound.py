"""A connection that somebody has made to us: requests come in, a response to each leaves.

Requests are served one at a time, in their order, each when the response to the one before it has
left: who does not read is not read on. One that is refused before it has been read gets its problem
in its turn, and is the last one of its connection. What comes behind it is read for a while and
forgotten: a socket that is closed with something unread is reset, and the client might never see
the answer.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from http import HTTPStatus
from time import time
from typing import NamedTuple

from tornado.httputil import (
    HTTPHeaders,
    HTTPServerRequest,
    ResponseStartLine,
    format_timestamp,
)
from tornado.iostream import StreamClosedError

from engine.messages import Problem, encode
from engine.requestparser import RequestParser
from engine.responder import Responder
from engine.waits import BODY_S, LEAST_BYTES_PER_S, Waits
from engine.web import PROBLEM_TYPE, RequestRefused, quoted

log = logging.getLogger(__name__)

ROOM_BYTES = 64 * 1024  # that are read in a turn of the loop
UNREAD_BYTES = 4 * 1024  # with more than these behind a request no more is read meanwhile
MAX_REST_BYTES = 64 * 1024 * 1024  # that may come after a refusal
REST_S = 10.0  # and for how long
SLOW_REST_S = 2.0  # the same, after it has been too slow
HALF_CLOSED_S = 2.0  # for an answer to who says no more: it may have gone

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Terms(NamedTuple):
    """What the connections of a server have in common."""

    serve: Callable[[HTTPServerRequest], object]
    waits: "Waits[Inbound]"
    max_body_bytes: int
    room: memoryview  # what comes is read into, by one connection at a time
    gone: Callable[["Inbound"], None]


class Inbound(asyncio.BufferedProtocol):
    """The connection itself."""

    protocol = "http"

    def __init__(self, terms: Terms) -> None:
        self.remote_ip = ""
        self._terms = terms
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = RequestParser(self, terms.max_body_bytes)
        self._responder: Responder | None = None  # to the request that is being served
        self._is_to_go_on = False  # in the next turn of the loop
        self._is_idle = False  # waiting for a request
        self._body_began: float | None = None  # to be waited for
        self._is_paused = False
        self._has_ended = False  # the client's side
        self._is_over = False  # nothing more is served
        self._rest = MAX_REST_BYTES
        self._sent_bytes = 0
        self._leaving: list[asyncio.Future[None]] = []

    # What asyncio says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a request."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # of a stream
        transport.set_write_buffer_limits(high=0)  # it says when all that was written has left
        self._transport = transport
        if self._is_over:
            transport.abort()
            return
        peer = transport.get_extra_info("peername")
        self.remote_ip = peer[0] if peer else ""
        self._settle()

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Return where to put what comes."""
        return self._terms.room

    def buffer_updated(self, count: int) -> None:
        """Take what has come."""
        if self._is_over:
            self._rest -= count
            if self._rest < 0:
                self.abort()
            return
        self._parser.take(self._terms.room[:count].tobytes())
        if not self._is_to_go_on:
            self._go_on()

    def eof_received(self) -> bool:
        """Answer what has come, if that takes no time: most of those who say no more have gone."""
        self._has_ended = True
        if self._responder is not None and self._responder.tell_closed():
            self.abort()
        else:
            self._settle()
        return not self._is_over

    def resume_writing(self) -> None:
        """Tell that all has left, and go on."""
        leaving, self._leaving = self._leaving, []
        for future in leaving:
            if not future.done():
                future.set_result(None)
        self._loop.call_soon(self._settle)  # the transport is in the middle of it

    def connection_lost(self, _error: Exception | None) -> None:
        """Tell whoever answers, and be forgotten."""
        self._is_over = True
        self._terms.waits.over(self)
        self._terms.gone(self)
        leaving, self._leaving = self._leaving, []
        for future in leaving:
            _fail(future)
        responder, self._responder = self._responder, None
        if responder is not None:
            responder.tell_closed()
        self._parser.close()

    # What the server says

    def give_up(self) -> None:
        """Wait no more for what does not come; in the middle of a body say why."""
        if self._is_over or self._responder is not None or self._parser.body_bytes is None:
            self.abort()
            return
        self._refuse(
            RequestRefused(
                HTTPStatus.REQUEST_TIMEOUT,
                "too_slow",
                f"a body should come with no pause of {BODY_S:g} s, and in the long run at"
                f" {LEAST_BYTES_PER_S} bytes a second; send it again, faster or in parts",
            ),
            SLOW_REST_S,
        )

    def abort(self) -> None:
        """Close the connection, whatever has not left yet."""
        self._is_over = True
        if self._transport is not None:
            self._transport.abort()

    def left_bytes(self) -> int | None:
        """Return how much of what was sent has left, `None` if that is all."""
        waiting = self._transport.get_write_buffer_size() if self._transport is not None else 0
        return self._sent_bytes - waiting if waiting else None

    # What a responder says

    def write(self, data: bytes) -> "asyncio.Future[None]":
        """Send; the future tells when all of it has left, or that nobody is there."""
        future: asyncio.Future[None] = self._loop.create_future()
        if self._transport is None or self._transport.is_closing():
            return _fail(future)
        self._sent_bytes += len(data)
        self._transport.write(data)
        if self._transport.get_write_buffer_size():
            self._leaving.append(future)
        else:
            future.set_result(None)
        if self._has_ended:
            self._settle()  # what it is sent renews its time
        return future

    def finished(self, responder: Responder) -> None:
        """Go on with the next request."""
        self._responder = None
        self._body_began = None
        self._is_idle = False
        if responder.is_last:
            self._close()
        else:
            self._settle()

    # One request after another

    def _go_on(self) -> None:
        """Serve the next request, unless another one is being served."""
        self._is_to_go_on = False
        request = self._next() if self._is_free else None
        if request is not None:
            self._serve(request)
        else:
            self._settle()

    def _next(self) -> HTTPServerRequest | None:
        """Return the next request, if there is one to be served."""
        try:
            return self._parser.next()
        except RequestRefused as refusal:
            self._refuse(refusal, REST_S)
        except Exception:
            log.exception("a request could not be read, which is our mistake")
            self.abort()
        return None

    @property
    def _is_free(self) -> bool:
        """Whether the next request may be served."""
        return self._responder is None and not self._leaving and not self._is_over

    def _serve(self, request: HTTPServerRequest) -> None:
        assert isinstance(request.connection, Responder)  # noqa: S101  # the parser's
        self._responder = request.connection
        try:
            self._terms.serve(request)
        except Exception:
            log.exception("%s %s failed", request.method, quoted(request.path))
            self.abort()
        if self._responder is not None:  # which takes its time
            self._settle()

    def _settle(self) -> None:
        """See to what comes next: more requests, the end, or something to be waited for."""
        assert self._transport is not None  # noqa: S101  # it is connected
        if self._is_over:
            return
        if (self._parser.unread_bytes > UNREAD_BYTES) != self._is_paused:
            self._is_paused = not self._is_paused
            (self._transport.pause_reading if self._is_paused else self._transport.resume_reading)()
        if not self._is_free:
            if self._has_ended and self._responder is not None:
                self._terms.waits.for_rest(self, self._loop.time(), HALF_CLOSED_S)
            else:
                self._terms.waits.over(self)
        elif self._parser.is_pending:
            if not self._is_to_go_on:
                self._is_to_go_on = True
                self._loop.call_soon(self._go_on)
        elif self._has_ended:
            self._close()
        else:
            self._wait()

    def _wait(self) -> None:
        now, received = self._loop.time(), self._parser.body_bytes
        if received is not None:
            if self._body_began is None:
                self._body_began = now
            if self._parser.expects_to_be_told():
                self.write(CONTINUE)
            self._terms.waits.for_body(self, now, self._body_began, received)
        elif not self._is_idle:
            self._is_idle = True
            self._terms.waits.for_request(self, now)

    # The end

    def _close(self) -> None:
        """Close the connection when all has left."""
        assert self._transport is not None  # noqa: S101  # it is connected
        self._is_over = True
        self._terms.waits.over(self)
        self._transport.close()

    def _refuse(self, refusal: RequestRefused, rest_s: float) -> None:
        """Answer with a problem, and nothing after it."""
        assert self._transport is not None  # noqa: S101  # it is connected
        self._is_over = True
        self._tell(refusal)
        if self._has_ended:
            self._transport.close()
        else:
            with contextlib.suppress(OSError):  # it has gone
                self._transport.write_eof()
            self._terms.waits.for_rest(self, self._loop.time(), rest_s)
            self._transport.resume_reading()

    def _tell(self, refusal: RequestRefused) -> None:
        status = refusal.status
        body = encode(Problem(status.phrase, status.value, refusal.code, refusal.detail))
        headers = {
            "Date": format_timestamp(time()),
            "Content-Type": PROBLEM_TYPE,
            "Content-Length": str(len(body)),
            "Connection": "close",
        }
        start = ResponseStartLine("HTTP/1.1", status.value, status.phrase)
        responder = Responder(self, self._parser.method, "HTTP/1.1")
        responder.write_headers(start, HTTPHeaders(headers), body)


def _fail(future: "asyncio.Future[None]") -> "asyncio.Future[None]":
    """Let a future say that nobody is there, to whoever asks it."""
    if not future.done():
        future.set_exception(StreamClosedError())
        future.exception()
    return future
