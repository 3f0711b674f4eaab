"""Requests on one connection, however their bytes come: which are served, when, and what is said.

What is no request at all: test_framing.py. Who sends too much: test_refused_early.py. Who makes
others wait: test_server.py.
"""

import asyncio
import contextlib
import gc
import json
import logging
import socket
import weakref
from collections.abc import AsyncIterator

import pytest
from tornado.httputil import HTTPServerRequest
from tornado.iostream import StreamClosedError

from engine import inbound
from engine.inbound import HALF_CLOSED_S, ROOM_BYTES, UNREAD_BYTES, Inbound
from engine.requestparser import MAX_HEADER_BYTES, SLICE_BYTES, RequestParser
from engine.roof import bound
from engine.server import Server
from engine.site import Route
from engine.web import ApiHandler, site
from tests.integration.serving import eventually, exchanged, listening

pytestmark = pytest.mark.gen_test

MAX_BODY = 1_000_000
LONG_S = 3600.0  # longer than a test takes: nothing is given up because of it
LARGE = 20_000_000  # bytes, more than sockets hold
HOST = b"Host: x\r\n"


class Echo(ApiHandler):
    """Answers with the method and the body, at once."""

    def serve(self) -> None:
        """Answer."""
        self.finish(f"{self.request.method} ".encode() + self.request.body)

    get = post = serve


