"""What only the durable store promises: disks, locks, damage, versions, and its groups."""

import asyncio
import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import pytest

from engine.errors import IdempotencyConflict, StoreDamaged, StoreError, StoreLocked
from engine.job import Job, JobId, Outcome
from engine.store.base import Counts, Early, NewJob
from engine.store.database import FILE, Database
from engine.store.rows import IDS, PAGE, THESE, UNFINISHED
from engine.store.schema import APPLICATION_ID, MIGRATIONS
from engine.store.sqlite import GIVE_WAY_S, GROUP_ROWS, TOLD_AT_ONCE, SqliteStore
from engine.store.transaction import Value
from tests.records import finish

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[3]
ANSWER = Outcome(answer=7)


def run(store: SqliteStore, law: Callable[[SqliteStore], Awaitable[T]]) -> T:
    """Run `law` on an open store, and close it."""

    async def whole() -> T:
        await store.open()
        try:
            return await law(store)
        finally:
            await store.close()

    return asyncio.run(whole())


def opening(store: SqliteStore) -> None:
    """Open a store and close it."""

    async def nothing(_: SqliteStore) -> None:
        return

    run(store, nothing)


async def added(store: SqliteStore, *tasks: str) -> list[Job]:
    """Add tasks without keys."""
    return await store.add([NewJob(task) for task in tasks], 1.0)


class Watched(Database):
    """A database that notes how many jobs were committed each time."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.commits: list[int] = []

    def _commit(
        self, connection: sqlite3.Connection, statement: str, values: Sequence[Value] = ()
    ) -> None:
        super()._commit(connection, statement, values)
        self.commits.append(connection.execute("SELECT count(*) FROM jobs").fetchone()[0])


class Small(Database):
    """A database on a disk that is full soon: SQLite's own limit, so the error is the real one."""

    def _connect(self) -> sqlite3.Connection:
        connection = super()._connect()
        connection.execute("PRAGMA max_page_count = 40")
        return connection


@contextmanager
def no_file_grows_beyond(size: int) -> Iterator[None]:
    """Let every write beyond `size` bytes fail, as an unreliable disk would: EFBIG is no ENOSPC."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# Durable


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    """Jobs, outcomes, keys, counts, and the number that comes next."""

    async def before(store: SqliteStore) -> list[Job]:
        await store.add([NewJob("1", "key", "body"), NewJob("2"), NewJob("3"), NewJob("4")], 1.0)
        await finish(store, JobId(1), ANSWER, 2.0)
        await finish(store, JobId(2), Outcome(error="overflow", detail="too large"), 2.0)
        await finish(store, JobId(4), ANSWER, 2.0)
        await store.prune(2, None, 1)  # the oldest, which is the one with the key
        await store.add([NewJob("5", "key", "another body")], 3.0)
        return (await store.page(100)).jobs

    async def after(store: SqliteStore) -> list[Job]:
        assert store.counts == Counts(unfinished=2, succeeded=1, failed=1)
        jobs = (await store.page(100)).jobs
        with pytest.raises(IdempotencyConflict):
            await store.add([NewJob("5", "key", "body")], 3.0)
        assert [job.job_id for job in await added(store, "6")] == [6]
        return jobs

    assert run(SqliteStore(tmp_path), before) == run(SqliteStore(tmp_path), after)


def test_numbers_are_not_used_again_after_all_jobs_are_forgotten_and_a_restart(
    tmp_path: Path,
) -> None:
    """The last number is kept apart from the jobs."""

    async def before(store: SqliteStore) -> None:
        await added(store, "1", "2")
        await finish(store, JobId(1), ANSWER, 2.0)
        await finish(store, JobId(2), ANSWER, 2.0)
        assert await store.prune(0, None, 100) == 2

    async def after(store: SqliteStore) -> None:
        assert [job.job_id for job in await added(store, "3")] == [3]

    run(SqliteStore(tmp_path), before)
    run(SqliteStore(tmp_path), after)


def test_every_commit_is_synced(tmp_path: Path) -> None:
    """WAL alone would sync at checkpoints: what was acknowledged since is lost with the power."""
    modes: list[tuple[int, str]] = []

    class Asked(Database):
        def _connect(self) -> sqlite3.Connection:
            connection = super()._connect()
            (synchronous,) = connection.execute("PRAGMA synchronous").fetchone()
            (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
            modes.append((synchronous, journal))
            return connection

    opening(SqliteStore(tmp_path, Asked))
    assert modes == [(2, "wal")]  # FULL


def awaiting(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> tuple[Early, "asyncio.Future[list[Job]]"]:
    """Add a job that would be held back for its outcome for ever; return both."""
    monkeypatch.setattr("engine.store.sqlite.HELD_S", 1e6)
    early: Early = asyncio.get_running_loop().create_future()
    return early, asyncio.ensure_future(store.add([NewJob("3+4")], 1.0, early))


def test_a_new_job_is_held_back_for_its_outcome_and_both_are_one_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sync instead of two, one after the other."""
    database = Watched(tmp_path)

    async def law(store: SqliteStore) -> None:
        early, adding = awaiting(store, monkeypatch)
        for _ in range(10):
            await asyncio.sleep(0)
        assert not adding.done()
        early.set_result((ANSWER, 2.0))
        assert await adding == [Job(JobId(1), "3+4", 1.0, ANSWER, 2.0)]
        assert database.commits == [1]

    run(SqliteStore(tmp_path, lambda _: database), law)
    run(SqliteStore(tmp_path), is_kept)


