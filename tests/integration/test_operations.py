"""`/job/{id}/operations` over real HTTP: what a running master knows of its jobs' operations."""

import asyncio
import re
from random import Random

from bench.expressions import balanced
from deploy.local import LocalCluster
from tests.integration.serving import Caller, a_master, a_worker, assert_problem

FORMULA = "1+(2*3)/4-5"
OPERATIONS, TIMES = 30_000, 2


def test_a_finished_job_tells_each_operation() -> None:
    """With the worker that computed it, and the exact keys of the contract."""

    async def law() -> None:
        async with a_master() as master, a_worker(master, "w1"):
            job_id = (await master.answer_of(FORMULA))["job_id"]
            told = (await master.get(f"/job/{job_id}/operations")).json
        assert told["job_id"] == job_id
        assert (told["task"], told["total"], told["shown"]) == (FORMULA, 4, 4)
        assert (told["finished"], told["sampled"], told["critical_path"]) == (
            True,
            False,
            [0, 1, 2, 3],
        )
        assert told["submitted_at"] < told["finished_at"]
        assert told["running_s"] is None
        assert told["summary"]["workers"] == {"w1": 4}
        assert told["summary"]["attempts"] == 4
        first = told["operations"][0]
        assert (first["operation"], first["op1"], first["op2"], first["result"]) == ("mul", 2, 3, 6)
        assert (first["column"], first["parent"], first["state"]) == (5, 1, "done")
        assert first["attempts"] == [{"worker": "w1", "reason": None}]
        assert first["queued_s"] >= 0
        assert 0 < first["computing_s"] < first["on_the_way_s"]

    asyncio.run(law())


def test_of_a_large_job_each_operation_is_computed_once() -> None:
    """However many of them travel together, and however much comes back at a time."""
    task = balanced(Random(11), OPERATIONS)

    async def law() -> None:
        with LocalCluster(2, ["--data", "", "--set", "dispatch.hedge_share=0"]) as cluster:
            master = Caller(cluster.url)
            for _ in range(TIMES):  # from the second one on the workers are known to be quick
                assert (await master.answer_of(task.text))["answer"] == task.answer
            metrics = (await master.get("/metrics")).body.decode()
            master.close()
        computed = re.findall(r"^executor_operations_total\{.*\} (\S+)$", metrics, re.MULTILINE)
        assert sum(map(float, computed)) == TIMES * OPERATIONS

    asyncio.run(law())


def test_a_job_without_a_worker_shows_what_waits_in_the_queue() -> None:
    """Operands that are known are shown already."""

    async def law() -> None:
        async with a_master() as master:
            job_id = (await master.post("/submit", {"task": FORMULA})).json["job_id"]
            told = (await master.get(f"/job/{job_id}/operations")).json
        assert [o["state"] for o in told["operations"]] == [
            "queued",
            "waiting",
            "waiting",
            "waiting",
        ]
        assert [o["op2"] for o in told["operations"]] == [3, 4, None, 5]
        assert (told["finished"], told["finished_at"]) == (False, None)
        assert told["running_s"] >= 0

    asyncio.run(law())


def test_integers_beyond_any_float_are_exact() -> None:
    """As JSON integers."""

    async def law() -> None:
        async with a_master() as master, a_worker(master):
            job_id = (await master.answer_of(f"{2**53}+1"))["job_id"]
            told = (await master.get(f"/job/{job_id}/operations")).json
        assert told["operations"][0]["result"] == 2**53 + 1

    asyncio.run(law())


def test_a_chain_is_told_link_by_link() -> None:
    """All of it was in one call."""

    async def law() -> None:
        async with a_master() as master, a_worker(master):
            text = "+".join(["0.5"] * 100)
            job_id = (await master.answer_of(text))["job_id"]
            told = (await master.get(f"/job/{job_id}/operations")).json
        assert [o["result"] for o in told["operations"]] == [1.0 + n / 2 for n in range(99)]
        assert {o["state"] for o in told["operations"]} == {"done"}

    asyncio.run(law())


def test_a_large_job_is_sampled_and_says_so() -> None:
    """With sums over all of it."""

    async def law() -> None:
        async with a_master() as master, a_worker(master, "w1"):
            job_id = (await master.answer_of("+".join(["1"] * 5_001)))["job_id"]
            told = (await master.get(f"/job/{job_id}/operations")).json
        assert (told["total"], told["sampled"]) == (5_000, True)
        assert told["shown"] == len(told["operations"]) <= 1_000
        assert told["summary"]["workers"] == {"w1": 5_000}

    asyncio.run(law())


def test_what_is_not_kept_is_a_problem_that_says_why() -> None:
    """Unknown jobs, and those whose history made room for later ones."""

    async def law() -> None:
        async with a_master(jobs__trace_operations=0) as master, a_worker(master):
            job_id = (await master.answer_of(FORMULA))["job_id"]
            answer = await master.get(f"/job/{job_id}/operations")
            assert_problem(answer, 404, "trace_not_kept")
            assert "jobs.trace_operations" in answer.json["detail"]
            assert_problem(await master.get("/job/99/operations"), 404, "job_not_found")

    asyncio.run(law())


def test_why_names_the_operation_and_what_would_help() -> None:
    """While nobody is there who could compute it."""

    async def law() -> None:
        async with a_master() as master:
            job_id = (await master.post("/submit", {"task": FORMULA})).json["job_id"]
            told = (await master.get(f"/job/{job_id}/why")).json
        assert (told["job_id"], told["state"]) == (job_id, "waiting_for_worker")
        (sentence,) = told["sentences"]
        assert sentence.startswith("operation 0 (mul, column 5) has waited 0.")
        assert "no live worker takes mul; start one" in sentence

    asyncio.run(law())


def test_why_of_a_finished_job_is_its_answer() -> None:
    """And of an unknown one a problem."""

    async def law() -> None:
        async with a_master() as master, a_worker(master):
            job_id = (await master.answer_of(FORMULA))["job_id"]
            told = (await master.get(f"/job/{job_id}/why")).json
            assert told["sentences"] == ["it has finished: the answer is -2.5"]
            assert_problem(await master.get("/job/99/why"), 404, "job_not_found")

    asyncio.run(law())