class Gate:
    """What a slow handler waits for, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.open = asyncio.Event()


class Slow(ApiHandler):
    """Answers with the body when the gate is open."""

    def __init__(self, request: HTTPServerRequest, gate: Gate) -> None:
        super().__init__(request)
        self.gate = gate

    async def post(self) -> None:
        """Answer then."""
        self.gate.asked.append(self.request.body)
        await self.gate.open.wait()
        self.finish(b"slowly " + self.request.body)


class Pieces(ApiHandler):
    """Answers in pieces."""

    async def get(self) -> None:
        """Answer."""
        await self.send(b"one ")
        self.finish(b"two")


class Large(ApiHandler):
    """Answers with more than sockets hold."""

    def get(self) -> None:
        """Answer."""
        self.finish(b"x" * LARGE)


class Twice(ApiHandler):
    """Answers in two pieces, and no end."""

    def __init__(self, request: HTTPServerRequest, gate: Gate) -> None:
        super().__init__(request)
        self.gate = gate

    async def get(self) -> None:
        """Answer, and again when the gate is open."""
        await self.send(b"one")
        await self.gate.open.wait()
        await self.send(b"two")


class Last(ApiHandler):
    """Says that there will be no more."""

    def get(self) -> None:
        """Answer."""
        self.headers["Connection"] = "close"
        self.finish(b"x")


class Stream(ApiHandler):
    """Answers until the client has gone."""

    def __init__(self, request: HTTPServerRequest, gate: Gate) -> None:
        super().__init__(request)
        self.gate = gate

    async def get(self) -> None:
        """Answer."""
        self.when_closed(self.gate.open.set)
        await self.send(b"one")
        await self.gate.open.wait()
        try:
            await self.send(b"two")
        except StreamClosedError:
            self.gate.asked.append(b"nobody is there")


class Watched(ApiHandler):
    """Wants to know when the client goes, and has answered before."""

    def get(self) -> None:
        """Answer."""
        self.when_closed(lambda: self.fail(LookupError("it is none of our business any more")))
        self.finish(b"x")


class Again(ApiHandler):
    """Goes on when it has finished."""

    async def get(self) -> None:
        """Answer twice."""
        self.finish(b"once")
        await asyncio.sleep(0)
        self.finish(b"twice")


class Broken(ApiHandler):
    """Cannot even be made."""

    def __init__(self, request: HTTPServerRequest) -> None:
        raise LookupError("a secret")

    get = None


class Address(ApiHandler):
    """Answers with the address of who asks."""

    def get(self) -> None:
        """Answer."""
        self.finish(str(self.request.remote_ip).encode())


class Served:
    """A site of these handlers, at a port."""

    def __init__(self, server: Server, port: int, gate: Gate) -> None:
        self.server = server
        self.port = port
        self.gate = gate

    @property
    def only(self) -> Inbound:
        """The only connection that there is."""
        (connection,) = self.server.connections
        return connection


@contextlib.asynccontextmanager
async def a_site() -> AsyncIterator[Served]:
    """Serve the handlers of this module."""
    gate = Gate()
    routes = [
        Route("/", Echo),
        Route("/slow", Slow, {"gate": gate}),
        Route("/pieces", Pieces),
        Route("/broken", Broken),
        Route("/large", Large),
        Route("/last", Last),
        Route("/twice", Twice, {"gate": gate}),
        Route("/again", Again),
        Route("/watched", Watched),
        Route("/stream", Stream, {"gate": gate}),
        Route("/address", Address),
    ]
    server = Server(
        site(routes, {}).serve,
        max_body_bytes=MAX_BODY,
        max_connections=10,
        idle_s=LONG_S,
        body_s=LONG_S,
        reader_s=LONG_S,
    )
    sockets, port = bound("127.0.0.1", 0)
    server.add_sockets(sockets)
    try:
        yield Served(server, port, gate)
    finally:
        gate.open.set()
        server.stop()
        await server.close_all_connections()


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Give a connection to a port."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


def a_post(body: bytes, path: bytes = b"/", more: bytes = b"") -> bytes:
    """Return a request with a body."""
    return (
        b"POST %b HTTP/1.1\r\n%b%bContent-Length: %d\r\n\r\n" % (path, HOST, more, len(body)) + body
    )


def chunked(*chunks: bytes, after: bytes = b"0\r\n\r\n") -> bytes:
    """Return a request whose body is in chunks."""
    pieces = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + pieces + after


async def ask_and_shut(served: Served, writer: asyncio.StreamWriter, more: bytes = b"") -> None:
    """Ask for what takes its time, and more, and say no more; return when both are known."""
    writer.write(a_post(b"x", b"/slow") + more)
    writer.write_eof()
    await eventually(lambda: served.gate.asked, lambda: "it should be served")
    await eventually(lambda: served.only._has_ended, lambda: "its end should be seen")


async def response(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return head and body of the next response, which tells its length."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    return head, await reader.readexactly(length)


# However the bytes come

STREAMS = {
    "nothing": b"",
    "one": b"GET / HTTP/1.1\r\n" + HOST + b"\r\n",
    "blank lines before it": b"\r\n\r\nGET / HTTP/1.1\r\n" + HOST + b"\r\n",
    "two": a_post(b"first") + a_post(b"second"),
    "a large one between small ones": a_post(b"a") + a_post(b"b" * 10_000) + a_post(b"c"),
    "chunks": chunked(b"hel", b"lo") + a_post(b"after"),
    "a trailer": chunked(b"x", after=b"0\r\nTrailer: y\r\n\r\n") + a_post(b"after"),
    "an upgrade": b"GET / HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    b"" + a_post(b"after"),
    "an upgrade with a body": a_post(b"x", more=b"Connection: Upgrade\r\nUpgrade: h2c\r\n")
    + a_post(b"after"),
    "an upgrade with chunks": b"POST / HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n"
    + chunked(b"hel", b"lo").partition(b"\r\n")[2]
    + a_post(b"after"),
    "a length of nothing": a_post(b"", more=b"Connection: Upgrade\r\nUpgrade: h2c\r\n") * 2,
    "nonsense after one": a_post(b"x") + b"nonsense\r\n\r\n" + a_post(b"never served"),
    "a bad chunk after one": a_post(b"x") + chunked(after=b"z\r\n\r\n") + a_post(b"never served"),
    "an old one": b"GET / HTTP/1.0\r\n\r\n",
    "an old one that is kept": b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" * 2,
    "an older one": b"GET /\r\n\r\n",
    "a newer one": b"GET / HTTP/2.0\r\n" + HOST + b"\r\n",
    "a connect": b"CONNECT x:80 HTTP/1.1\r\n" + HOST + b"\r\n" + a_post(b"after"),
    "too long a head": b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000,
    "too large": a_post(b"x" * (MAX_BODY + 1))[:1000],
    "lines that end in a line feed alone": b"GET / HTTP/1.1\nHost: x\n\n",
}


def without_dates(received: bytes) -> list[bytes]:
    """Return what came back, line by line."""
    return [line for line in received.split(b"\r\n") if not line.startswith(b"Date: ")]


@pytest.mark.parametrize("sent", STREAMS.values(), ids=STREAMS)
async def test_what_is_answered_is_the_same_however_the_bytes_are_cut(sent: bytes) -> None:
    """At once, or byte by byte."""
    async with a_site() as served:
        at_once = await exchanged(served.port, sent)
        in_bytes = b""
        async with connected(served.port) as (reader, writer):
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(ConnectionError):
                for byte in sent:
                    writer.write(bytes([byte]))
                    await asyncio.sleep(0)
                writer.write_eof()
            in_bytes = await reader.read()
    assert without_dates(in_bytes) == without_dates(at_once)
    assert b"never served" not in at_once


async def test_nothing_behind_the_last_request_is_served() -> None:
    """Who says that a request is the last one has said so."""
    async with a_site() as served:
        last = a_post(b"x", more=b"Connection: close\r\n")
        received = await exchanged(served.port, last + a_post(b"never served"))
    assert received.count(b"HTTP/1.1 ") == 1
    assert received.endswith(b"POST x")


@pytest.mark.parametrize("upgrade", [name for name in STREAMS if name.startswith("an upgrade")])
async def test_who_would_rather_speak_something_else_is_served_in_http(upgrade: str) -> None:
    """Clients of Java ask for HTTP/2 with every request that they send."""
    async with a_site() as served:
        received = await exchanged(served.port, STREAMS[upgrade])
    assert received.count(b"HTTP/1.1 200 OK") == 2
    body = {"an upgrade": b"GET ", "an upgrade with a body": b"POST x"}.get(upgrade, b"POST hello")
    assert body + b"HTTP/1.1 200 OK" in received
    assert received.endswith(b"POST after")


async def test_requests_that_come_together_are_answered_in_their_order() -> None:
    """Many of them, and the first takes its time."""
    async with a_site() as served, connected(served.port) as (reader, writer):
        sent = [a_post(b"0", b"/slow"), *(a_post(b"%d" % number) for number in range(1, 500))]
        writer.write(b"".join(sent))
        await eventually(lambda: served.gate.asked, lambda: "it should be served")
        served.gate.open.set()
        answered = [(await response(reader))[1] for _ in sent]
    assert answered == [b"slowly 0", *(b"POST %d" % number for number in range(1, 500))]


async def test_who_sends_on_before_it_is_answered_is_not_read_for_ever() -> None:
    """Its socket fills up, and not our memory; nothing of it is lost."""
    async with a_site() as served, connected(served.port) as (reader, writer):
        body = b"x" * 100_000
        writer.write(a_post(b"first", b"/slow"))
        for _ in range(200):
            writer.write(a_post(body))
        await eventually(lambda: served.only._is_paused, lambda: "it should not be read on")
        assert served.only._parser.unread_bytes <= UNREAD_BYTES + ROOM_BYTES
        served.gate.open.set()
        assert (await response(reader))[1] == b"slowly first"
        for _ in range(200):
            assert len((await response(reader))[1]) == len(b"POST ") + len(body)


async def test_who_reads_no_answer_is_not_read_either() -> None:
    """However much it asks for: what it does not take would have to be kept."""
    async with a_site() as served, connected(served.port) as (reader, writer):
        count, body = 300, b"x" * 100_000
        for _ in range(count):
            writer.write(a_post(body))
        await eventually(lambda: served.only._is_paused, lambda: "it should not be read on")
        waiting = served.only._sent_bytes - (served.only.left_bytes() or 0)
        assert waiting <= len(body) + 1_000
        for _ in range(count):
            assert len((await response(reader))[1]) == len(b"POST ") + len(body)


async def test_one_request_of_a_connection_is_served_in_a_turn_of_the_loop() -> None:
    """However many come, and in however many pieces: others have their turn, too."""
    async with a_site() as served, connected(served.port) as (reader, writer):
        turn = 0
        turns: list[int] = []

        async def count() -> None:
            nonlocal turn
            while True:
                turn += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        terms = served.server._terms

        def serve(request: HTTPServerRequest) -> None:
            turns.append(turn)
            terms.serve(request)

        await eventually(lambda: served.server.connections, lambda: "it should be there")
        served.only._terms = terms._replace(serve=serve)
        for _ in range(100):
            writer.write(a_post(b"x") * 5)
            await asyncio.sleep(0)
        for _ in range(500):
            await response(reader)
        counting.cancel()
    assert len(turns) == len(set(turns)) == 500


async def test_many_small_chunks_are_kept_as_few_bytes() -> None:
    """Each byte of a body as a chunk of its own."""
    async with a_site() as served, connected(served.port) as (reader, writer):
        writer.write(chunked(*[b"x"] * 50_000))
        _, body = await response(reader)
    assert body == b"POST " + b"x" * 50_000


@pytest.mark.parametrize(
    "endless",
    [
        b"\r\n" * 50_000,
        b"POST / HTTP/1.1\r\nX: " + b"x" * 100_000,
        b"POST / HTTP/1.1\r\n" + b"X: x\r\n" * 10_000,
        chunked(after=b"0\r\nX: " + b"x" * 100_000),
        chunked(after=b"0\r\n" + b"X: x\r\n" * 10_000),
        chunked(after=b"1;" + b"x" * 100_000),
    ],
    ids=["blank lines", "a header", "headers", "a trailer", "trailers", "an extension"],
)
async def test_what_has_no_end_is_refused(endless: bytes) -> None:
    """Nothing of what belongs to no body may be longer than a head."""
    async with a_site() as served:
        received = await exchanged(served.port, endless)
    assert received.startswith(b"HTTP/1.1 431 ")
    assert str(MAX_HEADER_BYTES).encode() in received


# What HTTP leaves to us


@pytest.mark.parametrize("name", ["an older one", "a newer one"])
async def test_other_versions_of_http_are_refused(name: str) -> None:
    """They are framed in other ways."""
    async with a_site() as served:
        assert (await exchanged(served.port, STREAMS[name])).startswith(b"HTTP/1.1 400 ")


async def test_who_is_refused_and_has_said_all_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There is nothing to come."""
    monkeypatch.setattr(inbound, "REST_S", LONG_S)
    async with a_site() as served, connected(served.port) as (reader, writer):
        await ask_and_shut(served, writer, b"nonsense\r\n\r\n")
        served.gate.open.set()
        assert (await reader.read()).count(b"HTTP/1.1 ") == 2
        await eventually(lambda: not served.server.connections, lambda: "it should be closed")