async def is_kept(store: SqliteStore) -> None:
    """Find the job as it was told."""
    assert await store.get(JobId(1)) == Job(JobId(1), "3+4", 1.0, ANSWER, 2.0)


def test_nobody_else_waits_for_the_outcome_of_a_new_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is asked takes the job along into the record."""

    async def law(store: SqliteStore) -> None:
        _, adding = awaiting(store, monkeypatch)
        await asyncio.sleep(0)
        assert await store.get(JobId(7)) is None
        (job,) = await adding
        assert not job.finished

    run(SqliteStore(tmp_path), law)


def test_a_new_job_is_held_back_for_a_moment_only(tmp_path: Path) -> None:
    """Its call may take long, and it is not to be lost meanwhile."""

    async def law(store: SqliteStore) -> None:
        never: Early = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(10):
            (job,) = await store.add([NewJob("3+4")], 1.0, never)
        assert not job.finished

    run(SqliteStore(tmp_path), law)


def test_a_store_that_closes_holds_nothing_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was asked before is answered."""

    async def main() -> None:
        store = SqliteStore(tmp_path)
        await store.open()
        _, adding = awaiting(store, monkeypatch)
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await store.close()
            assert [job.finished for job in await adding] == [False]

    asyncio.run(main())


@pytest.mark.parametrize(
    "outcome",
    [Outcome(answer=10**5000), Outcome(error="internal_error", detail="\ud800")],
    ids=["too many digits", "no text"],
)
def test_an_outcome_that_cannot_be_written_keeps_no_job_out(
    outcome: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor those of others; whoever brings it by itself hears of it."""

    async def law(store: SqliteStore) -> None:
        early, adding = awaiting(store, monkeypatch)
        early.set_result((outcome, 2.0))
        async with asyncio.timeout(10):
            (job,) = await adding
        assert not job.finished
        with pytest.raises(ValueError, match=r"digits|surrogates"):
            await finish(store, job.job_id, outcome, 3.0)

    run(SqliteStore(tmp_path), law)


def test_the_loop_gives_way_to_the_thread_until_it_has_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a loop that never idles the thread would wait for the interpreter for seconds."""
    has_way = threading.Event()
    times = 0

    def gives_way(seconds: float) -> None:
        nonlocal times
        times += 1
        if times == 3:  # it goes on for as long as the thread has the group
            has_way.set()
        assert seconds == 0, "the loop is not to sleep"

    class Waiting(Database):
        def get(self, job_id: JobId) -> Job | None:
            assert has_way.wait(10)
            return super().get(job_id)

    async def law(store: SqliteStore) -> None:
        with monkeypatch.context() as patched:
            patched.setattr("engine.store.sqlite.sleep", gives_way)
            assert await store.get(JobId(1)) is None
            answered_at = times
            await asyncio.sleep(2 * GIVE_WAY_S)  # whatever was due before has happened then
            assert times == answered_at

    run(SqliteStore(tmp_path, Waiting), law)


ADD_UNTIL_KILLED = """
import asyncio, sys
from pathlib import Path
from engine.job import JobId, Outcome
from engine.store.base import NewJob
from engine.store.sqlite import SqliteStore

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    await store.open()
    while True:
        (job,) = await store.add([NewJob("1+1")], 1.0)
        await store.finish([(job.job_id, Outcome(answer=2))], 2.0)
        print(job.job_id, flush=True)

asyncio.run(main())
"""


def last_job_of_a_killed_writer(directory: Path) -> JobId:
    """Let a process write until it is killed; return the last job that it said was finished."""
    with subprocess.Popen(
        [sys.executable, "-c", ADD_UNTIL_KILLED, str(directory)], stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(50)]
        process.send_signal(signal.SIGKILL)
        said += process.stdout.readlines()
    return JobId(int([line for line in said if line.endswith(b"\n")][-1]))


def test_a_process_that_is_killed_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    """Its lock dies with it, and what it had committed is read from the WAL."""
    last = last_job_of_a_killed_writer(tmp_path)
    assert (tmp_path / f"{FILE}-wal").stat().st_size > 0

    async def law(store: SqliteStore) -> None:
        assert store.counts.succeeded >= last
        assert await store.get(last) == Job(last, "1+1", 1.0, Outcome(answer=2), 2.0)

    run(SqliteStore(tmp_path), law)


def test_closing_writes_what_waits_and_empties_the_wal(tmp_path: Path) -> None:
    """Whoever had asked before is answered, in however many groups."""

    async def whole() -> None:
        store = SqliteStore(tmp_path)
        await store.open()
        asked = [asyncio.ensure_future(added(store, "1")) for _ in range(GROUP_ROWS + 1)]
        await asyncio.sleep(0)  # lets them ask
        await store.close()
        assert all(future.done() for future in asked)
        assert len(await asyncio.gather(*asked)) == GROUP_ROWS + 1

    asyncio.run(whole())
    assert not (tmp_path / f"{FILE}-wal").exists()


def test_a_closed_store_promises_nothing(tmp_path: Path) -> None:
    """Reads and writes alike are refused, and do not wait for ever."""

    async def whole() -> None:
        store = SqliteStore(tmp_path)
        with pytest.raises(StoreError, match="not open"):
            await added(store, "1")
        await store.open()
        await store.close()
        with pytest.raises(StoreError, match="not open"):
            await added(store, "1")
        with pytest.raises(StoreError, match="not open"):
            await store.get(JobId(1))

    asyncio.run(whole())


# Groups


def test_all_that_is_asked_in_one_turn_is_one_commit(tmp_path: Path) -> None:
    """And what comes while it is written is the next one."""
    database = Watched(tmp_path)

    async def law(store: SqliteStore) -> None:
        await asyncio.gather(*(added(store, "1") for _ in range(GROUP_ROWS)))
        assert database.commits == [GROUP_ROWS]
        await added(store, "1")
        assert database.commits == [GROUP_ROWS, GROUP_ROWS + 1]

    run(SqliteStore(tmp_path, lambda _: database), law)


def test_of_many_that_one_commit_answers_some_go_on_in_each_turn_of_the_loop(
    tmp_path: Path,
) -> None:
    """Each has something to do then, and whoever is not among them is to be served in between."""

    async def law(store: SqliteStore) -> None:
        told: list[int] = []  # of each: in which turn

        async def asking() -> None:
            await added(store, "1")
            told.append(turn)

        turn, everybody = 0, asyncio.gather(*(asking() for _ in range(3 * TOLD_AT_ONCE + 1)))
        while not everybody.done():
            await asyncio.sleep(0)
            turn += 1
        first = min(told)
        expected = [first, first + 1, first + 2] * TOLD_AT_ONCE + [first + 3]
        assert sorted(told) == sorted(expected)

    run(SqliteStore(tmp_path), law)


def test_a_store_that_is_closed_has_answered_everybody(tmp_path: Path) -> None:
    """Some are answered in turns of the loop after the last commit, and those may be long."""

    async def main() -> None:
        store = SqliteStore(tmp_path)
        told = 0

        async def asking() -> None:
            nonlocal told
            await added(store, "1")
            told += 1
            sum(range(20_000))  # goes on with something that takes longer than to close a file

        await store.open()
        everybody = asyncio.gather(*(asking() for _ in range(GROUP_ROWS)))
        await asyncio.sleep(0)  # all of them have asked
        await store.close()
        assert told == GROUP_ROWS
        await everybody

    asyncio.run(main())


def test_a_store_that_fails_to_close_does_not_hold_up_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A master that was told to stop would wait for it for ever."""

    class Unclosable(Database):
        def close(self) -> None:
            super().close()
            raise OSError("the disk has gone")

    opening(SqliteStore(tmp_path, Unclosable))
    (record,) = caplog.records
    assert record.getMessage().startswith("the record was not closed well")


def test_an_unusual_mistake_is_told_to_all_whom_it_concerns(tmp_path: Path) -> None:
    """Whatever its class asks for: a thread that ended by it would leave everybody waiting."""

    class Unusual(Exception):
        def __init__(self, first: str, second: str) -> None:
            super().__init__(first + second)

    class Mistaken(Database):
        def _carry_out(self, *_: object) -> list[int]:
            raise Unusual("one", "two")

    async def law(store: SqliteStore) -> None:
        told = await asyncio.gather(added(store, "1"), added(store, "2"), return_exceptions=True)
        assert [str(error) for error in told] == ["onetwo", "onetwo"]

    run(SqliteStore(tmp_path, Mistaken), law)


def test_what_concerns_one_job_is_one_statement_that_commits_by_itself(tmp_path: Path) -> None:
    """Each statement may have to wait for the interpreter, beside a loop that never idles."""
    statements: list[str] = []

    class Traced(Database):
        def _connect(self) -> sqlite3.Connection:
            connection = super()._connect()
            connection.set_trace_callback(statements.append)
            return connection

    async def law(store: SqliteStore) -> None:
        statements.clear()
        (job,) = await added(store, "1")
        assert await finish(store, job.job_id, ANSWER, 2.0)
        assert not await finish(store, job.job_id, ANSWER, 3.0)
        asked = list(dict.fromkeys(statements))  # each is told for each of its triggers too
        assert [statement.split("(")[0] for statement in asked] == [
            "INSERT INTO jobs VALUES ",
            "INSERT INTO outcomes VALUES ",
            "SELECT json_group_array",
        ]

    run(SqliteStore(tmp_path, Traced), law)


def test_jobs_that_are_not_kept_in_mind_are_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many are unfinished, each takes one outcome, and each is counted."""
    monkeypatch.setattr("engine.store.database.OPEN_JOBS", 3)

    async def law(store: SqliteStore) -> None:
        jobs = await added(store, *"123456789")
        first = [await finish(store, job.job_id, ANSWER, 2.0) for job in jobs]
        again = [await finish(store, job.job_id, ANSWER, 3.0) for job in jobs]
        assert (first, again) == ([True] * 9, [False] * 9)
        assert store.counts == Counts(succeeded=9)

    run(SqliteStore(tmp_path), law)


def test_a_group_is_bounded_in_number(tmp_path: Path) -> None:
    """A read that comes after many writes does not wait for all of them."""
    database = Watched(tmp_path)

    async def law(store: SqliteStore) -> None:
        await asyncio.gather(*(added(store, "1") for _ in range(GROUP_ROWS * 2 + 1)))
        assert database.commits == [GROUP_ROWS, GROUP_ROWS * 2, GROUP_ROWS * 2 + 1]

    run(SqliteStore(tmp_path, lambda _: database), law)


def test_a_group_is_bounded_in_bytes(tmp_path: Path) -> None:
    """Large tasks go a few at a time."""
    database = Watched(tmp_path)

    async def law(store: SqliteStore) -> None:
        await asyncio.gather(*(added(store, "1" * 2**21) for _ in range(6)))
        assert database.commits == [4, 6]

    run(SqliteStore(tmp_path, lambda _: database), law)


def test_a_read_shows_nothing_of_the_group_that_it_is_in(tmp_path: Path) -> None:
    """It is answered with what was committed before."""

    async def law(store: SqliteStore) -> None:
        await added(store, "1")
        finished, seen, page = await asyncio.gather(
            finish(store, JobId(1), ANSWER, 2.0), store.get(JobId(1)), store.page(100)
        )
        assert finished
        assert seen == Job(JobId(1), "1", 1.0)
        assert page.jobs == [seen]

    run(SqliteStore(tmp_path), law)


def test_a_caller_that_is_gone_hurts_nobody(tmp_path: Path) -> None:
    """Its job may be there; all others are."""

    async def law(store: SqliteStore) -> None:
        gone = asyncio.ensure_future(added(store, "1"))
        stays = asyncio.ensure_future(added(store, "2"))
        await asyncio.sleep(0)  # lets them ask
        gone.cancel()
        assert [job.task for job in await stays] == ["2"]

    run(SqliteStore(tmp_path), law)


@pytest.mark.parametrize(
    "new", [NewJob("\ud800"), NewJob("1", "\ud800"), NewJob("1", "key", "\ud800")]
)
def test_what_is_no_text_is_refused_and_hurts_nobody(tmp_path: Path, new: NewJob) -> None:
    """Half a surrogate pair has no bytes that could be written."""

    async def law(store: SqliteStore) -> None:
        refused, jobs = await asyncio.gather(
            store.add([new], 1.0), added(store, "2"), return_exceptions=True
        )
        assert isinstance(refused, ValueError)
        assert jobs == [Job(JobId(1), "2", 1.0)]

    run(SqliteStore(tmp_path), law)


def test_an_answer_that_python_does_not_print_is_refused_and_the_job_stays(tmp_path: Path) -> None:
    """An integer of more than 4,300 digits: the job can still be finished otherwise."""

    async def law(store: SqliteStore) -> None:
        await added(store, "1")
        with pytest.raises(ValueError, match="4300 digits"):
            await finish(store, JobId(1), Outcome(answer=10**4300), 2.0)
        assert await finish(store, JobId(1), Outcome(error="too_many_digits"), 2.0)

    run(SqliteStore(tmp_path), law)


# Disks that fail


def test_a_full_disk_refuses_the_whole_group_and_the_store_goes_on(tmp_path: Path) -> None:
    """Nobody of the group is told a number, none is spent, and a small job still fits."""

    async def law(store: SqliteStore) -> None:
        await added(store, "1")
        refused = await asyncio.gather(
            added(store, "2"),
            added(store, "3" * 10**6),
            finish(store, JobId(1), ANSWER, 2.0),
            return_exceptions=True,
        )
        assert all(isinstance(error, StoreError) for error in refused)
        assert "is full; make room" in str(refused[0])
        assert len({id(error) for error in refused}) == 3  # each raises one of its own
        assert await store.get(JobId(1)) == Job(JobId(1), "1", 1.0)
        assert store.counts == Counts(unfinished=1)
        assert not store.broken
        assert [job.job_id for job in await added(store, "4")] == [2]

    run(SqliteStore(tmp_path, Small), law)


def test_a_full_disk_is_logged_when_it_is_noticed_and_when_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each once, however many are refused meanwhile."""

    async def law(store: SqliteStore) -> None:
        for _ in range(3):
            with pytest.raises(StoreError):
                await added(store, "6" * 10**6)
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        assert f"the disk of {tmp_path} is full; make room" in caplog.text
        for task in "12":
            await added(store, task)
        assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]

    run(SqliteStore(tmp_path, Small), law)


@pytest.mark.parametrize("name", [FILE, f"{FILE}-wal"])
@pytest.mark.parametrize("is_replaced", [False, True])
def test_nothing_is_promised_while_the_files_are_not_where_a_start_looks_for_them(
    name: str, is_replaced: bool, tmp_path: Path
) -> None:
    """Moved away, or another one in its place; when it is back, so is the store."""
    path, aside = tmp_path / name, tmp_path / "aside"

    async def law(store: SqliteStore) -> None:
        await added(store, "1")
        path.rename(aside)
        if is_replaced:
            shutil.copy(aside, path)
        for _ in range(2):
            with pytest.raises(StoreError, match="was moved, deleted or replaced"):
                await store.look()
        for attempt in (added(store, "2"), finish(store, JobId(1), ANSWER, 2.0)):
            with pytest.raises(StoreError, match="was moved, deleted or replaced"):
                await attempt
        assert "was moved, deleted or replaced" in (store.trouble or "")
        aside.rename(path)
        await store.look()
        assert (store.trouble or "", store.broken) == ("", False)
        assert [job.job_id for job in await added(store, "2")] == [2]

    run(SqliteStore(tmp_path), law)


def test_whether_there_is_room_can_be_tried(tmp_path: Path) -> None:
    """Nothing of it stays, and it fails where a small job would."""

    async def law(store: SqliteStore) -> None:
        assert store.trouble is None
        with pytest.raises(StoreError):
            await added(store, "6" * 10**6)
        assert store.trouble is not None
        assert "is full" in store.trouble
        await store.look()  # there is room for what is smaller
        assert store.trouble is None
        for number in range(1, 6):
            await added(store, "1" * 5000)
            await finish(store, JobId(number), ANSWER, 2.0)
        with suppress(StoreError):
            while True:
                await added(store, "1" * 5000)
        for _ in range(2):
            with pytest.raises(StoreError, match="is full"):
                await store.look()
            assert store.trouble is not None
        assert await store.prune(0, None, 5) == 5
        await store.look()
        assert store.trouble is None
        assert not store.broken

    run(SqliteStore(tmp_path, Small), law)


def test_the_next_id_is_foretold_while_jobs_are_added_and_again_when_it_is_idle(
    tmp_path: Path,
) -> None:
    """Not after a key, which may be known; what a full disk refused is taken back."""

    async def law(store: SqliteStore) -> None:
        assert store.next_id == 1
        adding = asyncio.gather(added(store, "1"), added(store, "2", "3"))
        await asyncio.sleep(0)
        assert store.next_id == 4
        await adding
        adding = asyncio.gather(store.add([NewJob("4", "key")], 1.0), added(store, "5"))
        await asyncio.sleep(0)
        assert store.next_id is None
        await adding
        assert store.next_id == 6
        with pytest.raises(StoreError):
            await added(store, "6" * 10**6)
        assert store.next_id == 6

    run(SqliteStore(tmp_path, Small), law)


def test_a_read_beside_a_group_that_fails_is_answered(tmp_path: Path) -> None:
    """It needs no room."""

    async def law(store: SqliteStore) -> None:
        await added(store, "1")
        error, job = await asyncio.gather(
            added(store, "2" * 10**6), store.get(JobId(1)), return_exceptions=True
        )
        assert isinstance(error, StoreError)
        assert job == Job(JobId(1), "1", 1.0)

    run(SqliteStore(tmp_path, Small), law)


def test_a_commit_that_fails_is_final(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The caller hears of it, and the log; `broke` returns, and no later success is claimed."""

    async def law(store: SqliteStore) -> None:
        await added(store, "1")
        broke = asyncio.ensure_future(store.broke())
        size = (tmp_path / f"{FILE}-wal").stat().st_size
        with no_file_grows_beyond(size), pytest.raises(StoreError, match="IOERR"):
            await added(store, "2")
        await broke
        assert store.broken
        assert "IOERR" in caplog.text
        with pytest.raises(StoreError, match="failed before"):
            await added(store, "3")
        with pytest.raises(StoreError, match="failed before"):
            await store.get(JobId(1))

    async def next_start(store: SqliteStore) -> None:
        assert await store.get(JobId(1)) == Job(JobId(1), "1", 1.0)
        assert await store.get(JobId(3)) is None

    run(SqliteStore(tmp_path), law)
    run(SqliteStore(tmp_path), next_start)


class Refusing:
    """A connection that fails to commit in the way it is told to."""

    def __init__(self, code: int) -> None:
        self._code = code

    def execute(self, *_: object) -> None:
        """Fail."""
        error = sqlite3.OperationalError("refused")
        error.sqlite_errorcode = self._code
        raise error


@pytest.mark.parametrize(
    ("code", "final"),
    [
        (sqlite3.SQLITE_FULL, False),
        (sqlite3.SQLITE_IOERR_FSYNC, True),
        (sqlite3.SQLITE_IOERR_WRITE, True),
        (sqlite3.SQLITE_CORRUPT, True),
    ],
)
def test_only_a_full_disk_may_fail_a_commit_without_breaking_the_store(
    tmp_path: Path, code: int, final: bool
) -> None:
    """Of anything else it is unknown what the kernel kept."""
    database = Database(tmp_path)
    with pytest.raises(sqlite3.OperationalError):
        database._commit(Refusing(code), "COMMIT")  # type: ignore[arg-type]
    assert database.broken is final


# Locks


def test_a_second_master_is_refused_and_told_who_is_there(tmp_path: Path) -> None:
    """By process and host, at once; the first one goes on."""

    async def law(store: SqliteStore) -> None:
        second = SqliteStore(tmp_path)
        with pytest.raises(StoreLocked, match=f"pid {os.getpid()} on {socket.gethostname()}"):
            await second.open()
        assert await added(store, "1")

    run(SqliteStore(tmp_path), law)
    opening(SqliteStore(tmp_path))


def test_no_other_program_gets_into_an_open_record(tmp_path: Path) -> None:
    """A second connection that leaves would checkpoint the WAL."""

    async def law(store: SqliteStore) -> None:
        await added(store, "1")
        with (
            closing(sqlite3.connect(tmp_path / FILE, timeout=0)) as shell,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            shell.execute("SELECT * FROM jobs")

    run(SqliteStore(tmp_path), law)


def test_a_record_that_another_program_has_open_is_not_opened(tmp_path: Path) -> None:
    """The error says what to do."""
    opening(SqliteStore(tmp_path))
    with closing(sqlite3.connect(tmp_path / FILE)) as shell:
        shell.execute("SELECT * FROM jobs").fetchall()
        with pytest.raises(StoreError, match="open in another program; close that"):
            opening(SqliteStore(tmp_path))


def test_the_data_directory_is_made(tmp_path: Path) -> None:
    """With those above it."""
    opening(SqliteStore(tmp_path / "new" / "data"))
    assert (tmp_path / "new" / "data" / FILE).exists()


def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """Here a file is in its place; rights that lack say so in the same sentence."""
    (tmp_path / "data").write_text("")
    with pytest.raises(StoreError, match=r"the data directory .*/data/deep cannot be used: .*;"):
        opening(SqliteStore(tmp_path / "data" / "deep"))


# Damage


async def fill(store: SqliteStore) -> None:
    """Add jobs on several pages."""
    await added(store, *map(str, range(1000)))


def contents(directory: Path) -> dict[str, bytes]:
    """Return what is in the files of the record that hold anything."""
    return {
        path.name: path.read_bytes()
        for path in directory.iterdir()
        if path.name in (FILE, f"{FILE}-wal") and path.stat().st_size
    }


def spoil_its_pages(file: Path) -> None:
    """Leave nothing but the first page, which says what there should be."""
    content = file.read_bytes()
    file.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))


