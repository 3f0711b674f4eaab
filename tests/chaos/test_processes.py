"""Faults of real processes: disks, locks, signals, limits, and clients in numbers.

The numbers are rows of the table in docs/reliability.md.
"""

import asyncio
import json
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local import ROOT, LocalCluster, StartFailed
from engine.client.api import MasterClient
from engine.client.errors import ApiError, MasterUnreachable
from engine.messages import JobStatus
from engine.roof import open_files
from engine.settings import MasterSettings
from engine.store.database import FILE
from tests.chaos.processes import (
    MIB,
    Connection,
    KeepingOn,
    a_cluster,
    connections,
    errors,
    fill,
    peak_memory,
    submit,
    tasks,
    until_states,
    wrong_answers,
)
from tests.misbehaving_worker import Question, Send, a_misbehaving_worker, honest, response

pytestmark = pytest.mark.gen_test

EXIT_DAMAGED, EXIT_UNAVAILABLE, EXIT_BROKE, EXIT_IN_USE = 65, 69, 70, 75
ONE_BY_ONE = ("--set", "dispatch.batch=1")  # each operation a call of its own: it takes a while


# 16: disks


async def until_refused(
    client: MasterClient, at_once: int
) -> tuple[dict[int, str], ApiError | MasterUnreachable]:
    """Submit until no more is taken; return the jobs that were, and the refusal."""
    jobs: dict[int, str] = {}
    while True:
        try:
            jobs |= await submit(client, tasks(at_once, len(jobs)))
        except (ApiError, MasterUnreachable) as error:
            return jobs, error


