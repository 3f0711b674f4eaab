"""Section 1 of the contract, word for word, over real sockets."""

import asyncio
import json

import pytest

from tests.integration.serving import a_master, a_worker

pytestmark = pytest.mark.gen_test

TASK = "1+(2*3)/4-5"


async def test_submit_answers_exactly_two_keys() -> None:
    """An integer id, and that it is not finished."""
    async with a_master() as master:
        answer = await master.post("/submit", {"task": TASK})
        assert (answer.status, answer.kind) == (200, "application/json")
        assert answer.json == {"job_id": 1, "finished": False}


async def test_job_ids_grow_by_one() -> None:
    """Whoever submits, and also when a task in between was refused."""
    async with a_master() as master:
        ids = [(await master.post("/submit", {"task": "1"})).json["job_id"] for _ in range(3)]
        await master.post("/submit", {"task": "1+"})
        ids.append((await master.post("/submit", {"task": "1"})).json["job_id"])
        assert ids == [1, 2, 3, 4]


async def test_an_unfinished_job_has_exactly_three_keys() -> None:
    """Nothing is there to compute it."""
    async with a_master() as master:
        await master.post("/submit", {"task": TASK})
        answer = await master.get("/job/1")
        assert (answer.status, answer.kind) == (200, "application/json")
        assert answer.json == {"job_id": 1, "finished": False, "answer": None}


async def test_a_job_that_succeeded_has_exactly_three_keys() -> None:
    """The answer is Python's."""
    async with a_master() as master, a_worker(master):
        await master.answer_of(TASK)
        answer = await master.get("/job/1")
        assert answer.json == {"job_id": 1, "finished": True, "answer": -2.5}


async def test_a_job_that_failed_has_two_more_keys() -> None:
    """A client that only polls `finished` stops; one that wants to know why is told."""
    async with a_master() as master, a_worker(master):
        await master.answer_of("1+2/(3-3)")
        status = (await master.get("/job/1")).json
        assert set(status) == {"job_id", "finished", "answer", "error", "detail"}
        assert (status["finished"], status["answer"]) == (True, None)
        assert status["error"] == "division_by_zero"
        assert "column 4" in status["detail"]


async def test_a_task_without_operators_is_a_job_that_finishes() -> None:
    """No worker is needed for it."""
    async with a_master() as master:
        status = await master.answer_of("(-7.5)")
        assert status == {"job_id": 1, "finished": True, "answer": -7.5}


async def test_jobs_is_a_bare_array_newest_first_with_the_task() -> None:
    """Finished or not, each as `/job/{id}` says it."""
    async with a_master() as master:
        await master.answer_of("42")
        await master.post("/submit", {"task": "1+1"})
        answer = await master.get("/jobs")
        assert (answer.status, answer.kind) == (200, "application/json")
        assert answer.json == [
            {"job_id": 2, "finished": False, "answer": None, "task": "1+1"},
            {"job_id": 1, "finished": True, "answer": 42, "task": "42"},
        ]


async def test_jobs_is_an_empty_array_at_first() -> None:
    """No job is no special case."""
    async with a_master() as master:
        assert (await master.get("/jobs")).body == b"[]"


async def test_jobs_lists_the_last_hundred() -> None:
    """Older ones are on later pages."""
    async with a_master() as master:
        await master.post("/submit", {"tasks": ["1+1"] * 103})
        ids = [job["job_id"] for job in (await master.get("/jobs")).json]
        assert ids == list(range(103, 3, -1))


async def test_a_job_is_in_the_list_before_its_submit_has_answered() -> None:
    """Whoever looks after the answer finds it, while many others submit."""
    async with a_master() as master, a_worker(master):

        async def submit_and_look(number: int) -> None:
            job_id = (await master.post("/submit", {"task": f"{number}+1"})).json["job_id"]
            listed = {job["job_id"]: job["task"] for job in (await master.get("/jobs")).json}
            assert listed[job_id] == f"{number}+1"

        await asyncio.gather(*(submit_and_look(number) for number in range(90)))


async def test_an_announcement_by_name_alone_is_answered_with_an_object() -> None:
    """Nothing else may be required of a worker."""
    async with a_master() as master:
        answer = await master.post("/worker", {"worker_name": "w"})
        assert (answer.status, answer.kind) == (200, "application/json")
        assert isinstance(answer.json, dict)


@pytest.mark.parametrize(
    ("operation", "result"), [("sum", 9), ("sub", 5), ("mul", 14), ("div", 3.5)]
)
async def test_compute_answers_the_question_and_its_result(operation: str, result: float) -> None:
    """The same three keys, and one more."""
    async with a_worker() as worker:
        question = {"operation": operation, "op1": 7, "op2": 2}
        answer = await worker.post("/compute", question)
        assert (answer.status, answer.kind) == (200, "application/json")
        assert answer.json == question | {"result": result}
        assert type(answer.json["result"]) is type(result)


async def test_an_unknown_key_is_ignored_everywhere() -> None:
    """Later versions may say more."""
    async with a_master() as master, a_worker() as worker:
        question = {"operation": "sum", "op1": 1, "op2": 2, "trace": {"id": 7}}
        assert (await worker.post("/compute", question)).json["result"] == 3
        assert (await master.post("/submit", {"task": "1", "note": [1]})).status == 200
        assert (await master.post("/worker", {"worker_name": "w", "zone": 1})).status == 200


@pytest.mark.parametrize(
    "kind",
    [
        "application/json", "application/x-www-form-urlencoded", "text/plain", "x", "",
        "multipart/form-data", "multipart/form-data; boundary=x",
    ],
)  # fmt: skip
async def test_the_body_counts_whatever_its_content_type_names(kind: str) -> None:
    """`curl -d` says form."""
    async with a_master() as master, a_worker() as worker:
        headers = {"Content-Type": kind}
        fields = "&" * 2000  # more than a form may have
        submission = {"task": "1", "note": fields}
        assert (await master.post("/submit", submission, headers)).status == 200
        question = {"operation": "sum", "op1": 1, "op2": 2, "note": fields}
        assert (await worker.post("/compute", question, headers)).status == 200


async def test_an_answer_beyond_every_machine_integer_is_exact() -> None:
    """To the last of 4,300 digits."""
    async with a_master() as master, a_worker(master):
        await master.answer_of("9" * 4300 + "-1")
        text = (await master.get("/job/1")).body.decode()
        assert json.loads(text)["answer"] == 10**4300 - 2
        assert "9" * 4299 + "8" in text
