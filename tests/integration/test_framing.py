"""Requests whose framing is in doubt: 400 or a closed socket, and what follows is never served.

Two programs that disagree on where a request ends let somebody smuggle one past the other. The
law: after any doubt the connection is over, so that no byte behind it is taken for a request.
"""

import asyncio
import contextlib

import pytest

from tests.integration.serving import a_master, a_worker, exchanged

pytestmark = pytest.mark.gen_test

SMUGGLED = b'POST /submit HTTP/1.1\r\nHost: x\r\nContent-Length: 14\r\n\r\n{"task":"666"}'
JSON = b'{"task": "1"}'


def a_post(*headers: bytes, body: bytes = JSON) -> bytes:
    """Return a submit with these headers besides Host, followed by one that must not be served."""
    lines = (b"POST /submit HTTP/1.1", b"Host: x", *headers, b"", b"")
    return b"\r\n".join(lines) + body + SMUGGLED


def chunked(body: bytes) -> bytes:
    """Return a submit whose body is chunked as `body` says."""
    return a_post(b"Transfer-Encoding: chunked", body=body)


DOUBTFUL = {
    "two lengths": a_post(b"Content-Length: 13", b"Content-Length: 14"),
    "two lengths in one": a_post(b"Content-Length: 13, 14"),
    "length and chunks": a_post(b"Content-Length: 13", b"Transfer-Encoding: chunked"),
    "chunks and length": a_post(b"Transfer-Encoding: chunked", b"Content-Length: 13"),
    "negative length": a_post(b"Content-Length: -1"),
    "signed length": a_post(b"Content-Length: +13"),
    "hexadecimal length": a_post(b"Content-Length: 0xd"),
    "length with an underscore": a_post(b"Content-Length: 1_3"),
    "length in foreign digits": a_post("Content-Length: ١٣".encode()),
    "length of many digits": a_post(b"Content-Length: " + b"9" * 5000),
    "another coding": a_post(b"Transfer-Encoding: gzip"),
    "chunked twice": a_post(b"Transfer-Encoding: chunked, chunked", body=b"d\r\n" + JSON),
    "chunked disguised": a_post(b"Transfer-Encoding: xchunked", b"Content-Length: 13"),
    "chunk size no number": chunked(b"x\r\n" + JSON + b"\r\n0\r\n\r\n"),
    "chunk size signed": chunked(b"+d\r\n" + JSON + b"\r\n0\r\n\r\n"),
    "chunk size with 0x": chunked(b"0xd\r\n" + JSON + b"\r\n0\r\n\r\n"),
    "chunk size negative": chunked(b"-d\r\n" + JSON + b"\r\n0\r\n\r\n"),
    "chunk size empty": chunked(b"\r\n" + JSON + b"\r\n0\r\n\r\n"),
    "chunk too short": chunked(b"c\r\n" + JSON + b"\r\n0\r\n\r\n"),
    "chunk too long": chunked(b"e\r\n" + JSON + b"\r\n0\r\n\r\n"),
    "chunk size endless": chunked(b"f" * 100 + b"\r\n"),
    "two hosts": a_post(b"Host: y", b"Content-Length: 13"),
    "no host": b"GET /livez HTTP/1.1\r\n\r\n" + SMUGGLED,
    "host with a blank": b"GET /livez HTTP/1.1\r\nHost: a b\r\n\r\n" + SMUGGLED,
    "header with a blank": a_post(b"Content-Length : 13"),
    "header without a name": a_post(b": 13", b"Content-Length: 13"),
    "header without a colon": a_post(b"Nonsense", b"Content-Length: 13"),
    "NUL in a header": a_post(b"X: \x00", b"Content-Length: 13"),
    "bare CR in a header": a_post(b"X: a\rContent-Length: 0", b"Content-Length: 13"),
    "no version": b"GET /livez\r\n\r\n" + SMUGGLED,
    "nonsense": b"\x00\xff\x00\xff\r\n\r\n" + SMUGGLED,
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SMUGGLED,
    "TLS hello": bytes.fromhex("16030100a5010000a10303") + b"\x00" * 200 + SMUGGLED,
    "header over its limit": a_post(b"X: " + b"x" * 20_000, b"Content-Length: 13"),
    "line without an end": b"GET /" + b"x" * 100_000,
}


