"""HTTP requests by libcurl on the event loop, as many at a time as are asked for.

libcurl says which sockets it waits for, and when it wants to look at the clock; the loop tells it
when either has come. A request leaves in the turn of the loop that asks for it, and what came back
is handed on in the turn of its last byte. Connections are kept, and so are options: of a request,
only what differs from the one before is set. Why this is not left to Tornado's client on pycurl is
said in docs/adr/0011.

Source: https://curl.se/libcurl/c/libcurl-multi.html, "multi_socket"
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import pycurl

LARGEST_HEAD = 256 * 1024  # bytes of status lines and headers
LARGEST_KEPT = 64 * 1024  # bytes of a request's body, until the next request


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


NOTHING = Received(0)  # to be had of a request that is over


class _Handle:
    """One of libcurl's: it has the options of all requests, and those of the latest one."""

    def __init__(self, options: Mapping[int, Any]) -> None:
        self.curl = pycurl.Curl()
        self.received = NOTHING
        self.over: asyncio.Future[Received] | None = None  # while a request is under way
        self._of_all = options
        self._of_latest: Mapping[int, Any] = {}
        self._set_those_of_all()

    def set(self, options: Mapping[int, Any]) -> None:
        """Have these options for the next request, and none that only the one before it had."""
        if options.keys() != self._of_latest.keys():
            self.forget()
        before, self._of_latest = self._of_latest, options
        for option, value in options.items():
            if option not in before or before[option] != value:
                self.curl.setopt(option, value)

    def forget(self) -> None:
        """Let go what the latest request had."""
        self.curl.reset()
        self._of_latest = {}
        self._set_those_of_all()

    def rest(self) -> None:
        """Hold on to nothing large until the next request."""
        self.received, self.over = NOTHING, None
        if len(self._of_latest.get(pycurl.POSTFIELDS, b"")) > LARGEST_KEPT:
            self.forget()

    def _set_those_of_all(self) -> None:
        for option, value in self._of_all.items():
            self.curl.setopt(option, value)
        self.curl.setopt(pycurl.HEADERFUNCTION, self._take_head)
        self.curl.setopt(pycurl.WRITEFUNCTION, self._take_body)

    def _take_head(self, line: bytes) -> int:
        return self.received.take_head(line)

    def _take_body(self, piece: bytes) -> int:
        return self.received.take_body(piece)


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
        self._idle: list[_Handle] = []
        self._under_way: dict[pycurl.Curl, _Handle] = {}
        self._noted: dict[int, int] = {}  # socket -> what libcurl last said of it
        self._watched: dict[int, int] = {}  # socket -> what it is watched for
        self._due: float | None = None  # when libcurl wants to look at the clock
        self._timer: asyncio.TimerHandle | None = None  # not later than that

    async def perform(self, options: Mapping[int, Any]) -> Received:
        """Carry out a request that has these options, too, and return what came back.

        Raises `TransferFailed`, or whatever pycurl makes of an option that is none. Who is
        cancelled takes the request back.
        """
        handle = self._idle.pop() if self._idle else _Handle(self._options)
        try:
            handle.set(options)
        except BaseException:
            handle.forget()
            self._idle.append(handle)
            raise
        handle.received = Received(self._largest_body)
        over: asyncio.Future[Received] = self._loop.create_future()
        handle.over = over
        self._under_way[handle.curl] = handle
        self._multi.add_handle(handle.curl)
        self._act(pycurl.SOCKET_TIMEOUT, 0)
        try:
            return await over
        finally:
            if handle.over is over:  # cancelled; else it is nobody's by now, or another one's
                self._take_out(handle.curl)
                self._follow()
            del over  # else a failure would keep this frame, and this frame the failure

    def close(self) -> None:
        """Break off whatever is under way, and close all connections."""
        for curl in list(self._under_way):
            _, over = self._take_out(curl)
            over.cancel()
        self._follow()
        for handle in self._idle:
            handle.curl.close()
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
        handle = self._under_way.pop(curl)
        received, over = handle.received, handle.over
        assert over is not None  # noqa: S101  # it was under way
        handle.rest()
        self._idle.append(handle)
        return received, over
