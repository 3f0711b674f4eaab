"""What the contract promises clients beyond its first section: wait, bulk, paging, cancelling."""

import asyncio
import logging

import pytest

from engine.store.memory import MemoryStore
from tests.integration.serving import a_master, a_worker, assert_problem, eventually

pytestmark = pytest.mark.gen_test


# Waiting


async def test_a_submit_that_waits_answers_with_the_finished_job() -> None:
    """As `/job/{id}` shows it, not as a submit does."""
    async with a_master() as master, a_worker(master):
        answer = await master.post("/submit?wait=60", {"task": "2*3"})
        assert answer.json == {"job_id": 1, "finished": True, "answer": 6}


@pytest.mark.parametrize("wait", ["0", "0.05", "0.0", "0.06257350510508559", "1.2e-38"])
async def test_a_wait_that_is_over_answers_with_the_job_as_it_is(wait: str) -> None:
    """That is no error."""
    async with a_master() as master:
        unfinished = {"job_id": 1, "finished": False, "answer": None}
        assert (await master.post(f"/submit?wait={wait}", {"task": "2*3"})).json == unfinished
        assert (await master.get(f"/job/1?wait={wait}")).json == unfinished


async def test_a_client_that_waits_is_answered_when_the_job_finishes() -> None:
    """All of them are, whether they began before or after the first worker came."""
    async with a_master() as master:
        await master.post("/submit", {"task": "2*3"})
        waiting = [asyncio.ensure_future(master.get("/job/1?wait=60")) for _ in range(5)]
        async with a_worker(master):
            for answer in await asyncio.gather(*waiting):
                assert answer.json == {"job_id": 1, "finished": True, "answer": 6}


async def test_waiting_for_an_unknown_job_is_not_found_at_once() -> None:
    """There is nothing to wait for."""
    async with a_master() as master:
        assert_problem(await master.get("/job/1?wait=60"), 404, "job_not_found")


@pytest.mark.parametrize(
    "preference",
    [
        "wait=60", "respond-async, wait=60", "wait=60; x=1",
        "Wait=60", "wait = 60", 'wait="60"', 'respond-async,WAIT\t=\t"60";x',
        "wait=61", "wait=100", "wait=999999",
    ],
)  # fmt: skip
async def test_a_preference_to_wait_is_honoured_and_said_so(preference: str) -> None:
    """As RFC 7240 writes it; what is said is what is done, and that is a minute at most."""
    async with a_master() as master, a_worker(master):
        answer = await master.post("/submit", {"task": "2*3"}, {"Prefer": preference})
        assert answer.json == {"job_id": 1, "finished": True, "answer": 6}
        assert answer.headers["Preference-Applied"] == "wait=60"
        headers = {"Prefer": preference}
        assert (await master.get("/job/1", headers)).headers["Preference-Applied"] == "wait=60"


@pytest.mark.parametrize(
    "preference", ["wait=x", "wait=-1", "wait", 'wait="5', "await=5", "respond-async", ""]
)
async def test_a_preference_that_says_nothing_to_us_is_ignored(preference: str) -> None:
    """A preference is no demand."""
    async with a_master() as master:
        answer = await master.post("/submit", {"task": "2*3"}, {"Prefer": preference})
        assert answer.json == {"job_id": 1, "finished": False}
        assert "Preference-Applied" not in answer.headers


