"""A server that answers as it is told to, and sees what its clients do with connections.

Paths that begin with /wait are answered when it is told to; after /last it closes the connection,
at /vanish it does so without an answer, and /early is answered before its body is read.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager


class Server:
    """Answers each request as it is told to; counts connections, and keeps what was asked."""

    def __init__(self, reply: Callable[[str], bytes]) -> None:
        self.url = ""
        self.connections = 0
        self.open = 0
        self.asked: list[tuple[bytes, bytes]] = []  # heads and bodies
        self.writers: list[asyncio.StreamWriter] = []  # one a connection
        self.release = asyncio.Event()  # what waits
        self.listening: asyncio.Server | None = None
        self._reply = reply
        self._changed = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until the client closes it."""
        self.connections += 1
        self.open += 1
        self.writers.append(writer)
        self._changed.set()
        try:
            while await self._goes_on(reader, writer):
                pass
            writer.close()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        self.open -= 1
        self._changed.set()

    async def _goes_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split()[1].decode()
        if path.startswith("/early"):
            writer.write(self._reply(path))
            await self.release.wait()
        length = head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]
        self.asked.append((head, await reader.readexactly(int(length or b"0"))))
        self._changed.set()
        if path.startswith("/vanish"):
            return False
        if path.startswith("/wait"):
            await self.release.wait()
        writer.write(self._reply(path))
        return not path.startswith("/last")

    async def until(self, holds: Callable[["Server"], bool]) -> None:
        """Return when something holds of its connections, or of what was asked."""
        while not holds(self):
            self._changed.clear()
            await self._changed.wait()


def with_body(body: bytes, *headers: bytes) -> bytes:
    """Return a reply."""
    lines = (b"HTTP/1.1 200 OK", *headers, b"Content-Length: %d" % len(body), b"", body)
    return b"\r\n".join(lines)


def its_path(path: str) -> bytes:
    """Answer with what was asked for."""
    return with_body(path.encode())


@asynccontextmanager
async def a_server(reply: Callable[[str], bytes] = its_path) -> AsyncIterator[Server]:
    """Run a server; at the end no connection to it is open."""
    server = Server(reply)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    server.listening = listening
    async with listening:
        yield server
        server.release.set()
        await server.until(lambda server: server.open == 0)


async def assert_what_is_cancelled_is_taken_back(
    server: Server, ask: Callable[[str], Awaitable[bytes]]
) -> None:
    """Whatever client asks: its connection is closed, and another request goes on."""
    cancelled = asyncio.ensure_future(ask("/wait/1"))
    other = asyncio.ensure_future(ask("/wait/2"))
    await server.until(lambda server: len(server.asked) == 2)
    cancelled.cancel()
    await asyncio.wait([cancelled])
    assert cancelled.cancelled()
    server.release.set()
    assert await other == b"/wait/2"
    await server.until(lambda server: server.open == 1)
    assert await ask("/3") == b"/3"
    assert server.connections == 2


class SilentPort:
    """Lets connections to a port hang, as those to a machine that is gone do: its queue is full."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []

    def fill(self, port: int) -> None:
        """Listen at a port, and take nothing from the queue."""
        self._sockets.append(socket.create_server(("127.0.0.1", port), backlog=0))
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            self._sockets.append(filler)

    def close(self) -> None:
        """Close it and what fills it."""
        for each in self._sockets:
            each.close()
