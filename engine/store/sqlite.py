"""The durable store: group commit between an event loop and the thread that owns the database.

    callers -> what waits -> a group, when the last one is through -> the thread: reads, then one
            transaction of all writes -> one call back into the loop -> every caller is answered

The loop owns what waits; the thread knows one group at a time. No timer gathers a group: while one
commits, the next one gathers, so it is one write when there is little to do and hundreds when
there is much. Nobody is answered before the commit, and a read shows only what was committed. Of
many that one commit answers, some go on in each turn of the loop. Only a new job whose outcome may
come any moment is held back for it, for `HELD_S` at most and for as long as nobody else wants
anything: both are one write then.

For each group the thread needs the interpreter several times, and a loop that never idles does not
leave it to it: it lets go in every turn to ask for events, and has it back before another thread
has woken up. Python makes it give way after a switch interval in one piece, but turns are shorter.
So, while the thread has a group, the loop gives way by itself every now and then.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from time import sleep
from typing import NamedTuple, TypeVar, cast

from engine.crashpoints import crash_point
from engine.errors import StoreError
from engine.job import Job, JobId
from engine.store.base import PAGE_BYTES, Counts, Early, Ended, NewJob, Page, Status
from engine.store.database import Database
from engine.store.rows import size_of, to_row
from engine.store.transaction import Add, Finish, Prune, Write

log = logging.getLogger(__name__)

GROUP_ROWS = 1_000  # about 10 ms of work: what a read has to wait for, at most twice
GROUP_BYTES = 8 * 1024 * 1024  # and as long, with large tasks
TOLD_AT_ONCE = 32  # callers, in one turn of the loop: each goes on then, for up to 0.3 ms
PRUNED_AT_ONCE = 64  # jobs forgotten in one group: 2 ms of work
HELD_S = 0.002  # longer than a call to a quick worker takes, also in a slow hour
GIVE_WAY_S = 0.00025  # a group needs the interpreter some six times; to give way takes 10 µs

Read = Callable[[Database], object]
T = TypeVar("T")


class _Call(NamedTuple):
    ask: Write | Read
    done: "asyncio.Future[object]"
    rows: int
    size: int  # bytes of text
    early: Early | None = None  # of a new job: it is worth waiting for

    def with_outcome(self) -> "_Call":
        """Return it with the outcome that has come meanwhile, if that can be written."""
        if self.early is None or not self.early.done() or self.early.cancelled():
            return self
        outcome, at = self.early.result()
        try:
            for text in to_row(JobId(0), outcome, at)[2:]:
                size_of(text)
        except ValueError:
            return self  # whoever brings it by itself hears of it
        add = cast(Add, self.ask)
        return self._replace(ask=Add(add.new, add.now, (outcome, at)))


class SqliteStore:
    """The store contract on a file in `directory`, which is made if it is missing."""

    def __init__(
        self, directory: Path, make_database: Callable[[Path], Database] = Database
    ) -> None:
        self.counts = Counts()
        self.next_id: JobId | None = None
        self.broken = False
        self._broke = asyncio.Event()
        self._database = make_database(directory)
        self._waiting: deque[_Call] = deque()
        self._busy = False  # the thread has a group, or is about to get one
        self._groups: SimpleQueue[list[_Call] | None] = SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._held: asyncio.TimerHandle | None = None  # while all that waits is held back
        self._giving_way: asyncio.TimerHandle | None = None  # while the thread has a group
        self._closing: asyncio.Future[None] | None = None
        self._answered: deque[tuple[_Call, object]] = deque()  # by the thread, and not told
        self._is_telling = False

    @property
    def trouble(self) -> str | None:
        """Why nothing could be written the last time."""
        return self._database.trouble

    async def look(self) -> None:
        """Find out how it is now. Raises `StoreError`."""
        await self._ask(Database.look)

    async def broke(self) -> None:
        """Return when the store has failed for good."""
        await self._broke.wait()

    async def open(self) -> None:
        """Lock, examine and open the file. Raises `StoreLocked`, `StoreDamaged`, `StoreError`."""
        self._loop = asyncio.get_running_loop()
        # A daemon, so that a master that fails before it can close still exits; close() joins it.
        self._thread = Thread(target=self._serve, args=(self._loop,), name="store", daemon=True)
        self._thread.start()
        try:
            await self._ask(Database.open)
        except BaseException:
            await self.close()
            raise

    async def add(self, new: Sequence[NewJob], now: float, early: Early | None = None) -> list[Job]:
        """Add jobs, all or none. Raises `IdempotencyConflict`; `ValueError` for what is no text."""
        size = sum(size_of(job.task) + size_of(job.key) + size_of(job.fingerprint) for job in new)
        self._foresee(new)
        return cast(list[Job], await self._ask(Add(new, now), len(new), size, early))

    async def finish(self, outcomes: Sequence[Ended], now: float) -> list[bool]:
        """Set the outcomes of jobs, but for those that have one; return which this call set."""
        rows = [to_row(job_id, outcome, now) for job_id, outcome in outcomes]
        size = sum(size_of(text) for row in rows for text in row[2:])
        return cast(list[bool], await self._ask(Finish(rows), len(rows), size))

    async def get(self, job_id: JobId) -> Job | None:
        """Return a job, or `None`."""
        return cast(Job | None, await self._ask(lambda database: database.get(job_id)))

    async def page(
        self,
        limit: int,
        before: JobId | None = None,
        status: Status | None = None,
        max_bytes: int = PAGE_BYTES,
    ) -> Page:
        """Return up to `limit` jobs, newest first, read up to a size."""
        page = await self._ask(
            lambda database: database.page(limit, before, status, max_bytes), limit, max_bytes
        )
        return cast(Page, page)

    async def rest(self, ids: Sequence[JobId], max_bytes: int = PAGE_BYTES) -> Page:
        """Return jobs in the order of their ids, read up to a size."""
        page = await self._ask(lambda database: database.rest(ids, max_bytes), len(ids), max_bytes)
        return cast(Page, page)

    async def unfinished(self, after: JobId, limit: int, max_bytes: int) -> list[Job]:
        """Return unfinished jobs, oldest first, up to a number and a size."""
        found = await self._ask(
            lambda database: database.unfinished(after, limit, max_bytes), limit, max_bytes
        )
        return cast(list[Job], found)

    async def prune(self, keep: int, older_than: float | None, at_most: int) -> int:
        """Forget old finished jobs, in steps that others' writes go between; return how many."""
        forgotten = 0
        while forgotten < at_most:
            step = min(PRUNED_AT_ONCE, at_most - forgotten)
            pruned = cast(int, await self._ask(Prune(keep, older_than, step), step))
            forgotten += pruned
            crash_point("retention.forgotten")
            if pruned == 0:
                break
        return forgotten

    async def close(self) -> None:
        """Write what waits, bring the WAL in, release the lock and end the thread."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_future()
            if self._thread is None:
                self._closing.set_result(None)
            elif self._waiting:
                self._hand_over_now()
            elif not self._busy:
                self._groups.put(None)
        await asyncio.shield(self._closing)
        if self._thread is not None:
            self._thread.join()  # it has nothing left to do

    # The loop's side: groups

    def _ask(
        self, ask: Write | Read, rows: int = 1, size: int = 0, early: Early | None = None
    ) -> "asyncio.Future[object]":
        if self._loop is None or self._closing is not None:
            raise StoreError("the record is not open; try again when the master has started")
        call = _Call(ask, self._loop.create_future(), rows, size, early)
        self._waiting.append(call)
        if early is not None:
            early.add_done_callback(self._hand_over_now)
            if self._held is None:
                self._held = self._loop.call_later(HELD_S, self._hand_over_now)
        elif not self._busy:
            self._busy = True
            self._loop.call_soon(self._hand_over)  # with all that comes in this turn of the loop
        return call.done

    def _hand_over_now(self, _: object = None) -> None:
        """End the wait for outcomes: one has come, the time is over, or the store closes."""
        if not self._busy and self._waiting:
            self._busy = True
            self._hand_over()

    def _hand_over(self) -> None:
        """Give the thread what waits: all of it, or as much as holds nobody up for long."""
        if self._held is not None:
            self._held.cancel()
            self._held = None
        group: list[_Call] = []
        rows = size = 0
        while self._waiting:
            rows += self._waiting[0].rows
            size += self._waiting[0].size
            if group and (rows > GROUP_ROWS or size > GROUP_BYTES):
                break
            group.append(self._waiting.popleft().with_outcome())
        self._groups.put(group)
        self._give_way_soon()

    def _give_way_soon(self) -> None:
        loop = asyncio.get_running_loop()
        self._giving_way = loop.call_later(GIVE_WAY_S, self._give_way)

    def _give_way(self) -> None:
        sleep(0)  # off the processor: whoever waits for the interpreter has it now
        self._give_way_soon()

    def _foresee(self, new: Sequence[NewJob]) -> None:
        """Count on: whether a key is new is known to the database alone, until all is written."""
        if self.next_id is not None:
            has_key = any(job.key is not None for job in new)
            self.next_id = None if has_key else JobId(self.next_id + len(new))

    def _answer(
        self, group: list[_Call], answers: list[object], counts: Counts, next_id: JobId
    ) -> None:
        if self._giving_way is not None:
            self._giving_way.cancel()
        self.counts = counts
        if self._database.broken:
            self.broken = True
            self._broke.set()
        self._answered.extend(zip(group, answers, strict=True))
        if not self._is_telling:
            self._tell()
        if self._waiting:
            self._hand_over()
            return
        self._busy = False
        self.next_id = next_id
        if self._closing is not None:
            self._groups.put(None)

    def _tell(self) -> None:
        """Answer some callers, and the rest in turns of the loop to come: each goes on in one."""
        for _ in range(min(TOLD_AT_ONCE, len(self._answered))):
            call, answer = self._answered.popleft()
            if call.done.done():
                continue  # its caller is gone
            if isinstance(answer, Exception):
                call.done.set_exception(answer)
            else:
                call.done.set_result(answer)
        self._is_telling = bool(self._answered)
        if self._is_telling:
            asyncio.get_running_loop().call_soon(self._tell)

    def _closed(self) -> None:
        if self._is_telling:
            asyncio.get_running_loop().call_soon(self._closed)
        elif self._closing is not None:
            self._closing.set_result(None)

    # The thread's side

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        while (group := self._groups.get()) is not None:
            answers = carry_out(self._database, [call.ask for call in group])
            database = self._database
            loop.call_soon_threadsafe(
                self._answer, group, answers, database.counts, database.next_id
            )
        try:
            self._database.close()
        except Exception:  # what was committed is on the disk; whoever waits for the end goes on
            log.exception(
                "the record was not closed well; the next start looks whether it is sound"
            )
        loop.call_soon_threadsafe(self._closed)


def carry_out(database: Database, asked: Sequence[Write | Read]) -> list[object]:
    """Do all that is asked: reads first, then all writes in one transaction.

    Returns the answers in the order asked, an exception in the place of one that failed.
    """
    writes = [ask for ask in asked if isinstance(ask, Write)]
    reads = iter([_try(ask, database) for ask in asked if not isinstance(ask, Write)])
    written: Iterator[object]
    try:
        written = iter(database.write(writes) if writes else ())
    except Exception as error:  # whatever it is, the callers must hear of it
        written = iter([_copied(error) for _ in writes])  # each raises one of its own
    return [next(written if isinstance(ask, Write) else reads) for ask in asked]


def _try(read: Read, database: Database) -> object:
    try:
        return read(database)
    except Exception as error:
        return error


def _copied(error: Exception) -> Exception:
    """Return an exception like another one, or that one itself if its class is unusual."""
    try:
        return type(error)(*error.args)
    except TypeError:
        return error
