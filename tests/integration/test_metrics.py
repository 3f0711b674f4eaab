"""`/metrics` over real HTTP, read as Prometheus reads it."""

import asyncio

from prometheus_client.parser import text_string_to_metric_families

from engine import __version__
from engine.store.memory import MemoryStore
from tests.integration.serving import ServedMaster, a_master, a_worker

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def samples(master: ServedMaster) -> Samples:
    """Return all samples by name and labels."""
    text = (await master.get("/metrics")).body.decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(told: Samples, name: str, **labels: str) -> float:
    """Return one sample."""
    return told[name, frozenset(labels.items())]


def test_jobs_and_operations_are_counted() -> None:
    """By outcome; an operation that fails came back too."""

    async def law() -> None:
        async with a_master() as master, a_worker(master):
            await master.answer_of("1+(2*3)/4-5")
            await master.answer_of("1e308*10")
            told = await samples(master)
        assert value(told, "executor_jobs_submitted_total") == 2
        assert value(told, "executor_jobs_finished_total", outcome="succeeded") == 1
        assert value(told, "executor_jobs_finished_total", outcome="failed") == 1
        done = "executor_operations_total"
        assert value(told, done, operation="mul", outcome="succeeded") == 1
        assert value(told, done, operation="mul", outcome="failed") == 1
        assert value(told, "executor_operation_seconds_count", operation="mul") == 2
        assert value(told, "executor_operation_queue_seconds_count") == 5

    asyncio.run(law())


def test_what_waits_is_a_gauge() -> None:
    """How many operations, and how long the oldest."""

    async def law() -> None:
        async with a_master() as master:
            await master.post("/submit", {"tasks": ["1+1", "2*2"]})
            await master.get("/jobs")
            told = await samples(master)
        assert value(told, "executor_queue_operations") == 2
        assert value(told, "executor_queue_oldest_seconds") > 0

    asyncio.run(law())


def test_what_is_unfinished_and_what_was_refused_is_told() -> None:
    """Refused since a bound was reached, and not since it was nonsense."""

    async def law() -> None:
        async with a_master(limits__unfinished_jobs=2) as master:
            await master.post("/submit", {"tasks": ["1+1", "2*2"]})
            for task in ("3", "3", "nonsense"):
                assert (await master.post("/submit", {"task": task})).status in (400, 503)
            told = await samples(master)
        assert value(told, "executor_jobs_unfinished") == 2
        assert value(told, "executor_requests_refused_total") == 2
        assert value(told, "executor_record_writable") == 1

    asyncio.run(law())


def test_a_record_that_cannot_be_written_is_told() -> None:
    """Whoever is woken by a metric need not ask `/readyz`."""

    class FullStore(MemoryStore):
        @property
        def trouble(self) -> str | None:  # type: ignore[override]
            return "the disk is full; make room"

    async def law() -> None:
        async with a_master(FullStore()) as master:
            told = await samples(master)
        assert value(told, "executor_record_writable") == 0

    asyncio.run(law())


def test_workers_are_counted_by_state_and_nothing_else() -> None:
    """So that a worker that is lost leaves no series behind."""

    async def law() -> None:
        async with a_master() as master, a_worker(master, "unmistakable"):
            await master.answer_of("1+1")
            told = await samples(master)
            assert value(told, "executor_workers", state="live") == 1
            assert value(told, "executor_workers", state="dead") == 0
            text = (await master.get("/metrics")).body.decode()
        assert "unmistakable" not in text

    asyncio.run(law())


def test_the_version_and_the_lag_are_told() -> None:
    """The lag in seconds."""

    async def law() -> None:
        async with a_master() as master:
            told = await samples(master)
        assert value(told, "executor_build_info", version=__version__) == 1
        assert value(told, "executor_event_loop_lag_seconds") >= 0

    asyncio.run(law())


def test_every_name_that_was_promised_is_there() -> None:
    """Once there was a call, and one that failed."""
    promised = {
        "executor_jobs_submitted",
        "executor_jobs_finished",
        "executor_jobs_unfinished",
        "executor_requests_refused",
        "executor_record_writable",
        "executor_operations",
        "executor_operation_queue_seconds",
        "executor_operation_seconds",
        "executor_retries",
        "executor_queue_operations",
        "executor_queue_oldest_seconds",
        "executor_workers",
        "executor_event_loop_lag_seconds",
        "executor_build_info",
    }

    async def law() -> None:
        async with a_master() as master, a_worker(master):
            await master.answer_of("1+1")
            text = (await master.get("/metrics")).body.decode()
        assert {family.name for family in text_string_to_metric_families(text)} == promised

    asyncio.run(law())
