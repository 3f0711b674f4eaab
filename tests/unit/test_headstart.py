"""Head starts: what is computed before it is recorded, and what becomes of it. In virtual time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from random import Random

import pytest

from engine.clock import LoopClock
from engine.core import SMALL_TASK, Engine
from engine.errors import StoreError, TraceNotKept
from engine.fusion import Fusion
from engine.headstart import FEW
from engine.job import Job, JobId, Operation, Outcome
from engine.planner import Planner
from engine.settings import JobsSettings, LimitsSettings
from engine.store.base import Ended, NewJob
from engine.trace import Arrival, Trip, UnderWay
from engine.turns import Turns
from tests.simulation.disk import SYNC_S, Disk, SimulatedStore
from tests.simulation.loop import run

LONG_S = 10 * SYNC_S  # than any commit takes


class SumLane:
    """Adds what it is given, after a while."""

    def __init__(self, executor: "Executor", job_id: JobId) -> None:
        self._executor = executor
        self._job_id = job_id
        self._arrivals: list[Arrival] = []

    async def put(self, operations: Sequence[Operation], since: float) -> None:
        """Compute at once."""
        trip = Trip("w1", since, since, 0.0)
        self._arrivals += [
            Arrival([(one.index, sum(one.operands))], 1, trip, since) for one in operations
        ]

    @property
    def has_results(self) -> bool:
        """Whether there is something to tell."""
        return bool(self._arrivals)

    async def results(self) -> list[Arrival]:
        """Tell the results when the call has taken its time."""
        await asyncio.sleep(self._executor.call_s)
        arrivals, self._arrivals = self._arrivals, []
        return arrivals

    def close(self) -> None:
        """Note that the job is done, or given up."""
        self._executor.open_ids.remove(self._job_id)


class Executor:
    """Workers that take `call_s` for whatever they are sent; knows which jobs have begun."""

    def __init__(self) -> None:
        self.call_s = 0.0
        self.began: list[JobId] = []
        self.parents: list[str | None] = []
        self.open_ids: list[JobId] = []

    def under_way(self, job_id: JobId) -> Iterable[UnderWay]:
        """Show nothing."""
        return ()

    def open(self, job_id: JobId, fusion: Fusion, trace_parent: str | None = None) -> SumLane:
        """Begin a job."""
        self.began.append(job_id)
        self.parents.append(trace_parent)
        self.open_ids.append(job_id)
        return SumLane(self, job_id)


class Store(SimulatedStore):
    """On a disk of its own; what it foretells can be set."""

    def __init__(self) -> None:
        self.disk = Disk()
        super().__init__(self.disk, Random(1))
        self.wrong_by = 0
        self.takes_no_answer = False

    @property
    def next_id(self) -> JobId | None:
        """What comes true, if nothing fails and nothing is set."""
        return JobId(self.disk.record.next_id + sum(map(len, self._adds())) + self.wrong_by)

    async def finish(self, outcomes: Sequence[Ended], now: float) -> list[bool]:
        """Set outcomes, but no answers while there is a bug."""
        if self.takes_no_answer and any(outcome.error is None for _, outcome in outcomes):
            raise ValueError("cannot be written")
        return await super().finish(outcomes, now)

    def _adds(self) -> list[Sequence[NewJob]]:
        return [transaction.adds for transaction in self._group]


Scenario = Callable[[Engine, Store, Executor], Awaitable[None]]


def play(scenario: Scenario, limits: LimitsSettings | None = None) -> None:
    """Run a scenario on an engine of its own."""
    turns, limits, jobs = Turns(), limits or LimitsSettings(), JobsSettings()
    store, executor = Store(), Executor()

    async def main() -> None:
        planner = Planner(jobs, limits.task_bytes, turns)
        engine = Engine(store, executor, planner, turns, jobs, limits, LoopClock())
        await engine.start()
        await asyncio.sleep(LONG_S)  # it looks for jobs of a former life
        await scenario(engine, store, executor)
        await engine.stop()
        assert executor.open_ids == []

    run(main())


async def submitting(
    engine: Engine, task: str, key: str | None = None, trace_parent: str | None = None
) -> "asyncio.Task[Job]":
    """Return a submission that is on its way: in the hands of the store, and not recorded."""
    submission = asyncio.ensure_future(engine.submit(task, key, trace_parent=trace_parent))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not submission.done()
    return submission


async def answer(engine: Engine, job: Job) -> object:
    """Return what a job came to."""
    ended = await engine.wait(job.job_id, 60)
    assert ended.outcome is not None
    return ended.outcome.answer


def test_a_small_job_begins_while_it_is_recorded_and_ends_only_after_that() -> None:
    """Its answer is there long before, and nobody sees it."""

    async def scenario(engine: Engine, store: Store, executor: Executor) -> None:
        submission = await submitting(engine, "1+1")
        assert executor.began == [1]
        assert store.disk.record.get(JobId(1)) is None
        assert engine.running == 0
        job = await submission
        assert not job.finished
        assert engine.is_running(job.job_id)
        assert await answer(engine, job) == 2
        assert executor.began == [1]

    play(scenario)


def test_one_that_takes_longer_than_the_record_is_a_job_like_all_others() -> None:
    """It runs, it is waited for, and it can be cancelled."""

    async def scenario(engine: Engine, store: Store, executor: Executor) -> None:
        executor.call_s = LONG_S
        jobs = [await engine.submit("1+1"), await engine.submit("2+2")]
        assert engine.running == 2
        await engine.cancel(jobs[0].job_id)
        assert engine.running == 1
        assert await answer(engine, jobs[1]) == 4
        assert (await engine.job(jobs[0].job_id)).outcome.error == "cancelled"  # type: ignore[union-attr]
        assert executor.began == [1, 2]

    play(scenario)


def test_nobody_cancels_what_ends_by_itself() -> None:
    """It tells of its end itself, and goes on to its own."""

    async def scenario(engine: Engine, store: Store, executor: Executor) -> None:
        executor.call_s = LONG_S
        job = await engine.submit("1+1")
        tasks = asyncio.all_tasks()
        assert await answer(engine, job) == 2
        await asyncio.sleep(LONG_S)
        ended = [task for task in tasks if task.done()]
        assert len(ended) == 1
        assert not ended[0].cancelled()

    play(scenario)


def test_one_whose_answer_cannot_be_recorded_ends_all_the_same() -> None:
    """As a job that began after its commit does."""

    async def scenario(engine: Engine, store: Store, executor: Executor) -> None:
        store.takes_no_answer = True
        job = await engine.submit("1+1")
        ended = await engine.wait(job.job_id, 60)
        assert executor.began == [1]
        assert ended.outcome is not None
        assert ended.outcome.error == "internal_error"
        assert engine.running == 0

    play(scenario)


def test_what_the_record_refuses_has_never_been() -> None:
    """Its id goes to the next job, which has its own answer and nothing of the other."""

    async def scenario(engine: Engine, store: Store, executor: Executor) -> None:
        store.disk.full = True
        submission = await submitting(engine, "1+1", trace_parent="a parent")
        with pytest.raises(StoreError):
            await submission
        await asyncio.sleep(0)
        assert executor.began == [1]
        assert executor.open_ids == []
        assert engine.running == 0
        store.disk.full = False
        job = await engine.submit("2+2+2")
        assert job.job_id == 1
        assert await answer(engine, job) == 6
        assert executor.parents == ["a parent", None]

    play(scenario)


def test_a_job_that_got_another_id_than_was_foretold_begins_afresh() -> None:
    """Under its own id, with its trace context; under the other one is nothing."""

    async def scenario(engine: Engine, store: Store, executor: Executor) -> None:
        executor.call_s = LONG_S
        store.wrong_by = 1
        job = await engine.submit("1+1", trace_parent="a parent")
        store.wrong_by = 0
        assert job.job_id == 1
        other = await engine.submit("2+2+2")
        assert other.job_id == 2
        assert await answer(engine, job) == 2
        assert await answer(engine, other) == 6
        assert executor.began == [2, 1, 2]
        assert executor.parents == ["a parent", "a parent", None]

    play(scenario)


def test_a_result_never_becomes_the_answer_of_another_job() -> None:
    """Though it was there first, under the id that the other one got."""

    async def scenario(engine: Engine, store: Store, executor: Executor) -> None:
        store.wrong_by = 1
        submissions = [engine.submit(task) for task in ("1+1", "2+2", "3+3")]
        jobs = await asyncio.gather(*submissions)
        assert executor.began[:3] == [2, 3, 4]
        assert [(job.job_id, await answer(engine, job)) for job in jobs] == [(1, 2), (2, 4), (3, 6)]

    play(scenario)


def test_an_answer_that_is_there_before_the_job_is_written_goes_with_it() -> None:
    """For whoever waits: one write, and the job is told of as it ended."""

    async def scenario(engine: Engine, store: Store, executor: Executor) -> None:
        told: list[Job] = []
        engine.on_change = told.append
        job = await engine.submit("1+1", trace_parent="a parent", is_awaited=True)
        assert job.outcome == Outcome(answer=2)
        assert store.disk.record.get(JobId(1)) == job
        assert (await engine.wait(JobId(1), 60)).outcome == Outcome(answer=2)
        assert told[-1] == job
        assert engine.running == 0
        assert engine.finished["succeeded"] == 1
        assert (await engine.operations(JobId(1))).operations[0].result == 2
        assert engine._trace_parents == {}
        assert (await engine.submit("2+2", is_awaited=True)).outcome == Outcome(answer=4)
        assert executor.began == [1, 2]

    play(scenario)


def test_an_answer_that_goes_with_its_job_is_that_job_s_whatever_id_it_gets() -> None:
    """Each is told of once, nothing stays, and what comes next has a head start again."""

    async def scenario(engine: Engine, store: Store, executor: Executor) -> None:
        store.wrong_by = 1
        tasks = ("1+1", "2+2", "3+3")
        submissions = [engine.submit(task, trace_parent="a", is_awaited=True) for task in tasks]
        jobs = await asyncio.gather(*submissions)
        assert [(job.job_id, await answer(engine, job)) for job in jobs] == [(1, 2), (2, 4), (3, 6)]
        assert engine.finished["succeeded"] == 3
        assert engine.running == 0
        assert engine._trace_parents == {}
        await asyncio.sleep(LONG_S)
        store.wrong_by = 0
        executor.began.clear()
        assert (await engine.submit("4+4", is_awaited=True)).outcome == Outcome(answer=8)
        assert executor.began == [4]

    play(scenario)


def test_of_a_head_start_that_was_given_up_no_trace_is_shown() -> None:
    """Its id may be another job's, which waits."""

    async def scenario(engine: Engine, store: Store, executor: Executor) -> None:
        executor.call_s = LONG_S
        await engine.submit("1+1")
        store.wrong_by = 1
        waiting = await engine.submit("2+2")
        assert executor.began == [1]
        with pytest.raises(TraceNotKept):
            await engine.operations(waiting.job_id)

    play(scenario, LimitsSettings(running_jobs=1))


