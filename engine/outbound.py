"""HTTP/1.1 requests on connections that are kept, one at a time on each.

A request leaves in the turn of the loop that asks for it if a connection is free, and its reply is
handed on in the turn of its last byte. What a reply is, llhttp decides (`httptools`); here it is
known which connection may be used again, and what it means when no reply comes. This is the way of
a master to its workers: no TLS, no proxy, nothing is followed. docs/adr/0014 says why it is not
libcurl's.

A kept connection may break because its other end was tired of it. So a request that was sent on one
and has brought no byte is sent again, once, on a new one.
"""

import asyncio
from enum import Enum
from typing import NamedTuple

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

LARGEST_HEAD = 256 * 1024  # bytes of headers
IDLE_S = 100.0  # after which a connection is not used any more: firewalls forget silent ones


class Peer(NamedTuple):
    """Where connections lead."""

    host: str
    port: int


class Cause(Enum):
    """Cause there is no reply."""

    UNCONNECTED = "could not be connected to"
    CLOSED = "closed the connection without a whole answer"
    LATE = "did not answer in time"
    GARBLED = "sent what is no HTTP reply"


class NoReply(Exception):
    """No reply came, or none that may be read.

    `sent` says whether any of the request has left, on this connection or on one before it.
    """

    def __init__(self, cause: Cause, detail: str, *, sent: bool) -> None:
        super().__init__(detail)
        self.cause = cause
        self.sent = sent


class Received:
    """What came back: the body as it was on the wire, no more of it than may be."""

    __slots__ = ("__weakref__", "_body", "_head", "_head_room", "_room", "status")

    def __init__(self, largest_body: int) -> None:
        self.status = 0
        self._room = largest_body
        self._head_room = LARGEST_HEAD
        self._head: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []

    @property
    def body(self) -> bytes:
        """All of it."""
        return b"".join(self._body)

    @property
    def is_too_large(self) -> bool:
        """Whether more came than may be; what is over is not kept."""
        return self._room < 0 or self._head_room < 0

    def header(self, name: bytes) -> str:
        """Return the value of a header, several of them with commas, an empty text for none."""
        name = name.lower()
        texts = [text for key, text in self._head if key.lower() == name]
        return ", ".join(text.strip().decode("latin-1") for text in texts)

    def take_head(self, size: int, header: tuple[bytes, bytes] | None = None) -> None:
        """Take so many bytes of the head, and a header if one is whole."""
        self._head_room -= size
        if header is not None and self._head_room >= 0:
            self._head.append(header)

    def forget_head(self) -> None:
        """Let go what came before: it was an interim response."""
        self._head.clear()

    def take_body(self, piece: bytes) -> None:
        """Take a piece of the body."""
        self._room -= len(piece)
        if self._room >= 0:
            self._body.append(piece)


class _Question:
    """A request, from the asking to the reply."""

    __slots__ = ("carrier", "is_sent", "over", "peer", "received", "request", "timer")

    def __init__(
        self, peer: Peer, request: bytes, largest_body: int, over: "asyncio.Future[Received]"
    ) -> None:
        self.peer = peer
        self.request = request
        self.received = Received(largest_body)
        self.over = over
        self.timer: asyncio.TimerHandle | None = None
        self.carrier: asyncio.Task[None] | _Connection | None = None  # whatever it waits for
        self.is_sent = False