@pytest.mark.parametrize("sent", DOUBTFUL.values(), ids=DOUBTFUL)
async def test_what_follows_a_doubtful_request_is_never_served(sent: bytes) -> None:
    """By the master."""
    async with a_master() as master:
        received = await exchanged(master.port, sent)
        assert_given_up(received)
        assert (await master.get("/jobs")).json == []


@pytest.mark.parametrize("sent", DOUBTFUL.values(), ids=DOUBTFUL)
async def test_what_follows_a_doubtful_request_is_not_served_by_a_worker_either(
    sent: bytes,
) -> None:
    """It has the same server."""
    async with a_worker() as worker:
        assert_given_up(await exchanged(worker.port, sent.replace(b"/submit", b"/compute")))


def assert_given_up(received: bytes) -> None:
    """Assert that one 4xx came back at the most, and nothing after it."""
    assert received.count(b"HTTP/1.1 ") <= 1
    assert received == b"" or received.startswith(b"HTTP/1.1 4")
    assert b"Traceback" not in received


async def test_two_good_requests_on_one_connection_are_both_served() -> None:
    """What the tests above rely on: without doubt the second one would have been a job."""
    async with a_master() as master:
        received = await exchanged(master.port, a_post(b"Content-Length: 13"))
        assert received.count(b"HTTP/1.1 200 OK") == 2
        assert [job["task"] for job in (await master.get("/jobs")).json] == ["666", "1"]


async def test_a_chunked_body_is_read() -> None:
    """Chunks are no fault in themselves."""
    async with a_master() as master:
        received = await exchanged(
            master.port, chunked(b'5\r\n{"tas\r\n8\r\nk": "1"}\r\n0\r\n\r\n')
        )
        assert received.count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize("declared", [b"Content-Length: 2000000", b"Transfer-Encoding: chunked"])
async def test_a_body_over_the_limit_is_not_read(declared: bytes) -> None:
    """413 or closed, and nothing is served after it."""
    async with a_master(limits__body_bytes=1_000_000) as master:
        piece = b"f4240\r\n" + b"x" * 1_000_000 + b"\r\n"
        body = piece + piece if b"chunked" in declared else b"x" * 2_000_000
        assert_given_up(await exchanged(master.port, a_post(declared, body=body)))
        assert (await master.get("/jobs")).json == []


async def test_a_gzipped_body_is_not_unpacked() -> None:
    """What looks small is not allowed to become large."""
    async with a_master() as master:
        headers = {"Content-Encoding": "gzip"}
        answer = await master.post("/submit", b"\x1f\x8b\x08" + b"\x00" * 100, headers)
        assert (answer.status, answer.json["error"]) == (400, "invalid_json")


async def test_a_client_that_leaves_in_the_middle_harms_nobody() -> None:
    """Half a header, half a body, or no word at all."""
    async with a_master() as master:
        for sent in (b"", b"POST /sub", a_post(b"Content-Length: 5000")):
            await exchanged(master.port, sent)
        assert (await master.post("/submit", {"task": "1"})).json["job_id"] == 1


async def test_a_connection_over_the_bound_is_closed_without_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A process without file descriptors could neither accept nor refuse. The log says so."""
    async with a_master(limits__connections=1) as master:
        _, first = await asyncio.open_connection("127.0.0.1", master.port)
        reader, second = await asyncio.open_connection("127.0.0.1", master.port)
        try:
            second.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                assert await reader.read(1) == b""
            assert "connections turned away since the last such line: 1; 1 are open" in caplog.text
        finally:
            first.close()
            second.close()
