"""Requests on kept connections: what comes back, which connection is used again, what is left."""

import asyncio
import gc
import socket
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from httptools import HttpResponseParser

from engine.outbound import LARGEST_HEAD, Cause, Connections, NoReply, Peer, Received
from tests.answering_server import (
    Server,
    SilentPort,
    a_server,
    assert_what_is_cancelled_is_taken_back,
    with_body,
)

pytestmark = pytest.mark.gen_test

LARGEST_BODY = 1000
OK = b"HTTP/1.1 200 OK\r\n"


@asynccontextmanager
async def connections(
    kept: int = 10, connect_timeout_s: float = 60.0, idle_s: float = 60.0
) -> AsyncIterator[Connections]:
    """Give connections, and close them."""
    ours = Connections(
        kept=kept,
        largest_body=LARGEST_BODY,
        connect_timeout_s=connect_timeout_s,
        idle_s=idle_s,
    )
    try:
        yield ours
    finally:
        ours.close()


def peer_of(server: Server) -> Peer:
    """Return where a server is."""
    parts = urlsplit(server.url)
    assert parts.hostname is not None
    assert parts.port is not None
    return Peer(parts.hostname, parts.port)


async def get(
    ours: Connections, server: Server, path: str, timeout_s: float = 60.0, body: bytes = b""
) -> Received:
    """Ask for a path."""
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    return await ours.ask(peer_of(server), head.encode() + body, timeout_s)


async def failure(ours: Connections, server: Server, path: str, timeout_s: float = 60.0) -> NoReply:
    """Ask for a path, and return why nothing came."""
    with pytest.raises(NoReply) as raised:
        await get(ours, server, path, timeout_s)
    return raised.value


async def test_everybody_gets_the_answer_to_what_was_asked() -> None:
    """However many ask at the same time, one after the other's end in the same turn of the loop."""
    async with a_server() as server, connections() as ours:

        async def ask_in_turn(name: int) -> list[bytes]:
            return [(await get(ours, server, f"/{name}/{i}")).body for i in range(20)]

        answers = await asyncio.gather(*map(ask_in_turn, range(10)))
    assert answers == [[f"/{name}/{i}".encode() for i in range(20)] for name in range(10)]
    assert server.connections == 10


async def test_as_many_connections_are_kept_as_were_said() -> None:
    """A pool of workers is not connected to again and again; what is over is closed."""
    async with a_server() as server, connections(kept=30) as ours:
        waiting = [asyncio.ensure_future(get(ours, server, "/wait")) for _ in range(33)]
        await server.until(lambda server: server.connections == 33)
        server.release.set()
        await asyncio.gather(*waiting)
        await server.until(lambda server: server.open == 30)
        for _ in range(3):
            await get(ours, server, "/")
        assert (server.connections, server.open) == (33, 30)


async def test_everybody_waits_as_long_as_he_said_and_no_longer() -> None:
    """Whoever else waits longer, or has waited for less and is gone."""
    async with a_server() as server, connections() as ours:
        long = asyncio.ensure_future(failure(ours, server, "/wait", 2.0))
        await server.until(lambda server: server.connections == 1)
        for _ in range(2):
            short = await failure(ours, server, "/wait", 0.03)
            assert (short.cause, short.sent) == (Cause.LATE, True)
            assert not long.done()
        assert (await long).cause is Cause.LATE


async def test_what_is_cancelled_is_taken_back_and_hurts_nobody() -> None:
    """Its connection is closed, since an answer to it may still come; others go on."""
    async with a_server() as server, connections() as ours:

        async def ask(path: str) -> bytes:
            return (await get(ours, server, path)).body

        await assert_what_is_cancelled_is_taken_back(server, ask)


async def test_what_is_cancelled_before_it_is_connected_is_never_sent() -> None:
    """No connection is made for nobody."""
    async with a_server() as server, connections() as ours:
        cancelled = asyncio.ensure_future(get(ours, server, "/1"))
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert (await get(ours, server, "/2")).body == b"/2"
        assert [head.split()[1] for head, _ in server.asked] == [b"/2"]


async def test_what_is_under_way_at_the_end_is_cancelled() -> None:
    """No connection stays open, and nobody waits for ever."""
    async with a_server() as server:
        async with connections() as ours:
            waiting = asyncio.ensure_future(get(ours, server, "/wait"))
            await server.until(lambda server: server.connections == 1)
            connecting = asyncio.ensure_future(get(ours, server, "/wait"))
            await asyncio.sleep(0)
        for each in (waiting, connecting):
            with pytest.raises(asyncio.CancelledError):
                await each


