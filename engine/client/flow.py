"""What a command does with the master, step by step: the contract's flow, and its patience.

An `Errand` asks again where asking again is safe, which is everywhere: reads change nothing, and a
submission carries an Idempotency-Key. It never gives up on a busy master (the command's time-out
does), and on a silent one after `SILENCE_S`. A master that refuses the very first connection is
most likely not there, so that is said at once. `pending` are the jobs whose answers somebody who is
interrupted has to fetch, and `unsure` tells whether there may be more of them.
"""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from itertools import islice
from typing import TypeVar

from engine.client.api import MasterClient
from engine.client.errors import ApiError, ClientError, MasterUnreachable
from engine.clock import Clock
from engine.messages import JobStatus, Submitted, TaskRefused

Reply = TypeVar("Reply")

SILENCE_S = 30.0  # a master that restarts is back within ten seconds, with a large record in twenty
WAIT_S = 30.0  # asked of the master; below the minute after which proxies cut idle connections
FIRST_LOOK_S = 0.1  # most jobs are done in a blink: one look then saves them a whole interval
REASON_S = 3.0  # a job that takes longer may wait for something that its owner can change
PAGE = 1_000  # the most that /jobs gives at once
FEW = 8  # fewer jobs than this are asked for one by one: a page costs as much as ten of them
ENOUGH_S = 1.0  # for how long answers that are ready may be kept back for a fuller page


def pause_s(attempt: int, asked_s: float | None, chance: float) -> float:
    """Return how long to wait before asking again for the `attempt`-th time, from 0.

    Never sooner than the master asked for, then up to 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5 ... seconds
    more, by `chance` (0 to 1), so that clients that were turned away together come back apart.
    """
    return (asked_s or 0.05) + chance * min(5.0, 0.2 * 2.0 ** min(attempt, 10))


