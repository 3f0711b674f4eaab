"""Outcomes on their way into the record, and from there to whoever waits for them.

    a job is decided -> what is decided in this turn of the loop -> the record, in one write
           -> each of those jobs has ended, some in each turn

Nobody is told before the record has it and has said that it is the job's first outcome. What of our
own the record cannot take now is offered again; what it never will take keeps no other one from it,
and its job ends as an internal error.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

import msgspec

from engine.clock import Clock
from engine.crashpoints import crash_point
from engine.errors import StoreError
from engine.job import Job, Outcome
from engine.logs import Seldom
from engine.store.base import RETRY_S, Store, kept
from engine.turns import Turns

log = logging.getLogger(__name__)

TOLD_AT_ONCE = 32  # jobs, in one turn of the loop: whoever waits for one goes on in the next one

UNRECORDED = Outcome(
    error="internal_error", detail="what has come of it cannot be recorded; the log has more"
)

Decided = tuple[Job, Outcome]
Answer = TypeVar("Answer")


class Outcomes:
    """Those that are decided, and not told yet.

    `on_ended` is told of each job as it ended; `on_lost`, within the exception, of each of which
    the record will take nothing.
    """

    def __init__(
        self,
        store: Store,
        turns: Turns,
        clock: Clock,
        on_ended: Callable[[Job], None],
        on_lost: Callable[[Job], None],
    ) -> None:
        self._store = store
        self._turns = turns
        self._clock = clock
        self._on_ended = on_ended
        self._on_lost = on_lost
        self._decided: list[Decided] = []  # in this turn of the loop
        self._ask_again_at = -math.inf  # after a write that failed
        self._failed = Seldom()  # such writes; the store tells when that begins and ends
        self.counts = dict.fromkeys(("succeeded", "failed", "cancelled"), 0)  # since the start
        self.tasks: set[asyncio.Task[None]] = set()  # which bring them to the record

    def decide(self, job: Job, outcome: Outcome) -> None:
        """Say how a job ends, unless it has ended otherwise by the time the record hears of it."""
        crash_point("finish.computed")
        if not self._decided:
            task = asyncio.create_task(self._record_decided())
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        self._decided.append((job, outcome))

    async def record(self, decided: Sequence[Decided], *, insist: bool) -> list[Job]:
        """Record outcomes, tell of them, and return the jobs as they ended.

        What the record cannot take now is offered again for whoever does `insist`; it raises
        `StoreError` for those who can come again themselves.
        """
        now = self._clock.wall()
        outcomes = [(job.job_id, outcome) for job, outcome in decided]
        ask = self._insist if insist else _once
        are_first = await ask(lambda: self._store.finish(outcomes, now))
        crash_point("finish.stored")
        ended = []
        for (job, outcome), is_first in zip(decided, are_first, strict=True):
            if is_first:
                self._count(outcome)
                ended.append(msgspec.structs.replace(job, outcome=outcome, finished_at=now))
            else:
                ended.append(await ask(partial(kept, self._store, job.job_id)))
        for place, job in enumerate(ended, start=1):
            self._on_ended(job)
            crash_point("finish.told")
            if place % TOLD_AT_ONCE == 0:
                await self._clock.sleep(0)
        return ended

    def tell(self, job: Job) -> None:
        """Tell of a job that was recorded with its outcome."""
        if job.outcome is not None:
            self._count(job.outcome)
        self._on_ended(job)

    def _count(self, outcome: Outcome) -> None:
        self.counts[_kind_of(outcome)] += 1

    async def _record_decided(self) -> None:
        decided, self._decided = self._decided, []
        with self._turns.hurrying():
            await self.record_own(decided)

    async def record_own(self, decided: Sequence[Decided]) -> None:
        """Record outcomes of our own, whatever it takes, and tell of them."""
        try:
            await self.record(decided, insist=True)
        except Exception as error:
            if len(decided) == 1:
                await self._record_as_lost(*decided[0], error)
            else:
                for one in decided:
                    await self.record_own([one])

    async def _record_as_lost(self, job: Job, outcome: Outcome, error: Exception) -> None:
        what = "its answer" if outcome.error is None else f"error {outcome.error[:100]!r}"
        log.error("job %d cannot end with %s", job.job_id, what, exc_info=error)
        try:
            await self.record([(job, UNRECORDED)], insist=True)
        except Exception:
            self._on_lost(job)

    async def _insist(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        while True:
            try:
                return await ask()
            except StoreError as error:
                await self._pause(error)

    async def _pause(self, why: StoreError) -> None:
        """Wait until the record is asked again, by all that wait then; say why now and then."""
        now = self._clock.now()
        if now >= self._ask_again_at:
            self._ask_again_at = now + RETRY_S
            if self._failed.happened(now):
                log.warning("what has come of jobs cannot be recorded yet: %s", why)
        await self._clock.sleep(self._ask_again_at - now)


async def _once(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    return await ask()


def _kind_of(outcome: Outcome) -> str:
    if outcome.error is None:
        return "succeeded"
    return "cancelled" if outcome.error == "cancelled" else "failed"
