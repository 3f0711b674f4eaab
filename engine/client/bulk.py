"""A file of expressions, one a line, turned into answers in the same order, however long it is.

Lines go out in requests of at most `BULK_TASKS`, as soon as they are there: a request never waits
to be full. At most `AHEAD` requests are submitted and not yet answered, so memory is bounded by
that and not by the file. Every line has one outcome; a blank line has none and costs nothing.
"""

import asyncio
import os
import stat
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from io import UnsupportedOperation
from typing import BinaryIO, NamedTuple

from engine.client.errors import InputError
from engine.client.flow import Errand
from engine.messages import JobStatus, Submitted, TaskRefused

BULK_TASKS = 1_000  # per request; 1,000 small tasks are 20 KB, and a request costs as much as 30
BULK_BYTES = 256 * 1024  # per request, but for a single line that is longer than this
AHEAD = 8  # requests: enough to keep a master busy while the answers of the first are fetched
LINE_BYTES = 8 * 1024 * 1024  # above any sensible `limits.task_bytes`: a file without line ends
READ_BYTES = 64 * 1024
BOM = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line of the input, counted from 1; the task is "" for a blank one."""

    number: int
    task: str
    end: int  # bytes of the input up to and with this line


class Ended(NamedTuple):
    """What became of a line: its finished job, the reason why it is none, or None if blank."""

    line: Line
    outcome: JobStatus | TaskRefused | None


class Lines:
    """The lines of `stream`, which nobody else reads from; `name` is what errors call it."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.name = name
        self._stream = stream
        self._whole: deque[bytes] = deque()
        self._part = bytearray()
        self._ended = False
        self._number = 0
        self._end = 0

    @property
    def size(self) -> int | None:
        """Bytes of the whole input, if it is a file."""
        try:
            about = os.fstat(self._stream.fileno())
        except UnsupportedOperation:
            return None
        return about.st_size if stat.S_ISREG(about.st_mode) else None

    async def take(self) -> list[Line]:
        """Return the lines that are there, for one request; wait for one; [] at the end.

        Raises `InputError`, after the lines before it were taken.
        """
        while not self._whole and not self._ended:
            self._split(await self._read())
        lines: list[Line] = []
        room = BULK_BYTES
        while (
            self._whole and len(lines) < BULK_TASKS and (not lines or len(self._whole[0]) <= room)
        ):
            try:
                task = self._text(self._whole[0])
            except InputError:
                if lines:
                    break
                raise
            raw = self._whole.popleft()
            room -= len(raw)
            self._number += 1
            self._end += len(raw) + 1
            lines.append(Line(self._number, task, self._end))
        return lines

    def _split(self, data: bytes) -> None:
        if not data:
            self._ended = True
            if self._part:
                self._whole.append(bytes(self._part))
            return
        first, *rest = data.split(b"\n")
        self._part += first
        if len(self._part) > LINE_BYTES:
            line = self._number + len(self._whole) + 1
            raise InputError(
                f"{self.name}: line {line} is longer than {LINE_BYTES} bytes: split it"
            )
        for following in rest:
            self._whole.append(bytes(self._part))
            self._part = bytearray(following)

    def _text(self, raw: bytes) -> str:
        if self._number == 0:
            raw = raw.removeprefix(BOM)  # editors of one vendor put it there, unasked
        try:
            return raw.decode().strip(" \t\r")
        except UnicodeDecodeError as error:
            raise InputError(
                f"{self.name}: line {self._number + 1} is not UTF-8"
                f" (byte 0x{raw[error.start]:02x} at position {error.start + 1}):"
                " save the file as UTF-8"
            ) from error

    async def _read(self) -> bytes:
        try:
            return await self._read_some()
        except OSError as error:
            raise InputError(
                f"{self.name} cannot be read: {error.strerror or error}; give a file of expressions"
            ) from error

    async def _read_some(self) -> bytes:
        try:
            fd = self._stream.fileno()
        except UnsupportedOperation:
            return self._stream.read(READ_BYTES)
        # No thread: one that is blocked in a read would keep Ctrl-C from ending the program.
        readable = asyncio.Event()
        loop = asyncio.get_running_loop()
        try:
            loop.add_reader(fd, readable.set)
        except PermissionError:  # a regular file: always ready, and epoll refuses it
            return os.read(fd, READ_BYTES)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(fd)
        return os.read(fd, READ_BYTES)


class Bulk:
    """Submits `lines` and gives their outcomes.

    Lines up to `submitted` were, those behind it up to `sent` are under way; `exhausted` tells
    that there are no more.
    """

    def __init__(self, errand: Errand, lines: Lines) -> None:
        self.submitted = 0
        self.sent = 0
        self.exhausted = False
        self._errand = errand
        self._lines = lines
        self._ahead: asyncio.Queue[list[_Sent] | Exception | None] = asyncio.Queue(AHEAD)

    async def outcomes(self) -> AsyncGenerator[list[Ended]]:
        """Give the outcome of every line, in order, some at a time.

        Raises what went wrong with reading or submitting, after the outcomes of what was submitted.
        """
        submitter = asyncio.create_task(self._submit())
        try:
            while (sent := await self._ahead.get()) is not None:
                if isinstance(sent, Exception):
                    raise sent
                async for block in self._collect(sent):
                    yield block
        finally:
            submitter.cancel()
            await asyncio.gather(submitter, return_exceptions=True)

    async def _submit(self) -> None:
        # Whatever happens is said through the queue: whoever waits there would wait for ever.
        try:
            while lines := await self._lines.take():
                await self._ahead.put(await self._submit_some(lines))
        except Exception as error:
            await self._ahead.put(error)
        else:
            self.exhausted = True
            await self._ahead.put(None)

    async def _submit_some(self, lines: list[Line]) -> "list[_Sent]":
        tasks = [line.task for line in lines if line.task]
        self.sent = lines[-1].number
        items = iter(await self._errand.submit_many(tasks) if tasks else ())
        self.submitted = self.sent
        return [_Sent(line, next(items) if line.task else None) for line in lines]

    async def _collect(self, sent: "list[_Sent]") -> AsyncIterator[list[Ended]]:
        rest = deque(sent)
        job_ids = sorted({each.item.job_id for each in sent if isinstance(each.item, Submitted)})
        finished: dict[int, JobStatus] = {}
        if block := _settled(rest, finished):
            yield block
        async for statuses in self._errand.endings(job_ids):
            finished.update((status.job_id, status) for status in statuses)
            if block := _settled(rest, finished):
                yield block


class _Sent(NamedTuple):
    line: Line
    item: Submitted | TaskRefused | None


def _settled(rest: deque[_Sent], finished: dict[int, JobStatus]) -> list[Ended]:
    # Takes from the front of `rest` what has an outcome: the order of the lines is kept.
    block = []
    while rest:
        line, item = rest[0]
        if isinstance(item, Submitted):
            if item.job_id not in finished:
                break
            block.append(Ended(line, finished[item.job_id]))
        else:
            block.append(Ended(line, item))
        rest.popleft()
    return block
