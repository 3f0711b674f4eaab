"""Requests that are refused before they have been read: whoever sent them sees why, as a problem.

Many clients send all that they have before they read a word. A server that closes meanwhile resets
the connection, and they see no answer at all. The law holds for the master and for a worker alike.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable
from http.client import HTTPConnection

import pytest
from tornado.httputil import HTTPHeaders

from tests.integration.serving import Answer, a_master, a_worker, assert_problem, exchanged

pytestmark = pytest.mark.gen_test

MEGABYTE = bytes(1_000_000)
TOO_MANY = 20  # of them: more than a body may have, and than the sockets of both ends hold


@contextlib.asynccontextmanager
async def a_port(who: str) -> AsyncIterator[int]:
    """Give the port of a master or of a worker."""
    async with a_master() as master, a_worker() as worker:
        yield {"master": master, "worker": worker}[who].port


def asked(
    port: int, body: bytes | Iterable[bytes] | None, headers: dict[str, str], path: str
) -> Answer:
    """Send a whole request, and read the answer only then."""
    connection = HTTPConnection("127.0.0.1", port)
    with contextlib.closing(connection):
        connection.request("POST", path, body, headers, encode_chunked=True)
        response = connection.getresponse()
        return Answer(response.status, HTTPHeaders(dict(response.getheaders())), response.read())


TOO_LARGE: dict[str, tuple[int, int, bytes | list[bytes] | None, dict[str, str], str]] = {
    "by its length": (413, 16_777_216, MEGABYTE * TOO_MANY, {}, "/"),
    "by its chunks": (
        413,
        16_777_216,
        [MEGABYTE] * TOO_MANY,
        {"Transfer-Encoding": "chunked"},
        "/",
    ),
    "in its headers": (431, 16_384, b"{}", {"X": "x" * 30_000}, "/"),
    "in its query": (431, 16_384, None, {}, "/jobs?limit=" + "1" * 20_000),
}


@pytest.mark.parametrize("who", ["master", "worker"])
@pytest.mark.parametrize(
    ("status", "most", "body", "headers", "path"), TOO_LARGE.values(), ids=TOO_LARGE
)
async def test_who_sends_too_much_is_told_so_and_how_much_it_may_send(
    who: str,
    status: int,
    most: int,
    body: bytes | list[bytes] | None,
    headers: dict[str, str],
    path: str,
) -> None:
    """Although it sends all of it first."""
    async with a_port(who) as port:
        answer = await asyncio.to_thread(asked, port, body, headers, path)
        assert_problem(answer, status, "too_large")
        assert str(most) in answer.json["detail"]


@pytest.mark.parametrize("who", ["master", "worker"])
async def test_who_asks_before_it_sends_too_much_is_told_so_and_not_to_go_on(who: str) -> None:
    """As curl does."""
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\nExpect: 100-continue\r\n\r\n"
    async with a_port(who) as port:
        received = await exchanged(port, head)
        assert received.startswith(b"HTTP/1.1 413 Request Entity Too Large\r\n")
        assert received.count(b"HTTP/1.1 ") == 1


IN_DOUBT = {
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "a long host": b"GET / HTTP/1.1\r\nHost: " + b"x y" * 500 + b"\r\n\r\n",
    "no length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 2\r\n\r\n",
    "another coding": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
    "a length and chunks": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("who", ["master", "worker"])
@pytest.mark.parametrize("sent", IN_DOUBT.values(), ids=IN_DOUBT)
async def test_a_head_that_is_in_doubt_is_answered_with_a_problem(who: str, sent: bytes) -> None:
    """Once, and no more of it than 80 characters."""
    async with a_port(who) as port:
        head, _, body = (await exchanged(port, sent)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        headers = HTTPHeaders.parse(head.decode().partition("\r\n")[2])
        assert_problem(Answer(400, headers, body), 400, "invalid_request")
        assert len(json.loads(body)["detail"]) < 160
        assert headers["Connection"] == "close"


async def test_the_head_of_a_refusal_is_all_that_who_asks_for_a_head_gets() -> None:
    """Early refusals are no exception."""
    async with a_port("master") as port:
        received = await exchanged(port, b"HEAD / HTTP/1.1\r\n\r\n")
        assert received.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert received.endswith(b"\r\n\r\n")


async def test_what_is_refused_in_the_middle_of_its_chunks_may_break_off_as_it_likes() -> None:
    """One answer is all that it gets: no second one for a chunk that is none."""
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"f4240\r\n" + MEGABYTE + b"\r\n"
    async with a_port("master") as port:
        received = await exchanged(port, head + chunk * 17 + b"x\r\n")
        assert received.startswith(b"HTTP/1.1 413 Request Entity Too Large\r\n")
        assert received.count(b"HTTP/1.1 ") == 1
