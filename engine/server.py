"""An HTTP server that is bounded in every direction: connections, sizes, and how long it waits.

Tornado accepts connections, and its requests are what is served: to a callback like the one that
its own server takes. What comes and goes on a connection is in inbound.py; docs/adr/0015 says why.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable

from tornado.httputil import HTTPServerRequest
from tornado.netutil import add_accept_handler

from engine.inbound import ROOM_BYTES, Inbound, Terms
from engine.logs import Seldom
from engine.waits import BODY_S, READER_S, Waits

log = logging.getLogger(__name__)

BACKLOG = 4096  # connections that wait to be accepted
LOOK_EVERY_S = 1.0


class Server:
    """An HTTP server that closes connections: those over a bound, and those waited for in vain.

    It waits `idle_s` for a request, `body_s` for each further piece of it, and `reader_s` for a
    client to take more of an answer. Make it where an event loop is running.
    """

    def __init__(
        self,
        serve: Callable[[HTTPServerRequest], object],
        *,
        max_body_bytes: int,
        max_connections: int,
        idle_s: float,
        body_s: float = BODY_S,
        reader_s: float = READER_S,
    ) -> None:
        self.waits: Waits[Inbound] = Waits(idle_s, body_s, reader_s)
        self.connections: set[Inbound] = set()
        self._loop = asyncio.get_running_loop()
        room = memoryview(bytearray(ROOM_BYTES))
        self._terms = Terms(serve, self.waits, max_body_bytes, room, self.connections.discard)
        self._max_connections = max_connections
        self._turned_away = Seldom()
        self._accepting: set[asyncio.Task[object]] = set()
        self._stops: list[Callable[[], None]] = []
        self._sockets: list[socket.socket] = []
        self._looking: asyncio.TimerHandle | None = None

    def add_sockets(self, sockets: Iterable[socket.socket]) -> None:
        """Serve whoever connects to these, which listen already."""
        for listening in sockets:
            self._sockets.append(listening)
            self._stops.append(add_accept_handler(listening, self._accept))

    def stop(self) -> None:
        """Accept no more connections; those that are there go on."""
        for stop, listening in zip(self._stops, self._sockets, strict=True):
            stop()
            listening.close()
        self._stops.clear()
        self._sockets.clear()

    async def close_all_connections(self) -> None:
        """Close them, whatever is on them, and return when they are gone."""
        while self.connections:
            for connection in self.connections:
                connection.abort()
            await asyncio.sleep(0)

    def _accept(self, accepted: socket.socket, _address: object) -> None:
        if len(self.connections) >= self._max_connections:
            accepted.close()
            self._note_turned_away()
            return
        connection = Inbound(self._terms)
        self.connections.add(connection)
        task = self._loop.create_task(self._connect(connection, accepted))
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)
        if self._looking is None:
            self._look_later()

    async def _connect(self, connection: Inbound, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: connection, accepted)
        except OSError:  # gone already
            accepted.close()
            self.connections.discard(connection)

    def _note_turned_away(self) -> None:
        if count := self._turned_away.happened(self._loop.time()):
            log.warning(
                "connections turned away since the last such line: %d; %d are open, which is all"
                " that there may be",
                *(count, len(self.connections)),
            )

    def _look_later(self) -> None:
        self._looking = self._loop.call_later(LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        self._looking = None
        now = self._loop.time()
        for connection in self.waits.in_vain(now):
            connection.give_up()
        for connection in self.waits.stuck(self._leaving(), now):
            connection.abort()
        if self.connections:
            self._look_later()

    def _leaving(self) -> dict[Inbound, int]:
        """Return the connections on which some of an answer waits, and the bytes that have left."""
        left = {connection: connection.left_bytes() for connection in self.connections}
        return {connection: count for connection, count in left.items() if count is not None}
