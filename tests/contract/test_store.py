"""What every store promises: one suite, each form of it."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import IdempotencyConflict
from engine.job import Job, JobId, Number, Outcome
from engine.store.base import STATUSES, Counts, Early, NewJob, Page, Status, Store, status_of
from engine.store.memory import MemoryStore
from engine.store.sqlite import SqliteStore
from tests.records import finish

T = TypeVar("T")
Law = Callable[[Store], Awaitable[T]]
Run = Callable[[Law[T]], T]

FORMS: dict[str, Callable[[Path], Store]] = {
    "memory": lambda _: MemoryStore(),
    "sqlite": SqliteStore,
}
ANSWER = Outcome(answer=7)
FAILURE = Outcome(error="division_by_zero", detail="'/' at column 2 divides by zero")


def in_store(store: Store, law: Law[T]) -> T:
    """Run `law` on an open store, and close it."""

    async def whole() -> T:
        await store.open()
        try:
            return await law(store)
        finally:
            await store.close()

    return asyncio.run(whole())


@pytest.fixture(params=FORMS)
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run[object]:
    """Give a test a way to run on a new store, in each form."""
    return lambda law: in_store(FORMS[request.param](tmp_path), law)


async def added(store: Store, *tasks: str, now: float = 1.0) -> list[Job]:
    """Add tasks without keys."""
    return await store.add([NewJob(task) for task in tasks], now)


def ids(jobs: list[Job]) -> list[int]:
    """Return the ids of jobs."""
    return [job.job_id for job in jobs]


# Adding


def test_ids_grow_by_one_from_one(run: Run[object]) -> None:
    """Over calls of one job and of many, in the order of the tasks."""

    async def law(store: Store) -> None:
        assert ids(await added(store, "1")) == [1]
        jobs = await added(store, "2", "3", "4")
        assert [(job.job_id, job.task) for job in jobs] == [(2, "2"), (3, "3"), (4, "4")]
        assert ids(await added(store, "5")) == [5]

    run(law)


def test_jobs_that_are_added_at_the_same_time_get_ids_without_a_gap(run: Run[object]) -> None:
    """In the order in which they asked."""

    async def law(store: Store) -> None:
        found = await asyncio.gather(*(added(store, str(i), "x") for i in range(700)))
        assert [job_id for jobs in found for job_id in ids(jobs)] == list(range(1, 1401))
        assert [jobs[0].task for jobs in found] == [str(i) for i in range(700)]

    run(law)


def test_a_job_whose_outcome_is_there_when_it_is_written_is_recorded_with_it(
    run: Run[object],
) -> None:
    """It never was unfinished; jobs that are added beside it are what they are."""

    async def law(store: Store) -> None:
        early: Early = asyncio.get_running_loop().create_future()
        early.set_result((ANSWER, 2.0))
        (before,), (job,), (after,), is_first = await asyncio.gather(
            added(store, "1"),
            store.add([NewJob("3+4")], 1.0, early),
            added(store, "1"),
            finish(store, JobId(2), FAILURE, 3.0),
        )
        assert not is_first
        assert job == Job(JobId(2), "3+4", 1.0, ANSWER, 2.0)
        assert await store.get(JobId(2)) == job
        assert store.counts == Counts(unfinished=2, succeeded=1)
        assert not before.finished
        assert not after.finished
        assert await finish(store, JobId(2), FAILURE, 3.0) is False
        assert await finish(store, JobId(1), FAILURE, 3.0) is True
        assert store.counts == Counts(unfinished=1, succeeded=1, failed=1)

    run(law)


def test_a_job_whose_outcome_does_not_come_at_once_is_recorded_without_it(
    run: Run[object],
) -> None:
    """Whether it comes later or never; it is set as any other."""

    async def law(store: Store) -> None:
        never: Early = asyncio.get_running_loop().create_future()
        (job,) = await store.add([NewJob("3+4")], 1.0, never)
        assert not job.finished
        assert await finish(store, job.job_id, ANSWER, 2.0) is True
        never.cancel()
        (other,) = await store.add([NewJob("3+4")], 1.0, never)
        assert not other.finished
        assert store.counts == Counts(unfinished=1, succeeded=1)

    run(law)


def test_adding_nothing_adds_nothing(run: Run[object]) -> None:
    """And the next id is still the first."""

    async def law(store: Store) -> None:
        assert await store.add([], 1.0) == []
        assert ids(await added(store, "1")) == [1]

    run(law)


def test_the_id_that_a_store_foretells_comes_true_or_it_foretells_none(run: Run[object]) -> None:
    """For a job without a key, while others are added too, with keys that are new or known."""

    async def law(store: Store) -> None:
        async def add(*new: NewJob) -> None:
            foretold = store.next_id
            jobs = await store.add(new, 1.0)
            if new[0].key is None:
                assert foretold in (None, jobs[0].job_id)

        await add(NewJob("1"))
        await asyncio.gather(*(add(*[NewJob("2")] * count) for count in (1, 3, 1, 2)))
        for key in "aab":
            await asyncio.gather(add(keyed(key)), add(NewJob("3"), NewJob("3")), add(NewJob("4")))

    run(law)


def test_an_added_job_is_seen_by_every_read(run: Run[object]) -> None:
    """As soon as the call has returned, with the time that was handed in."""

    async def law(store: Store) -> None:
        (job,) = await added(store, "1+1", now=1_700_000_000.123456)
        assert job == Job(JobId(1), "1+1", 1_700_000_000.123456)
        assert await store.get(job.job_id) == job
        assert await store.page(100) == Page([job])
        assert await store.page(100, status="unfinished") == Page([job])
        assert await store.unfinished(JobId(0), 100, 1000) == [job]

    run(law)


@pytest.mark.parametrize(
    "task", ["", "1\n+\t1", "\x00", "1\x002", "²÷¼", "😀", "'; --", "1" * 10**6]
)
def test_a_task_is_kept_as_it_is(run: Run[object], task: str) -> None:
    """To the character."""

    async def law(store: Store) -> None:
        (job,) = await added(store, task)
        assert await store.get(job.job_id) == job == Job(JobId(1), task, 1.0)

    run(law)


# Finishing


def test_an_outcome_is_set_once_and_never_changes(run: Run[object]) -> None:
    """The second call says that it was not the one, and leaves time and answer alone."""

    async def law(store: Store) -> None:
        (job,) = await added(store, "1/0")
        assert await finish(store, job.job_id, FAILURE, 2.0) is True
        assert await finish(store, job.job_id, ANSWER, 3.0) is False
        assert await store.get(job.job_id) == Job(JobId(1), "1/0", 1.0, FAILURE, 2.0)

    run(law)


def test_of_outcomes_at_the_same_time_the_first_is_set(run: Run[object]) -> None:
    """Exactly one caller hears that it was its own."""

    async def law(store: Store) -> None:
        await added(store, "1", "2")
        outcomes = [Outcome(answer=number) for number in range(5)]
        set_by = await asyncio.gather(
            *(finish(store, JobId(1), outcome, 2.0) for outcome in outcomes),
            finish(store, JobId(2), FAILURE, 2.0),
        )
        assert set_by == [True, False, False, False, False, True]
        assert await store.get(JobId(1)) == Job(JobId(1), "1", 1.0, outcomes[0], 2.0)

    run(law)


@pytest.mark.parametrize("job_id", [-1, 0, 2, 2**63 - 1, 2**63, 10**30, -(10**30)])
def test_an_unknown_job_is_neither_found_nor_finished(run: Run[object], job_id: int) -> None:
    """Whatever the number."""

    async def law(store: Store) -> None:
        await added(store, "1")
        assert await store.get(JobId(job_id)) is None
        assert await finish(store, JobId(job_id), ANSWER, 2.0) is False
        assert store.counts == Counts(unfinished=1)

    run(law)


@pytest.mark.parametrize(
    "answer",
    [
        0,
        -1,
        2**53 + 1,
        2**64,
        -(10**4299),
        10**4300 - 1,
        1.0,
        -0.0,
        0.1 + 0.2,
        5e-324,
        1e308,
        -1e22,
    ],
)
def test_an_answer_is_kept_exactly(run: Run[object], answer: Number) -> None:
    """To the bit, to the type, to the sign of zero."""

    async def law(store: Store) -> None:
        await added(store, "1")
        await finish(store, JobId(1), Outcome(answer=answer), 2.0)
        job = await store.get(JobId(1))
        assert job is not None
        assert job.outcome is not None
        kept = job.outcome.answer
        assert (type(kept), repr(kept)) == (type(answer), repr(answer))
        assert (await store.page(1)).jobs[0].outcome == job.outcome

    run(law)


def test_a_failed_job_keeps_its_error_and_its_sentence(run: Run[object]) -> None:
    """Both, or the error alone."""

    async def law(store: Store) -> None:
        await added(store, "1/0", "1")
        alone = Outcome(error="cancelled")
        await finish(store, JobId(1), FAILURE, 2.0)
        await finish(store, JobId(2), alone, 2.0)
        assert [job.outcome for job in (await store.page(2)).jobs] == [alone, FAILURE]

    run(law)


# Reading


async def five_jobs(store: Store) -> None:
    """Add jobs 1 to 5: 1 and 4 succeed, 2 fails, 3 and 5 stay unfinished; 4 ends first."""
    await added(store, "1", "22", "333", "4444", "55555")
    await finish(store, JobId(4), ANSWER, 10.0)
    await finish(store, JobId(1), ANSWER, 11.0)
    await finish(store, JobId(2), FAILURE, 12.0)


@pytest.mark.parametrize(
    ("limit", "before", "status", "expected"),
    [
        (100, None, None, [5, 4, 3, 2, 1]),
        (2, None, None, [5, 4]),
        (2, 4, None, [3, 2]),
        (2, 2, None, [1]),
        (100, 10**30, None, [5, 4, 3, 2, 1]),
        (100, 1, None, []),
        (100, -5, None, []),
        (100, None, "unfinished", [5, 3]),
        (100, 5, "unfinished", [3]),
        (100, None, "succeeded", [4, 1]),
        (1, None, "succeeded", [4]),
        (100, 4, "succeeded", [1]),
        (100, None, "failed", [2]),
        (100, 2, "failed", []),
    ],
)
def test_a_page_has_the_newest_first(
    run: Run[object], limit: int, before: JobId | None, status: Status | None, expected: list[int]
) -> None:
    """Those of one status, and older than a job, if it is asked so."""

    async def law(store: Store) -> None:
        await five_jobs(store)
        page = await store.page(limit, before, status)
        assert page.ids == ids(page.jobs) == expected
        assert status is None or {status_of(job) for job in page.jobs} <= {status}

    run(law)


@pytest.mark.parametrize(
    ("status", "max_bytes", "parts"),
    [
        (None, 15, [[5, 4, 3, 2, 1]]),
        (None, 14, [[5, 4, 3, 2], [1]]),
        (None, 5, [[5], [4], [3, 2], [1]]),
        (None, 0, [[5], [4], [3], [2], [1]]),
        ("unfinished", 5, [[5], [3]]),
        ("succeeded", 4, [[4], [1]]),
        ("failed", 0, [[2]]),
    ],
)
def test_a_page_is_read_in_parts_of_so_many_bytes(
    run: Run[object], status: Status | None, max_bytes: int, parts: list[list[int]]
) -> None:
    """Of at least one job each; which jobs are in the page is known with the first part."""

    async def law(store: Store) -> None:
        await five_jobs(store)
        page = await store.page(100, None, status, max_bytes)
        assert page.ids == [job_id for part in parts for job_id in part]
        assert ids((await store.page(2, None, status, max_bytes)).jobs) == parts[0][:2]
        read = [ids(page.jobs)]
        while page.rest:
            page = await store.rest(page.rest, max_bytes)
            read.append(ids(page.jobs))
        assert read == parts

    run(law)


def test_a_page_is_read_on_as_it_is_by_then(run: Run[object]) -> None:
    """With outcomes that came meanwhile, and without jobs that are forgotten, or any."""

    async def law(store: Store) -> None:
        await five_jobs(store)
        page = await store.page(100, max_bytes=0)
        await finish(store, JobId(3), FAILURE, 13.0)
        await store.prune(100, 12.5, 100)
        assert await store.rest(page.rest) == Page([Job(JobId(3), "333", 1.0, FAILURE, 13.0)])
        await store.prune(0, None, 100)
        assert await store.rest(page.rest) == Page([])

    run(law)


@pytest.mark.parametrize(
    ("after", "limit", "max_bytes", "expected"),
    [
        (0, 100, 1000, [3, 5]),
        (0, 1, 1000, [3]),
        (3, 100, 1000, [5]),
        (5, 100, 1000, []),
        (10**30, 100, 1000, []),
        (0, 100, 8, [3, 5]),
        (0, 100, 7, [3]),
        (0, 100, 0, [3]),
    ],
)
def test_unfinished_jobs_come_oldest_first_and_not_too_many_at_once(
    run: Run[object], after: int, limit: int, max_bytes: int, expected: list[int]
) -> None:
    """Bounded in number and in bytes, but never none where there is one."""

    async def law(store: Store) -> None:
        await five_jobs(store)
        assert ids(await store.unfinished(JobId(after), limit, max_bytes)) == expected

    run(law)


def test_the_size_of_tasks_is_counted_in_bytes(run: Run[object]) -> None:
    """Not in characters."""

    async def law(store: Store) -> None:
        await added(store, "ééé", "1")
        assert ids(await store.unfinished(JobId(0), 100, 6)) == [1]
        assert ids(await store.unfinished(JobId(0), 100, 7)) == [1, 2]
        assert ids((await store.page(100, max_bytes=6)).jobs) == [2]
        assert ids((await store.page(100, max_bytes=7)).jobs) == [2, 1]

    run(law)


def test_counts_follow_every_write(run: Run[object]) -> None:
    """As soon as it has returned."""

    async def law(store: Store) -> None:
        assert store.counts == Counts()
        await five_jobs(store)
        assert store.counts == Counts(unfinished=2, succeeded=2, failed=1)
        await store.prune(0, None, 100)
        assert store.counts == Counts(unfinished=2)

    run(law)


# Idempotency keys


def keyed(key: str, fingerprint: str = "body", task: str = "1") -> NewJob:
    """Return a new job that came with an idempotency key."""
    return NewJob(task, key, fingerprint)


def test_the_same_key_and_body_give_the_same_job_again(run: Run[object]) -> None:
    """As it is by now, and no other job is made."""

    async def law(store: Store) -> None:
        (first,) = await store.add([keyed("a")], 1.0)
        assert await store.add([keyed("a")], 2.0) == [first]
        await finish(store, first.job_id, ANSWER, 3.0)
        assert await store.add([keyed("a")], 4.0) == [Job(JobId(1), "1", 1.0, ANSWER, 3.0)]
        assert ids(await store.add([keyed("b")], 5.0)) == [2]

    run(law)


def test_a_key_that_comes_again_at_the_same_time_gives_the_same_job(run: Run[object]) -> None:
    """In calls of their own and in one."""

    async def law(store: Store) -> None:
        one, two = await asyncio.gather(
            store.add([keyed("a"), keyed("a")], 1.0), store.add([keyed("a")], 1.0)
        )
        assert (ids(one), ids(two)) == ([1, 1], [1])
        assert store.counts == Counts(unfinished=1)

    run(law)


def test_keys_that_differ_in_what_sql_might_overlook_are_different(run: Run[object]) -> None:
    """Case, blanks, and what follows a NUL."""

    async def law(store: Store) -> None:
        keys = ["a", "A", "a ", "a\x00", "a\x00b", "", "é"]
        assert ids(await store.add([keyed(key) for key in keys], 1.0)) == [1, 2, 3, 4, 5, 6, 7]
        assert ids(await store.add([keyed(key) for key in keys], 1.0)) == [1, 2, 3, 4, 5, 6, 7]

    run(law)


def test_a_key_with_another_body_is_refused_and_nothing_is_added(run: Run[object]) -> None:
    """Not even what the call held besides, and its other keys stay free."""

    async def law(store: Store) -> None:
        await store.add([keyed("a")], 1.0)
        with pytest.raises(IdempotencyConflict):
            await store.add([NewJob("2"), keyed("b"), keyed("a", "other")], 2.0)
        with pytest.raises(IdempotencyConflict):
            await store.add([keyed("c"), keyed("c", "other")], 2.0)
        assert store.counts == Counts(unfinished=1)
        assert ids(await store.add([keyed("b", "other"), keyed("c", "other")], 3.0)) == [2, 3]

    run(law)


def test_a_refused_key_hurts_nobody_else(run: Run[object]) -> None:
    """Whoever writes at the same time is served."""

    async def law(store: Store) -> None:
        await store.add([keyed("a")], 1.0)
        before, refused, after, finished = await asyncio.gather(
            added(store, "2"),
            store.add([keyed("a", "other")], 2.0),
            added(store, "3"),
            finish(store, JobId(1), ANSWER, 2.0),
            return_exceptions=True,
        )
        assert isinstance(refused, IdempotencyConflict)
        assert isinstance(before, list)
        assert isinstance(after, list)
        assert (ids(before), ids(after), finished) == ([2], [3], True)

    run(law)


# Retention


@pytest.mark.parametrize(
    ("keep", "older_than", "at_most", "left"),
    [
        (100, None, 100, [5, 4, 3, 2, 1]),
        (3, None, 100, [5, 4, 3, 2, 1]),
        (2, None, 100, [5, 4, 3, 2]),
        (0, None, 100, [5, 3]),
        (0, None, 2, [5, 4, 3]),
        (0, None, 0, [5, 4, 3, 2, 1]),
        (100, 10.0, 100, [5, 4, 3, 2, 1]),
        (100, 11.5, 100, [5, 3, 2]),
        (100, 11.5, 1, [5, 3, 2, 1]),
        (2, 10.5, 100, [5, 3, 2]),
        (2, 11.5, 100, [5, 3, 2]),
    ],
)
def test_finished_jobs_are_forgotten_by_number_and_by_age(
    run: Run[object], keep: int, older_than: float | None, at_most: int, left: list[int]
) -> None:
    """Oldest first, no more than asked, and unfinished ones never."""

    async def law(store: Store) -> None:
        await five_jobs(store)
        assert await store.prune(keep, older_than, at_most) == 5 - len(left)
        assert ids((await store.page(100)).jobs) == left
        by_status = [(await store.page(100, status=status)).jobs for status in STATUSES]
        assert sorted((i for page in by_status for i in ids(page)), reverse=True) == left
        assert store.counts == Counts(*(len(page) for page in by_status))
        assert [await store.get(JobId(i)) is not None for i in (5, 4, 3, 2, 1)] == [
            i in left for i in (5, 4, 3, 2, 1)
        ]

    run(law)


def test_as_many_are_forgotten_as_asked_however_many_that_is(run: Run[object]) -> None:
    """Also where the store does it in steps."""

    async def law(store: Store) -> None:
        await added(store, *map(str, range(300)))
        await asyncio.gather(*(finish(store, JobId(i), ANSWER, 2.0) for i in range(1, 301)))
        assert await store.prune(10, None, 200) == 200
        assert await store.prune(10, None, 200) == 90
        assert await store.prune(10, None, 200) == 0
        assert ids((await store.page(100)).jobs) == list(range(300, 290, -1))

    run(law)


def test_the_number_of_a_forgotten_job_is_never_used_again(run: Run[object]) -> None:
    """Not even of the newest."""

    async def law(store: Store) -> None:
        await added(store, "1", "2")
        await finish(store, JobId(2), ANSWER, 2.0)
        assert await store.prune(0, None, 100) == 1
        assert ids(await added(store, "3")) == [3]
        assert await finish(store, JobId(2), ANSWER, 3.0) is False

    run(law)


def test_a_key_is_forgotten_with_its_job(run: Run[object]) -> None:
    """Then it may come with another body; the key of a job that is kept may not."""

    async def law(store: Store) -> None:
        await store.add([keyed("a"), keyed("b")], 1.0)
        await finish(store, JobId(1), ANSWER, 2.0)
        await store.prune(0, None, 100)
        assert ids(await store.add([keyed("a", "other")], 3.0)) == [3]
        with pytest.raises(IdempotencyConflict):
            await store.add([keyed("b", "other")], 3.0)

    run(law)


# Life


def test_closing_twice_does_no_harm(run: Run[object]) -> None:
    """Nor thrice."""

    async def law(store: Store) -> None:
        await store.close()
        await store.close()

    run(law)


def test_a_store_that_was_never_opened_can_be_closed(tmp_path: Path) -> None:
    """In every form."""
    for make in FORMS.values():
        asyncio.run(make(tmp_path).close())


def test_a_store_that_can_write_is_in_no_trouble_and_trying_changes_nothing(
    run: Run[object],
) -> None:
    """Neither jobs nor numbers."""

    async def law(store: Store) -> None:
        await added(store, "1")
        for _ in range(3):
            await store.look()
        assert store.trouble is None
        assert store.counts == Counts(unfinished=1)
        assert ids(await added(store, "2")) == [2]
        assert ids((await store.page(10)).jobs) == [2, 1]

    run(law)


def test_a_store_is_not_broken(run: Run[object]) -> None:
    """Until it says so."""

    async def law(store: Store) -> None:
        broke = asyncio.ensure_future(store.broke())
        await added(store, "1")
        assert not store.broken
        assert not broke.done()
        broke.cancel()

    run(law)


# Both forms, one history

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
job_id = st.integers(0, 12).map(JobId)
number = st.integers() | st.floats(allow_nan=False)
outcome = st.builds(Outcome, answer=number) | st.builds(
    Outcome, error=st.sampled_from(["overflow", "cancelled"]), detail=st.none() | text
)
moment = st.integers(0, 9).map(float)
new_job = st.builds(NewJob, text) | st.builds(
    NewJob, text, st.sampled_from("abc"), st.sampled_from("xy")
)
step = st.one_of(
    st.tuples(st.just("add"), st.lists(new_job, max_size=4), moment),
    st.tuples(st.just("finish"), st.lists(st.tuples(job_id, outcome), max_size=4), moment),
    st.tuples(st.just("get"), job_id),
    st.tuples(
        st.just("page"),
        st.integers(1, 4),
        st.none() | job_id,
        st.none() | st.sampled_from(STATUSES),
    ),
    st.tuples(st.just("unfinished"), job_id, st.integers(1, 4), st.integers(0, 20)),
    st.tuples(st.just("prune"), st.integers(0, 4), st.none() | moment, st.integers(0, 3)),
)


@settings(max_examples=60)
@given(steps=st.lists(step, max_size=40))
def test_both_forms_answer_the_same_to_any_history(steps: list[tuple[Any, ...]]) -> None:
    """Whatever is asked, in any order: the same answers, errors and counts."""

    async def law(store: Store) -> list[object]:
        answers: list[object] = []
        for name, *arguments in steps:
            try:
                answers.append(repr(await getattr(store, name)(*arguments)))
            except IdempotencyConflict as error:
                answers.append(error.detail)
            answers.append(store.counts)
        return answers

    with tempfile.TemporaryDirectory() as directory:
        assert in_store(SqliteStore(Path(directory)), law) == in_store(MemoryStore(), law)