class _Connection(asyncio.Protocol):
    """One connection, made for a question and kept for others; `parser` reads all their replies."""

    def __init__(self, connections: "Connections", peer: Peer) -> None:
        self.peer = peer
        self.idle_since = 0.0
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        # A line may end without a CR, a header's value go on in the next one, and a blank be before
        # its colon: others bear it, too.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True
        )
        self._question: _Question | None = None
        self._received = Received(0)
        self._is_used = False  # a reply has come before
        self._has_begun = False  # to answer
        self._has_head = False
        self._is_counted = False  # some of what is being read, as a header or as body
        self._is_whole = False  # the reply
        self._is_kept = False

    @property
    def is_open(self) -> bool:
        """Whether it is not known yet that it was closed."""
        return self._transport is not None and not self._transport.is_closing()

    def ask(self, question: _Question) -> None:
        """Send a question, the only one."""
        assert self._transport is not None  # noqa: S101  # it is connected
        question.carrier = self
        question.is_sent = True
        self._question, self._received = question, question.received
        self._has_begun = self._has_head = self._is_whole = self._is_kept = False
        self._transport.write(question.request)

    def drop(self) -> None:
        """Close it, whatever is on it; nobody waits for that any more."""
        self._question = None
        if self._transport is not None:
            self._transport.abort()

    # What asyncio says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be connected."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # of a stream
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Read on; hand the reply on with its last byte."""
        question = self._question
        if question is None or self._parser is None:
            self.drop()  # nothing was asked
            return
        self._has_begun = True
        self._is_counted = False
        garbled = ""
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            garbled = str(error) or type(error).__name__
        if not self._is_counted:  # a part of a header, or of a trailer, that may have no end
            question.received.take_head(len(data))
        if question.received.is_too_large:
            self._end(Cause.GARBLED, "it is larger than any may be")
        elif self._is_whole:
            self._answered()
        elif garbled:
            self._end(Cause.GARBLED, garbled)

    def connection_lost(self, error: Exception | None) -> None:
        """Be closed; the end of a connection may be the end of a reply."""
        question, self._parser = self._question, None
        if question is None:
            self._connections.forget(self)
        elif self._has_head and error is None and _ends_with_connection(question.received):
            self._answered()
        elif self._is_used and not self._has_begun:
            self._question = None
            self._connections.connect(question)
        elif self._has_begun and error is None:
            self._end(Cause.GARBLED, "it ends too early")
        else:
            self._end(Cause.CLOSED, str(error or ""))

    def _answered(self) -> None:
        question, self._question, self._is_used = self._question, None, True
        assert question is not None  # noqa: S101  # it was answered
        assert self._transport is not None  # noqa: S101  # it was connected
        if self._is_kept and not self._transport.get_write_buffer_size():  # all of it has left
            self._connections.keep(self)
        else:
            self.drop()
        self._connections.answered(question)

    def _end(self, cause: Cause, detail: str) -> None:
        question = self._question
        assert question is not None  # noqa: S101  # it is not answered
        self.drop()
        self._connections.failed(question, cause, detail)

    # What the parser says, while it is fed

    def on_message_begin(self) -> None:
        """Keep no connection on which more comes than a reply."""
        if self._is_whole:
            self._is_kept = False

    def on_header(self, name: bytes, text: bytes) -> None:
        """Take a header, or a trailer."""
        self._is_counted = True
        self._received.take_head(len(name) + len(text) + 4, (name.strip(), text))

    def on_headers_complete(self) -> None:
        """Take the status."""
        assert self._parser is not None  # noqa: S101  # it is what calls
        self._received.status = self._parser.get_status_code()
        self._has_head = self._received.status >= 200

    def on_body(self, piece: bytes) -> None:
        """Take a piece of the body."""
        self._is_counted = True
        self._received.take_body(piece)

    def on_message_complete(self) -> None:
        """Have a reply, unless it only says that one will come."""
        if not self._has_head:
            self._received.forget_head()
        elif not self._is_whole:
            assert self._parser is not None  # noqa: S101  # it is what calls
            self._is_whole = True
            self._received = Received(0)  # for what comes behind it
            self._is_kept = self._parser.should_keep_alive()


def _ends_with_connection(received: Received) -> bool:
    """Return whether a reply has no other end."""
    return not any(received.header(name) for name in (b"Content-Length", b"Transfer-Encoding"))


class Connections:
    """Connections to any number of peers, of which `kept` are kept while nothing is asked.

    Make it where an event loop is running.
    """

    def __init__(
        self, *, kept: int, largest_body: int, connect_timeout_s: float, idle_s: float = IDLE_S
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._kept = kept
        self._largest_body = largest_body
        self._connect_timeout_s = connect_timeout_s
        self._idle_s = idle_s
        self._idle: dict[Peer, list[_Connection]] = {}  # the latest used last
        self._idle_count = 0
        self._under_way: set[_Question] = set()

    async def ask(self, peer: Peer, request: bytes, timeout_s: float) -> Received:
        """Send a request and return what came back. Raises `NoReply`.

        Who is cancelled takes the request back, and its connection is closed.
        """
        over: asyncio.Future[Received] = self._loop.create_future()
        question = _Question(peer, request, self._largest_body, over)
        question.timer = self._loop.call_later(timeout_s, self._late, question)
        self._under_way.add(question)
        connection = self._free(peer)
        if connection is None:
            self.connect(question)
        else:
            connection.ask(question)
        try:
            return await over
        finally:
            if question in self._under_way:  # it was cancelled
                self._take_back(question)
            del over, question  # else a failure would keep this frame, and this frame the failure

    def close(self) -> None:
        """Cancel whatever is under way, and close all connections."""
        for question in list(self._under_way):
            self._take_back(question)
            question.over.cancel()
        for idle in self._idle.values():
            for connection in idle:
                connection.drop()
        self._idle.clear()
        self._idle_count = 0

    # Connections

    def connect(self, question: _Question) -> None:
        """Ask on a new connection."""
        question.carrier = self._loop.create_task(self._ask_on_a_new_one(question))

    async def _ask_on_a_new_one(self, question: _Question) -> None:
        peer = question.peer
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                _, connection = await self._loop.create_connection(
                    lambda: _Connection(self, peer), peer.host, peer.port
                )
        except (OSError, ValueError) as error:  # of a name that is none, too
            self.failed(question, Cause.UNCONNECTED, str(error) or "it took too long")
        else:
            connection.ask(question)

    def keep(self, connection: _Connection) -> None:
        """Keep a connection for the next question, instead of the oldest one if there are many."""
        if self._idle_count >= self._kept:
            oldest = min((idle[0] for idle in self._idle.values()), key=lambda one: one.idle_since)
            self.forget(oldest)
            oldest.drop()
        connection.idle_since = self._loop.time()
        self._idle.setdefault(connection.peer, []).append(connection)
        self._idle_count += 1

    def forget(self, connection: _Connection) -> None:
        """Forget a connection that was closed while it was idle."""
        idle = self._idle.get(connection.peer, [])
        if connection in idle:
            idle.remove(connection)
            self._idle_count -= 1
            if not idle:
                del self._idle[connection.peer]

    def _free(self, peer: Peer) -> _Connection | None:
        idle = self._idle.get(peer)
        while idle:
            connection = idle.pop()
            self._idle_count -= 1
            if not idle:
                del self._idle[peer]
            is_young = self._loop.time() - connection.idle_since < self._idle_s
            if is_young and connection.is_open:
                return connection
            connection.drop()
        return None

    # The end of a question

    def answered(self, question: _Question) -> None:
        """Hand on the reply."""
        self._end(question)
        if not question.over.done():
            question.over.set_result(question.received)

    def failed(self, question: _Question, cause: Cause, detail: str) -> None:
        """Say that no reply will come."""
        self._end(question)
        if not question.over.done():
            question.over.set_exception(NoReply(cause, detail, sent=question.is_sent))

    def _late(self, question: _Question) -> None:
        is_asked = isinstance(question.carrier, _Connection)
        self._take_back(question)
        self.failed(question, Cause.LATE if is_asked else Cause.UNCONNECTED, "it took too long")

    def _take_back(self, question: _Question) -> None:
        self._end(question)
        if isinstance(question.carrier, _Connection):
            question.carrier.drop()
        elif question.carrier is not None:
            question.carrier.cancel()

    def _end(self, question: _Question) -> None:
        self._under_way.discard(question)
        if question.timer is not None:
            question.timer.cancel()
