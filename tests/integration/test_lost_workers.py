"""Workers and masters that are killed, stopped, late or restarted: real processes, real signals."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from deploy.local import LocalCluster
from tests.integration.serving import Caller, eventually_async

pytestmark = pytest.mark.gen_test

CALL_TIMEOUT_S = 2.0
ONE_BY_ONE = ("--set", "dispatch.batch=1")  # each operation a call of its own: it takes a while


@contextmanager
def a_cluster(workers: int, *arguments: str) -> Iterator[tuple[LocalCluster, Caller]]:
    """Run a cluster that keeps its jobs in memory, and somebody to call its master."""
    with LocalCluster(workers, ["--data", "", *arguments]) as cluster:
        master = Caller(cluster.url)
        try:
            yield cluster, master
        finally:
            master.close()


async def states(master: Caller) -> list[str]:
    """Return the states of all workers."""
    return sorted(worker["state"] for worker in (await master.get("/workers")).json)


async def until_states(master: Caller, *wanted: str) -> None:
    """Wait until the workers are in these states."""

    async def reached() -> bool:
        return await states(master) == sorted(wanted)

    await eventually_async(reached, lambda: f"the workers should become {wanted}")


async def submit(master: Caller, jobs_wanted: int = 150) -> dict[int, float]:
    """Submit jobs of four operations, and return the answer that each should have."""
    tasks = [f"({n}+1)*2-{n}/4" for n in range(jobs_wanted)]
    jobs = (await master.post("/submit", {"tasks": tasks})).json["jobs"]
    return {job["job_id"]: eval(task) for job, task in zip(jobs, tasks, strict=True)}


async def unfinished(master: Caller) -> list[Any]:
    """Return the jobs that are not finished."""
    jobs: list[Any] = (await master.get("/jobs?status=unfinished&limit=1000")).json
    return jobs


async def assert_answers(master: Caller, right: dict[int, float]) -> None:
    """Assert that every job ends, with the right answer."""
    while jobs := await unfinished(master):
        await master.get(f"/job/{jobs[-1]['job_id']}?wait=60")
    ended = (await master.get("/jobs?limit=1000")).json
    assert {job["job_id"]: job["answer"] for job in ended} == right


async def test_when_a_worker_is_killed_in_the_middle_every_answer_is_right() -> None:
    """What it had aboard goes to the others."""
    with a_cluster(3, *ONE_BY_ONE) as (cluster, master):
        await until_states(master, "live", "live", "live")
        right = await submit(master, 500)
        await master.get(f"/job/{min(right)}?wait=60")
        cluster.workers[0].kill()
        assert await unfinished(master), "it should be killed in the middle"
        await assert_answers(master, right)
        await until_states(master, "dead", "live", "live")


async def test_when_a_worker_is_stopped_no_job_waits_for_more_than_a_time_out_and_a_failover() -> (
    None
):
    """Its connections stay open and nothing comes; when it goes on, it is one of them again."""
    with a_cluster(3, *ONE_BY_ONE, "--set", f"dispatch.call_timeout_s={CALL_TIMEOUT_S}") as (
        cluster,
        master,
    ):
        await until_states(master, "live", "live", "live")
        right = await submit(master)
        await master.get(f"/job/{min(right)}?wait=60")
        cluster.workers[0].signal(signal.SIGSTOP)
        assert await unfinished(master), "it should be stopped in the middle"
        # At most one call of an operation can hang, since one worker does; the rest of the bound
        # is what all the other operations take on a slow machine.
        for job_id in right:
            status = (await master.get(f"/job/{job_id}?wait={2 * CALL_TIMEOUT_S}")).json
            assert status["finished"], f"job {job_id} waits for more than a failover"
        await assert_answers(master, right)
        cluster.workers[0].signal(signal.SIGCONT)
        await until_states(master, "live", "live", "live")


async def test_when_all_workers_are_killed_the_jobs_wait_for_the_next_one() -> None:
    """No attempt is spent on nobody."""
    with a_cluster(2, *ONE_BY_ONE) as (cluster, master):
        await until_states(master, "live", "live")
        right = await submit(master)
        for worker in cluster.workers:
            worker.kill()
        assert await unfinished(master), "they should be killed in the middle"
        await until_states(master, "dead", "dead")
        cluster.start_worker()
        await assert_answers(master, right)


async def test_without_a_worker_jobs_wait_and_go_on_with_the_first_one() -> None:
    """Accepting them needs nobody."""
    with a_cluster(0) as (cluster, master):
        right = await submit(master)
        assert len(await unfinished(master)) == len(right)
        cluster.start_worker()
        await assert_answers(master, right)


async def test_after_a_restart_of_the_master_the_workers_come_back_without_help() -> None:
    """They announce themselves again and again."""
    with a_cluster(3) as (cluster, master):
        await until_states(master, "live", "live", "live")
        cluster.master.kill()
        cluster.start_master()
        await until_states(master, "live", "live", "live")
        assert (await master.answer_of("2*3"))["answer"] == 6


async def test_a_worker_may_be_there_before_its_master() -> None:
    """It goes on announcing until somebody hears it."""
    with a_cluster(0) as (cluster, master):
        cluster.master.kill()
        cluster.start_worker()
        cluster.start_master()
        assert (await master.answer_of("2*3"))["answer"] == 6


async def test_a_worker_that_is_told_to_stop_takes_leave() -> None:
    """It is gone from the list when it has ended, and no job fails."""
    with a_cluster(2, *ONE_BY_ONE) as (cluster, master):
        await until_states(master, "live", "live")
        right = await submit(master)
        await master.get(f"/job/{min(right)}?wait=60")
        assert cluster.workers[0].stop() == 0
        assert await states(master) == ["live"]
        await assert_answers(master, right)
        assert (await master.get("/workers")).json[0]["failed"] == 0
