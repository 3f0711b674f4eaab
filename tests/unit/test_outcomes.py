"""Outcomes from where they are decided to where they are told, by themselves, in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from engine.clock import LoopClock
from engine.errors import StoreError
from engine.job import Job, JobId, Outcome
from engine.outcomes import TOLD_AT_ONCE, UNRECORDED, Outcomes
from engine.store.base import RETRY_S, Ended, NewJob
from engine.store.memory import MemoryStore
from engine.turns import ROOM, SHORT_ROOM, Turns
from tests.simulation.loop import run

WRITE_S = 0.01
NEVER = Outcome(error="never")  # the store cannot write it


class SlowStore(MemoryStore):
    """Takes a while for each write, and notes when and what; refuses all while `full`."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[list[JobId]] = []
        self.written_at: list[float] = []  # when each began
        self.full = False
        self.write_s = WRITE_S

    async def finish(self, outcomes: Sequence[Ended], now: float) -> list[bool]:
        """Set outcomes, or not."""
        self.writes.append([job_id for job_id, _ in outcomes])
        self.written_at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.write_s)
        if self.full:
            raise StoreError("the disk is full; make room")
        if any(outcome is NEVER for _, outcome in outcomes):
            raise ValueError("cannot be written")
        return await super().finish(outcomes, now)


class Desk:
    """Some jobs, and what is told of them."""

    def __init__(self, jobs: int) -> None:
        self.store = SlowStore()
        self.turns = Turns()
        self.told: list[Job] = []
        self.lost: list[JobId] = []
        self.outcomes = Outcomes(
            self.store,
            self.turns,
            LoopClock(),
            self.told.append,
            lambda job: self.lost.append(job.job_id),
        )
        self.jobs: list[Job] = []
        self._count = jobs

    async def open(self) -> None:
        """Record the jobs."""
        self.jobs = await self.store.add([NewJob("1+1")] * self._count, 0.0)

    def decide(self, *outcomes: Outcome) -> None:
        """Decide the first jobs, in this turn."""
        for job, outcome in zip(self.jobs, outcomes, strict=False):
            self.outcomes.decide(job, outcome)

    async def told_all(self) -> None:
        """Wait until nothing is under way."""
        while self.outcomes.tasks:
            await asyncio.wait(self.outcomes.tasks)

    @property
    def answers(self) -> dict[JobId, Outcome | None]:
        """What was told of each job."""
        return {job.job_id: job.outcome for job in self.told}


def at_a_desk(jobs: int, scenario: Callable[[Desk], Awaitable[None]]) -> None:
    """Play a scenario."""

    async def whole() -> None:
        desk = Desk(jobs)
        await desk.open()
        await scenario(desk)

    run(whole())


def answers(count: int) -> list[Outcome]:
    """Return outcomes."""
    return [Outcome(answer=number) for number in range(count)]


def test_what_is_decided_in_one_turn_is_one_write() -> None:
    """And what is decided while it is written is the next one, which does not wait for it."""

    async def scenario(desk: Desk) -> None:
        first, second, third = answers(3)
        desk.decide(first, second)
        await asyncio.sleep(WRITE_S / 2)
        desk.outcomes.decide(desk.jobs[2], third)
        await asyncio.sleep(WRITE_S / 4)
        assert desk.store.writes == [[1, 2], [3]]
        assert desk.told == []
        await desk.told_all()
        assert desk.answers == {1: first, 2: second, 3: third}
        assert desk.outcomes.counts == {"succeeded": 3, "failed": 0, "cancelled": 0}

    at_a_desk(3, scenario)


