"""From a request to a handler and to its response, whatever becomes of either, on a real socket."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime

import pytest
from tornado.httputil import HTTPServerRequest

from engine.site import Route
from engine.web import ApiHandler, site
from tests.integration.serving import listening

pytestmark = pytest.mark.gen_test


class Echo(ApiHandler):
    """Answers with its argument, at once or after some turns of the loop."""

    def get(self, text: str) -> None:
        """Answer at once."""
        self.finish(text.encode())

    async def post(self, text: str) -> None:
        """Answer after a turn."""
        await asyncio.sleep(0)
        self.finish(text.encode())


class Mistaken(ApiHandler):
    """Has a mistake, at once or after some turns of the loop."""

    def get(self) -> None:
        """Raise what nobody foresaw."""
        raise LookupError("a secret")

    async def post(self) -> None:
        """Raise it later."""
        await asyncio.sleep(0)
        raise LookupError("a secret")


class Halfway(ApiHandler):
    """Sends the first piece of an answer, and has a mistake then."""

    async def get(self) -> None:
        """Answer in part."""
        await self.send(b"the first piece")
        raise LookupError("a secret")


class Piecewise(ApiHandler):
    """Answers in three pieces."""

    async def get(self) -> None:
        """Answer."""
        await self.send(b"one ")
        await self.send(b"two ")
        self.finish(b"three")

    head = get


class Waiting(ApiHandler):
    """Answers piece by piece until it is told that nobody is there."""

    def __init__(self, request: HTTPServerRequest, gone: asyncio.Event) -> None:
        super().__init__(request)
        self.gone = gone

    async def get(self) -> None:
        """Answer, and go on when the client has gone."""
        self.when_closed(self.gone.set)
        await self.send(b"the first piece")
        await self.gone.wait()
        await self.send(b"the second piece")


class Served:
    """A site of these handlers, at a port."""

    def __init__(self, port: int, gone: asyncio.Event) -> None:
        self.port = port
        self.gone = gone  # set when the client of `/waiting` has gone

    async def asked(self, request_line: str, *headers: str) -> bytes:
        """Send a request that is the last one on its connection; return all that comes back."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        lines = [f"{request_line} HTTP/1.1", "Host: x", "Connection: close", *headers, "", ""]
        writer.write("\r\n".join(lines).encode())
        answer = await reader.read()
        writer.close()
        return answer


@asynccontextmanager
async def a_site() -> AsyncIterator[Served]:
    """Serve the handlers of this module."""
    gone = asyncio.Event()
    routes = [
        Route(r"/echo/([^/]*)", Echo),
        Route("/mistaken", Mistaken),
        Route("/halfway", Halfway),
        Route("/piecewise", Piecewise),
        Route("/waiting", Waiting, {"gone": gone}),
    ]
    server, port = listening(site(routes, {}))
    try:
        yield Served(port, gone)
    finally:
        server.stop()
        await server.close_all_connections()


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("path", "argument"),
    [
        ("/echo/plain", "plain"),
        ("/echo/", ""),
        ("/echo/a%20b+c", "a b+c"),
        ("/echo/%2F%3f", "/?"),
        ("/echo/%C3%A9", "é"),
        ("/echo/x?y", "x"),
    ],
)
async def test_an_argument_of_a_path_is_handed_over_as_it_was_meant(
    method: str, path: str, argument: str
) -> None:
    """Whether the handler is a coroutine or not."""
    async with a_site() as served:
        head, _, body = (await served.asked(f"{method} {path}", "Content-Length: 0")).partition(
            b"\r\n\r\n"
        )
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body.decode() == argument


async def test_a_pattern_is_no_path_of_its_own() -> None:
    """It would be served without its arguments."""
    async with a_site() as served:
        assert (await served.asked("GET /echo/([^/]*)")).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_mistake_of_ours_is_told_as_such_and_logged(
    method: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With its traceback in the log, and nothing of it in the answer."""
    async with a_site() as served:
        answer = await served.asked(f"{method} /mistaken", "Content-Length: 0")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 500 ")
    assert json.loads(body)["error"] == "internal_error"
    assert b"secret" not in answer
    (record,) = caplog.records
    assert record.getMessage() == f"{method} /mistaken failed"
    assert record.exc_info is not None
    assert record.exc_info[0] is LookupError


async def test_who_asks_for_the_head_of_an_answer_may_ask_on() -> None:
    """None of its pieces is sent, and the connection is as good as before."""
    async with a_site() as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        for method in (b"HEAD", b"HEAD", b"GET"):
            writer.write(method + b" /piecewise HTTP/1.1\r\nHost: x\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        body = await reader.readuntil(b"\r\n0\r\n\r\n")
        writer.close()
    assert body == b"4\r\none \r\n4\r\ntwo \r\n5\r\nthree\r\n0\r\n\r\n"


async def test_half_an_answer_is_not_taken_for_a_whole_one() -> None:
    """It ends without the last chunk that HTTP asks for."""
    async with a_site() as served:
        answer = await served.asked("GET /halfway")
    assert b"the first piece" in answer
    assert not answer.endswith(b"0\r\n\r\n")


async def test_a_client_that_goes_is_noticed_and_no_mistake(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whoever answers it is told, and what is sent then is let go."""
    caplog.set_level(logging.DEBUG)
    async with a_site() as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(b"GET /waiting HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"the first piece")
        writer.close()
        await served.gone.wait()
        await served.asked("GET /echo/more")  # the second piece has been tried by now
    assert [record for record in caplog.records if record.name.startswith("engine")] == []


async def test_a_response_says_when_it_was_made() -> None:
    """As HTTP asks of whoever has a clock."""
    before = int(time.time())
    async with a_site() as served:
        head, _, _ = (await served.asked("GET /echo/x")).partition(b"\r\n\r\n")
    after = int(time.time())
    (date,) = [line for line in head.decode().splitlines() if line.startswith("Date: ")]
    assert before <= parsedate_to_datetime(date.removeprefix("Date: ")).timestamp() <= after
