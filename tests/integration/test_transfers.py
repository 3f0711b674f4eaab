"""Requests by libcurl on the event loop: what comes back, who shares what, and what is left."""

import asyncio
import re
import sys
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pycurl
import pytest

from engine.client.transfers import LARGEST_HEAD, LARGEST_KEPT, Received, TransferFailed, Transfers
from tests.answering_server import (
    Server,
    a_server,
    assert_what_is_cancelled_is_taken_back,
    with_body,
)

pytestmark = pytest.mark.gen_test

LARGEST_BODY = 1000


@asynccontextmanager
async def transfers_to(server: Server, kept: int = 10) -> AsyncIterator[Transfers]:
    """Give transfers, and close them."""
    options = {pycurl.NOPROXY: "*", pycurl.TIMEOUT_MS: 60_000}
    transfers = Transfers(options, kept=kept, largest_body=LARGEST_BODY)
    try:
        yield transfers
    finally:
        transfers.close()


async def get(transfers: Transfers, server: Server, path: str) -> Received:
    """Ask for a path."""
    return await transfers.perform({pycurl.URL: server.url + path})


async def get_within(transfers: Transfers, server: Server, path: str, milliseconds: int) -> int:
    """Ask for a path, and return libcurl's number for why nothing came."""
    with pytest.raises(TransferFailed) as raised:
        await transfers.perform({pycurl.URL: server.url + path, pycurl.TIMEOUT_MS: milliseconds})
    return raised.value.number


async def test_everybody_gets_the_answer_to_what_was_asked() -> None:
    """However many ask at the same time, one after the other's end in the same turn of the loop."""
    async with a_server() as server, transfers_to(server) as transfers:

        async def ask_in_turn(name: int) -> list[bytes]:
            return [(await get(transfers, server, f"/{name}/{i}")).body for i in range(20)]

        answers = await asyncio.gather(*map(ask_in_turn, range(10)))
    assert answers == [[f"/{name}/{i}".encode() for i in range(20)] for name in range(10)]
    assert server.connections <= 10


async def test_outbound_are_kept_though_one_is_used_at_a_time() -> None:
    """As many as were said: a pool of workers is not connected to again and again."""
    async with a_server() as server, transfers_to(server, kept=30) as transfers:
        waiting = [asyncio.ensure_future(get(transfers, server, "/wait")) for _ in range(30)]
        await server.until(lambda server: server.connections == 30)
        server.release.set()
        await asyncio.gather(*waiting)
        for _ in range(3):
            await get(transfers, server, "/")
        assert server.open == 30


async def test_everybody_waits_as_long_as_he_said_and_no_longer() -> None:
    """Whoever else waits longer, or has waited for less and is gone."""
    async with a_server() as server, transfers_to(server) as transfers:
        long = asyncio.ensure_future(get_within(transfers, server, "/wait", 2_000))
        await server.until(lambda server: server.connections == 1)
        for _ in range(2):
            number = await get_within(transfers, server, "/wait", 30)
            assert number == pycurl.E_OPERATION_TIMEDOUT
            assert not long.done()
        assert await long == pycurl.E_OPERATION_TIMEDOUT


async def test_what_is_cancelled_is_taken_back_and_hurts_nobody() -> None:
    """Its connection is closed, since an answer to it may still come; others go on."""
    async with a_server() as server, transfers_to(server) as transfers:

        async def ask(path: str) -> bytes:
            return (await get(transfers, server, path)).body

        await assert_what_is_cancelled_is_taken_back(server, ask)


async def test_what_is_under_way_at_the_end_is_cancelled() -> None:
    """No connection stays open, and nobody waits for ever."""
    async with a_server() as server:
        async with transfers_to(server) as transfers:
            waiting = asyncio.ensure_future(get(transfers, server, "/wait"))
            await server.until(lambda server: server.connections == 1)
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_an_option_that_is_none_is_refused_and_the_next_request_is_served() -> None:
    """A URL of other characters than ASCII, for one."""
    async with a_server() as server, transfers_to(server) as transfers:
        with pytest.raises(UnicodeError):
            await get(transfers, server, "/ü")
        assert (await get(transfers, server, "/u")).body == b"/u"