async def test_a_connection_that_is_gone_when_it_is_accepted_is_none() -> None:
    """It takes nobody's place."""
    async with a_site() as served:
        gone = socket.socket()
        gone.close()
        served.server._accept(gone, None)
        await eventually(lambda: not served.server.connections, lambda: "it should be forgotten")


OTHER_METHODS = [b"BREW", b"get", b"A-METHOD", b"PURGE", b"CONNECT", b"GETX"]


@pytest.mark.parametrize("method", OTHER_METHODS)
async def test_a_method_that_nobody_knows_is_one_that_the_path_does_not_take(
    method: bytes,
) -> None:
    """The path says which ones it takes, and the connection goes on."""
    async with a_site() as served, connected(served.port) as (reader, writer):
        for _ in range(2):
            writer.write(method + b" / HTTP/1.1\r\n" + HOST + b"\r\n")
            head, body = await response(reader)
            assert head.startswith(b"HTTP/1.1 405 ")
            assert b"\r\nAllow: GET, POST\r\n" in head
            assert json.loads(body)["error"] == "method_not_allowed"
        writer.write(a_post(b"after"))
        assert (await response(reader))[1] == b"POST after"


async def test_the_end_of_a_method_is_no_method() -> None:
    """Whoever decided by the whole of it, before us, saw another one."""
    async with a_site() as served:
        first = b"GET / HTTP/1.1\r\n" + HOST + b"X: %b\r\n\r\n"
        padding = b"x" * (SLICE_BYTES - len(b"GE") - len(first % b""))
        received = await exchanged(served.port, first % padding + b"GE" + a_post(b"never served"))
    assert received.count(b"HTTP/1.1 200 OK") == 1
    assert received.count(b"HTTP/1.1 400 Bad Request") == 1
    assert b"never served" not in received