def cut_off(file: Path) -> None:
    """Lose the second half."""
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def write_over(file: Path) -> None:
    """Write something else in its place."""
    file.write_text("this is no database\n" * 1000)


def lose_a_page(file: Path) -> None:
    """Lose one that nothing needs before a job is looked for: only an examination finds it."""
    with closing(sqlite3.connect(file)) as connection:
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'jobs'"
        ).fetchone()
    content = file.read_bytes()
    file.write_bytes(content[: 4096 * (page - 1)] + bytes(4096) + content[4096 * page :])


def forget_the_last_number(file: Path) -> None:
    """Lose what a file that is sound to SQLite should hold."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("DELETE FROM last_job")


@pytest.mark.parametrize("damage", [spoil_its_pages, cut_off, write_over, lose_a_page])
def test_a_damaged_record_is_refused_and_left_as_it_is(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """To the byte, whichever way it is damaged; the sentence names the file and a way out."""
    run(SqliteStore(tmp_path), fill)
    damage(tmp_path / FILE)
    before = contents(tmp_path)
    with pytest.raises(StoreDamaged, match=f"{FILE} is damaged: .*; nothing was changed"):
        opening(SqliteStore(tmp_path))
    assert contents(tmp_path) == before


def test_a_record_without_its_last_number_is_damaged(tmp_path: Path) -> None:
    """No number may be given twice: nobody knows which were."""
    run(SqliteStore(tmp_path), fill)
    forget_the_last_number(tmp_path / FILE)
    with pytest.raises(StoreDamaged, match="the number of its last job is missing"):
        opening(SqliteStore(tmp_path))


def test_looking_at_a_damaged_record_leaves_its_wal_alone(tmp_path: Path) -> None:
    """What a killed master left there may be what can be rescued."""
    run(SqliteStore(tmp_path), fill)
    last_job_of_a_killed_writer(tmp_path)
    spoil_its_pages(tmp_path / FILE)
    before = contents(tmp_path)
    assert len(before) == 2
    with pytest.raises(StoreDamaged):
        opening(SqliteStore(tmp_path))
    assert contents(tmp_path) == before


# Versions


def test_a_record_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    """An older program cannot know what it would spoil."""
    opening(SqliteStore(tmp_path))
    with closing(sqlite3.connect(tmp_path / FILE)) as shell:
        shell.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = contents(tmp_path)
    with pytest.raises(StoreError, match=r"written by a newer version .* start that version"):
        opening(SqliteStore(tmp_path))
    assert contents(tmp_path) == before


def test_a_database_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    """A wrong `--data` must not put our tables into another program's file."""
    with closing(sqlite3.connect(tmp_path / FILE)) as other:
        other.execute("CREATE TABLE bookmarks (url TEXT)")
    before = contents(tmp_path)
    with pytest.raises(StoreError, match="a database of something else; move it away"):
        opening(SqliteStore(tmp_path))
    assert contents(tmp_path) == before


