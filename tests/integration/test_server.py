"""What a server waits for, and what it does not."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest
from tornado.httputil import HTTPServerRequest

from engine.roof import bound
from engine.server import Server
from engine.site import Route, Site
from engine.web import ApiHandler, site
from tests.integration.serving import eventually

pytestmark = pytest.mark.gen_test

MORE_THAN_SOCKETS_HOLD = 50_000_000  # bytes


PIECE = b"x" * 20_000


class Echo(ApiHandler):
    """Answers with what was sent."""

    def post(self) -> None:
        """Answer."""
        self.finish(self.request.body)


ECHO = site([Route("/", Echo)], {})


class LongAnswer(ApiHandler):
    """Answers with more than sockets hold, whole or in pieces."""

    def __init__(self, request: HTTPServerRequest, gone: asyncio.Event) -> None:
        super().__init__(request)
        self.gone = gone

    def get(self) -> None:
        """Answer at once."""
        left = self.finish(b"x" * MORE_THAN_SOCKETS_HOLD)
        left.add_done_callback(lambda _: self.gone.set())

    async def post(self) -> None:
        """Answer until nobody is there."""
        self.when_closed(self.gone.set)
        while not self.gone.is_set():
            await self.send(b"x" * 1_000_000)
        await self.send(b"to nobody")


class SlowAnswer(ApiHandler):
    """Answers when it is time."""

    def __init__(
        self, request: HTTPServerRequest, asked: asyncio.Event, time: asyncio.Event
    ) -> None:
        super().__init__(request)
        self.asked = asked
        self.time = time

    async def post(self) -> None:
        """Answer then."""
        self.asked.set()
        await self.time.wait()
        self.finish(b"now")


@contextlib.asynccontextmanager
async def connected(
    idle_s: float,
    body_s: float,
    reader_s: float = 3600.0,
    served: Site = ECHO,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, Server]]:
    """Give a connection to a server that waits for so long, and that server."""
    sockets, port = bound("127.0.0.1", 0)
    echo = Server(
        served.serve,
        max_body_bytes=100_000,
        max_connections=10,
        idle_s=idle_s,
        body_s=body_s,
        reader_s=reader_s,
    )
    echo.add_sockets(sockets)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer, echo
    finally:
        writer.close()
        echo.stop()
        await echo.close_all_connections()


@pytest.mark.parametrize(
    ("idle_s", "body_s", "sent"),
    [
        (0.1, 3600.0, b""),
        (0.1, 3600.0, b"POST / HT"),
    ],
)
async def test_what_does_not_come_is_not_waited_for(
    idle_s: float, body_s: float, sent: bytes
) -> None:
    """No word, half a head."""
    async with connected(idle_s, body_s) as (reader, writer, _):
        writer.write(sent)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""


async def test_who_sends_half_a_body_is_told_that_it_was_waited_for() -> None:
    """By a problem, once, and then the connection is over."""
    async with connected(3600.0, 0.1) as (reader, writer, _):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhal")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b"\r\nContent-Type: application/problem+json\r\n" in head
    assert (json.loads(body)["status"], json.loads(body)["error"]) == (408, "too_slow")


async def test_who_goes_on_with_a_body_after_it_was_told_is_cut_off() -> None:
    """What comes too late is not served."""
    async with connected(3600.0, 0.1) as (reader, writer, echo):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhal")
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
        writer.write(b"f!")
        await eventually(lambda: not echo.connections, lambda: "the connection should be closed")


async def test_each_piece_of_a_body_renews_the_time_that_it_has() -> None:
    """A slow line is no reason to be cut off."""
    async with connected(3600.0, 3600.0) as (reader, writer, echo):
        writer.write(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 40000\r\nExpect: 100-continue\r\n\r\n"
        )
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        in_vain_at = asyncio.get_running_loop().time() + 3600.0
        assert echo.waits.in_vain(in_vain_at) != []
        writer.write(PIECE)
        await eventually(
            lambda: not echo.waits.in_vain(in_vain_at), lambda: "it should be waited for longer"
        )
        writer.write(PIECE)
        assert (await reader.readuntil(PIECE + PIECE)).startswith(b"HTTP/1.1 200 ")


async def test_who_has_said_all_may_wait_for_the_answer_for_as_long_as_it_takes() -> None:
    """A job that somebody waits for may take a minute: nothing more is expected of the client."""
    asked, time = asyncio.Event(), asyncio.Event()
    slow = site([Route("/", SlowAnswer)], {"asked": asked, "time": time})
    async with connected(1.0, 1.0, 1.0, slow) as (reader, writer, answering):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nwhole")
        await asked.wait()
        assert answering.waits.in_vain(asyncio.get_running_loop().time() + 3600.0) == []
        time.set()
        assert (await reader.readuntil(b"now")).startswith(b"HTTP/1.1 200 ")


async def test_who_has_said_all_may_wait_for_the_next_request_as_for_the_first() -> None:
    """A connection is kept, and each part of a request has its own time."""
    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nwhole"
    async with connected(60.0, 60.0) as (reader, writer, _):
        for _ in range(3):
            writer.write(request)
            assert (await reader.readuntil(b"whole")).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("method", [b"GET", b"POST"])
async def test_who_stops_reading_an_answer_is_cut_off_without_a_word(
    method: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether it is sent at once or in pieces: it would be kept for as long as the client likes."""
    gone = asyncio.Event()
    long_answer = site([Route("/", LongAnswer)], {"gone": gone})
    async with connected(3600.0, 3600.0, 0.1, long_answer) as (_, writer, _):
        writer.write(method + b" / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        await gone.wait()
    assert caplog.records == []
