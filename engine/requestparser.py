"""From bytes to requests, however they come: cut anywhere, many at once, with no end.

What a request is, llhttp decides (`httptools`), as it does for the replies of workers. Here it is
known how much of one may come, and what is said of one that is refused. After any doubt about where
a request ends no byte behind it is taken for a request. Nothing is waited for.
"""

import re
from collections import deque
from http import HTTPStatus

from httptools import (
    HttpParserCallbackError,
    HttpParserError,
    HttpParserInvalidMethodError,
    HttpParserInvalidURLError,
    HttpParserUpgrade,
    HttpRequestParser,
)
from tornado.httputil import HTTPHeaders, HTTPInputError, HTTPServerRequest, RequestStartLine

from engine.responder import Responder, Wire
from engine.web import RequestRefused, quoted

MAX_HEADER_BYTES = 16 * 1024
SLICE_BYTES = 2 * 1024  # of heads and chunks that are parsed at a time: few requests are in one

VERSIONS = ("1.0", "1.1")
CHUNKED = b"Transfer-Encoding: chunked"

LONGEST_LENGTH = 18  # digits: no body has so many bytes

_METHOD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?= )")
_NO_ASCII = re.compile(rb"[\x80-\xff]")
_STAND_IN = b"PURGE"  # a method that llhttp knows, for the many that it does not; nothing takes it
_STAND_IN_HEAD = b"POST / HTTP/1.1\r\n%b\r\n\r\n"


class _Incoming:
    """A request that is being read."""

    __slots__ = ("body", "expects", "framing", "is_last", "lines", "missing", "request", "target")

    def __init__(self) -> None:
        self.target = b""
        self.lines: list[tuple[bytes, bytes]] = []
        self.request: HTTPServerRequest | None = None  # when its head is whole
        self.framing = b""  # the header that says how a body ends, if there is one
        self.body = bytearray()
        self.missing = 0  # bytes of it, if it has a length
        self.expects = False  # to be told to go on
        self.is_last = False  # on its connection

    def head_bytes(self) -> int:
        """Return the size of target and headers."""
        return len(self.target) + sum(len(name) + len(text) for name, text in self.lines)