async def test_what_one_request_had_is_not_had_by_the_next() -> None:
    """Though options are kept: neither body, nor method, nor headers, nor time-outs."""
    requests: list[dict[int, object]] = [
        {pycurl.POSTFIELDS: b"one", pycurl.HTTPHEADER: ["X-Trace: 1"]},
        {pycurl.POSTFIELDS: b"two", pycurl.HTTPHEADER: ["X-Trace: 1"]},
        {pycurl.POSTFIELDS: b"two", pycurl.HTTPHEADER: ["X-Other: 2"]},
        {},
        {pycurl.CUSTOMREQUEST: "DELETE"},
        {pycurl.POSTFIELDS: b"x" * (LARGEST_KEPT + 1)},
        {pycurl.POSTFIELDS: b""},
        {pycurl.TIMEOUT_MS: 1},
        {},
    ]
    async with a_server() as server, transfers_to(server) as transfers:
        for options in requests:
            if pycurl.TIMEOUT_MS in options:
                with pytest.raises(TransferFailed):
                    await transfers.perform({pycurl.URL: server.url + "/wait", **options})
                server.release.set()
            else:
                path = f"/{len(server.asked)}"
                received = await transfers.perform({pycurl.URL: server.url + path, **options})
                assert received.body == path.encode()
    told = [
        (head.split()[0], re.findall(rb"X-[^\r]*", head), body)
        for head, body in server.asked
        if b"/wait" not in head
    ]
    assert told == [
        (b"POST", [b"X-Trace: 1"], b"one"),
        (b"POST", [b"X-Trace: 1"], b"two"),
        (b"POST", [b"X-Other: 2"], b"two"),
        (b"GET", [], b""),
        (b"DELETE", [], b""),
        (b"POST", [], b"x" * (LARGEST_KEPT + 1)),
        (b"POST", [], b""),
        (b"GET", [], b""),
    ]


async def test_nothing_large_is_held_on_to() -> None:
    """Neither what was sent nor what came back."""
    sent = b"x" * (LARGEST_KEPT + 1)
    references = sys.getrefcount(sent)
    async with a_server() as server, transfers_to(server) as transfers:
        received = await transfers.perform({pycurl.URL: server.url, pycurl.POSTFIELDS: sent})
        came = weakref.ref(received)
        del received
        await asyncio.sleep(0)  # the loop itself holds on to what it is carrying out
        assert came() is None
        assert sys.getrefcount(sent) == references


@pytest.mark.parametrize(
    ("reply", "what"),
    [
        (with_body(b"x" * LARGEST_BODY), "taken"),
        (with_body(b"x" * (LARGEST_BODY + 1)), "too much"),
        (with_body(b"", b"X: " + b"y" * (LARGEST_HEAD // 4)), "taken"),
        (with_body(b"", *[b"X: " + b"y" * 1000] * (LARGEST_HEAD // 1000)), "too much"),
    ],
    ids=["body", "large body", "head", "large head"],
)
async def test_no_more_is_taken_than_there_may_be(reply: bytes, what: str) -> None:
    """Of body and of head; what there may be is taken to the last byte."""
    async with a_server(lambda _: reply) as server, transfers_to(server) as transfers:
        if what == "taken":
            assert (await get(transfers, server, "/")).body == reply.partition(b"\r\n\r\n")[2]
        else:
            with pytest.raises(TransferFailed) as caught:
                await get(transfers, server, "/")
            assert caught.value.sent


async def test_headers_are_those_of_the_reply_and_not_of_what_came_before_it() -> None:
    """Found in any case, several with commas, and an empty text where there is none."""

    def reply(_path: str) -> bytes:
        early = b"HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n"
        return early + with_body(b"{}", b"x-one: 1", b"X-Two:a", b"X-TWO:  b ")

    async with a_server(reply) as server, transfers_to(server) as transfers:
        received = await get(transfers, server, "/")
    assert received.status == 200
    assert received.body == b"{}"
    named = (b"X-One", b"X-Two", b"X-Early", b"X")
    assert [received.header(name) for name in named] == ["1", "a, b", "", ""]