class Errand:
    """One command's dealings with the master.

    `say` gets sentences for people about what is going on. `on_master` waits there for the end of
    a job; otherwise it is asked for every `poll_interval_s`.
    """

    def __init__(
        self,
        master: MasterClient,
        clock: Clock,
        say: Callable[[str], None],
        *,
        poll_interval_s: float = 5.0,
        on_master: bool = False,
        chance: Callable[[], float] = random.random,
        new_key: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self.master = master
        self.clock = clock
        self.pending: dict[int, None] = {}  # an ordered set
        self.unsure = False  # whether the master may have taken what it has not acknowledged
        self._say = say
        self._poll_interval_s = poll_interval_s
        self._on_master = on_master
        self._chance = chance
        self._new_key = new_key
        self._explained = False
        self._heard = False

    async def answer(self, task: str) -> JobStatus:
        """Submit `task` and return its job when it has finished: the flow of the contract."""
        key = self._new_key()
        submitted = await self._submitted(lambda: self.master.submit(task, idempotency_key=key))
        self.pending[submitted.job_id] = None
        self._say(f"job {submitted.job_id} submitted")
        return await self._seen(submitted.job_id) or await self.ending(submitted.job_id)

    async def submit_many(self, tasks: Sequence[str]) -> list[Submitted | TaskRefused]:
        """Submit `tasks` in one request, or in several where the master finds one too large."""
        key = self._new_key()
        try:
            items = await self._submitted(
                lambda: self.master.submit_many(tasks, idempotency_key=key)
            )
        except ApiError as error:
            if error.status != 413:
                raise
            if len(tasks) == 1:
                return [TaskRefused(error.code, error.detail, error.column or 0)]
            half = len(tasks) // 2
            first = await self.submit_many(tasks[:half])
            self.unsure = True  # of `tasks` as a whole, until the other half is taken, too
            return first + await self.submit_many(tasks[half:])
        self.pending.update((item.job_id, None) for item in items if isinstance(item, Submitted))
        return items

    def given(self, job_ids: Iterable[int]) -> None:
        """Take note that the answers of these jobs were printed: nobody has to fetch them."""
        for job_id in job_ids:
            self.pending.pop(job_id, None)

    async def ending(self, job_id: int) -> JobStatus:
        """Return the job when it has finished."""
        self.pending[job_id] = None
        began = self.clock.now()
        look_s = min(FIRST_LOOK_S, self._poll_interval_s)
        while True:
            if self._on_master:
                status = await self._wait(job_id, WAIT_S if self._explained else REASON_S)
            else:
                await self.clock.sleep(look_s)
                look_s = self._poll_interval_s
                status = await self.persist(lambda: self.master.job(job_id))
            if status.finished:
                return status
            if self.clock.now() - began >= REASON_S:
                for reason in await self.reasons():
                    self._say(reason)

    async def reasons(self) -> list[str]:
        """Return, once, why the only job that is pending has not finished; [] if none can tell."""
        if self._explained or len(self.pending) != 1:
            return []
        self._explained = True
        (job_id,) = self.pending
        try:
            told = await self.master.why(job_id)
        except ClientError:  # an older master, or one that is away: what asks for the job says so
            return []
        sentences = [] if told.state == "finished" else told.sentences
        return [f"job {job_id}: {sentence}" for sentence in sentences]

    async def endings(self, job_ids: Iterable[int]) -> AsyncIterator[list[JobStatus]]:
        """Give the jobs as they finish, in the order of `job_ids` (ascending), some at a time.

        No more than `PAGE` ids are taken before their jobs are given. Raises `ApiError` for the
        first that no job has, after the jobs before it.
        """
        known: dict[int, JobStatus] = {}
        rest = iter(job_ids)
        waiting: list[int] = []
        while waiting := waiting or list(islice(rest, PAGE)):
            await self._learn(waiting, known)
            done = next(
                (n for n, job_id in enumerate(waiting) if job_id not in known), len(waiting)
            )
            block, waiting = [known.pop(job_id) for job_id in waiting[:done]], waiting[done:]
            if block:
                yield block

    async def persist(self, ask: Callable[[], Awaitable[Reply]]) -> Reply:
        """Ask until there is an answer.

        Raises `ApiError` for a refusal that will not change, `MasterUnreachable` after
        `SILENCE_S` without an answer, and `UnexpectedReply` at once.
        """
        silent_since: float | None = None
        attempt = 0
        while True:
            began = self.clock.now()
            try:
                reply = await ask()
            except ApiError as error:
                self._heard, silent_since = True, None
                if not error.busy:
                    raise
                trouble, asked_s = f"the master is busy ({error.detail})", error.retry_after_s
            except MasterUnreachable as error:
                silent_since = began if silent_since is None else silent_since
                hopeless = not self._heard and not error.sent
                if hopeless or self.clock.now() - silent_since >= SILENCE_S:
                    raise
                trouble, asked_s = error.detail, None
            else:
                self._heard = True
                return reply
            if attempt == 0:
                self._say(f"{trouble}; asking again")
            await self.clock.sleep(pause_s(attempt, asked_s, self._chance()))
            attempt += 1

    async def _submitted(self, ask: Callable[[], Awaitable[Reply]]) -> Reply:
        async def attempt() -> Reply:
            try:
                reply = await ask()
            except MasterUnreachable as error:
                self.unsure = self.unsure or error.sent
                raise
            except asyncio.CancelledError:
                self.unsure = True
                raise
            self.unsure = False
            return reply

        return await self.persist(attempt)

    async def _seen(self, job_id: int) -> JobStatus | None:
        # The contract's one look into the list; None when the job has not finished by then.
        for listed in await self.persist(self.master.jobs):
            if listed.job_id != job_id:
                continue
            if not listed.finished:
                return None
            return JobStatus(job_id, True, listed.answer, listed.error, listed.detail)
        self._say(f"job {job_id} is not among the last jobs; asking for it by its number")
        return None

    async def _learn(self, waiting: list[int], known: dict[int, JobStatus]) -> None:
        # Puts at least one more of `waiting` into `known`, unless ENOUGH_S passes before.
        if len(waiting) <= FEW:
            await self._take(waiting[0], known, WAIT_S)
            return
        until = min(waiting[0] + PAGE, waiting[-1] + 1)
        page = await self.persist(lambda: self.master.jobs(limit=until - waiting[0], before=until))
        ours = set(waiting)
        for listed in page:
            if listed.finished and listed.job_id in ours:
                known[listed.job_id] = JobStatus(
                    listed.job_id, True, listed.answer, listed.error, listed.detail
                )
        if waiting[0] not in known:
            # The one in the middle of those that are left: when it is done, so is about half of
            # them, and n jobs take log n pages.
            left = [job_id for job_id in waiting if job_id not in known]
            try:
                await self._take(left[len(left) // 2], known, ENOUGH_S)
            except ApiError as error:
                if not error.is_unknown_job:
                    raise
                await self._take(waiting[0], known, ENOUGH_S)

    async def _take(self, job_id: int, known: dict[int, JobStatus], wait_s: float) -> None:
        status = await self._wait(job_id, wait_s)
        if status.finished:
            known[job_id] = status

    async def _wait(self, job_id: int, wait_s: float) -> JobStatus:
        began = self.clock.now()
        status = await self.persist(lambda: self.master.job(job_id, wait_s=wait_s))
        early_s = began + wait_s - self.clock.now()
        if not status.finished and early_s > wait_s / 2:
            # A master that does not know `wait`, or is on its way out, must not be hammered.
            await self.clock.sleep(min(early_s, self._poll_interval_s))
        return status