def test_no_more_jobs_run_than_there_is_room_for() -> None:
    """A job that would wait if it were recorded is not begun before."""

    async def scenario(engine: Engine, store: Store, executor: Executor) -> None:
        executor.call_s = LONG_S
        first = await submitting(engine, "1+1")
        second = await submitting(engine, "2+2")
        assert executor.began == [1, 2]
        jobs = [await first, await second]
        assert engine.running == 1
        await submitting(engine, "3+3")
        assert executor.began == [1, 2]
        assert [await answer(engine, job) for job in jobs] == [2, 4]

    play(scenario, LimitsSettings(running_jobs=1))


def test_few_begin_ahead() -> None:
    """Of many, operations travel together after one commit; all end."""

    async def scenario(engine: Engine, store: Store, executor: Executor) -> None:
        submissions = [await submitting(engine, f"{number}+1") for number in range(2 * FEW)]
        assert executor.began == list(range(1, FEW + 1))
        jobs = [await submission for submission in submissions]
        assert [await answer(engine, job) for job in jobs] == list(range(1, 2 * FEW + 1))

    play(scenario)


def test_what_is_large_or_has_a_key_does_not_begin_ahead() -> None:
    """The one would be in the way, of the other nobody knows whether it is new."""

    async def scenario(engine: Engine, store: Store, executor: Executor) -> None:
        large = await submitting(engine, "+".join(["1"] * SMALL_TASK))
        keyed = await submitting(engine, "1+1", "a key")
        assert executor.began == []
        assert await answer(engine, await large) == SMALL_TASK
        assert await answer(engine, await keyed) == 2

    play(scenario)


def test_a_submission_that_breaks_off_leaves_its_job_to_the_record() -> None:
    """Whether it was recorded nobody heard: the next one that comes finds out."""

    async def scenario(engine: Engine, store: Store, executor: Executor) -> None:
        submission = await submitting(engine, "1+1")
        submission.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert executor.open_ids == []
        assert (await engine.submit("2+2")).job_id == 2
        assert (await engine.wait(JobId(1), 60)).outcome.answer == 2  # type: ignore[union-attr]

    play(scenario)


def test_a_master_that_stops_leaves_none_behind() -> None:
    """What is not recorded by then was told to nobody."""

    async def scenario(engine: Engine, store: Store, executor: Executor) -> None:
        executor.call_s = LONG_S
        submission = await submitting(engine, "1+1")
        await engine.stop()
        assert executor.open_ids == []
        assert not (await submission).finished

    play(scenario)