def test_an_empty_file_is_a_record_not_yet_begun(tmp_path: Path) -> None:
    """As a power cut just after the first start may leave it."""
    (tmp_path / FILE).touch()
    opening(SqliteStore(tmp_path))
    assert (tmp_path / FILE).stat().st_size > 0


def test_a_first_start_that_was_killed_is_begun_again(tmp_path: Path) -> None:
    """SQLite has made the file by then, and nothing in it is ours yet."""
    script = (
        "from pathlib import Path; from engine import crashpoints;"
        "from engine.store.database import Database;"
        f"crashpoints.arm('recovery.half_migrated'); Database(Path({str(tmp_path)!r})).open()"
    )
    killed = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / FILE).stat().st_size > 0
    opening(SqliteStore(tmp_path))


NEXT = (
    *MIGRATIONS,
    ("CREATE TABLE priorities (job_id INTEGER)", "INSERT INTO priorities VALUES (7)"),
)


@pytest.mark.parametrize("fresh", [False, True])
def test_a_record_is_brought_to_the_newest_version(tmp_path: Path, fresh: bool) -> None:
    """From the version that it has, step by step, and once: jobs and all."""

    async def before(store: SqliteStore) -> None:
        await added(store, "1")

    async def after(store: SqliteStore) -> None:
        await added(store, "2")
        assert [job.task for job in (await store.page(100)).jobs] == (
            ["2"] if fresh else ["2", "1"]
        )

    if not fresh:
        run(SqliteStore(tmp_path), before)
    run(SqliteStore(tmp_path, lambda directory: Database(directory, NEXT)), after)
    opening(SqliteStore(tmp_path, lambda directory: Database(directory, NEXT)))
    with closing(sqlite3.connect(tmp_path / FILE)) as shell:
        assert shell.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)
        assert shell.execute("SELECT job_id FROM priorities").fetchall() == [(7,)]


