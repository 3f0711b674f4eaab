"""The engine by itself, in virtual time, on an executor that never computes anything."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

import pytest

from engine.admission import LOBBY_CHARACTERS
from engine.clock import LoopClock
from engine.core import BEGIN_AT_ONCE, SMALL_TASK, Engine
from engine.errors import OperationFailed, Overloaded, StoreError
from engine.fusion import Fusion
from engine.job import Job, JobId, Operation, Outcome
from engine.planner import Planner
from engine.settings import JobsSettings, LimitsSettings
from engine.store.base import RETRY_S, Early, Ended, NewJob, Store
from engine.store.memory import MemoryRecord, MemoryStore
from engine.trace import Arrival, Trip, UnderWay
from engine.turns import FEW, LINGER, ROOM, SHORT_ROOM, Turns
from tests.simulation.loop import run


class IdleLane:
    """Takes operations, and gives nothing back."""

    async def put(self, operations: Sequence[Operation], since: float) -> None:
        """Take operations."""

    @property
    def has_results(self) -> bool:
        """Nothing comes back."""
        return False

    async def results(self) -> list[Arrival]:
        """Never return."""
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    def close(self) -> None:
        """Forget nothing."""


class IdleExecutor:
    """An executor without workers."""

    def open(self, job_id: JobId, fusion: Fusion, trace_parent: str | None = None) -> IdleLane:
        """Return a lane on which nothing moves."""
        return IdleLane()

    def under_way(self, job_id: JobId) -> Iterable[UnderWay]:
        """Show nothing."""
        return ()


class CountingExecutor(IdleExecutor):
    """An executor that counts the jobs which have begun."""

    def __init__(self) -> None:
        self.opened = 0

    def open(self, job_id: JobId, fusion: Fusion, trace_parent: str | None = None) -> IdleLane:
        """Return a lane, and count it."""
        self.opened += 1
        return super().open(job_id, fusion, trace_parent)


class BrokenAtFirst(IdleExecutor):
    """An executor with a bug that the first job meets."""

    def open(self, job_id: JobId, fusion: Fusion, trace_parent: str | None = None) -> IdleLane:
        """Return a lane, but not to the first job."""
        if job_id == 1:
            raise RuntimeError("a bug")
        return super().open(job_id, fusion, trace_parent)


class FailingLane(IdleLane):
    """Gives back that no operation could be computed."""

    async def results(self) -> list[Arrival]:
        """Return the failure of the first operation."""
        failure = OperationFailed("attempts_exhausted", "10 attempts failed")
        return [Arrival([(0, failure)], 1, Trip("w", 0.0, 1.0), 0.0)]


class FailingExecutor(IdleExecutor):
    """An executor whose workers are all mad."""

    def open(self, job_id: JobId, fusion: Fusion, trace_parent: str | None = None) -> IdleLane:
        """Return a lane on which everything fails."""
        return FailingLane()


class FullStore(MemoryStore):
    """A store that writes no outcomes while it is `full`."""

    full = True

    async def finish(self, outcomes: Sequence[Ended], now: float) -> list[bool]:
        """Set outcomes, or not."""
        if self.full:
            raise StoreError("the disk is full; make room")
        return await super().finish(outcomes, now)


class CountingReads(MemoryStore):
    """A store that counts how often it was looked through for unfinished jobs."""

    def __init__(self, record: MemoryRecord) -> None:
        super().__init__(record)
        self.reads = 0

    async def unfinished(self, after: JobId, limit: int, max_bytes: int) -> list[Job]:
        """Return them, and count it."""
        self.reads += 1
        assert self.reads < 100  # else the loop would never turn again
        return await super().unfinished(after, limit, max_bytes)


class UnreadableAtFirst(MemoryStore):
    """A store whose unfinished jobs cannot be read the first time."""

    times = 0

    async def unfinished(self, after: JobId, limit: int, max_bytes: int) -> list[Job]:
        """Return them, but for the first time."""
        self.times += 1
        if self.times == 1:
            raise StoreError("the disk does not answer; look at it")
        return await super().unfinished(after, limit, max_bytes)


class SlowToWrite(MemoryStore):
    """A store that takes a second to add jobs."""

    async def add(self, new: Sequence[NewJob], now: float, early: Early | None = None) -> list[Job]:
        """Add them, in a second."""
        await asyncio.sleep(1)
        return await super().add(new, now, early)


class SlowToRead(MemoryStore):
    """A store whose unfinished jobs arrive a second after they were looked for."""

    async def unfinished(self, after: JobId, limit: int, max_bytes: int) -> list[Job]:
        """Return what was unfinished a second ago."""
        jobs = await super().unfinished(after, limit, max_bytes)
        await asyncio.sleep(1)
        return jobs


def with_engine(
    scenario: Callable[[Engine], Awaitable[None]],
    turns: Turns | None = None,
    executor: IdleExecutor | None = None,
    limits: LimitsSettings | None = None,
    store: Store | None = None,
    jobs: JobsSettings | None = None,
) -> None:
    """Run a scenario on an engine of its own, in virtual time."""
    turns, limits, jobs = turns or Turns(), limits or LimitsSettings(), jobs or JobsSettings()

    async def main() -> None:
        engine = Engine(
            store or MemoryStore(),
            executor or IdleExecutor(),
            Planner(jobs, limits.task_bytes, turns),
            turns,
            jobs,
            limits,
            LoopClock(),
        )
        await engine.start()
        await scenario(engine)
        await engine.stop()

    run(main())


def test_who_asks_right_after_the_end_of_a_job_is_answered_at_once() -> None:
    """Its coroutine may still be on its way out: that is no reason to wait for another end."""

    async def scenario(engine: Engine) -> None:
        job = await engine.submit("1+1")
        await asyncio.sleep(1)
        cancelled = await engine.cancel(job.job_id)
        asked_at = asyncio.get_running_loop().time()
        assert await engine.wait(job.job_id, 60) == cancelled
        assert asyncio.get_running_loop().time() == asked_at

    with_engine(scenario)


@pytest.mark.parametrize("seconds", [0.0, 1.0], ids=["before its first step", "later"])
def test_a_job_that_is_cancelled_makes_room_for_the_next_one(seconds: float) -> None:
    """Whether its coroutine has begun or not."""

    async def scenario(engine: Engine) -> None:
        first, second = await engine.submit_many(["1+1", "2+2"])
        assert isinstance(first, Job)
        assert isinstance(second, Job)
        if seconds:
            await asyncio.sleep(seconds)
        assert engine.is_running(first.job_id)
        await engine.cancel(first.job_id)
        await asyncio.sleep(1)
        assert engine.is_running(second.job_id)
        assert engine.running == 1

    with_engine(scenario, limits=LimitsSettings(running_jobs=1))


def test_a_job_that_is_cancelled_while_it_waits_for_room_never_takes_any() -> None:
    """The next one runs as soon as there is room, as if it had never been there."""

    async def scenario(engine: Engine) -> None:
        await engine.submit_many(["1+1", "2+2", "3+3"])
        await asyncio.sleep(1)
        for job_id in (2, 3, 1):
            await engine.cancel(JobId(job_id))
        job = await engine.submit("4+4")
        await asyncio.sleep(1)
        assert engine.is_running(job.job_id)
        assert engine.running == engine.counts.unfinished == 1

    with_engine(scenario, limits=LimitsSettings(running_jobs=1))


def test_a_job_that_is_cancelled_while_it_is_read_does_not_begin() -> None:
    """What the store says of it is older than its end."""
    record = MemoryRecord()
    record.add([NewJob("1+1")] * 3, 0.0)

    async def scenario(engine: Engine) -> None:
        await asyncio.sleep(0.5)
        await engine.cancel(JobId(2))
        await asyncio.sleep(5)
        assert [engine.is_running(JobId(one)) for one in (1, 2, 3)] == [True, False, True]

    with_engine(scenario, store=SlowToRead(record))


def test_a_job_that_does_not_fit_into_the_lobby_is_read_once() -> None:
    """And again when there may be room; the loop has its turns meanwhile."""
    record = MemoryRecord()
    record.add([NewJob("1+1"), NewJob("2+2"), NewJob("3" + " " * LOBBY_CHARACTERS)], 0.0)
    store = CountingReads(record)
    limits = LimitsSettings(running_jobs=1, task_bytes=2 * LOBBY_CHARACTERS)

    async def scenario(engine: Engine) -> None:
        await asyncio.sleep(60)
        assert store.reads == 2  # of what is small, and of what does not fit
        await engine.cancel(JobId(1))
        await asyncio.sleep(60)
        assert engine.is_running(JobId(2))

    with_engine(scenario, limits=limits, store=store)


def test_jobs_that_cannot_be_read_now_are_taken_up_later(caplog: pytest.LogCaptureFixture) -> None:
    """A disk that comes back needs no restart; the log tells."""
    record = MemoryRecord()
    record.add([NewJob("1+1")], 0.0)

    async def scenario(engine: Engine) -> None:
        await asyncio.sleep(RETRY_S / 2)
        assert not engine.is_running(JobId(1))
        assert "waiting jobs cannot be read yet: the disk does not answer" in caplog.text
        await asyncio.sleep(RETRY_S)
        assert engine.is_running(JobId(1))

    with_engine(scenario, store=UnreadableAtFirst(record))


def test_a_job_ends_at_its_deadline_and_makes_room() -> None:
    """So long after it was submitted, and with an error that says so."""

    async def scenario(engine: Engine) -> None:
        began_at = asyncio.get_running_loop().time()
        job = await engine.submit("1+1")
        ended = await engine.wait(job.job_id, 60)
        took_s = asyncio.get_running_loop().time() - began_at
        assert took_s == pytest.approx(5.0, rel=0.2)  # the wall clock goes on while this is run
        told = Outcome(error="deadline_exceeded", detail="not finished 5 s after submission")
        assert ended.outcome == told
        assert engine.running == 0

    with_engine(scenario, jobs=JobsSettings(deadline_s=5.0))


def test_a_job_whose_deadline_has_passed_meanwhile_ends_at_once() -> None:
    """The deadline counts from its submission, however often the master began anew."""
    record = MemoryRecord()
    record.add([NewJob("1+1")], 0.0)

    async def scenario(engine: Engine) -> None:
        await asyncio.sleep(1.0)
        outcome = (await engine.job(JobId(1))).outcome
        assert outcome is not None
        assert outcome.error == "deadline_exceeded"

    with_engine(scenario, store=MemoryStore(record), jobs=JobsSettings(deadline_s=60.0))


def test_a_job_that_stops_by_a_bug_of_ours_makes_room_for_the_next_one() -> None:
    """It is not lost, and takes nothing from the others."""

    async def scenario(engine: Engine) -> None:
        await engine.submit_many(["1+1", "2+2"])
        await asyncio.sleep(1)
        assert [engine.is_running(JobId(one)) for one in (1, 2)] == [False, True]
        assert not (await engine.job(JobId(1))).finished

    with_engine(scenario, executor=BrokenAtFirst(), limits=LimitsSettings(running_jobs=1))


def test_some_of_many_jobs_begin_in_each_turn_whatever_came_between() -> None:
    """Each that is submitted by itself begins at once, and hurries nobody behind it."""
    executor = CountingExecutor()

    async def scenario(engine: Engine) -> None:
        await engine.submit_many(["1+1"] * (20 * BEGIN_AT_ONCE))
        submits = [asyncio.ensure_future(engine.submit("1+1")) for _ in range(5)]
        await asyncio.gather(*submits)
        in_turns = []
        for _ in range(20):
            before = executor.opened
            await asyncio.sleep(0)
            in_turns.append(executor.opened - before)
        assert max(in_turns[1:]) == BEGIN_AT_ONCE

    with_engine(scenario, executor=executor)


def test_a_job_that_fails_by_its_workers_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """It is no fault of its task, and an operator looks for it in the log."""

    async def scenario(engine: Engine) -> None:
        job = await engine.submit("6*7")
        await engine.wait(job.job_id, 60.0)
        (line,) = caplog.messages
        told = "attempts_exhausted: '*' at column 2: 10 attempts failed"
        assert line == f"job {job.job_id} has failed: {told}"

    with_engine(scenario, executor=FailingExecutor())


def test_who_cancels_what_cannot_be_recorded_is_told_so() -> None:
    """The job goes on, and can be cancelled when there is room on the disk."""
    store = FullStore()

    async def scenario(engine: Engine) -> None:
        job = await engine.submit("1+1")
        await asyncio.sleep(1)
        cancelling = asyncio.ensure_future(engine.cancel(job.job_id))
        await asyncio.sleep(1)
        assert cancelling.done()
        with pytest.raises(StoreError, match="make room"):
            await cancelling
        assert engine.is_running(job.job_id)
        store.full = False
        assert (await engine.cancel(job.job_id)).finished

    with_engine(scenario, store=store)


async def taking_up_many(engine: Engine) -> "asyncio.Task[object]":
    """Return a submission of 10,000 tasks that are recorded, and the first of them taken up."""
    has_begun, tell = asyncio.Event(), engine.on_change

    def watch(job: Job) -> None:
        has_begun.set()
        if tell is not None:
            tell(job)

    engine.on_change = watch
    submission: asyncio.Task[object] = asyncio.ensure_future(engine.submit_many(["2"] * 10_000))
    await has_begun.wait()
    return submission


def test_a_job_that_ends_while_it_is_submitted_again_stays_ended() -> None:
    """To whoever follows the jobs; and nothing of it is kept."""

    async def scenario(engine: Engine) -> None:
        told: dict[str, list[bool]] = {"1+1": [], "2": []}
        engine.on_change = lambda job: told[job.task].append(job.finished)
        job = await engine.submit("1+1", "a key")
        many = await taking_up_many(engine)
        again = asyncio.ensure_future(engine.submit("1+1", "a key", trace_parent="a parent"))
        await asyncio.sleep(0)
        await engine.cancel(job.job_id)
        assert not again.done()  # those who came before are being taken up
        assert (await again).job_id == job.job_id
        await many
        assert told["1+1"] == [False, True]
        assert engine._trace_parents == {}  # whatever it holds, it would hold for ever

    with_engine(scenario)


def test_a_job_that_is_cancelled_before_it_is_taken_up_is_told_of_once() -> None:
    """As ended, and it takes no room."""

    async def scenario(engine: Engine) -> None:
        told: dict[str, list[bool]] = {"1+1": [], "2": []}
        engine.on_change = lambda job: told[job.task].append(job.finished)
        many = await taking_up_many(engine)
        one = asyncio.ensure_future(engine.submit("1+1", trace_parent="a parent"))
        await asyncio.sleep(0)
        await engine.cancel(JobId(10_001))
        assert not one.done()
        await one
        await many
        await asyncio.sleep(60)
        assert told["1+1"] == [True]
        assert engine.running == 0
        assert engine._trace_parents == {}

    with_engine(scenario)


def test_everybody_who_waits_for_a_job_is_told_of_its_end() -> None:
    """And who waits for less than that is told how it is by then."""

    async def scenario(engine: Engine) -> None:
        job = await engine.submit("1+1")
        waiting = [asyncio.ensure_future(engine.wait(job.job_id, 60)) for _ in range(3)]
        unfinished: Job = await engine.wait(job.job_id, 5)
        assert not unfinished.finished
        cancelled = await engine.cancel(job.job_id)
        assert await asyncio.gather(*waiting) == [cancelled] * 3

    with_engine(scenario)


def test_who_waits_when_the_master_goes_is_told_how_the_job_is() -> None:
    """At once, whether it runs or waits for room; and so is who asks between that and the end."""

    async def scenario(engine: Engine) -> None:
        await engine.submit_many(["1+1", "2+2"])
        waiting = [asyncio.ensure_future(engine.wait(JobId(one), 60)) for one in (1, 2)]
        await asyncio.sleep(1)
        assert [engine.is_running(JobId(one)) for one in (1, 2)] == [True, False]
        left_at = asyncio.get_running_loop().time()
        await engine.release()
        assert all(one.done() for one in waiting)
        waiting += [asyncio.ensure_future(engine.wait(JobId(one), 60)) for one in (1, 2)]
        assert [job.finished for job in await asyncio.gather(*waiting)] == [False] * 4
        assert asyncio.get_running_loop().time() == left_at

    with_engine(scenario, limits=LimitsSettings(running_jobs=1))


def test_no_more_submissions_wait_for_the_store_than_may() -> None:
    """Who comes then is told to come again; however many one brings, it is not too many alone."""

    async def scenario(engine: Engine) -> None:
        alone = await engine.submit_many(["1"] * 5)
        assert len(alone) == 5
        waiting = [asyncio.ensure_future(engine.submit("2")) for _ in range(3)]
        await asyncio.sleep(0.5)
        with pytest.raises(Overloaded, match="too many submissions are waiting"):
            await engine.submit("3")
        assert [job.job_id for job in await asyncio.gather(*waiting)] == [6, 7, 8]
        assert (await engine.submit("4")).job_id == 9

    limits = LimitsSettings(waiting_submissions=3)
    with_engine(scenario, limits=limits, store=SlowToWrite())


def test_turns_are_short_while_a_small_job_is_in_hand_and_only_then() -> None:
    """And a while after it. Jobs of many operations gain nothing by it, nor do many small ones."""
    turns = Turns()

    async def scenario(engine: Engine) -> None:
        await engine.submit("+".join(["1"] * SMALL_TASK))
        await asyncio.sleep(1)
        assert turns.room == ROOM
        small = [await engine.submit("1+1") for _ in range(FEW)]
        await asyncio.sleep(1)
        assert turns.room == SHORT_ROOM
        one_more = await engine.submit("1+1")
        await asyncio.sleep(1)
        assert turns.room == ROOM
        for job in (*small, one_more):
            await engine.cancel(job.job_id)
        await engine.submit("2" * SMALL_TASK)  # has its answer by itself
        await asyncio.sleep(1)
        for _ in range(LINGER):
            assert turns.room == SHORT_ROOM
            await turns.take(ROOM)
        await turns.take(ROOM)
        assert turns.room == ROOM

    with_engine(scenario, turns)


def test_of_large_tasks_the_next_is_planned_when_the_one_before_is_taken_up() -> None:
    """In one request or in several: a plan takes many times the room of its text."""
    limits = LimitsSettings(task_bytes=100_000)
    tasks = ["1" + "+1" * (limits.task_bytes * share // 18) for share in (8, 7, 6)]

    async def scenario(engine: Engine) -> None:
        first, second, third = tasks
        await asyncio.gather(
            engine.submit(first), engine.submit_many([second]), engine.submit(third)
        )
        assert [(await engine.job(JobId(one))).task for one in (1, 2, 3)] == tasks

    with_engine(scenario, limits=limits)
