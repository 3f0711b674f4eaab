"""The way back for the response to one request: how it is framed, and when it has left.

Tornado's interface for whoever writes a response, `HTTPConnection`, on a wire of ours.
"""

import logging
from asyncio import Future
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

from tornado.httputil import HTTPConnection, HTTPHeaders, RequestStartLine, ResponseStartLine

log = logging.getLogger(__name__)

NO_BODY = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


class Wire(Protocol):
    """What a response leaves on."""

    remote_ip: str
    protocol: str

    def write(self, data: bytes) -> "Future[None]":
        """Send; the future tells when all of it has left, or that nobody is there."""

    def finished(self, responder: "Responder") -> None:
        """Take it that there will be no more of a response."""

    def abort(self) -> None:
        """Close, whatever has not left yet."""


class Responder(HTTPConnection):
    """Writes the response to one request."""

    def __init__(self, wire: Wire, method: str, version: str) -> None:
        self.context = wire  # where Tornado's requests look for the client's address
        self.is_last = False  # on its connection
        self._is_head = method == "HEAD"
        self._is_old = version != "HTTP/1.1"
        self._is_chunked = False
        self._is_finished = False
        self._callback: Callable[[], None] | None = None

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> "Future[None]":
        """Begin the response; the future tells when this has left, or that nobody is there."""
        assert isinstance(start_line, ResponseStartLine)  # noqa: S101  # this is a server
        self._refuse_if_finished()
        has_end = self._is_head or start_line.code in NO_BODY or "Content-Length" in headers
        is_chunked = not has_end and not self._is_old
        if is_chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif not has_end:
            self.is_last = True  # which is how it ends
        if headers.get("Connection") == "close":
            self.is_last = True
        if self.is_last:
            headers["Connection"] = "close"
        elif self._is_old:
            headers["Connection"] = "keep-alive"
        lines = [f"HTTP/1.1 {start_line.code} {start_line.reason}"]
        lines += [f"{name}: {text}" for name, text in headers.get_all()]
        head = "\r\n".join(lines)
        if not head.count("\r") == head.count("\n") == len(lines) - 1:
            raise ValueError(f"a header must be one line: {lines}")
        first = head.encode("latin-1") + b"\r\n\r\n"
        self._is_chunked = is_chunked  # from here on nothing is in the way of it
        return self.context.write(first + self._framed(chunk))

    def write(self, chunk: bytes) -> "Future[None]":
        """Send a piece of the body; the future tells as above."""
        self._refuse_if_finished()
        return self.context.write(self._framed(chunk))

    def finish(self) -> None:
        """End the response."""
        self._refuse_if_finished()
        self._is_finished = True
        if self._is_chunked:
            self.context.write(b"0\r\n\r\n")
        self._callback = None
        self.context.finished(self)

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """Let it be told when the client goes before the response is finished."""
        self._callback = callback

    def close(self) -> None:
        """Close the connection, whatever has not left yet; what is finished is not touched."""
        if not self._is_finished:
            self.context.abort()

    def tell_closed(self) -> bool:
        """Tell that the client has gone; return whether anybody wants to know."""
        callback, self._callback = self._callback, None
        try:
            if callback is not None:
                callback()
        except Exception:
            log.exception("whoever answered could not be told that the client has gone")
        return callback is not None

    def _refuse_if_finished(self) -> None:
        if self._is_finished:
            raise RuntimeError("a response that is finished is none to go on with")

    def _framed(self, piece: bytes | None) -> bytes:
        if not piece or self._is_head:
            return b""  # and no chunk: an empty one would be the last
        return b"%x\r\n%b\r\n" % (len(piece), piece) if self._is_chunked else piece