class RequestParser:
    """Reads the requests of one connection; each is made with its way back on a wire."""

    def __init__(self, wire: Wire, max_body_bytes: int) -> None:
        self.method = ""  # of the request that is being read, as far as it is known
        self._wire = wire
        self._max_body_bytes = max_body_bytes
        self._parser = HttpRequestParser(self)
        self._unread = b""
        self._incoming: _Incoming | None = None
        self._whole: deque[HTTPServerRequest] = deque()
        self._refusal: RequestRefused | None = None  # of what is behind them
        self._other_method = ""  # `method`, if it is none that llhttp knows
        self._is_mended = False  # the first line of the request that is being read
        self._is_primed = False  # llhttp, in this very moment, with a head that was read before
        self._is_counted = False  # some of what it is being fed, as part of a request
        self._uncounted = 0  # bytes since the latest of those: half a head, trailers, sizes

    def take(self, data: bytes) -> None:
        """Take what has come."""
        self._unread += data

    def close(self) -> None:
        """Let go of all that would come back to us: nobody asks any more."""
        self._incoming = self._refusal = None
        self._whole.clear()
        del self._parser, self._wire

    def next(self) -> HTTPServerRequest | None:
        """Return the next request that is whole, `None` if more must come.

        Raises `RequestRefused` in place of one; nothing is to be read after it.
        """
        while self._unread and not self._whole and self._refusal is None:
            self._feed()
        if self._whole:
            return self._whole.popleft()
        if self._refusal is not None:
            raise self._refusal
        return None

    @property
    def unread_bytes(self) -> int:
        """How much has been taken, and not been looked at."""
        return len(self._unread)

    @property
    def is_pending(self) -> bool:
        """Whether there may be a next request before more comes."""
        return bool(self._unread or self._whole) or self._refusal is not None

    @property
    def body_bytes(self) -> int | None:
        """How much of a body has come, `None` if the next to come is no body."""
        incoming = self._incoming
        return None if incoming is None or incoming.request is None else len(incoming.body)

    def expects_to_be_told(self) -> bool:
        """Return whether the client sends a body only when it is told to go on, as it is now."""
        incoming = self._incoming
        if incoming is None or not incoming.expects:
            return False
        incoming.expects = False
        return not incoming.body

    def _feed(self) -> None:
        """Parse a slice: as much of a body as there is, a little of what has no known length."""
        size = (self._incoming.missing if self._incoming is not None else 0) or SLICE_BYTES
        piece, self._unread = self._unread[:size], self._unread[size:]
        self._is_counted = False
        begins = self._incoming is None
        try:
            self._parser.feed_data(piece)
        except HttpParserUpgrade as upgrade:
            self._go_on_with_http()
            self._unread = piece[upgrade.args[0] :] + self._unread
        except (HttpParserInvalidMethodError, HttpParserInvalidURLError) as error:
            if begins and not (self._whole or self._is_mended or self._refusal):
                self._mend(piece, error)
            else:
                self._doubt(str(error))
        except HttpParserCallbackError:
            raise  # a mistake of ours
        except HttpParserError as error:
            self._doubt(str(error))
        if not self._is_counted:
            self._uncounted += len(piece)
            if self._uncounted > 2 * MAX_HEADER_BYTES:
                self._refuse(_head_too_large())

    def _go_on_with_http(self) -> None:
        """Read on after a request to speak something else, which nobody here does.

        llhttp takes it that no body follows. If one does, it begins anew with a head that says so
        and asks for nothing else.
        """
        self._parser = HttpRequestParser(self)
        if self._incoming is not None:
            self._is_primed = True
            self._parser.feed_data(_STAND_IN_HEAD % self._incoming.framing)
            self._is_primed = False

    def _mend(self, piece: bytes, error: HttpParserError) -> None:
        """Read a request once more of which it is the site's to say that there is no such thing.

        Its method is none that llhttp knows, or its target has bytes that should have been escaped.
        Where the piece does not begin with the request, or ends in its first line, it is refused.
        """
        line, end, rest = piece.partition(b"\r")
        method = _METHOD.match(line)
        if not end or method is None:
            self._doubt(str(error))
            return
        if isinstance(error, HttpParserInvalidMethodError):
            self._other_method = method[0].decode()
            line = _STAND_IN + line[method.end() :]
        line = _NO_ASCII.sub(lambda byte: b"%%%02X" % byte[0][0], line)
        self._is_mended = True
        self._incoming = None
        self._parser = HttpRequestParser(self)
        self._unread = line + end + rest + self._unread

    def _doubt(self, what: str) -> None:
        detail = f"mend what HTTP does not allow and send it again: {quoted(what)}"
        self._refuse(_bad_request(detail))

    def _refuse(self, refusal: RequestRefused) -> None:
        self._refusal = self._refusal or refusal

    # What llhttp says, while it is fed

    def on_message_begin(self) -> None:
        """Begin with a request."""
        if not self._is_primed:
            self._incoming = _Incoming()
            self._uncounted = 0

    def on_url(self, piece: bytes) -> None:
        """Take a piece of the target."""
        incoming = self._heading()
        if incoming is not None:
            incoming.target += piece
            self.method = self._other_method or self._parser.get_method().decode()

    def on_header(self, name: bytes, text: bytes) -> None:
        """Take a header; a trailer is let go."""
        incoming = self._heading()
        if incoming is not None:
            incoming.lines.append((name, text.strip(b" \t")))

    def on_headers_complete(self) -> None:
        """Look whether the request may come at all."""
        incoming = self._heading()
        if incoming is None:
            return
        self._is_counted = True
        try:
            self._take_head(incoming)
        except RequestRefused as refusal:
            self._refuse(refusal)
        except HTTPInputError as error:
            self._doubt(str(error))

    def on_body(self, piece: bytes) -> None:
        """Take a piece of the body."""
        incoming = self._incoming
        if incoming is None:
            return
        self._is_counted = True
        self._uncounted = 0
        incoming.body += piece
        incoming.missing = max(0, incoming.missing - len(piece))
        if len(incoming.body) > self._max_body_bytes:
            self._refuse(self._body_too_large())

    def on_message_complete(self) -> None:
        """Have a request to be served."""
        incoming = self._incoming
        if self._refusal is not None or incoming is None or incoming.request is None:
            return
        incoming.is_last = incoming.is_last or not self._parser.should_keep_alive()
        if incoming.framing and self._parser.should_upgrade():
            return  # its body follows
        self._is_counted = True
        request = incoming.request
        request.body = bytes(incoming.body)
        assert isinstance(request.connection, Responder)  # noqa: S101  # made in `_take_head`
        request.connection.is_last = incoming.is_last
        self._whole.append(request)
        self._incoming, self.method, self._other_method = None, "", ""
        self._is_mended = False

    def _heading(self) -> _Incoming | None:
        """Return the request whose head is being read."""
        incoming = self._incoming
        is_read = incoming is None or incoming.request is not None or self._refusal is not None
        return None if is_read else incoming

    def _take_head(self, incoming: _Incoming) -> None:
        """Make a request of its head. Raises `RequestRefused` or `HTTPInputError`."""
        version = self._parser.get_http_version()
        if version not in VERSIONS:
            raise _bad_request(f"send the request as HTTP/1.1, not as HTTP/{version}")
        if incoming.head_bytes() > MAX_HEADER_BYTES:
            raise _head_too_large()
        headers = HTTPHeaders()
        for name, text in incoming.lines:
            headers.add(name.decode("latin-1"), text.decode("latin-1"))
        if "Transfer-Encoding" in headers:
            if version == "1.0" or headers["Transfer-Encoding"].lower() != "chunked":
                raise _bad_request("send a body either with its Content-Length or as plain chunks")
            incoming.framing = CHUNKED
        length = headers.get("Content-Length", "").lstrip("0") or "0"
        if len(length) > LONGEST_LENGTH or int(length) > self._max_body_bytes:
            raise self._body_too_large()
        incoming.missing = int(length)
        if incoming.missing:
            incoming.framing = b"Content-Length: %d" % incoming.missing
        start = RequestStartLine(self.method, incoming.target.decode(), f"HTTP/{version}")
        responder = Responder(self._wire, start.method, start.version)
        try:
            incoming.request = HTTPServerRequest(
                connection=responder, start_line=start, headers=headers
            )
        except ValueError:  # of a port with more digits than Python takes
            raise _bad_request("Host should be a name or an address, and perhaps a port") from None
        asks = headers.get("Expect", "").lower() == "100-continue"
        incoming.expects = asks and version != "1.0"

    def _body_too_large(self) -> RequestRefused:
        return RequestRefused(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "too_large",
            f"a body may have {self._max_body_bytes} bytes; send less in one request",
        )


def _bad_request(detail: str) -> RequestRefused:
    return RequestRefused(HTTPStatus.BAD_REQUEST, "invalid_request", detail)


def _head_too_large() -> RequestRefused:
    return RequestRefused(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        "too_large",
        f"path and headers may have {MAX_HEADER_BYTES} bytes together; send shorter ones",
    )