def test_what_can_never_be_written_keeps_nothing_else_from_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its own job ends, too, with an error of ours."""

    async def scenario(desk: Desk) -> None:
        first, _, third = answers(3)
        desk.decide(first, NEVER, third)
        await desk.told_all()
        assert desk.answers == {1: first, 2: UNRECORDED, 3: third}
        assert desk.lost == []
        kept = await desk.store.get(JobId(2))
        assert kept is not None
        assert kept.outcome == UNRECORDED

    at_a_desk(3, scenario)
    (line,) = caplog.messages
    assert "never" in line


def test_what_cannot_be_written_now_is_written_when_it_can() -> None:
    """Nothing is told before, and nothing is lost."""

    async def scenario(desk: Desk) -> None:
        desk.store.full = True
        desk.decide(*answers(2))
        await asyncio.sleep(2.5 * RETRY_S)
        assert (desk.told, desk.lost) == ([], [])
        desk.store.full = False
        await desk.told_all()
        assert desk.answers == dict(zip((1, 2), answers(2), strict=True))
        assert desk.store.writes == [[1, 2]] * 4

    at_a_desk(2, scenario)


def test_those_that_cannot_be_written_now_are_offered_together_and_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """However many turns they were decided in: the store takes them as one group, if it can."""

    async def scenario(desk: Desk) -> None:
        desk.store.full = True
        for job, outcome in zip(desk.jobs, answers(3), strict=True):
            desk.outcomes.decide(job, outcome)
            await asyncio.sleep(RETRY_S / 4)
        desk.store.full = False
        await desk.told_all()
        assert desk.store.writes == [[1], [2], [3], [1], [2], [3]]
        assert desk.answers == dict(zip((1, 2, 3), answers(3), strict=True))
        assert len(set(desk.store.written_at[3:])) == 1

    at_a_desk(3, scenario)
    (line,) = caplog.messages
    assert "the disk is full; make room" in line


def test_the_first_outcome_is_told_whoever_came_second() -> None:
    """A job that a client cancels is cancelled, although its answer comes a little later."""

    async def scenario(desk: Desk) -> None:
        cancelled = Outcome(error="cancelled")
        cancelling = asyncio.ensure_future(
            desk.outcomes.record([(desk.jobs[0], cancelled)], insist=False)
        )
        await asyncio.sleep(0)
        desk.decide(*answers(2))
        (ended,) = await cancelling
        assert ended.outcome == cancelled
        await desk.told_all()
        assert desk.answers == {1: cancelled, 2: Outcome(answer=1)}
        assert desk.outcomes.counts == {"succeeded": 1, "failed": 0, "cancelled": 1}

    at_a_desk(2, scenario)


def test_those_who_wait_for_many_jobs_go_on_in_several_turns() -> None:
    """However many one write has ended."""

    async def scenario(desk: Desk) -> None:
        desk.store.write_s = 0.0
        desk.decide(*answers(2 * TOLD_AT_ONCE + 1))
        seen = set()
        while desk.outcomes.tasks:
            await asyncio.sleep(0)
            seen.add(len(desk.told))
        assert sorted(seen) == [0, TOLD_AT_ONCE, 2 * TOLD_AT_ONCE, 2 * TOLD_AT_ONCE + 1]

    at_a_desk(2 * TOLD_AT_ONCE + 1, scenario)


def test_turns_are_short_until_it_is_told() -> None:
    """It is not to wait behind a large neighbour on its last way."""

    async def scenario(desk: Desk) -> None:
        assert desk.turns.room == ROOM
        desk.decide(*answers(1))
        await asyncio.sleep(WRITE_S / 2)
        assert desk.turns.room == SHORT_ROOM
        await desk.told_all()

    at_a_desk(1, scenario)


@pytest.mark.parametrize("count", [1, 3])
def test_a_job_that_is_not_kept_any_more_is_lost_and_nothing_else(count: int) -> None:
    """It was cancelled and forgotten while it ran."""

    async def scenario(desk: Desk) -> None:
        desk.decide(*answers(count - 1))
        desk.outcomes.decide(Job(JobId(99), "1+1", 0.0), Outcome(answer=2))
        await desk.told_all()
        assert desk.lost == [99]
        assert [job.outcome for job in desk.told] == answers(count - 1)

    at_a_desk(3, scenario)