@pytest.mark.parametrize(
    ("reply", "is_taken"),
    [
        (with_body(b"x" * LARGEST_BODY), True),
        (with_body(b"x" * (LARGEST_BODY + 1)), False),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 2000 + b"0\r\n\r\n", False),
        (with_body(b"", b"X: " + b"y" * (LARGEST_HEAD // 2)), True),
        (with_body(b"", b"X: " + b"y" * LARGEST_HEAD), False),
        (with_body(b"", *[b"X: " + b"y" * 1000] * (LARGEST_HEAD // 1000)), False),
        (OK + b"X: " + b"y" * 2 * LARGEST_HEAD, False),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"y" * 2 * LARGEST_HEAD, False),
    ],
    ids=["body", "large body", "chunks", "head", "large header", "large head", "header", "trailer"],
)
async def test_no_more_is_taken_than_there_may_be(reply: bytes, is_taken: bool) -> None:
    """Of body and of head; what there may be is taken to the last byte."""
    async with a_server(lambda _: reply) as server, connections() as ours:
        if is_taken:
            assert (await get(ours, server, "/")).body == reply.partition(b"\r\n\r\n")[2]
        else:
            failed = await failure(ours, server, "/")
            assert (failed.cause, failed.sent) == (Cause.GARBLED, True)
            await server.until(lambda server: server.open == 0)


async def test_headers_are_those_of_the_reply_and_not_of_what_came_before_it() -> None:
    """Found in any case, several with commas, and an empty text where there is none."""

    def reply(_path: str) -> bytes:
        early = b"HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n"
        return early + with_body(b"{}", b"x-one: 1", b"X-Two:a", b"X-TWO:  b ")

    async with a_server(reply) as server, connections() as ours:
        for _ in range(2):
            received = await get(ours, server, "/")
            assert received.status == 200
            assert received.body == b"{}"
            named = (b"X-One", b"X-Two", b"X-Early", b"X")
            assert [received.header(name) for name in named] == ["1", "a, b", "", ""]
    assert server.connections == 1


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        (OK + b"\r\n{}", b"{}"),  # as long as the connection is open
        (b"HTTP/1.0 200 OK\r\n\r\n{}", b"{}"),
        (OK + b"Content-Length: 2\r\nConnection: close\r\n\r\n{}", b"{}"),
        (b"HTTP/1.1 200\nContent-Length: 2\n\n{}", b"{}"),  # lines without a CR
        (OK + b"Content-Length : 2\r\nX: a\r\n b\r\n\r\n{}", b"{}"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", b"{}"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\n{}", b"{}"),
    ],
    ids=["until closed", "1.0", "close", "LF", "blanks", "chunks", "none", "refusal"],
)
async def test_a_reply_is_taken_as_servers_write_it(reply: bytes, body: bytes) -> None:
    """Of any version, its length told in any way; the connection is closed behind it."""
    async with a_server(lambda _: reply) as server, connections() as ours:
        for _ in range(2):
            received = await get(ours, server, "/last")
            assert (received.status, received.body) == (int(reply[9:12]), body)


@pytest.mark.parametrize(
    "reply",
    [
        b"hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length : 9\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 20",
    ],
)
async def test_what_is_no_reply_or_half_of_one_is_none(reply: bytes) -> None:
    """The connection ends behind it."""
    async with a_server(lambda _: reply) as server, connections() as ours:
        failed = await failure(ours, server, "/last")
        assert (failed.cause, failed.sent) == (Cause.GARBLED, True)


@pytest.mark.parametrize(
    "reply",
    [
        with_body(b"{}", b"Connection: close"),
        with_body(b"{}") + with_body(b"{}"),
        with_body(b"{}") + b"more",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    ],
    ids=["close", "two", "more", "1.0"],
)
async def test_a_connection_is_not_used_again_when_it_cannot_be_trusted(reply: bytes) -> None:
    """Its server said so, or sent more than it was asked for."""
    async with a_server(lambda _: reply) as server, connections() as ours:
        for count in range(1, 4):
            assert (await get(ours, server, "/")).body == b"{}"
            assert server.connections == count


async def test_a_connection_on_which_something_comes_unasked_is_closed() -> None:
    """It may not be taken for the answer to what is asked next; there is room for another one."""
    async with a_server() as server, connections(kept=1) as ours:
        await get(ours, server, "/1")
        server.writers[0].write(with_body(b"unasked"))
        await server.until(lambda server: server.open == 0)
        for path in ("/2", "/3"):
            assert (await get(ours, server, path)).body == path.encode()
        assert server.connections == 2


async def test_a_connection_on_which_a_request_has_not_left_is_not_used_again() -> None:
    """The next one would wait behind it."""
    async with a_server() as server, connections() as ours:
        body = b"x" * 20_000_000  # more than the sockets of both ends hold
        assert (await get(ours, server, "/early", body=body)).body == b"/early"
        assert (await get(ours, server, "/2")).body == b"/2"
        assert server.connections == 2


async def test_a_connection_that_is_about_to_be_closed_is_not_used() -> None:
    """Nothing would be sent on it; and who is gone by then did not have the request."""
    async with a_server() as server, connections() as ours:
        await get(ours, server, "/")
        assert server.listening is not None
        server.listening.close()
        (connection,) = ours._idle[peer_of(server)]
        connection.data_received(b"unasked")  # and asyncio closes it in its next turn
        failed = await failure(ours, server, "/")
        assert (failed.cause, failed.sent) == (Cause.UNCONNECTED, False)


async def test_of_many_connections_the_oldest_makes_room() -> None:
    """Its peer may have gone long ago, without a word."""
    async with a_server() as one, a_server() as other, connections(kept=2) as ours:
        await get(ours, one, "/")
        for _ in range(3):
            await asyncio.gather(*(get(ours, other, "/") for _ in range(2)))
        assert (one.connections, other.connections) == (1, 2)
        await one.until(lambda server: server.open == 0)


async def test_a_connection_that_was_silent_for_long_is_not_used_again() -> None:
    """What lies between may have forgotten it, and tell nobody."""
    async with a_server() as server, connections(idle_s=0.0) as ours:
        for count in range(1, 4):
            assert (await get(ours, server, f"/{count}")).body == f"/{count}".encode()
            assert server.connections == count


async def test_a_request_on_a_kept_connection_that_breaks_is_sent_again_once() -> None:
    """On a new one; and not at all if the connection was new before, or some of the reply came."""

    def reply(path: str) -> bytes:
        return OK if path == "/last/half" else with_body(path.encode())

    async with a_server(reply) as server, connections() as ours:
        await get(ours, server, "/")
        server.writers[0].close()
        assert (await get(ours, server, "/again")).body == b"/again"
        failed = await failure(ours, server, "/vanish")
        assert (failed.cause, failed.sent) == (Cause.CLOSED, True)
        failed = await failure(ours, server, "/vanish/new")
        assert (failed.cause, failed.sent) == (Cause.CLOSED, True)
        await get(ours, server, "/")
        failed = await failure(ours, server, "/last/half")
        assert (failed.cause, failed.sent) == (Cause.GARBLED, True)
    asked = [head.split()[1].decode() for head, _ in server.asked]
    assert asked == ["/", "/again", "/vanish", "/vanish", "/vanish/new", "/", "/last/half"]


async def test_where_nobody_is_nothing_is_sent() -> None:
    """Nobody listens there any more, or nothing has that name."""
    async with a_server() as server:
        pass
    async with connections() as ours:
        failed = await failure(ours, server, "/")
        assert (failed.cause, failed.sent) == (Cause.UNCONNECTED, False)
        with pytest.raises(NoReply) as raised:
            await ours.ask(Peer("no..name", 80), b"", 60.0)
        assert (raised.value.cause, raised.value.sent) == (Cause.UNCONNECTED, False)


async def test_who_is_not_connected_in_time_has_sent_nothing() -> None:
    """Whichever time is over first: the one for connections, or the one of the request."""
    silent = SilentPort()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    silent.fill(port)
    for connect_timeout_s, timeout_s in ((0.1, 60.0), (60.0, 0.1)):
        async with connections(connect_timeout_s=connect_timeout_s) as ours:
            with pytest.raises(NoReply) as raised:
                await ours.ask(Peer("127.0.0.1", port), b"", timeout_s)
            assert (raised.value.cause, raised.value.sent) == (Cause.UNCONNECTED, False)
    silent.close()


async def test_outbound_that_are_over_leave_no_reference_cycles() -> None:
    """The collector looks for those now and then only."""

    def left() -> int:
        return sum(isinstance(thing, HttpResponseParser) for thing in gc.get_objects())

    before = left()
    gc.disable()
    try:
        async with a_server() as server, connections() as ours:
            await get(ours, server, "/last")
            await get(ours, server, "/")
            await failure(ours, server, "/vanish")
            await server.until(lambda server: server.open == 0)
        for _ in range(3):  # asyncio's own steps
            await asyncio.sleep(0)
        assert left() == before
    finally:
        gc.enable()


async def test_nothing_that_came_is_held_on_to() -> None:
    """A reply may be large, and its connection lives on."""
    async with a_server() as server, connections() as ours:
        received = await get(ours, server, "/")
        came = weakref.ref(received)
        del received
        await asyncio.sleep(0)  # the loop itself holds on to what it is carrying out
        assert came() is None
