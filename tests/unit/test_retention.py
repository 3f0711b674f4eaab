"""What is forgotten, and when. In virtual time."""

import asyncio
from collections.abc import Sequence

import pytest

from engine.errors import StoreError
from engine.job import JobId, Outcome
from engine.retention import AT_ONCE, LOOK_EVERY_S, forget_old
from engine.settings import JobsSettings
from engine.store.base import NewJob
from engine.store.memory import MemoryStore
from tests.simulation.loop import run
from tests.simulation.machines import SimulatedClock

ANSWER = Outcome(answer=7)


class Refusing(MemoryStore):
    """A store that forgets nothing while it is `full`."""

    full = False

    async def prune(self, keep: int, older_than: float | None, at_most: int) -> int:
        """Forget, or say why not."""
        if self.full:
            raise StoreError("the disk is full; make room")
        return await super().prune(keep, older_than, at_most)


async def finished(store: MemoryStore, count: int) -> None:
    """Add so many jobs, each of which ends now."""
    jobs = await store.add([NewJob("3+4")] * count, 0.0)
    await store.finish([(job.job_id, ANSWER) for job in jobs], SimulatedClock().wall())


async def kept_after(
    store: MemoryStore, settings: JobsSettings, *seconds: float
) -> Sequence[list[JobId]]:
    """Let retention do its work; return which jobs there are after each of the times."""
    forgetting = asyncio.ensure_future(forget_old(store, settings, SimulatedClock()))
    kept = []
    for passed in seconds:
        await asyncio.sleep(passed)
        kept.append((await store.page(10_000)).ids)
    assert not forgetting.done()
    forgetting.cancel()
    return kept


def test_of_finished_jobs_the_newest_are_kept_and_of_unfinished_ones_all() -> None:
    """More than are forgotten at once, too."""

    async def scenario() -> None:
        store = MemoryStore()
        await store.add([NewJob("1+1")], 0.0)
        await finished(store, 2 * AT_ONCE + 10)
        (kept,) = await kept_after(store, JobsSettings(keep=3), 2 * LOOK_EVERY_S)
        last = 2 * AT_ONCE + 11
        assert kept == [last, last - 1, last - 2, 1]

    run(scenario())


def test_no_job_is_forgotten_for_its_number_while_there_are_no_more_than_are_kept() -> None:
    """However old they are, if no age was set."""

    async def scenario() -> None:
        store = MemoryStore()
        await finished(store, 3)
        (kept,) = await kept_after(store, JobsSettings(keep=3), 1e6)
        assert kept == [3, 2, 1]

    run(scenario())


def test_a_job_is_forgotten_when_it_ended_so_long_ago() -> None:
    """And not before."""

    async def scenario() -> None:
        store = MemoryStore()
        await finished(store, 2)
        before, after = await kept_after(store, JobsSettings(keep_s=100.0), 99.0, 2 + LOOK_EVERY_S)
        assert before == [2, 1]
        assert after == []

    run(scenario())


def test_what_cannot_be_forgotten_now_is_forgotten_later(caplog: pytest.LogCaptureFixture) -> None:
    """A full disk ends nothing; the log tells."""

    async def scenario() -> None:
        store = Refusing()
        store.full = True
        await finished(store, 3)
        forgetting = asyncio.ensure_future(
            forget_old(store, JobsSettings(keep=1), SimulatedClock())
        )
        await asyncio.sleep(2 * LOOK_EVERY_S)
        assert "old jobs cannot be forgotten yet: the disk is full" in caplog.text
        assert (await store.page(10)).ids == [3, 2, 1]
        store.full = False
        await asyncio.sleep(2 * LOOK_EVERY_S)
        assert (await store.page(10)).ids == [3]
        forgetting.cancel()

    run(scenario())