@pytest.mark.parametrize("target", ["/\u00e9?\u00e9", "/?x=\u00e9"])
async def test_a_target_that_should_have_been_escaped_is_read_as_if_it_were(target: str) -> None:
    """As people type it after `curl`."""
    async with a_site() as served, connected(served.port) as (reader, writer):
        writer.write(f"GET {target} HTTP/1.1\r\n".encode() + HOST + b"\r\n")
        head, body = await response(reader)
        assert head.startswith(b"HTTP/1.1 200 " if target.startswith("/?") else b"HTTP/1.1 404 ")
        assert head.startswith(b"HTTP/1.1 200 ") or b"/%C3%A9" in body
        writer.write(a_post(b"after"))
        assert (await response(reader))[1] == b"POST after"


NUMBERS = {
    "a length that begins with zeros": (a_post(b"").replace(b": 0", b": " + b"0" * 5000), b"200"),
    "a length of many digits": (
        a_post(b"").replace(b": 0", b": " + b"0" * 5000 + b"9" * 19),
        b"413",
    ),
    "a port of many digits": (a_post(b"").replace(b"Host: x", b"Host: x:" + b"1" * 5000), b"400"),
}


@pytest.mark.parametrize(("sent", "status"), NUMBERS.values(), ids=NUMBERS)
async def test_a_number_of_many_digits_is_no_mistake_of_ours(
    sent: bytes, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Python refuses to read more than 4,300 of them."""
    async with a_site() as served:
        received = await exchanged(served.port, sent)
    assert received.startswith(b"HTTP/1.1 " + status)
    assert caplog.records == []


@pytest.mark.parametrize(
    "sent",
    [
        a_post(b"x", more=b"Connection: Upgrade, close\r\nUpgrade: h2c\r\n"),
        a_post(b"x", more=b"Connection: Upgrade\r\nUpgrade: h2c\r\n").replace(b"/1.1", b"/1.0"),
        a_post(b"x", more=b"Connection: TE, close\r\n"),
    ],
    ids=["with an upgrade", "of an old client", "among others"],
)
async def test_the_last_request_is_the_last_one_whatever_else_it_asks_for(sent: bytes) -> None:
    """And the answer says so."""
    async with a_site() as served:
        received = await exchanged(served.port, sent + a_post(b"never served"))
    assert received.count(b"HTTP/1.1 ") == 1
    assert b"\r\nConnection: close\r\n" in received
    assert received.endswith(b"POST x")


async def test_an_old_client_has_no_chunks() -> None:
    """Whoever stands between us knows none either, and may see other requests than we do."""
    async with a_site() as served:
        received = await exchanged(served.port, chunked(b"x").replace(b"/1.1", b"/1.0"))
    assert received.startswith(b"HTTP/1.1 400 ")


async def test_an_old_client_that_wants_to_go_on_is_told_that_it_may() -> None:
    """It would close the connection otherwise."""
    async with a_site() as served, connected(served.port) as (reader, writer):
        for _ in range(2):
            writer.write(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            head, _ = await response(reader)
            assert b"\r\nConnection: keep-alive\r\n" in head


async def test_a_handler_may_end_the_connection_with_its_answer() -> None:
    """By saying so."""
    async with a_site() as served, connected(served.port) as (reader, writer):
        writer.write(b"GET /last HTTP/1.1\r\n" + HOST + b"\r\n")
        assert (await response(reader))[1] == b"x"
        assert await reader.read() == b""


async def test_a_mistake_behind_an_answer_harms_no_other_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """That is being served on the same connection by then."""
    async with a_site() as served, connected(served.port) as (reader, writer):
        writer.write(b"GET /again HTTP/1.1\r\n" + HOST + b"\r\n" + a_post(b"next", b"/slow"))
        assert (await response(reader))[1] == b"once"
        await eventually(lambda: served.gate.asked, lambda: "it should be served")
        await eventually(lambda: caplog.records, lambda: "the mistake should be logged")
        served.gate.open.set()
        assert (await response(reader))[1] == b"slowly next"


async def test_a_refused_upgrade_with_a_body_is_refused_like_any_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What would be read of its body is not."""
    upgrade = a_post(b"hello", more=b"Host: y\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n")
    async with a_site() as served:
        received = await exchanged(served.port, upgrade)
    assert received.startswith(b"HTTP/1.1 400 ")
    assert received.count(b"HTTP/1.1 ") == 1
    assert caplog.records == []


async def test_a_mistake_of_ours_in_reading_ends_the_connection(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would look after it any more."""
    parsed = RequestParser.next

    async with a_site() as served, connected(served.port) as (reader, writer):

        def mistaken(parser: RequestParser) -> HTTPServerRequest | None:
            if served.gate.asked:
                raise LookupError("a secret")
            return parsed(parser)

        monkeypatch.setattr(RequestParser, "next", mistaken)
        writer.write(a_post(b"first", b"/slow") + a_post(b"x"))
        await eventually(lambda: served.gate.asked, lambda: "it should be served")
        served.gate.open.set()
        assert (await response(reader))[1] == b"slowly first"
        assert await reader.read() == b""
        await eventually(lambda: not served.server.connections, lambda: "it should be closed")
    (record,) = caplog.records
    assert record.exc_info is not None


async def test_a_mistake_in_telling_a_mistake_ends_the_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The handler can say nothing more."""

    class Hopeless(Echo):
        async def put(self) -> None:
            await asyncio.sleep(0)
            raise LookupError("a secret")

        def fail(self, error: Exception) -> None:
            raise error

    server, port = listening(site([Route("/", Hopeless)], {}))
    async with connected(port) as (reader, writer):
        writer.write(b"PUT / HTTP/1.1\r\n" + HOST + b"\r\n")
        assert await reader.read() == b""
    server.stop()
    await server.close_all_connections()
    assert len(caplog.records) == 1


async def test_a_mistake_in_hearing_that_the_client_has_gone_keeps_no_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is logged, and that is all that comes of it."""

    class Deaf(ApiHandler):
        async def get(self) -> None:
            self.when_closed(self.go)
            await self.send(b"one")

        def go(self) -> None:
            raise LookupError("a secret")

    server, port = listening(site([Route("/", Deaf)], {}))
    async with connected(port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        await reader.readuntil(b"one")
    await eventually(lambda: not server.connections, lambda: "it should be forgotten")
    server.stop()
    (record,) = caplog.records
    assert record.name == "engine.responder"


async def test_nothing_is_written_behind_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    """It would be taken for the answer to the next request."""
    async with a_site() as served:
        received = await exchanged(served.port, b"GET /again HTTP/1.1\r\n" + HOST + b"\r\n")
    assert received.endswith(b"once")
    assert [record.getMessage() for record in caplog.records] == ["GET /again failed"]


async def test_who_asks_whether_to_go_on_is_told_when_it_is_its_turn() -> None:
    """Not before the answer to what it asked first."""
    async with a_site() as served, connected(served.port) as (reader, writer):
        head, _, body = a_post(b"second", more=b"Expect: 100-continue\r\n").rpartition(b"\r\n\r\n")
        writer.write(a_post(b"first", b"/slow") + head + b"\r\n\r\n")
        await eventually(lambda: served.gate.asked, lambda: "it should be served")
        served.gate.open.set()
        assert (await response(reader))[1] == b"slowly first"
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        head, body = await response(reader)
        assert head.startswith(b"HTTP/1.1 200 ")
        assert body == b"POST second"


async def test_who_sends_its_body_at_once_is_not_told_to_go_on() -> None:
    """It has, already."""
    async with a_site() as served:
        received = await exchanged(served.port, a_post(b"x", more=b"Expect: 100-continue\r\n"))
    assert received.startswith(b"HTTP/1.1 200 ")


async def test_an_old_client_gets_an_answer_that_ends_with_its_connection() -> None:
    """It knows of no chunks."""
    async with a_site() as served:
        received = await exchanged(
            served.port, b"GET /pieces HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        )
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"\r\nConnection: close" in head
    assert b"Transfer-Encoding" not in head
    assert body == b"one two"


async def test_a_request_knows_where_it_comes_from() -> None:
    """A worker that announces a port only is asked at this address."""
    async with a_site() as served, connected(served.port) as (reader, writer):
        writer.write(b"GET /address HTTP/1.1\r\n" + HOST + b"\r\n")
        assert (await response(reader))[1] == b"127.0.0.1"


# Turns


async def test_a_refusal_waits_for_its_turn() -> None:
    """Who sends nonsense behind a request gets the answer to that first."""
    async with a_site() as served, connected(served.port) as (reader, writer):
        writer.write(a_post(b"first", b"/slow") + b"nonsense\r\n\r\n")
        await eventually(lambda: served.gate.asked, lambda: "it should be served")
        served.gate.open.set()
        assert (await response(reader))[1] == b"slowly first"
        head, body = await response(reader)
        assert head.startswith(b"HTTP/1.1 400 ")
        assert json.loads(body)["error"] == "invalid_request"
        assert await reader.read() == b""


@pytest.mark.parametrize("before", [b"", b"HEAD / HTTP/1.1\r\n" + HOST + b"\r\n"])
async def test_a_refusal_has_a_body_unless_a_head_was_asked_for(before: bytes) -> None:
    """Nobody knows what nonsense asks for; that the request before it was a HEAD says nothing."""
    async with a_site() as served, connected(served.port) as (reader, writer):
        writer.write(before)
        if before:
            await reader.readuntil(b"\r\n\r\n")
        writer.write(b"nonsense\r\n\r\n")
        assert json.loads((await response(reader))[1])["error"] == "invalid_request"


async def test_who_is_refused_may_go_on_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """It sees the answer and its end, and has time to notice; not for ever, nor for any amount."""
    monkeypatch.setattr(inbound, "MAX_REST_BYTES", 10_000_000)
    monkeypatch.setattr(inbound, "REST_S", LONG_S)
    async with a_site() as served, connected(served.port) as (reader, writer):
        writer.write(a_post(b"first", b"/slow") + b"nonsense\r\n\r\n" + b"x" * 5_000_000)
        await eventually(lambda: served.gate.asked, lambda: "it should be served")
        served.gate.open.set()
        await writer.drain()
        assert (await response(reader))[1] == b"slowly first"
        assert (await response(reader))[0].startswith(b"HTTP/1.1 400 ")
        assert await reader.read() == b""
        now = asyncio.get_running_loop().time()
        assert served.server.waits.in_vain(now) == []
        assert served.server.waits.in_vain(now + LONG_S) == [served.only]
        writer.write(b"x" * 6_000_000)
        await eventually(lambda: not served.server.connections, lambda: "it should be cut off")


async def test_each_request_of_a_connection_has_the_time_of_the_first() -> None:
    """The clock of an earlier one is no clock of it."""
    loop = asyncio.get_running_loop()
    async with a_site() as served, connected(served.port) as (reader, writer):
        waits, due = served.server.waits, served.server.waits._due
        for _ in range(2):
            began = loop.time()
            writer.write(a_post(b"body")[:-4])
            await eventually(
                lambda: served.server.connections and served.only._parser.body_bytes == 0,
                lambda: "its head should be read",
            )
            assert due[served.only] >= began + LONG_S
            writer.write(b"body")
            answered = loop.time()
            assert (await response(reader))[1] == b"POST body"
            assert waits.in_vain(answered + 1e9) == [served.only]
            assert due[served.only] >= answered + LONG_S


async def test_half_a_request_behind_another_is_waited_for_when_it_is_its_turn() -> None:
    """While the first one is answered it is not the client's fault that nobody reads on."""
    async with a_site() as served, connected(served.port) as (reader, writer):
        writer.write(a_post(b"first", b"/slow") + a_post(b"second")[:-3])
        await eventually(lambda: served.gate.asked, lambda: "it should be served")
        for_ever = asyncio.get_running_loop().time() + 1e9
        assert served.server.waits.in_vain(for_ever) == []
        served.gate.open.set()
        assert (await response(reader))[1] == b"slowly first"
        assert served.server.waits.in_vain(for_ever) == [served.only]
        writer.write(b"ond")
        assert (await response(reader))[1] == b"POST second"


async def test_a_head_that_comes_byte_by_byte_gets_no_more_time_than_another() -> None:
    """A byte now and then would hold a connection."""
    async with a_site() as served, connected(served.port) as (_, writer):
        await eventually(lambda: served.server.waits._due, lambda: "it should be waited for")
        due = served.server.waits._due[served.only]
        writer.write(b"GET / HT")
        await eventually(lambda: served.only._parser._uncounted, lambda: "it should be read")
        assert served.server.waits._due[served.only] == due


# Who goes


async def test_who_says_no_more_gets_the_answer_that_takes_no_time() -> None:
    """As `nc -N` does: a shut half is no goodbye yet."""
    async with a_site() as served, connected(served.port) as (reader, writer):
        await ask_and_shut(served, writer)
        served.gate.open.set()
        assert (await response(reader))[1] == b"slowly x"
        assert await reader.read() == b""


async def test_who_says_no_more_is_not_kept_for_long() -> None:
    """Most of those have gone."""
    async with a_site() as served, connected(served.port) as (_, writer):
        await ask_and_shut(served, writer)
        now = asyncio.get_running_loop().time()
        assert served.server.waits.in_vain(now + HALF_CLOSED_S) == [served.only]


@pytest.mark.parametrize("how", ["half-closed", "the last one"])
async def test_who_reads_a_long_answer_has_the_time_that_it_takes(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is expected of such a client but that it reads."""
    async with a_site() as served, connected(served.port) as (reader, writer):
        last = b"Connection: close\r\n" if how == "the last one" else b""
        writer.write(b"GET /large HTTP/1.1\r\n" + HOST + last + b"\r\n")
        if how == "half-closed":
            writer.write_eof()
        await eventually(
            lambda: served.server.connections and served.only.left_bytes(), lambda: "no answer"
        )
        if how == "half-closed":
            await eventually(lambda: served.only._has_ended, lambda: "its end should be seen")
        assert served.server.waits.in_vain(asyncio.get_running_loop().time() + 1e9) == []
        assert len((await response(reader))[1]) == LARGE
        assert await reader.read() == b""
        await eventually(lambda: not served.server.connections, lambda: "it should be closed")
    assert caplog.records == []


async def test_a_stream_to_who_says_no_more_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once: it has no other end."""
    monkeypatch.setattr(inbound, "HALF_CLOSED_S", LONG_S)
    async with a_site() as served, connected(served.port) as (reader, writer):
        writer.write(b"GET /stream HTTP/1.1\r\n" + HOST + b"\r\n")
        await reader.readuntil(b"one\r\n")
        writer.write_eof()
        await served.gate.open.wait()
        await eventually(lambda: not served.server.connections, lambda: "it should be closed")
        await eventually(lambda: served.gate.asked, lambda: "its handler should hear of it")


async def test_who_goes_is_noticed_also_behind_the_beginning_of_a_request() -> None:
    """A byte too many is no reason to look away."""
    async with a_site() as served, connected(served.port) as (reader, writer):
        writer.write(b"GET /stream HTTP/1.1\r\n" + HOST + b"\r\n")
        await reader.readuntil(b"one\r\n")
        writer.write(b"G")
        await eventually(lambda: served.only._parser.unread_bytes, lambda: "it should be read")
        writer.transport.abort()
        await served.gate.open.wait()


async def test_who_has_said_all_has_more_time_with_each_piece_that_it_is_sent() -> None:
    """It is there, as far as anybody knows."""
    async with a_site() as served, connected(served.port) as (reader, writer):
        writer.write(b"GET /twice HTTP/1.1\r\n" + HOST + b"\r\n")
        writer.write_eof()
        await eventually(
            lambda: served.server.connections and served.only._has_ended, lambda: "no end"
        )
        before = served.server.waits._due[served.only]
        served.gate.open.set()
        await reader.readuntil(b"two\r\n")
        assert served.server.waits._due[served.only] > before


async def test_an_answer_to_who_has_gone_is_let_go(caplog: pytest.LogCaptureFixture) -> None:
    """And nothing of it stays."""
    caplog.set_level(logging.DEBUG)
    async with a_site() as served:
        async with connected(served.port) as (_, writer):
            writer.write(a_post(b"x", b"/slow"))
            await eventually(lambda: served.gate.asked, lambda: "it should be served")
            writer.transport.abort()
        await eventually(lambda: not served.server.connections, lambda: "it should be forgotten")
        served.gate.open.set()
        async with connected(served.port) as (reader, writer):
            writer.write(a_post(b"next"))
            assert (await response(reader))[1] == b"POST next"
    assert [record for record in caplog.records if record.name != "asyncio"] == []


async def test_a_mistake_before_there_is_a_handler_ends_the_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is logged, and the next client is served."""
    async with a_site() as served:
        async with connected(served.port) as (reader, writer):
            writer.write(b"GET /broken HTTP/1.1\r\n" + HOST + b"\r\n")
            assert await reader.read() == b""
        assert await exchanged(served.port, a_post(b"x")) != b""
    (record,) = caplog.records
    assert record.getMessage() == "GET /broken failed"


async def test_a_header_of_an_answer_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a handler was made to put into it: nobody writes a header, or an answer, of his."""

    class Careless(ApiHandler):
        def get(self) -> None:
            self.headers._as_list["X"] = ["x\r\nInjected: y"]
            self.finish(b"")

    server, port = listening(site([Route("/", Careless)], {}))
    received = await exchanged(port, b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
    server.stop()
    await server.close_all_connections()
    assert received.startswith(b"HTTP/1.1 500 ")
    assert b"Injected" not in received
    assert len(caplog.records) == 1


LEAVING = {
    "answers": a_post(b"x") + b"GET /pieces HTTP/1.1\r\n" + HOST + b"\r\n",
    "a watched answer": b"GET /watched HTTP/1.1\r\n" + HOST + b"\r\n",
    "a refusal": b"nonsense\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "too large": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 10000000\r\n\r\n",
    "half a body": a_post(b"body")[:-1],
    "a client that goes": a_post(b"x", b"/slow"),
}


@pytest.mark.parametrize("sent", LEAVING.values(), ids=LEAVING)
async def test_a_connection_leaves_nothing_behind(sent: bytes) -> None:
    """Whatever was on it; without the help of the collector, which a busy master seldom runs."""
    async with a_site() as served:
        gc.collect()
        gc.disable()
        try:
            async with connected(served.port) as (reader, writer):
                writer.write(sent)
                await eventually(lambda: served.server.connections, lambda: "it should be there")
                gone = weakref.ref(served.only)
                await eventually(lambda: _has_been_read(gone, served), lambda: "not read")
                if b"/pieces" in sent:
                    await reader.readuntil(b"0\r\n\r\n")
            served.gate.open.set()
            await eventually(lambda: not served.server.connections, lambda: "it should be gone")
            await eventually(lambda: gone() is None, lambda: f"{gc.get_referrers(gone())}")
        finally:
            gc.enable()


def _has_been_read(connection: "weakref.ref[Inbound]", served: Served) -> bool:
    """Return whether all that was sent has been read, or is being served."""
    one = connection()
    return one is not None and (
        one._is_over
        or bool(served.gate.asked)
        or one._parser.body_bytes is not None
        or one._sent_bytes > 0
    )
