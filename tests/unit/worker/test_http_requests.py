"""The announcer's way to its master: real sockets, and masters that talk nonsense."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from engine.worker.announcer import Response, http_requests

pytestmark = pytest.mark.gen_test

PATIENCE_S = 60.0  # no law: only so that an answer that never comes fails
OK = b"HTTP/1.1 200 OK\r\n"


@asynccontextmanager
async def a_master(reply: bytes | None) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Serve a raw reply, or none and silence; give the URL, and what was asked."""
    asked: list[bytes] = []
    over = asyncio.Event()
    ended: list[asyncio.Event] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(asyncio.Event())
        end = ended[-1]
        asked.append(await reader.readuntil(b"{}"))
        if reply is None:
            await over.wait()
        else:
            writer.write(reply)
        writer.close()
        end.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    over.set()
    server.close()
    for end in ended:
        await end.wait()


async def answer(url: str, timeout_s: float = PATIENCE_S, token: str = "") -> Response:
    """Announce, and return what comes back."""
    return await http_requests(url, token, timeout_s)("POST", "/worker", b"{}")


async def test_it_asks_with_json_and_the_token() -> None:
    """A slash at the end of the master's URL makes no difference."""
    async with a_master(OK + b"Content-Length: 2\r\n\r\n{}") as (url, asked):
        assert await answer(url + "/", token="secret") == Response(200, b"{}")  # noqa: S106
        request = asked[0].decode()
        assert request.startswith("POST /worker HTTP/1.1\r\n")
        assert "\r\nContent-Type: application/json\r\n" in request
        assert "\r\nAuthorization: Bearer secret\r\n" in request


@pytest.mark.parametrize("status", [302, 400, 401, 503, 999])
async def test_an_answer_of_any_status_is_an_answer(status: int) -> None:
    """No redirect is followed: the next host would be told the token."""
    reply = b"HTTP/1.1 %d X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n" % status
    async with a_master(reply) as (url, asked):
        assert (await answer(url)).status == status
        assert len(asked) == 1


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"\x15\x03\x01\x00\x02\x02\x28",
        b"garbage\r\n\r\n",
        OK + b"no header\r\n\r\n",
        OK + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
        OK + b"Content-Length: x\r\n\r\n",
        OK + b"Content-Length: 10\r\n\r\nshort",
        OK + b"Content-Length: 999999999999\r\n\r\n",
        OK + b"Content-Length: 100000\r\n\r\n" + b"x" * 100_000,
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 100 + OK + b"Content-Length: 0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc",
    ],
    ids=lambda reply: repr(reply[:45]),
)
async def test_whatever_is_no_answer_is_an_oserror(reply: bytes) -> None:
    """Anything else would end the announcer, and nobody would hear of the worker again."""
    async with a_master(reply) as (url, _):
        with pytest.raises(OSError):  # noqa: PT011  # any message
            await answer(url)


async def test_a_master_that_does_not_answer_is_given_up_after_the_time_out() -> None:
    """It is tried again."""
    async with a_master(None) as (url, _):
        with pytest.raises(OSError, match="Timeout"):
            await answer(url, timeout_s=0.05)


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://" + "a" * 300, "http://a..b", "http://127.0.0.1:1"]
)
async def test_a_master_that_cannot_be_there_is_an_oserror(url: str) -> None:
    """Its name may be known tomorrow."""
    with pytest.raises(OSError):  # noqa: PT011  # any message
        await answer(url)