async def test_a_client_that_leaves_while_it_waits_leaves_no_trace(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its job goes on, and nothing is an error."""
    async with a_master() as master:
        for request in (
            b"POST /submit?wait=60 HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n"
            b'{"task": "2*3"}',
            b"GET /job/1?wait=60 HTTP/1.1\r\nHost: x\r\n\r\n",
        ):
            _, writer = await asyncio.open_connection("127.0.0.1", master.port)
            writer.write(request)
            await eventually(
                lambda: master.master.engine.counts.unfinished, lambda: "it should be taken"
            )
            writer.close()
        async with a_worker(master):
            assert (await master.get("/job/1?wait=60")).json["answer"] == 6
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


# Many in one request


async def test_many_tasks_are_answered_one_by_one_in_their_order() -> None:
    """What is no expression says so in its place, and holds up nobody else."""
    async with a_master() as master:
        answer = await master.post("/submit", {"tasks": ["1+1", "2*(", "", "3"]})
        first, second, third, fourth = answer.json["jobs"]
        assert set(answer.json) == {"jobs"}
        assert first == {"job_id": 1, "finished": False}
        assert (set(second), second["error"], second["column"]) == (
            {"error", "detail", "column"},
            "invalid_expression",
            4,
        )
        assert third["column"] == 1
        assert fourth == {"job_id": 2, "finished": False}


async def test_no_task_at_all_is_an_empty_answer() -> None:
    """Nobody has to special-case it."""
    async with a_master() as master:
        assert (await master.post("/submit", {"tasks": []})).json == {"jobs": []}


@pytest.mark.parametrize("wait", ["5", "abc"])
async def test_a_wait_for_many_tasks_is_refused(wait: str) -> None:
    """It is for one job: nobody is to believe that it was applied. And nothing is submitted."""
    async with a_master() as master:
        answer = await master.post(f"/submit?wait={wait}", {"tasks": ["1+1", "2+2"]})
        assert_problem(answer, 400, "invalid_parameter")
        assert "/job/{id}?wait=" in answer.json["detail"]
        assert (await master.get("/jobs")).json == []


async def test_a_preference_to_wait_for_many_tasks_is_not_said_to_be_applied() -> None:
    """It is no demand."""
    async with a_master() as master:
        answer = await master.post("/submit", {"tasks": ["1+1"]}, {"Prefer": "wait=5"})
        assert answer.json == {"jobs": [{"job_id": 1, "finished": False}]}
        assert "Preference-Applied" not in answer.headers


async def test_ten_thousand_tasks_in_one_request_are_all_taken() -> None:
    """And all of them end."""
    async with a_master() as master, a_worker(master):
        tasks = [f"{number}+1" for number in range(10_000)]
        answer = await master.post("/submit", {"tasks": tasks})
        assert [job["job_id"] for job in answer.json["jobs"]] == list(range(1, 10_001))
        assert (await master.get("/job/10000?wait=60")).json["answer"] == 10_000


# Trying again


async def test_the_same_key_and_body_give_the_same_job_again() -> None:
    """However often, at once or later, and also when it has finished."""
    async with a_master() as master:
        headers = {"Idempotency-Key": "order-66"}

        async def submit() -> int:
            answer = await master.post("/submit", {"task": "40+2"}, headers)
            return int(answer.json["job_id"])

        assert set(await asyncio.gather(*(submit() for _ in range(20)))) == {1}
        async with a_worker(master):
            assert (await master.get("/job/1?wait=60")).json["answer"] == 42
        assert await submit() == 1
        waited = await master.post("/submit?wait=60", {"task": "40+2"}, headers)
        assert waited.json == {"job_id": 1, "finished": True, "answer": 42}
        assert len((await master.get("/jobs")).json) == 1


async def test_many_tasks_under_one_key_are_the_same_jobs_again() -> None:
    """In their places, and so are the refusals."""
    async with a_master() as master:
        body, headers = {"tasks": ["1+1", "2*(", "3+3"]}, {"Idempotency-Key": "bulk"}
        first = await master.post("/submit", body, headers)
        assert (await master.post("/submit", body, headers)).json == first.json
        assert [job["job_id"] for job in (await master.get("/jobs")).json] == [2, 1]


async def test_a_key_that_comes_again_with_another_body_is_refused() -> None:
    """Nothing is added."""
    async with a_master() as master:
        headers = {"Idempotency-Key": "order-66"}
        await master.post("/submit", {"task": "1+1"}, headers)
        for body in ({"task": "1+2"}, {"tasks": ["1+1"]}):
            answer = await master.post("/submit", body, headers)
            assert_problem(answer, 422, "idempotency_key_reused")
        assert len((await master.get("/jobs")).json) == 1


async def test_a_key_under_which_no_job_was_added_is_free() -> None:
    """Nothing was done under it."""
    async with a_master() as master:
        headers = {"Idempotency-Key": "order-66"}
        assert (await master.post("/submit", {"task": "1+"}, headers)).status == 400
        for nothing in ([], ["1+", "2*("]):
            assert (await master.post("/submit", {"tasks": nothing}, headers)).status == 200
        assert (await master.post("/submit", {"task": "1+1"}, headers)).json["job_id"] == 1


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "\u00e9"])
async def test_a_key_that_is_none_is_refused(key: str) -> None:
    """It says what one is made of."""
    async with a_master() as master:
        answer = await master.post("/submit", {"task": "1"}, {"Idempotency-Key": key})
        assert_problem(answer, 400, "invalid_parameter")
        assert (await master.get("/jobs")).json == []


# Paging


async def test_following_the_links_gives_every_job_once() -> None:
    """Newest first, to the first one, and then there is no link any more."""
    async with a_master() as master:
        await master.post("/submit", {"tasks": ["1+1"] * 25})
        seen, path = [], "/jobs?limit=7"
        while path:
            answer = await master.get(path)
            seen += [job["job_id"] for job in answer.json]
            link = answer.headers.get("Link", "")
            assert link == "" or link.endswith('>; rel="next"')
            path = link.partition(">")[0].removeprefix("<")
        assert seen == list(range(25, 0, -1))


async def test_jobs_can_be_listed_by_their_status() -> None:
    """The link keeps the status."""
    async with a_master() as master:
        await master.post("/submit", {"tasks": ["1", "1+1", "2", "1+1"]})
        await master.get("/job/3?wait=60")
        await master.call("DELETE", "/job/2")

        async def listed(status: str) -> list[int]:
            return [job["job_id"] for job in (await master.get(f"/jobs?status={status}")).json]

        assert await listed("unfinished") == [4]
        assert await listed("succeeded") == [3, 1]
        assert await listed("failed") == [2]
        page = await master.get("/jobs?status=succeeded&limit=1")
        assert page.headers["Link"] == '</jobs?limit=1&before=3&status=succeeded>; rel="next"'


async def test_before_an_id_are_the_older_ones() -> None:
    """Whether that id is a job's or not."""
    async with a_master() as master:
        await master.post("/submit", {"tasks": ["1+1"] * 3})
        for before, ids in ((3, [2, 1]), (1, []), (2**63 - 1, [3, 2, 1])):
            jobs = (await master.get(f"/jobs?before={before}")).json
            assert [job["job_id"] for job in jobs] == ids


async def test_a_page_of_long_tasks_arrives_whole() -> None:
    """It is sent piece by piece; HEAD gets none of them."""
    async with a_master() as master:
        task = "1" + " " * 200_000
        await master.post("/submit", {"tasks": [task] * 4})
        assert [job["task"] for job in (await master.get("/jobs")).json] == [task] * 4
        headed = await master.call("HEAD", "/jobs")
        assert (headed.status, headed.body) == (200, b"")


# Cancelling


async def test_a_cancelled_job_is_finished_and_says_so() -> None:
    """To whoever cancels, asks and waits."""
    async with a_master() as master:
        await master.post("/submit", {"task": "1+1"})
        waiting = asyncio.ensure_future(master.get("/job/1?wait=60"))
        cancelled = (await master.call("DELETE", "/job/1")).json
        assert set(cancelled) == {"job_id", "finished", "answer", "error", "detail"}
        assert (cancelled["finished"], cancelled["error"]) == (True, "cancelled")
        assert (await master.get("/job/1")).json == cancelled
        assert (await waiting).json == cancelled


async def test_a_finished_job_does_not_change_when_it_is_cancelled() -> None:
    """Cancelling comes too late, which is no error."""
    async with a_master() as master:
        finished = await master.answer_of("42")
        assert (await master.call("DELETE", "/job/1")).json == finished
        assert (await master.get("/job/1")).json == finished


async def test_cancelling_twice_is_cancelling() -> None:
    """The same answer again."""
    async with a_master() as master:
        await master.post("/submit", {"task": "1+1"})
        once = await master.call("DELETE", "/job/1")
        assert (await master.call("DELETE", "/job/1")).json == once.json


# Refusals


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://other.example.org"},
        {"Origin": "http://elsewhere.example"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://127.0.0.1.elsewhere.example"},
    ],
)
async def test_a_request_across_sites_is_refused(headers: dict[str, str]) -> None:
    """Whatever it asks: a page of somebody else must not steer this."""
    async with a_master() as master:
        for method, path, body in (
            ("POST", "/submit", {"task": "1"}),
            ("GET", "/jobs", None),
            ("DELETE", "/job/1", None),
            ("POST", "/worker", {"worker_name": "w"}),
        ):
            assert_problem(await master.call(method, path, body, headers), 403, "cross_site")
        assert (await master.get("/jobs")).json == []


