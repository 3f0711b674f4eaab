"""How a response is framed, on a wire that keeps what was written."""

from asyncio import Future
from http import HTTPStatus
from typing import cast

import pytest
from tornado.httputil import HTTPHeaders, ResponseStartLine

from engine.responder import Responder


class Kept:
    """A wire that keeps what was written."""

    remote_ip = "192.0.2.1"
    protocol = "http"

    def __init__(self) -> None:
        self.written = b""
        self.finished_with: list[Responder] = []

    def write(self, data: bytes) -> "Future[None]":
        """Keep it."""
        self.written += data
        return cast("Future[None]", None)

    def finished(self, responder: Responder) -> None:
        """Note it."""
        self.finished_with.append(responder)

    def abort(self) -> None:
        """Do nothing."""


def answered(
    method: str,
    version: str = "HTTP/1.1",
    status: HTTPStatus = HTTPStatus.OK,
    headers: dict[str, str] | None = None,
) -> tuple[bytes, bytes, bool]:
    """Answer in pieces; return the head, what came behind it, and whether the connection ends."""
    wire = Kept()
    responder = Responder(wire, method, version)
    piece = b"" if method == "HEAD" else b"ab"
    start = ResponseStartLine("HTTP/1.1", status, status.phrase)
    responder.write_headers(start, HTTPHeaders(headers or {}), b"")
    responder.write(piece)
    responder.finish()
    assert wire.finished_with == [responder]
    head, _, rest = wire.written.partition(b"\r\n\r\n")
    return head, rest, responder.is_last


def test_what_has_no_length_is_in_chunks() -> None:
    """No piece that is empty is one of them: it would be the last."""
    head, rest, is_last = answered("GET")
    assert head == b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"
    assert rest == b"2\r\nab\r\n0\r\n\r\n"
    assert not is_last


def test_what_has_a_length_is_sent_as_it_is() -> None:
    """It needs no other end."""
    head, rest, is_last = answered("GET", headers={"Content-Length": "2"})
    assert head == b"HTTP/1.1 200 OK\r\nContent-Length: 2"
    assert (rest, is_last) == (b"ab", False)


def test_to_an_old_client_the_end_of_the_connection_is_the_end_of_what_has_no_length() -> None:
    """It knows of no chunks."""
    head, rest, is_last = answered("GET", "HTTP/1.0")
    assert head == b"HTTP/1.1 200 OK\r\nConnection: close"
    assert (rest, is_last) == (b"ab", True)


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", HTTPStatus.OK), ("HEAD", HTTPStatus.NOT_FOUND)]
)
def test_a_head_has_no_body_and_no_chunks(method: str, status: HTTPStatus) -> None:
    """Nothing follows it."""
    head, rest, is_last = answered(method, status=status)
    assert b"chunked" not in head
    assert (rest, is_last) == (b"", False)


def test_what_was_finished_is_not_gone_on_with() -> None:
    """It would be taken for the beginning of the next response."""
    wire = Kept()
    responder = Responder(wire, "GET", "HTTP/1.1")
    responder.write_headers(ResponseStartLine("HTTP/1.1", 200, "OK"), HTTPHeaders(), b"x")
    responder.finish()
    written = wire.written
    for go_on in (responder.finish, lambda: responder.write(b"x")):
        with pytest.raises(RuntimeError):
            go_on()
    assert wire.written == written