async def test_16_a_write_that_fails_ends_the_master_and_loses_nothing(tmp_path: Path) -> None:
    """What the kernel kept is unknown, so a new start must look."""
    async with a_cluster(0, "--data", str(tmp_path)) as (cluster, client):
        jobs = await submit(client, tasks(100))
        resource.prlimit(cluster.master.pid, resource.RLIMIT_FSIZE, (MIB // 2, MIB // 2))
        more, refusal = await until_refused(client, 100)
        jobs |= more
        assert getattr(refusal, "status", 503) == 503
        assert cluster.master.popen.wait() == EXIT_BROKE
        assert any("store has failed" in line for line in cluster.master.seen)
        cluster.start_master()
        cluster.start_worker()
        assert await wrong_answers(client, jobs) == []


async def test_16_a_write_that_fails_while_the_master_stops_is_told_by_its_exit_code(
    tmp_path: Path,
) -> None:
    """It is no orderly end: an outcome was not recorded."""
    patient = ("--set", "dispatch.call_timeout_s=60", "--set", "drain_s=60")
    answers = asyncio.Event()

    async def later(question: Question, send: Send) -> None:
        await answers.wait()
        await send(response(json.dumps(honest(question)).encode()))

    async with (
        a_cluster(0, "--data", str(tmp_path), *patient) as (cluster, client),
        a_misbehaving_worker() as worker,
        connections(cluster.master.port, 1) as (ours,),
    ):
        await ours.ask("POST", "/worker", {"worker_name": "w", "port": worker.port})
        await until_states(client, "live")
        worker.misbehaviour = later
        await client.submit("6*7")
        await worker.misbehaved.wait()
        cluster.master.signal(signal.SIGTERM)
        while await client.ready():
            pass
        resource.prlimit(cluster.master.pid, resource.RLIMIT_FSIZE, (0, 0))
        answers.set()
        assert await asyncio.to_thread(cluster.master.popen.wait) == EXIT_BROKE
        assert any("store has failed" in line for line in cluster.master.seen)


async def test_a_master_whose_record_is_moved_away_is_not_ready_until_it_is_back(
    tmp_path: Path,
) -> None:
    """Nothing is promised that no start would find; it notices without being asked for anything."""
    path, aside = tmp_path / FILE, tmp_path / "aside"
    async with a_cluster(1, "--data", str(tmp_path)) as (cluster, client):
        path.rename(aside)
        while await client.ready():
            pass
        with pytest.raises(ApiError, match="was moved, deleted or replaced"):
            await client.submit("6*7")
        aside.rename(path)
        while not await client.ready():
            pass
        job = await client.submit("6*7", wait_s=60)
        assert isinstance(job, JobStatus)
        assert job.answer == 42
        assert cluster.master.popen.poll() is None


A_BUG = """
import asyncio, os, pkgutil, signal, sys
import master

async def raises(*_):
    asyncio.get_running_loop().call_later(1.0, os.kill, os.getpid(), signal.SIGTERM)
    raise RuntimeError("a bug")

setattr(pkgutil.resolve_name(sys.argv.pop(1)), sys.argv.pop(1), raises)
sys.exit(master.main())
"""


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        ("engine.health:HealthMonitor", "run"),
        ("engine.master.events:Events", "run"),
        ("engine.core:Engine", "_read_waiting"),
        ("engine.core", "forget_old"),
        ("master", "collect_when_idle"),
    ],
)
def test_a_bug_in_what_goes_on_in_the_background_ends_the_master(owner: str, name: str) -> None:
    """It would be there, and no longer do a part of its work; and it says what the bug was."""
    ended = subprocess.run(
        [sys.executable, "-c", A_BUG, owner, name, "--port", "0", "--data", ""],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert ended.returncode == EXIT_BROKE
    assert "RuntimeError: a bug" in ended.stderr


# 17, 18, 37: masters that must not start


def refused_start(*arguments: str) -> StartFailed:
    """Start a master that refuses to, and return what it said."""
    with pytest.raises(StartFailed) as refused, LocalCluster(0, arguments):
        pass
    return refused.value


async def test_17_a_second_master_on_the_same_record_is_refused(tmp_path: Path) -> None:
    """It says who holds it; the first one goes on."""
    async with a_cluster(1, "--data", str(tmp_path)) as (cluster, client):
        refused = refused_start("--data", str(tmp_path))
        assert refused.code == EXIT_IN_USE
        assert f"pid {cluster.master.pid} on " in str(refused)
        assert await wrong_answers(client, await submit(client, tasks(10))) == []


def test_18_a_damaged_record_is_refused_and_nothing_is_deleted(tmp_path: Path) -> None:
    """It says what is damaged and what to do."""
    fill(tmp_path, 10_000)
    content = (tmp_path / FILE).read_bytes()
    damaged = content[:4096] + b"\xff" * (len(content) - 4096)
    (tmp_path / FILE).write_bytes(damaged)
    refused = refused_start("--data", str(tmp_path))
    assert refused.code == EXIT_DAMAGED
    assert f"{FILE} is damaged" in str(refused)
    assert "restore a backup" in str(refused)
    assert (tmp_path / FILE).read_bytes() == damaged


@pytest.mark.parametrize("program", ["master.py", "worker.py"])
def test_37_without_assertions_nothing_starts(program: str) -> None:
    """Tornado checks with them where a request ends."""
    started = subprocess.run(
        [sys.executable, "-O", str(ROOT / program)], check=False, capture_output=True, text=True
    )
    assert started.returncode == EXIT_UNAVAILABLE
    assert "run it without -O" in started.stderr


# 20: the master itself asleep


@pytest.mark.parametrize("whole_machine", [False, True])
async def test_20_when_the_master_was_asleep_nobody_else_is_blamed(
    tmp_path: Path, whole_machine: bool
) -> None:
    """It wakes to find every time-out passed at once; workers were there, or slept as well."""
    async with a_cluster(3, "--data", str(tmp_path), *ONE_BY_ONE) as (cluster, client):
        jobs = await submit(client, tasks(500))
        await client.job(min(jobs), wait_s=60)  # from here on calls are on their way
        everybody = [*(cluster.workers if whole_machine else ()), cluster.master]
        for process in everybody:
            process.signal(signal.SIGSTOP)
        await asyncio.sleep(3)  # in real time: that is what the row is about
        before = len(cluster.master.seen)
        for process in reversed(everybody):
            process.signal(signal.SIGCONT)
        assert await wrong_answers(client, jobs) == []
        assert [worker.state for worker in await client.workers()] == ["live"] * 3
        after = cluster.master.seen[before:]
        assert [line for line in after if "dead" in line or "suspect" in line] == []


# 27, 28, 29: clients in numbers, clients that go, clients that try again


async def test_27_ten_thousand_submits_at_once_are_all_answered_in_bounded_memory(
    tmp_path: Path,
) -> None:
    """From a thousand connections; 200, or 503 with a time to come back."""
    open_files(4096)
    async with (
        a_cluster(1, "--data", str(tmp_path)) as (cluster, _),
        connections(cluster.master.port, 1000) as many,
    ):

        async def ten(connection: Connection) -> list[tuple[int, bool]]:
            answers = []
            for number in range(10):
                status, head, _ = await connection.ask("POST", "/submit", {"task": f"{number}+1"})
                answers.append((status, b"Retry-After" in head))
            return answers

        answers = [answer for ten in await asyncio.gather(*map(ten, many)) for answer in ten]
        assert len(answers) == 10_000
        assert set(answers) <= {(200, False), (503, True)}
        assert peak_memory(cluster.master) < 500 * MIB


async def test_28_clients_that_break_off_leave_their_jobs_and_no_trace(tmp_path: Path) -> None:
    """Some before the commit, some after it: it is there or it is not."""
    async with (
        a_cluster(1, "--data", str(tmp_path)) as (cluster, client),
        connections(cluster.master.port, 300) as broken,
    ):
        for number, connection in enumerate(broken):
            connection.send("POST", "/submit", {"task": f"{number}+1"})
            if number % 3 == 0:
                await connection.writer.drain()
                await asyncio.sleep(0)
            connection.reset()
        assert await wrong_answers(client, await submit(client, tasks(10))) == []
        jobs = {job.job_id: job.task for job in await client.jobs(limit=1000)}
        assert len(set(jobs.values())) == len(jobs)
        assert await wrong_answers(client, jobs) == []
        assert errors(cluster.master) == []


@pytest.mark.parametrize("crash_at", ["submit.parsed", "write.before_commit", "write.committed"])
async def test_29_the_same_key_gives_one_job_also_across_a_kill(
    tmp_path: Path, crash_at: str
) -> None:
    """Whether the master died before it was durable or after."""
    async with a_cluster(0, "--data", str(tmp_path)) as (cluster, client):
        cluster.master.kill()
        cluster.start_master(crash_at)
        with pytest.raises(MasterUnreachable):
            await client.submit("2*3", idempotency_key="once")
        cluster.master.popen.wait()
        cluster.start_master()
        first = await client.submit("2*3", idempotency_key="once")
        again = await client.submit("2*3", idempotency_key="once")
        assert first.job_id == again.job_id == 1
        assert [job.task for job in await client.jobs()] == ["2*3"]


# 30, 31: told to stop


async def test_30_a_master_that_is_told_to_stop_ends_in_order_and_its_jobs_resume(
    tmp_path: Path,
) -> None:
    """Under load: exit 0 while clients go on submitting, and nothing that was taken is lost."""
    async with a_cluster(2, "--data", str(tmp_path), *ONE_BY_ONE) as (cluster, client):
        load = KeepingOn(client)
        submitting = asyncio.create_task(load.run())
        load.jobs |= await submit(client, tasks(1000))
        cluster.master.signal(signal.SIGTERM)
        while True:  # readiness turns red, or nobody is there any more
            try:
                if not await client.ready():
                    break
            except MasterUnreachable:
                break
        assert await asyncio.to_thread(cluster.master.popen.wait) == 0
        assert f"{FILE}-wal" not in os.listdir(tmp_path), "the WAL should be brought in"
        assert errors(cluster.master) == []
        cluster.start_master()
        load.stop()
        await submitting
        assert await wrong_answers(client, load.jobs) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_30_clients_that_wait_are_answered_before_the_master_goes(
    number: signal.Signals, tmp_path: Path
) -> None:
    """With their jobs as they are: not finished, which is no error. The log says how many go on."""
    async with (
        a_cluster(0, "--data", str(tmp_path)) as (cluster, client),
        connections(cluster.master.port, 30) as waiting,
    ):
        for connection in waiting:
            assert (await connection.ask("POST", "/submit", {"task": "6*7"}))[0] == 200
        for job_id, connection in enumerate(waiting, start=1):
            connection.send("GET", f"/job/{job_id}?wait=60")
        await client.ready()  # by then, all of that has been read
        cluster.master.signal(number)
        for job_id, connection in enumerate(waiting, start=1):
            status, _, body = await connection.answer()
            assert (status, body) == (
                200,
                b'{"job_id":%d,"finished":false,"answer":null}' % job_id,
            )
        assert await asyncio.to_thread(cluster.master.popen.wait) == 0
        assert errors(cluster.master) == []
        assert "unfinished jobs that go on at the next start: 30" in cluster.master.seen[-1]
        cluster.start_master()
        assert any("jobs of the record that go on now: 30" in s for s in cluster.master.seen)


async def test_31_a_rolling_restart_of_all_workers_fails_no_job(tmp_path: Path) -> None:
    """Each takes leave, finishes what it has, and another one comes."""
    async with a_cluster(3, "--data", str(tmp_path)) as (cluster, client):
        load = KeepingOn(client)
        submitting = asyncio.create_task(load.run())
        for _ in range(3):
            worker = cluster.workers.pop(0)
            assert await asyncio.to_thread(worker.stop) == 0
            assert errors(worker) == []
            await asyncio.to_thread(cluster.start_worker)
            await until_states(client, "live", "live", "live")
        load.stop()
        await submitting
        assert await wrong_answers(client, load.jobs) == []
        assert errors(cluster.master) == []


# 34: connections without an end


async def test_34_with_few_files_and_many_idle_connections_jobs_go_on(tmp_path: Path) -> None:
    """Connections over the bound are closed; files are left for workers and the store."""
    few_files = ("prlimit", "--nofile=256:256")
    arguments = ("--data", str(tmp_path), *ONE_BY_ONE, "--set", "workers.max=10")
    async with (
        a_cluster(2, *arguments, under=few_files) as (cluster, client),
        connections(cluster.master.port, 1) as (ours,),
    ):
        status, _, _ = await ours.ask("POST", "/submit", {"tasks": tasks(300)})
        assert status == 200
        async with connections(cluster.master.port, 400):
            for job_id in range(1, 301):
                _, _, body = await ours.ask("GET", f"/job/{job_id}?wait=60")
                assert b'"finished":true' in body
        assert await wrong_answers(client, await submit(client, tasks(10))) == []
        assert errors(cluster.master) == []


async def test_34_the_table_of_open_files_has_room_for_all_from_the_start(tmp_path: Path) -> None:
    """While it grows, and threads share it, the kernel holds whoever opens the next one."""
    async with a_cluster(0, "--data", str(tmp_path)) as (cluster, _):
        settings = MasterSettings()
        wanted = settings.limits.connections + settings.workers.max
        allowed, _ = resource.prlimit(cluster.master.pid, resource.RLIMIT_NOFILE)
        assert room_for_files(cluster.master.pid) >= min(wanted, allowed)


def room_for_files(pid: int) -> int:
    """Return how many open files there is room for in the kernel's table of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"(?m)^FDSize:\s+(\d+)$", status)[0])


# A long record


def test_a_master_starts_with_a_hundred_thousand_unfinished_jobs(tmp_path: Path) -> None:
    """They wait in the store, not in memory; the oldest is the first to be done."""
    fill(tmp_path, 100_000)

    async def law() -> None:
        async with a_cluster(0, "--data", str(tmp_path)) as (cluster, client):
            assert await client.ready()
            assert (await client.job(100_000)).finished is False
            cluster.start_worker()
            assert (await client.job(1, wait_s=60)).answer == 1
            assert peak_memory(cluster.master) < 300 * MIB
            os.kill(cluster.master.pid, signal.SIGKILL)

    asyncio.run(law())
