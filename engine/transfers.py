"""HTTP requests by libcurl on the event loop, as many at a time as are asked for.

libcurl says which sockets it waits for, and when it wants to look at the clock; the loop tells it
when either has come. A request leaves in the turn of the loop that asks for it, and what came back
is handed on in the turn of its last byte. Connections are kept. Why this is not left to Tornado's
client on pycurl is said in docs/adr/0011.

Source: https://curl.se/libcurl/c/libcurl-multi.html, "multi_socket"
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import pycurl

LARGEST_HEAD = 256 * 1024  # bytes of status lines and headers


class TransferFailed(Exception):
    """No reply came, or none that may be read: libcurl's number for that, and its words.

    `sent` says whether any of the request has left, on this connection or on one before it.
    """

    def __init__(self, number: int, message: str, sent: bool) -> None:
        super().__init__(message)
        self.number = number
        self.message = message
        self.sent = sent


class Received:
    """What came back: the body as it was on the wire, no more of it than may be."""

    def __init__(self, largest_body: int) -> None:
        self.status = 0
        self._room = largest_body
        self._head_room = LARGEST_HEAD
        self._head: list[bytes] = []
        self._body: list[bytes] = []

    @property
    def body(self) -> bytes:
        """All of it."""
        return b"".join(self._body)

    def header(self, name: bytes) -> str:
        """Return the value of a header, several of them with commas, an empty text for none."""
        name = name.lower() + b":"
        values = [line for line in self._head if line[: len(name)].lower() == name]
        return ", ".join(line[len(name) :].strip().decode("latin-1") for line in values)

    def take_head(self, line: bytes) -> int:
        """Take a line; libcurl gives up when fewer bytes are taken than there are."""
        self._head_room -= len(line)
        if self._head_room < 0:
            return 0
        if line.startswith(b"HTTP/"):
            self._head.clear()  # what came before was an interim response
        self._head.append(line)
        return len(line)

    def take_body(self, piece: bytes) -> int:
        """Take a piece, or give up."""
        self._room -= len(piece)
        if self._room < 0:
            return 0
        self._body.append(piece)
        return len(piece)


class Transfers:
    """All that go on at the same time share their connections, of which `kept` are kept.

    `options` are libcurl's, for every request. Make it where an event loop is running.
    """

    def __init__(self, options: Mapping[int, Any], *, kept: int, largest_body: int) -> None:
        self._options = options
        self._largest_body = largest_body
        self._loop = asyncio.get_running_loop()
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._note)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._note_due)
        self._multi.setopt(pycurl.M_MAXCONNECTS, kept)
        self._idle: list[pycurl.Curl] = []
        self._under_way: dict[pycurl.Curl, tuple[Received, asyncio.Future[Received]]] = {}
        self._noted: dict[int, int] = {}  # socket -> what libcurl last said of it
        self._watched: dict[int, int] = {}  # socket -> what it is watched for
        self._due: float | None = None  # when libcurl wants to look at the clock
        self._timer: asyncio.TimerHandle | None = None  # not later than that

    async def perform(self, options: Mapping[int, Any]) -> Received:
        """Carry out a request that has these options, too, and return what came back.

        Raises `TransferFailed`, or whatever pycurl makes of an option that is none. Who is
        cancelled takes the request back.
        """
        curl = self._idle.pop() if self._idle else pycurl.Curl()
        received = Received(self._largest_body)
        try:
            for some in (self._options, options):
                for option, value in some.items():
                    curl.setopt(option, value)
            curl.setopt(pycurl.HEADERFUNCTION, received.take_head)
            curl.setopt(pycurl.WRITEFUNCTION, received.take_body)
        except BaseException:
            self._put_back(curl)
            raise
        over: asyncio.Future[Received] = self._loop.create_future()
        this = self._under_way[curl] = (received, over)
        self._multi.add_handle(curl)
        self._act(pycurl.SOCKET_TIMEOUT, 0)
        try:
            return await over
        finally:
            if self._under_way.get(curl) is this:  # cancelled; else it may be another's already
                self._take_out(curl)
                self._follow()
            del over, this  # else a failure would keep this frame, and this frame the failure

    def close(self) -> None:
        """Break off whatever is under way, and close all connections."""
        for curl in list(self._under_way):
            _, over = self._take_out(curl)
            over.cancel()
        self._follow()
        for curl in self._idle:
            curl.close()
        self._multi.close()
        self._due = None
        self._follow()
        if self._timer is not None:
            self._timer.cancel()

    def _act(self, socket: int, what: int) -> None:
        """Let libcurl do what there is to do; follow what it says then."""
        self._multi.socket_action(socket, what)
        left = 1
        while left:
            left, succeeded, failed = self._multi.info_read()
            for curl in succeeded:
                self._succeeded(curl)
            for curl, number, message in failed:
                self._failed(curl, number, message)
        self._follow()

    # What libcurl says

    def _note(self, what: int, socket: int, _multi: object, _data: object) -> None:
        """Remember what libcurl waits for at a socket: the latest that it says counts."""
        self._noted[socket] = what

    def _follow(self) -> None:
        """Wait for what libcurl waits for."""
        self._start_timer()
        self._watch()

    def _watch(self) -> None:
        """Watch sockets as noted; each anew, for it may be another one by the same number."""
        for socket, what in self._noted.items():
            before = self._watched.pop(socket, 0)
            if before & pycurl.POLL_IN:
                self._loop.remove_reader(socket)
            if before & pycurl.POLL_OUT:
                self._loop.remove_writer(socket)
            if what & pycurl.POLL_IN:
                self._loop.add_reader(socket, self._act, socket, pycurl.CSELECT_IN)
            if what & pycurl.POLL_OUT:
                self._loop.add_writer(socket, self._act, socket, pycurl.CSELECT_OUT)
            if what & pycurl.POLL_INOUT:
                self._watched[socket] = what
        self._noted.clear()

    def _note_due(self, milliseconds: int) -> None:
        """Remember when libcurl wants to look at the clock; never, if it is less than 0."""
        self._due = None if milliseconds < 0 else self._loop.time() + milliseconds / 1000

    def _start_timer(self) -> None:
        """Let a timer be there in time: every request puts it off, so it is left where it is."""
        if self._due is None or (self._timer is not None and self._timer.when() <= self._due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._due, self._look_at_the_clock)

    def _look_at_the_clock(self) -> None:
        self._timer = None
        if self._due is not None and self._due <= self._loop.time():
            self._due = None
            self._act(pycurl.SOCKET_TIMEOUT, 0)
            if self._due is None:  # the loop's clock may have been early: libcurl says it once
                self._note_due(self._multi.timeout())
        self._start_timer()

    # The end of a request

    def _succeeded(self, curl: pycurl.Curl) -> None:
        status = curl.getinfo(pycurl.RESPONSE_CODE)
        received, over = self._take_out(curl)
        received.status = status
        if not over.done():
            over.set_result(received)

    def _failed(self, curl: pycurl.Curl, number: int, message: str) -> None:
        failure = TransferFailed(number, message, sent=curl.getinfo(pycurl.REQUEST_SIZE) > 0)
        _, over = self._take_out(curl)
        if not over.done():
            over.set_exception(failure)

    def _take_out(self, curl: pycurl.Curl) -> tuple[Received, "asyncio.Future[Received]"]:
        self._multi.remove_handle(curl)
        self._put_back(curl)
        return self._under_way.pop(curl)

    def _put_back(self, curl: pycurl.Curl) -> None:
        curl.reset()  # it holds on to all that it was given
        self._idle.append(curl)
