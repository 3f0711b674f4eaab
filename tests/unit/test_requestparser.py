"""From bytes to requests, with no socket: what is read does not depend on how the bytes are cut."""

from asyncio import Future
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.requestparser import MAX_HEADER_BYTES, SLICE_BYTES, RequestParser
from engine.responder import Responder
from engine.web import RequestRefused

MAX_BODY = 5_000

PIECES = [
    b"GET /a?b=c HTTP/1.1\r\n",
    b"POST /b HTTP/1.1\r\n",
    b"HEAD / HTTP/1.0\r\n",
    b"QUERY * HTTP/1.1\r\n",
    b"GET /\r\n",
    b"Host: x\r\n",
    b"Host: y\r\n",
    b"X: " + b"x" * 100 + b"\r\n",
    b"X:\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 3000\r\n",
    b"Content-Length: 99999\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
    b"Expect: 100-continue\r\n",
    b"\r\n",
    b"\r\n",
    b"\r\n",
    b"hello",
    b"x" * 3000,
    b"5\r\nhello\r\n",
    b"5;extension=1\r\nhello\r\n",
    b"bb8\r\n" + b"x" * 3000 + b"\r\n",
    b"0\r\n\r\n",
    b"0\r\nTrailer: x\r\n\r\n",
    b"\x00",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /d HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"POST /e HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
    b"Content-Length: 5\r\n\r\nhello",
]


KNOWN = ("GET", "HEAD", "POST", "QUERY")
UNKNOWN = "a method that llhttp does not know"  # it may be one for the site to refuse, or for us


class NoWire:
    """Where no response leaves."""

    remote_ip = "192.0.2.1"
    protocol = "http"

    def write(self, data: bytes) -> "Future[None]":
        """Do not come here."""
        raise NotImplementedError

    def finished(self, responder: Responder) -> None:
        """Nor here."""

    def abort(self) -> None:
        """Nor here."""


class Read(NamedTuple):
    """What was read: the requests, how the stream was refused, and what is still awaited."""

    requests: list[tuple[object, ...]]
    refusal: str | None  # and the method of the one that was refused
    body_bytes: int | None


def read(pieces: list[bytes]) -> Read:
    """Read as a connection does, until the last request of it or a refusal."""
    parser = RequestParser(NoWire(), MAX_BODY)
    requests: list[tuple[object, ...]] = []
    for piece in pieces:
        parser.take(piece)
        try:
            while (request := parser.next()) is not None:
                assert isinstance(request.connection, Responder)
                if request.method not in KNOWN:
                    return Read(requests, UNKNOWN, None)
                headers = tuple(request.headers.get_all())
                requests.append(
                    (request.method, request.uri, request.version, headers, request.body)
                )
                if request.connection.is_last:
                    return Read(requests, None, None)
        except RequestRefused as refusal:
            if "Invalid method" in refusal.detail or parser._other_method:
                return Read(requests, UNKNOWN, None)
            return Read(requests, f"{parser.method} {refusal.code}: {refusal.detail}", None)
        assert parser.unread_bytes == 0
    if parser._other_method:
        return Read(requests, UNKNOWN, None)
    return Read(requests, None, parser.body_bytes)


def cut(data: bytes, at: list[int]) -> list[bytes]:
    """Return the bytes in pieces that begin at these places."""
    places = sorted({0, len(data), *(place % (len(data) + 1) for place in at)})
    return [data[begin:end] for begin, end in pairwise(places)]


@given(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=12),
    st.lists(st.integers(0, 100_000), max_size=12),
)
def test_what_is_read_does_not_depend_on_how_it_is_cut(chosen: list[bytes], at: list[int]) -> None:
    """Requests or none, in doubt or not."""
    data = b"".join(chosen)
    assert read(cut(data, at)) == read([data])


@given(st.lists(st.sampled_from(PIECES[-4:]), max_size=300))
def test_few_requests_are_kept_before_they_are_served(chosen: list[bytes]) -> None:
    """However many come at once: the others stay bytes."""
    parser = RequestParser(NoWire(), MAX_BODY)
    parser.take(b"".join(chosen))
    for _ in chosen:
        assert parser.next() is not None
        assert len(parser._whole) <= SLICE_BYTES // min(map(len, PIECES[-4:]))
    assert parser.next() is None
    assert not parser.is_pending


def test_what_belongs_to_no_body_counts_from_the_last_piece_of_one() -> None:
    """Chunks whose sizes come in pieces of their own are no head without an end."""
    parser = RequestParser(NoWire(), 2 * MAX_HEADER_BYTES)
    parser.take(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(MAX_HEADER_BYTES):
        for piece in (b"1\r\n", b"x", b"\r\n"):
            assert parser.next() is None
            parser.take(piece)
    parser.take(b"0\r\n\r\n")
    request = parser.next()
    assert request is not None
    assert request.body == b"x" * MAX_HEADER_BYTES


def test_each_head_counts_for_itself() -> None:
    """Many of them in pieces are no long one."""
    parser = RequestParser(NoWire(), MAX_BODY)
    for _ in range(MAX_HEADER_BYTES // 8):
        parser.take(b"GET / HTTP/1.1\r\nHos")
        assert parser.next() is None
        parser.take(b"t: x\r\n\r\n")
        assert parser.next() is not None


@pytest.mark.parametrize("line", [b"BREW /\x01 HTTP/1.1", b"GET /\x01\xc3\xa9 HTTP/1.1"])
def test_a_first_line_is_mended_once(line: bytes) -> None:
    """What is no target then is none."""
    parser = RequestParser(NoWire(), MAX_BODY)
    parser.take(line + b"\r\nHost: x\r\n\r\n")
    with pytest.raises(RequestRefused):
        parser.next()


@pytest.mark.parametrize(
    ("version", "body", "is_told"),
    [(b"1.1", b"", True), (b"1.1", b"b", False), (b"1.0", b"", False)],
)
def test_who_waits_to_be_told_is_told_once(version: bytes, body: bytes, is_told: bool) -> None:
    """Not who sends its body all the same, and nobody who knows of no such answer."""
    parser = RequestParser(NoWire(), MAX_BODY)
    head = b"POST / HTTP/%b\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
    parser.take(head % version + body)
    assert parser.next() is None
    assert parser.expects_to_be_told() == is_told
    assert not parser.expects_to_be_told()


def test_what_is_behind_a_refusal_says_nothing_of_it() -> None:
    """Whether a HEAD was refused is known from that request alone, and so is all else."""
    parser = RequestParser(NoWire(), MAX_BODY)
    parser.take(b"GET / HTTP/1.1\r\n\r\nHEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
    with pytest.raises(RequestRefused):
        parser.next()
    assert parser.method == "GET"
