"""The way to the workers: what a failure says about whether the worker had the request."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from engine.errors import TimedOut, Unreachable
from engine.transport import HttpTransport
from tests.answering_server import SilentPort

pytestmark = pytest.mark.gen_test

REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CONNECT_TIMEOUT_S = 0.3


class DyingWorker:
    """A worker that answers one call, and dies when it has read the next on the same connection.

    `after` is what becomes of its port then.
    """

    def __init__(self, after: Callable[[int], None]) -> None:
        self.port = 0
        self.calls = 0
        self._after = after
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        """Listen at a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def die(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self._after(self.port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n{}")
                self.calls += 1
                if self.calls > 1:
                    self.die()
                    writer.transport.abort()
                    return
                writer.write(REPLY)
        except asyncio.IncompleteReadError:
            writer.close()


@asynccontextmanager
async def a_transport() -> AsyncIterator[HttpTransport]:
    """Give a transport, and close it."""
    transport = HttpTransport(max_calls=5, max_probes=5, connect_timeout_s=CONNECT_TIMEOUT_S)
    try:
        yield transport
    finally:
        transport.close()


def gone(_port: int) -> None:
    """Refuse connections: nobody is there any more."""


async def test_a_worker_that_died_of_a_call_had_it_aboard() -> None:
    """Though it was asked again, and that was refused: this is not the failure that counts."""
    worker = DyingWorker(gone)
    await worker.listen()
    async with a_transport() as transport:
        url = f"http://127.0.0.1:{worker.port}"
        assert (await transport.compute(url, b"{}", 5.0)).status == 200
        with pytest.raises(Unreachable) as caught:
            await transport.compute(url, b"{}", 5.0)
    assert caught.value.aboard


async def test_a_worker_whose_machine_died_of_a_call_had_it_aboard() -> None:
    """Then nobody refuses the second connection either."""
    silent = SilentPort()
    worker = DyingWorker(silent.fill)
    await worker.listen()
    async with a_transport() as transport:
        url = f"http://127.0.0.1:{worker.port}"
        assert (await transport.compute(url, b"{}", 5.0)).status == 200
        with pytest.raises(Unreachable) as caught:
            await transport.compute(url, b"{}", 5.0)
    silent.close()
    assert caught.value.aboard


async def test_a_worker_that_was_gone_before_never_had_the_call() -> None:
    """It cannot have died of it."""
    worker = DyingWorker(gone)
    await worker.listen()
    worker.die()
    async with a_transport() as transport:
        with pytest.raises(Unreachable) as caught:
            await transport.compute(f"http://127.0.0.1:{worker.port}", b"{}", 5.0)
    assert not caught.value.aboard


@pytest.mark.parametrize(
    ("header", "computing_s"),
    [
        ("", None),
        ("Server-Timing: compute;dur=12.5\r\n", 0.0125),
        ('Server-Timing: cache;dur=1, compute;dur=3;desc="x"\r\n', 0.003),
        ("Server-Timing: compute;dur=-1\r\n", None),
        ("Server-Timing: compute;dur=nan\r\n", None),
    ],
)
async def test_what_a_worker_says_of_its_time_is_heard(
    header: str, computing_s: float | None
) -> None:
    """Whatever is no number of milliseconds is as good as nothing."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n{}")
        writer.write(REPLY.replace(b"Content", header.encode() + b"Content", 1))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, a_transport() as transport:
        port = server.sockets[0].getsockname()[1]
        reply = await transport.compute(f"http://127.0.0.1:{port}", b"{}", 5.0)
    assert reply.computing_s == computing_s


async def test_a_worker_that_takes_its_time_is_not_dead() -> None:
    """Its time-out is one of the answer, though the request was sent; it is hung up on."""
    is_over = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        is_over.set()

    server = await asyncio.start_server(wait, "127.0.0.1", 0)
    async with a_transport() as transport:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(TimedOut):
            await transport.compute(f"http://127.0.0.1:{port}", b"{}", 0.3)
        await is_over.wait()
    server.close()