def test_a_step_that_fails_changes_nothing(tmp_path: Path) -> None:
    """The version before can still be started on the record."""
    opening(SqliteStore(tmp_path))
    half = (*MIGRATIONS, ("CREATE TABLE priorities (job_id INTEGER)", "INSERT INTO nothing"))
    with pytest.raises(StoreError, match="cannot be opened"):
        opening(SqliteStore(tmp_path, lambda directory: Database(directory, half)))
    opening(SqliteStore(tmp_path))
    with closing(sqlite3.connect(tmp_path / FILE)) as shell:
        assert shell.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        tables = shell.execute("SELECT name FROM sqlite_master").fetchall()
        assert ("priorities",) not in tables


def test_the_file_says_whose_it_is(tmp_path: Path) -> None:
    """By SQLite's application id."""
    opening(SqliteStore(tmp_path))
    with closing(sqlite3.connect(tmp_path / FILE)) as shell:
        assert shell.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)


# Speed that does not depend on luck


@pytest.mark.parametrize(
    ("query", "first"),
    [
        (PAGE[None], "SEARCH j USING INTEGER PRIMARY KEY"),
        (PAGE["unfinished"], "SEARCH u USING INTEGER PRIMARY KEY"),
        (PAGE["succeeded"], "SEARCH o USING INDEX succeeded"),
        (PAGE["failed"], "SEARCH o USING INDEX failed"),
        (IDS[None], "SEARCH jobs USING INTEGER PRIMARY KEY"),
        (IDS["unfinished"], "SEARCH unfinished USING INTEGER PRIMARY KEY"),
        (IDS["succeeded"], "SEARCH outcomes USING INDEX succeeded"),
        (IDS["failed"], "SEARCH outcomes USING INDEX failed"),
        (UNFINISHED, "SEARCH unfinished USING INTEGER PRIMARY KEY"),
    ],
)
def test_a_page_costs_what_it_shows(tmp_path: Path, query: str, first: str) -> None:
    """SQLite's own plan: it starts at the jobs of that status, and only searches, nor sorts."""
    opening(SqliteStore(tmp_path))
    with closing(sqlite3.connect(tmp_path / FILE)) as shell:
        plan = [row[3] for row in shell.execute(f"EXPLAIN QUERY PLAN {query}", (5, 100))]
    assert plan[0].startswith(first)
    assert all(step.startswith("SEARCH") for step in plan)


def test_the_rest_of_a_page_is_read_one_by_one(tmp_path: Path) -> None:
    """Sorted, all of its tasks would be read before the first of them is there."""
    opening(SqliteStore(tmp_path))
    with closing(sqlite3.connect(tmp_path / FILE)) as shell:
        plan = [row[3] for row in shell.execute(f"EXPLAIN QUERY PLAN {THESE}", ("[1]",))]
    assert plan[0].startswith("SCAN json_each")
    assert all(step.startswith("SEARCH") for step in plan[1:])


def test_large_jobs_are_forgotten_a_few_at_a_time(tmp_path: Path) -> None:
    """What others wait for meanwhile is bounded in bytes, too; all that was asked is forgotten."""
    database = Watched(tmp_path)

    async def law(store: SqliteStore) -> None:
        await added(store, *["1" * 2**21] * 3, "1" * 2**23, "1")
        await asyncio.gather(*(finish(store, JobId(i), ANSWER, 2.0) for i in range(1, 6)))
        database.commits.clear()
        assert await store.prune(0, None, 100) == 5
        assert database.commits == [3, 2, 1, 0, 0]

    run(SqliteStore(tmp_path, lambda _: database), law)
