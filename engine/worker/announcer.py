"""Keeps the master informed that this worker is there, and takes leave of it.

It announces as soon as it runs, again at the interval that the master names, and never gives up:
a master that is not there yet, or was restarted, hears of this worker within a second. Trouble is
logged when it changes, not each time.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from random import Random
from typing import NamedTuple
from urllib.parse import quote, urlencode

from tornado.httpclient import AsyncHTTPClient, HTTPClientError
from tornado.iostream import UnsatisfiableReadError
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from engine.clock import Clock
from engine.messages import Announcement, AnnouncementTaken, Reader, encode

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 1.0
LONGEST_INTERVAL_S = 60.0  # whatever a master names: its successor may know nothing of us
MAX_ANSWER_BYTES = 64 * 1024  # of the master; what it has to say takes a hundred
WRONG_PORT = "; let the setting master name the port for workers, if the master has one of its own"

_taken: Reader[AnnouncementTaken] = Reader(AnnouncementTaken)


class Response(NamedTuple):
    """What the master answered, as far as an announcer is concerned."""

    status: int
    body: bytes


Request = Callable[[str, str, bytes | None], Awaitable[Response]]
"""`await request(method, path, body)`; raises `OSError` when the master is out of reach."""


class Announcer:
    """Announces one worker to one master, for as long as `run` runs."""

    def __init__(
        self, announcement: Announcement, request: Request, clock: Clock, random: Random
    ) -> None:
        self._announcement = announcement
        self._request = request
        self._clock = clock
        self._random = random
        self._trouble: str | None = "not announced yet"
        self._state = ""  # of this worker, at the master
        self._in_turn = asyncio.Lock()
        self._has_left = False

    async def run(self) -> None:
        """Announce, again and again; cancel to stop."""
        pause_s = FIRST_PAUSE_S
        while True:
            again_s = await self._announce()
            if again_s is not None:
                pause_s = FIRST_PAUSE_S
                await self._clock.sleep(again_s)
            else:
                await self._clock.sleep(self._random.uniform(pause_s / 2, pause_s))
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _announce(self) -> float | None:
        """Announce once; return in how many seconds the master wants to hear again, if it does."""
        try:
            async with self._in_turn:
                if self._has_left:
                    return None
                response = await self._request("POST", "/worker", encode(self._announcement))
        except OSError as error:
            self._in_trouble(f"the master cannot be reached ({error}); trying on")
            return None
        if response.status != HTTPStatus.OK:
            said = response.body[:200].decode("utf-8", "replace")
            advice = WRONG_PORT if response.status == HTTPStatus.NOT_FOUND else ""
            self._in_trouble(f"the master refuses this worker: {response.status} {said}{advice}")
            return None
        try:
            taken = _taken(response.body)
        except (ValueError, RecursionError):
            self._in_trouble("what answers is no master; look at the setting master")
            return None
        if self._trouble is not None:
            log.info(
                "announced as %s, which is %s so far", self._announcement.worker_name, taken.state
            )
        elif taken.state != self._state:
            log.info("to the master this worker is %s now", taken.state)
        self._trouble, self._state = None, taken.state
        return min(max(taken.announce_again_s, FIRST_PAUSE_S), LONGEST_INTERVAL_S)

    def _in_trouble(self, what: str) -> None:
        if what != self._trouble:
            log.error("%s", what)
        self._trouble = what

    async def leave(self) -> None:
        """Take leave of what was announced, once; a master that is not there will notice by itself.

        An announcement that is on its way comes first, and none comes after: behind the leave it
        would bring us back.
        """
        self._has_left = True
        told = self._announcement
        where = {"url": told.url} if isinstance(told.url, str) else {"port": told.port}
        path = f"/worker/{quote(told.worker_name, safe='')}?{urlencode(where)}"
        try:
            async with self._in_turn:
                response = await self._request("DELETE", path, None)
        except OSError as error:
            log.warning("left without the master's knowing: %s", error)
            return
        if response.status != HTTPStatus.OK:
            said = response.body[:200].decode("utf-8", "replace")
            log.warning("left, and the master does not know it: %s %s", response.status, said)
        else:
            log.info("has taken leave of the master")


def http_requests(master: str, token: str, timeout_s: float) -> Request:
    """Return the way to the master at a URL, for an `Announcer`."""
    client: AsyncHTTPClient = SimpleAsyncHTTPClient(
        force_instance=True, max_body_size=MAX_ANSWER_BYTES
    )
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"

    async def request(method: str, path: str, body: bytes | None) -> Response:
        try:
            response = await client.fetch(
                master.rstrip("/") + path,
                method=method,
                body=body,
                headers=headers,
                request_timeout=timeout_s,
                connect_timeout=timeout_s,
                raise_error=False,
                follow_redirects=False,
                decompress_response=False,
            )
        except (HTTPClientError, UnsatisfiableReadError, ValueError) as error:
            raise OSError(str(error)) from None
        return Response(response.code, response.body)

    return request
