"""The engine: from a submitted task to its answer. The page to read first.

    submit -> parse and plan -> store (durable) -> job_id -> a coroutine per job
           -> operations to the executor -> results -> answer -> store (durable), with all that
           ended in the same turn (`outcomes.py`) -> whoever waits

Invariants: a job's id is told only after the store has it; a job is seen as finished only after
the store has its outcome; an outcome, once set, never changes. Jobs run in the order of their
ids as far as there is room; the rest waits in the store, not in memory. A small job that would run
at once begins while it is stored (`headstart.py`), which changes none of these.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from itertools import islice
from typing import cast

from engine import pipeline
from engine.admission import Admission, Entry
from engine.clock import Clock
from engine.crashpoints import crash_point
from engine.errors import (
    Draining,
    ExecutorError,
    ExpressionError,
    Overloaded,
    ResultsWithdrawn,
    StoreError,
    TraceNotKept,
)
from engine.headstart import FEW, HeadStart, HeadStarts
from engine.job import Job, JobId, Outcome
from engine.messages import JobOperations
from engine.outcomes import Outcomes
from engine.pipeline import Executor
from engine.plan import Plan
from engine.planner import Planner
from engine.retention import forget_old
from engine.settings import JobsSettings, LimitsSettings
from engine.store.base import RETRY_S, Counts, Early, NewJob, Page, Status, Store, kept
from engine.trace import SampledTrace, Shown, Telling, Traces
from engine.turns import PIECE, Turns

log = logging.getLogger(__name__)

READ_JOBS = 500  # jobs read from the store at a time when there is room again
READ_BYTES = 2 * 1024 * 1024  # and text of theirs, at the most
SETTLING_TURNS = 3  # a result wakes its pipeline; it ends; its outcome is handed to the store
STORING_S = 1.0  # that outcomes have to get into the store before those who wait are sent away
BEGIN_AT_ONCE = 64  # jobs that are begun in one turn of the loop: some 2 ms
SMALL_TASK = 128  # characters: its few operations are not to wait behind the many of others
OF_WORKERS = frozenset({"poison_operation", "attempts_exhausted"})  # errors that they brought
NOBODY_HURRIES = nullcontext()

Waiter = asyncio.Future[Job | None]  # for the end of a job; `None` when the time is over


def _keys(key: str | None, count: int) -> Iterator[str | None]:
    """Yield the idempotency keys of `count` jobs that came in one request under `key`.

    The first one's is the key itself, so that a request of one task cannot have it too; in the
    others is a blank, which no client's key can hold.
    """
    for place in range(count):
        yield key if key is None or place == 0 else f"{key} {place}"


class Engine:
    """Takes tasks, runs them on an executor, and keeps their record in a store."""

    def __init__(
        self,
        store: Store,
        executor: Executor,
        planner: Planner,
        turns: Turns,
        jobs: JobsSettings,
        limits: LimitsSettings,
        clock: Clock,
    ) -> None:
        self._store = store
        self._executor = executor
        self._planner = planner
        self._turns = turns
        self._settings = jobs
        self._limits = limits
        self._clock = clock
        self._admission = Admission(limits, jobs.large_bytes)
        self.submitted = 0  # jobs, since the start
        self.on_change: Callable[[Job], None] | None = None  # told of new and of finished jobs
        self._trace_parents: dict[JobId, str] = {}  # of unfinished jobs that came with one
        self._traces = Traces(jobs.trace_operations)
        self._running: dict[JobId, tuple[asyncio.Task[None], Entry]] = {}
        self._head_starts = HeadStarts(self._traces.drop)
        self._outcomes = Outcomes(store, turns, clock, self._on_ended, self._on_lost)
        self._begin_soon = False
        self._submitting = 0
        self._taking_up = asyncio.Lock()  # first come, first served: jobs are taken up by their ids
        self._waiting: dict[JobId, list[Waiter]] = {}  # who waits for a job's end
        self._room = asyncio.Event()  # jobs may be waiting in the store, and there is room
        self.background: list[asyncio.Task[None]] = []  # which never end by themselves
        self._draining = False
        self._released = False  # nobody is to wait for a job's end any more

    # Life

    async def start(self) -> None:
        """Open the store and take up every job in it that has not finished."""
        await self._store.open()
        self._room.set()
        self.background = [
            asyncio.create_task(self._read_waiting()),
            asyncio.create_task(forget_old(self._store, self._settings, self._clock)),
            asyncio.create_task(self._look_after_the_record()),
        ]

    def drain(self) -> None:
        """Take no new tasks from now on, and start no more jobs."""
        self._draining = True

    async def settle(self) -> None:
        """Let jobs that have their last result store it: a turn of the loop for each step."""
        for _ in range(SETTLING_TURNS):
            await self._clock.sleep(0)

    async def release(self) -> None:
        """Answer all who wait for a job's end with the job as it is; from now on nobody waits.

        They are told of what has ended by now, if the store takes it in time. Whatever they ask
        the store for, they have asked when this returns.
        """
        if self._outcomes.tasks:
            await asyncio.wait(self._outcomes.tasks, timeout=STORING_S)
        self._released = True
        for waiters in self._waiting.values():
            for waiter in waiters:
                _give_up(waiter)
        await self._clock.sleep(0)

    async def stop(self) -> None:
        """Stop every job where it is and close the store: unfinished ones resume at a start."""
        self.drain()
        running = [task for task, _ in self._running.values()]
        tasks = [*running, *self._head_starts.tasks, *self._outcomes.tasks, *self.background]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._store.close()

    @property
    def refusal(self) -> ExecutorError | None:
        """Why a task would not be taken now, or `None` if it would."""
        if self._draining:
            return Draining("the master is shutting down; submit again in a few seconds", 5.0)
        if self._store.broken:
            return StoreError("the store has failed and must be looked at; see the master's log")
        return None

    @property
    def unreadiness(self) -> ExecutorError | None:
        """Why a task would probably not be taken, or `None` if it would."""
        trouble = self.trouble
        return self.refusal or (None if trouble is None else StoreError(trouble))

    @property
    def trouble(self) -> str | None:
        """Why nothing could be recorded the last time, or `None` if it could."""
        return self._store.trouble

    def is_running(self, job_id: JobId) -> bool:
        """Return whether a job has found room to run, and has not ended."""
        return job_id in self._running

    def is_planned(self, job_id: JobId) -> bool:
        """Return whether operations of a job have been, or could have been, handed out."""
        return self._traces.get(job_id) is not None

    @property
    def running(self) -> int:
        """How many jobs are running now."""
        return len(self._running)

    # What clients ask for

    async def submit(
        self,
        task: str,
        key: str | None = None,
        fingerprint: str = "",
        trace_parent: str | None = None,
        *,
        is_awaited: bool = False,
    ) -> Job:
        """Take one task and return its job, durable. Raises `ExpressionError` if it is none.

        With an idempotency `key`, the same key and fingerprint give the same job again. A
        `trace_parent` goes with the job's operations until the master ends: it is not stored.
        A small job that somebody waits for is recorded with its answer, if that comes at once.
        """
        self._refuse_if_closed()
        crash_point("submit.received")
        self._planner.check(task)
        async with self._planner.in_hand(len(task)):
            with self._hurrying_if_small(task):
                plan = await self._planner.plan(task)
                head_start = self._start_ahead(task, plan, trace_parent) if key is None else None
                early = head_start.early if is_awaited and head_start is not None else None
                try:
                    (job,) = await self._add([NewJob(task, key, fingerprint)], early)
                    async with self._taking_up:
                        self._take_up(job, plan, trace_parent, head_start)
                except BaseException:
                    self._give_up(head_start)
                    raise
        self._begin()
        return job

    async def submit_many(
        self,
        tasks: Sequence[str],
        key: str | None = None,
        fingerprint: str = "",
        trace_parent: str | None = None,
    ) -> list[Job | ExpressionError]:
        """Take many tasks at once; in their order, each one's job or why it is none.

        With an idempotency `key`, the same key and fingerprint give the same jobs again.
        """
        self._refuse_if_closed()
        crash_point("submit.received")
        for task in tasks:
            self._planner.check(task)
        async with self._planner.in_hand(sum(map(len, tasks))):
            results = await self._take_many(tasks, key, fingerprint, trace_parent)
        self._begin()
        return results

    async def job(self, job_id: JobId) -> Job:
        """Return a job. Raises `JobNotFound`."""
        return await kept(self._store, job_id)

    async def wait(self, job_id: JobId, seconds: float) -> Job:
        """Return a job as soon as it has finished, at the latest after `seconds` or `release`."""
        loop = asyncio.get_running_loop()
        finished: Waiter = loop.create_future()
        self._waiting.setdefault(job_id, []).append(finished)
        try:
            if self._released or job_id not in self._running:
                job = await self.job(job_id)
                if self._released or job.finished or seconds <= 0:
                    return job
            timer = loop.call_later(seconds, _give_up, finished)
            try:
                ended = await finished
            finally:
                timer.cancel()
            return await self.job(job_id) if ended is None else ended
        finally:
            self._waiting[job_id].remove(finished)
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    async def jobs(
        self, limit: int, before: JobId | None = None, status: Status | None = None
    ) -> Page:
        """Return up to `limit` jobs, newest first, older than `before` and of one `status`.

        Where their tasks are large, some of them; `more_jobs` are those that follow.
        """
        return await self._store.page(limit, before, status)

    async def more_jobs(self, page: Page) -> Page:
        """Return some more jobs of a page that has a rest."""
        return await self._store.rest(page.rest)

    async def cancel(self, job_id: JobId) -> Job:
        """Finish a job with the error `cancelled`, unless it has finished before.

        Raises `StoreError` when that cannot be recorded: the job goes on.
        """
        job = await self.job(job_id)
        outcome = Outcome(error="cancelled", detail="cancelled by a client")
        (ended,) = await self._outcomes.record([(job, outcome)], insist=False)
        return ended

    async def operations(self, job_id: JobId) -> JobOperations:
        """Return what is known of the operations of a job. Raises `JobNotFound`, `TraceNotKept`."""
        job = await self.job(job_id)
        trace = self._traces.get(job_id)
        if trace is None:
            raise TraceNotKept(_why_no_trace(job))
        running_s = None if job.finished else round(self._clock.now() - trace.began_at, 6)
        if isinstance(trace, SampledTrace):
            told = await self._told(trace.shown(self._executor.under_way(job_id)))
        else:
            plan = await self._planner.plan(job.task)
            told = await self._told(trace.shown(plan, self._executor.under_way(job_id)))
        return JobOperations(
            job_id=job_id,
            task=job.task,
            total=len(trace),
            shown=len(told.operations),
            operations=told.operations,
            sampled=isinstance(trace, SampledTrace),
            finished=job.finished,
            submitted_at=job.submitted_at,
            finished_at=job.finished_at,
            running_s=running_s,
            critical_path=told.critical_path,
            summary=told.summary,
        )

    async def _told(self, telling: Telling) -> Shown:
        while True:
            try:
                next(telling)
            except StopIteration as end:
                return cast(Shown, end.value)
            await self._clock.sleep(0)  # others have their turn between the pieces

    @property
    def counts(self) -> Counts:
        """How many jobs of the record are unfinished, succeeded and failed."""
        return self._store.counts

    @property
    def finished(self) -> dict[str, int]:
        """How many jobs have succeeded, failed and been cancelled, since the start."""
        return self._outcomes.counts

    def _tell(self, job: Job) -> None:
        if self.on_change is not None:
            self.on_change(job)

    # Taking in

    async def _take_many(
        self, tasks: Sequence[str], key: str | None, fingerprint: str, trace_parent: str | None
    ) -> list[Job | ExpressionError]:
        plans = await self._planner.plan_many(tasks)
        good = [task for task, plan in zip(tasks, plans, strict=True) if isinstance(plan, Plan)]
        keys = _keys(key, len(good))
        jobs = iter(
            await self._add([NewJob(*new, fingerprint) for new in zip(good, keys, strict=True)])
        )
        results: list[Job | ExpressionError] = []
        async with self._taking_up:
            for plan in plans:
                if isinstance(plan, ExpressionError):
                    results.append(plan)
                else:
                    job = next(jobs)
                    self._take_up(job, plan, trace_parent)
                    results.append(job)
                if len(results) % PIECE == 0:
                    await self._turns.take(PIECE)
        return results

    def _take_up(
        self,
        job: Job,
        plan: Plan,
        trace_parent: str | None,
        head_start: HeadStart | None = None,
    ) -> None:
        is_early = head_start is not None and job.finished
        if not is_early and self._has_ended(job):  # it was known, or somebody was quick
            self._give_up(head_start)
            return
        has_begun = head_start is not None and self._go_on(head_start, job)
        if not has_begun:
            self._give_up(head_start)
        if trace_parent is not None:
            self._trace_parents[job.job_id] = trace_parent
        if log.isEnabledFor(logging.DEBUG):
            log.debug("job %d is taken", job.job_id, extra=self._about(job.job_id))
        if not has_begun:
            if is_early:  # under another id than it had: nothing else tells of it
                self._outcomes.tell(job)
            self._admission.offer(job, plan if head_start is None else None)  # else it is used up
        self._tell(job)

    def _has_ended(self, job: Job) -> bool:
        """Return whether a job has ended by now; what the record gave may be older than that."""
        if job.finished:
            return True
        return job.job_id not in self._running and not self._admission.is_to_come(job.job_id)

    def _about(self, job_id: JobId) -> dict[str, object]:
        """Return what a log line about a job carries for machines."""
        return {"job_id": job_id, "traceparent": self._trace_parents.get(job_id)}

    # Starting ahead

    def _start_ahead(self, task: str, plan: Plan, trace_parent: str | None) -> HeadStart | None:
        """Begin with a small job that is about to be recorded, if it would run at once then."""
        job_id = self._store.next_id
        if (
            job_id is None
            or len(task) > SMALL_TASK
            or self._submitting >= FEW
            or not self._admission.is_idle
            or not self._head_starts.may_begin(job_id)
        ):
            return None
        if trace_parent is not None:
            self._trace_parents[job_id] = trace_parent
        job = Job(job_id, task, self._clock.wall())
        return self._head_starts.begin(
            job_id, lambda head_start: self._carry_through(job, plan, head_start)
        )

    def _go_on(self, head_start: HeadStart, job: Job) -> bool:
        """Let a job that was recorded go on, if it is the one that has begun and its turn came."""
        if head_start.job_id != job.job_id or head_start.task.done():
            return False
        entry = self._admission.begin_next(job)
        if entry is None:
            return False
        self._follow(entry, self._head_starts.confirm(head_start, job))
        return True

    def _give_up(self, head_start: HeadStart | None) -> None:
        if head_start is not None and self._head_starts.give_up(head_start):
            self._trace_parents.pop(head_start.job_id, None)

    def _hurrying_if_small(self, task: str) -> AbstractContextManager[None]:
        return self._turns.hurrying() if len(task) <= SMALL_TASK else NOBODY_HURRIES

    def _refuse_if_closed(self) -> None:
        refusal = self.refusal
        if refusal is not None:
            raise refusal

    async def _add(self, new: list[NewJob], early: Early | None = None) -> list[Job]:
        if self._submitting + len(new) > self._limits.waiting_submissions and self._submitting:
            raise Overloaded("too many submissions are waiting for the store; try again shortly")
        self._submitting += len(new)
        try:
            unfinished = self._store.counts.unfinished
            if unfinished + len(new) > self._limits.unfinished_jobs:
                already = "1 job is" if unfinished == 1 else f"{unfinished} jobs are"
                raise Overloaded(
                    f"{already} unfinished already; try again later, or raise"
                    " limits.unfinished_jobs",
                    5.0,
                )
            crash_point("submit.parsed")
            now = self._clock.wall()
            jobs = await self._store.add(new, now, early)
            crash_point("submit.stored")
            self.submitted += sum(job.submitted_at == now for job in jobs)  # the others were known
            return jobs
        finally:
            self._submitting -= len(new)

    # Running

    def _begin(self) -> None:
        """Start jobs that are next in line and have room; go on in the loop's next turn."""
        if self._draining:
            return
        for entry in islice(self._admission.begin(), BEGIN_AT_ONCE):
            self._follow(entry, asyncio.create_task(self._carry_through(entry.job, entry.plan)))
        if self._admission.can_begin:
            self._begin_later()
        if self._admission.wants_more or self._admission.next_large() is not None:
            self._room.set()

    def _follow(self, entry: Entry, task: "asyncio.Task[None]") -> None:
        self._running[entry.job.job_id] = task, entry

    def _begin_later(self) -> None:
        if not self._begin_soon:
            self._begin_soon = True
            asyncio.get_running_loop().call_soon(self._begin_now)

    def _begin_now(self) -> None:
        self._begin_soon = False
        self._begin()

    async def _carry_through(
        self, job: Job, plan: Plan | None, head_start: HeadStart | None = None
    ) -> None:
        with self._hurrying_if_small(job.task):
            try:
                if plan is None:
                    plan = await self._planner.plan(job.task)
                if self._settings.deadline_s is None:
                    outcome = await self._compute(job, plan)
                else:
                    outcome = await self._before_deadline(job, plan, self._settings.deadline_s)
                if head_start is None:
                    self._outcomes.decide(job, outcome)
                    return
                head_start.early.set_result((outcome, self._clock.wall()))
                job = await head_start.recorded
                if job.finished:  # recorded together with its outcome
                    self._outcomes.tell(job)
                else:  # it is one of few: sooner alone than together with others
                    await self._outcomes.record_own([(job, outcome)])
            except ExpressionError as error:  # it was taken by a version that read it otherwise
                self._outcomes.decide(job, Outcome(error=error.code, detail=error.detail))
            except Exception:
                self._on_lost(job)

    async def _before_deadline(self, job: Job, plan: Plan, deadline_s: float) -> Outcome:
        left = job.submitted_at + deadline_s - self._clock.wall()
        try:
            async with asyncio.timeout(max(0.0, left)):
                return await self._compute(job, plan)
        except TimeoutError:
            return Outcome(
                error="deadline_exceeded", detail=f"not finished {deadline_s:g} s after submission"
            )

    async def _compute(self, job: Job, plan: Plan) -> Outcome:
        while True:
            now = self._clock.now()
            trace = self._traces.begin(job.job_id, plan, now)
            try:
                parent = self._trace_parents.get(job.job_id)
                lane = self._executor.open(job.job_id, plan.fusion, parent)
                return await pipeline.run(job, plan, lane, trace, now)
            except ResultsWithdrawn as withdrawn:
                about = self._about(job.job_id)
                log.warning("job %d starts afresh: %s", job.job_id, withdrawn, extra=about)
            finally:
                self._traces.end(job.job_id)
            plan = await self._planner.plan(job.task)

    # Ending

    def _on_ended(self, job: Job) -> None:
        """Make room and tell: in one step, since whoever asks later looks in the store."""
        # A job that was cancelled is carried through still, and it may have begun only while this
        # was stored: so that is looked for here, and not before.
        running = self._ended(job.job_id)
        if running is not None and not running.done() and running is not asyncio.current_task():
            running.cancel()
        self._log_end(job)
        self._trace_parents.pop(job.job_id, None)
        self._tell(job)
        for waiter in self._waiting.get(job.job_id, ()):
            if not waiter.done():
                waiter.set_result(job)

    def _log_end(self, job: Job) -> None:
        """Log whatever is no fault of the task where it is seen; the rest when asked for all."""
        error = None if job.outcome is None else job.outcome.error
        if job.outcome is not None and error in OF_WORKERS:
            told = error, job.outcome.detail
            log.warning(
                "job %d has failed: %s: %s", job.job_id, *told, extra=self._about(job.job_id)
            )
        elif log.isEnabledFor(logging.DEBUG):
            log.debug("job %d has finished", job.job_id, extra=self._about(job.job_id))

    def _on_lost(self, job: Job) -> None:
        log.exception(
            "job %d stopped unforeseen; it is taken up again, at the next start at the latest",
            job.job_id,
            extra=self._about(job.job_id),
        )
        self._ended(job.job_id)

    def _ended(self, job_id: JobId) -> "asyncio.Task[None] | None":
        """Make room for another job if this one ran; return what carried it through."""
        self._begin_later()
        if job_id not in self._running:
            self._admission.drop(job_id)
            return None
        task, entry = self._running.pop(job_id)
        self._admission.ended(entry)
        return task

    async def _look_after_the_record(self) -> None:
        """Find out that it can be written again, or no more, though nobody submits anything."""
        while True:
            await self._clock.sleep(RETRY_S)
            if not self._store.broken:
                with suppress(StoreError):
                    await self._store.look()

    # Taking up what waits in the store, as soon as there is room

    async def _read_waiting(self) -> None:
        while True:
            await self._room.wait()
            self._room.clear()
            try:
                await self._read_large()
                await self._read_next()
            except StoreError as error:
                log.warning("waiting jobs cannot be read yet: %s", error)
                await self._clock.sleep(RETRY_S)
                self._room.set()
            self._begin()

    async def _read_large(self) -> None:
        job_id = self._admission.next_large()
        if job_id is not None:
            job = await self._store.get(job_id)
            if job is None or job.finished:
                self._admission.drop(job_id)
            else:
                self._admission.admit_large(job)

    async def _read_next(self) -> None:
        if self._admission.wants_more:
            self._admission.behind = False  # what is added from now on says so itself
            try:
                jobs = await self._store.unfinished(self._admission.taken, READ_JOBS, READ_BYTES)
            except StoreError:
                self._admission.behind = True  # as before: they are to be read yet
                raise
            if jobs:
                crash_point("recovery.read")
                self._admission.read(jobs)
                self._admission.behind = True
                crash_point("recovery.taken_up")


def _give_up(finished: Waiter) -> None:
    if not finished.done():
        finished.set_result(None)


def _why_no_trace(job: Job) -> str:
    if job.finished:
        return (
            f"job {job.job_id} has finished, and its operations are no longer kept: they are for"
            " the latest jobs, and until a restart; raise jobs.trace_operations to keep more"
        )
    return f"job {job.job_id} has not begun, so nothing has happened to its operations; ask again"