async def test_our_own_page_may_call() -> None:
    """Same origin, as a browser says it."""
    async with a_master() as master:
        headers = {"Sec-Fetch-Site": "same-origin", "Origin": master.url}
        assert (await master.post("/submit", {"task": "1"}, headers)).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://jobs.example.org"},
        {"Origin": "https://jobs.example.org"},
        {"Origin": "http://jobs.example.org"},
        {"Sec-Fetch-Site": "none"},
    ],
)
async def test_our_own_page_may_call_through_a_proxy(headers: dict[str, str]) -> None:
    """Which speaks TLS where we do not; the host is the browser's."""
    async with a_master() as master:
        sent = {"Host": "jobs.example.org", **headers}
        assert (await master.post("/submit", {"task": "1"}, sent)).status == 200
        assert (await master.call("DELETE", "/job/1", None, sent)).status == 200


async def test_over_the_bound_of_unfinished_jobs_a_submit_is_told_when_to_come_back() -> None:
    """503, a code, and seconds; the jobs that are there go on."""
    async with a_master(limits__unfinished_jobs=2) as master:
        await master.post("/submit", {"tasks": ["1+1", "2+2"]})
        for body in ({"task": "3"}, {"tasks": ["3"]}):
            answer = await master.post("/submit", body)
            assert_problem(answer, 503, "overloaded")
            assert answer.json["detail"].startswith("2 jobs are unfinished already")
            assert int(answer.headers["Retry-After"]) >= 1
        async with a_worker(master):
            assert (await master.get("/job/2?wait=60")).json["answer"] == 4
            await master.get("/job/1?wait=60")
            assert (await master.post("/submit", {"task": "3"})).status == 200


