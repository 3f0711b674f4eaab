"""Workers that know the first section of the contract alone work unmodified, for ever."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from deploy.local import ROOT
from deploy.ports import held_port
from tests.integration.serving import ServedMaster, a_master, a_worker, eventually

pytestmark = pytest.mark.gen_test

TASK = "1+(2*3)/4-5"


@pytest.fixture
def port() -> Iterator[int]:
    """Give a port that nobody else gets before the worker is there."""
    with held_port() as held:
        yield held


@contextmanager
def a_plain_worker(
    master: ServedMaster, port: int, *options: str, host: str = "127.0.0.1"
) -> Iterator[None]:
    """Run one as a process of its own."""
    address = master.url.removeprefix("http://")
    program = [sys.executable, str(ROOT / "tests" / "plain_worker.py")]
    arguments = ["--master", address, "--host", host, "--port", str(port), *options]
    with subprocess.Popen([*program, *arguments]) as process:
        try:
            yield
        finally:
            process.kill()


async def test_a_plain_worker_works(port: int) -> None:
    """By itself: it is found at the default port, examined, and given single objects."""
    async with a_master(workers__default_port=port) as master:
        with a_plain_worker(master, port):
            assert (await master.answer_of(TASK))["answer"] == -2.5
            worker = (await master.workers())["plain"]
            assert (worker["state"], worker["completed"]) == ("live", 4)


async def test_a_plain_worker_works_beside_ours(port: int) -> None:
    """Both get their share, and every answer is right."""
    async with a_master(workers__default_port=port) as master, a_worker(master, "ours"):
        with a_plain_worker(master, port):
            await master.until_worker("ours", "live")
            await master.until_worker("plain", "live")
            tasks = [f"{number}*2.5-1" for number in range(200)]
            await master.post("/submit", {"tasks": tasks})
            for number in range(200):
                status = (await master.get(f"/job/{number + 1}?wait=60")).json
                assert status["answer"] == number * 2.5 - 1
            workers = await master.workers()
            assert workers["ours"]["completed"] > 0
            assert workers["plain"]["completed"] > 0
            assert workers["plain"]["failed"] == 0


async def test_two_plain_workers_of_one_name_at_two_addresses_both_work(port: int) -> None:
    """As containers of one image may be."""
    async with a_master(workers__default_port=port) as master:
        with (
            a_plain_worker(master, port, host="127.0.0.2"),
            a_plain_worker(master, port, host="127.0.0.3"),
        ):
            await eventually(
                lambda: len(master.master.pool.live()) == 2,
                lambda: f"both should be live: {list(master.master.pool)}",
            )
            await master.post("/submit", {"tasks": [TASK] * 50})
            for job_id in range(1, 51):
                assert (await master.get(f"/job/{job_id}?wait=60")).json["answer"] == -2.5
            workers = (await master.get("/workers")).json
            urls = {worker["url"] for worker in workers if worker["completed"]}
            assert urls == {f"http://127.0.0.2:{port}", f"http://127.0.0.3:{port}"}


@pytest.mark.parametrize("task", ["1/0", "1/(2-2)", "5/(0*1.5)"])
async def test_a_division_by_zero_is_the_jobs_own_and_no_fault_of_a_plain_worker(
    task: str, port: int
) -> None:
    """It would answer 500; it is never asked."""
    async with a_master(workers__default_port=port) as master:
        with a_plain_worker(master, port):
            await master.until_worker("plain", "live")
            assert (await master.answer_of(task))["error"] == "division_by_zero"
            worker = (await master.workers())["plain"]
            assert (worker["state"], worker["failed"]) == ("live", 0)


async def test_an_overflow_is_the_jobs_own_though_a_plain_worker_can_only_say_500(
    port: int,
) -> None:
    """What any worker would meet is no fault of this one, and is not tried again."""
    async with a_master(workers__default_port=port) as master:
        with a_plain_worker(master, port):
            await master.until_worker("plain", "live")
            overflow = f"1{'0' * 400}*0.5"
            assert (await master.answer_of(overflow))["error"] == "overflow"
            (told,) = (await master.get("/job/1/operations")).json["operations"]
            assert [attempt["worker"] for attempt in told["attempts"]] == ["plain"]
            worker = (await master.workers())["plain"]
            assert (worker["state"], worker["failed"]) == ("live", 0)


async def test_a_worker_that_computes_wrongly_gets_no_work(port: int) -> None:
    """It is shown as rejected, with the call that it failed; an honest one answers."""
    async with a_master(workers__default_port=port) as master:
        with a_plain_worker(master, port, "--wrong"):
            worker = await master.until_worker("plain", "rejected")
            assert worker["reason"] == "div of 7 and 2 gave 3, should be 3.5"
            waiting = (await master.post("/submit?wait=0", {"task": "7/2"})).json
            assert not waiting["finished"]
            async with a_worker(master, "honest"):
                assert (await master.get("/job/1?wait=60")).json["answer"] == 3.5
            assert (await master.workers())["plain"]["completed"] == 0


async def test_without_examination_a_worker_that_computes_wrongly_is_let_in(port: int) -> None:
    """And its answers with it: that is what the setting says."""
    async with a_master(workers__default_port=port, workers__examine=False) as master:
        with a_plain_worker(master, port, "--wrong"):
            await master.until_worker("plain", "live")
            assert (await master.answer_of("7/2"))["answer"] == 3