async def test_the_log_says_which_bound_was_reached_and_says_it_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """However many are refused; the count is in the next line, a minute later."""
    async with a_master(limits__unfinished_jobs=2) as master:
        await master.post("/submit", {"tasks": ["1+1", "2+2"]})
        for _ in range(3):
            await master.post("/submit", {"task": "3"})
        master.master.engine.drain()
        await master.post("/submit", {"task": "3"})
    (line,) = [record.message for record in caplog.records if "refused" in record.message]
    assert line.startswith("1 refused since the last such line: 2 jobs are unfinished already")
    assert "limits.unfinished_jobs" in line


async def test_one_unfinished_job_is_told_as_one() -> None:
    """Not as "1 jobs"."""
    async with a_master(limits__unfinished_jobs=1) as master:
        await master.post("/submit", {"task": "1+1"})
        answer = await master.post("/submit", {"task": "2+2"})
        assert answer.json["detail"].startswith("1 job is unfinished already")


async def test_a_master_on_its_way_out_takes_nothing_new_and_answers_all_else() -> None:
    """Not ready, but alive."""
    async with a_master() as master:
        await master.post("/submit", {"task": "1+1"})
        assert (await master.get("/readyz")).status == 200
        master.master.engine.drain()
        for answer in (await master.post("/submit", {"task": "1"}), await master.get("/readyz")):
            assert_problem(answer, 503, "draining")
            assert int(answer.headers["Retry-After"]) >= 1
        assert (await master.get("/livez")).status == 200
        assert (await master.get("/job/1")).status == 200


async def test_a_master_that_can_record_nothing_is_not_ready() -> None:
    """It says what to do about it, and when to ask again."""

    class Full(MemoryStore):
        @property
        def trouble(self) -> str | None:  # type: ignore[override]
            return "the disk is full; make room"

    async with a_master(Full()) as master:
        answer = await master.get("/readyz")
        assert_problem(answer, 503, "storage_unavailable")
        assert answer.json["detail"] == "the disk is full; make room"
        assert int(answer.headers["Retry-After"]) >= 1
        assert (await master.get("/livez")).status == 200


@pytest.mark.parametrize("path", ["/jobs", "/job/1", "/nothing", "/livez", "/workers"])
async def test_no_answer_is_to_be_cached_or_guessed_at(path: str) -> None:
    """Good ones and bad ones; nor does one say what serves it."""
    async with a_master() as master:
        headers = (await master.get(path)).headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "Server" not in headers


async def test_a_thousand_submits_at_once_are_each_answered() -> None:
    """With ids that are all different and without a gap."""
    async with a_master() as master:

        async def submit() -> int:
            answer = await master.post("/submit", {"task": "1"})
            assert answer.status == 200
            return int(answer.json["job_id"])

        ids = await asyncio.gather(*(submit() for _ in range(1000)))
        assert sorted(ids) == list(range(1, 1001))
        await eventually(lambda: not master.master.engine.running, lambda: "all jobs should end")
