"""How workers come and go: announcements, addresses, the private port, the token, leaving."""

import asyncio
import logging

import pytest

from engine.standing import State
from tests.integration.serving import (
    ALL_FOUR,
    Caller,
    a_master,
    a_worker,
    announce,
    assert_problem,
    eventually,
)

pytestmark = pytest.mark.gen_test

FIELDS = {
    "name", "url", "state", "operations", "batch", "chains", "in_flight", "completed", "failed",
    "latency_p50_s", "latency_p95_s", "last_seen_s", "reason", "in_hand",
}  # fmt: skip


async def test_an_announced_port_is_at_the_address_that_the_announcement_came_from() -> None:
    """Nobody has to know its own address."""
    async with a_master() as master:
        await announce(master, "w", 4711)
        assert (await master.workers())["w"]["url"] == "http://127.0.0.1:4711"


async def test_an_announcement_without_an_address_means_the_default_port() -> None:
    """What a worker of section 1 says."""
    async with a_master(workers__default_port=4712) as master:
        await master.post("/worker", {"worker_name": "w"})
        assert (await master.workers())["w"]["url"] == "http://127.0.0.1:4712"


async def test_an_announced_url_is_taken_as_it_is() -> None:
    """Names are resolved once; an address stays what it is."""
    async with a_master() as master:
        for name, url in (("a", "http://127.0.0.9:4713"), ("b", "http://localhost:4713/")):
            answer = await master.post("/worker", {"worker_name": name, "url": url})
            assert answer.status == 200
        workers = await master.workers()
        assert workers["a"]["url"] == "http://127.0.0.9:4713"
        assert workers["b"]["url"] in ("http://127.0.0.1:4713", "http://[::1]:4713")


async def test_the_answer_tells_when_to_announce_again() -> None:
    """And what the pool thinks: an announcement alone makes nobody live."""
    async with a_master(workers__announce_s=3) as master:
        told = (await announce(master, "w", 4711)).json
        assert told == {"worker_name": "w", "state": "candidate", "announce_again_s": 3.0}


async def test_an_announcement_that_is_not_taken_leaves_a_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With the address and the reason: somebody wonders where a worker is."""
    async with a_master(token="secret") as master:  # noqa: S106
        for _ in range(3):
            assert (await master.post("/worker", {"worker_name": "w"})).status == 401
    (line,) = [line for line in caplog.messages if "not taken" in line]
    assert "line: 1; the latest, of 127.0.0.1: this takes the shared token" in line


async def test_workers_shows_what_was_announced() -> None:
    """Every field of the contract."""
    async with a_master() as master, a_worker(master, "w", ("sum", "mul"), batch=7):
        worker = await master.until_worker("w", "live")
        assert set(worker) <= FIELDS
        assert set(worker) >= FIELDS - {"chains"}
        assert worker["operations"] == ["mul", "sum"]
        assert (worker["batch"], worker["in_flight"], worker["failed"]) == (7, 0, 0)
        assert worker["in_hand"] is None
        assert worker["last_seen_s"] >= 0


@pytest.mark.parametrize("operations", [ALL_FOUR, ("sum",)], ids=["all four", "sum"])
@pytest.mark.parametrize("batch", [1, 2, 3, 4, 8])
async def test_a_worker_of_small_batches_is_admitted(
    operations: tuple[str, ...], batch: int
) -> None:
    """Its examination asks for no more at once than it announced."""
    async with a_master() as master, a_worker(master, "w", operations, batch):
        await eventually(
            lambda: any(w.state is not State.CANDIDATE for w in master.master.pool),
            lambda: "the examination should end",
        )
        worker = (await master.workers())["w"]
        assert (worker["state"], worker["reason"]) == ("live", None)


async def test_without_operations_a_worker_takes_all_four() -> None:
    """One of section 1 does."""
    async with a_master() as master:
        await announce(master, "w", 4711)
        assert (await master.workers())["w"]["operations"] == sorted(ALL_FOUR)


async def test_an_announcement_of_too_many_operations_is_refused() -> None:
    """The pool keeps their names."""
    async with a_master() as master:
        for count, status in ((100, 200), (101, 400), (100_000, 400)):
            names = [f"operation {number}" for number in range(count)]
            answer = await announce(master, f"w{count}", 4711, operations=names)
            assert answer.status == status
        assert_problem(answer, 400, "invalid_announcement")
        assert "announce 100 at the most" in answer.json["detail"]
        long = await announce(master, "w", 4711, operations=["x" * 101])
        assert_problem(long, 400, "invalid_request")
        assert set(await master.workers()) == {"w100"}


async def test_the_same_announcement_again_and_again_is_one_worker() -> None:
    """One that announces every second is no crowd."""
    async with a_master() as master:
        await asyncio.gather(*(announce(master, "w", 4711) for _ in range(50)))
        assert len((await master.get("/workers")).json) == 1


async def test_one_name_at_two_addresses_is_two_workers() -> None:
    """The pool's key is name and address."""
    async with a_master() as master:
        await announce(master, "w", 4711)
        await announce(master, "w", 4712)
        assert len((await master.get("/workers")).json) == 2


async def test_a_full_pool_refuses_more_and_says_when_to_come_back() -> None:
    """Announcements cannot fill the master's memory; those who are in stay in."""
    async with a_master(workers__max=2) as master:
        for name in ("a", "b"):
            await announce(master, name, 4711)
        answer = await announce(master, "c", 4711)
        assert_problem(answer, 503, "overloaded")
        assert int(answer.headers["Retry-After"]) >= 1
        assert (await announce(master, "a", 4711)).status == 200
        assert set(await master.workers()) == {"a", "b"}


async def test_a_private_port_takes_the_workers_paths_off_the_public_one() -> None:
    """And has nothing else itself."""
    async with a_master(private_port=0) as master:
        assert_problem(await master.post("/worker", {"worker_name": "w"}), 404, "not_found")
        assert_problem(await master.call("DELETE", "/worker/w"), 404, "not_found")
        assert (await announce(master, "w", 4711)).status == 200
        private = Caller(master.private_url)
        for path in ("/jobs", "/workers", "/job/1"):
            assert_problem(await private.get(path), 404, "not_found")
        assert_problem(await private.post("/submit", {"task": "1"}), 404, "not_found")
        private.close()


@pytest.mark.parametrize("said", ["", "Bearer", "Bearer wrong", "secret", "Basic secret", "é"])
async def test_with_a_token_set_an_announcement_without_it_is_unauthorized(said: str) -> None:
    """Announcing and leaving; what clients do needs none."""
    async with a_master(token="secret") as master:  # noqa: S106  # a test's
        headers = {"Authorization": said} if said else {}
        for method, path in (("POST", "/worker"), ("DELETE", "/worker/w")):
            answer = await master.call(method, path, {"worker_name": "w"}, headers)
            assert_problem(answer, 401, "unauthorized")
            assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert (await master.get("/workers")).json == []
        assert (await master.post("/submit", {"task": "1"})).status == 200


async def test_with_the_token_a_worker_works() -> None:
    """Both show it to each other."""
    async with (
        a_master(token="secret") as master,  # noqa: S106  # a test's
        a_worker(master, token="secret") as worker,  # noqa: S106
    ):
        assert (await master.answer_of("2*3"))["answer"] == 6
        question = {"operation": "sum", "op1": 1, "op2": 2}
        answer = await worker.post("/compute", question)
        assert_problem(answer, 401, "unauthorized")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_a_worker_that_wants_another_token_gets_no_work() -> None:
    """It is not live, and the list says why."""
    async with a_master() as master, a_worker(master, "w", token="other"):  # noqa: S106  # a test's
        await eventually(
            lambda: any(w.reason for w in master.master.pool), lambda: "a reason should be shown"
        )
        worker = (await master.workers())["w"]
        assert worker["state"] != "live"
        assert "401" in worker["reason"]


async def test_a_worker_that_takes_leave_is_gone() -> None:
    """The answer shows who went."""
    async with a_master() as master, a_worker(master, "w"):
        await master.until_worker("w", "live")
        answer = await master.call("DELETE", "/worker/w")
        assert (answer.status, [worker["name"] for worker in answer.json]) == (200, ["w"])
        assert (await master.get("/workers")).json == []


async def test_the_log_tells_of_a_worker_from_its_announcement_until_it_is_forgotten(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each line says what happened."""
    with caplog.at_level(logging.INFO, "engine.master.assembly"):
        async with a_master() as master, a_worker(master, "w"):
            url = (await master.until_worker("w", "live"))["url"]
            await master.call("DELETE", "/worker/w")
    assert [record.getMessage().partition(f"{url}: ")[2] for record in caplog.records] == [
        "announced",
        "live, was candidate",
        "draining, was live (took leave)",
        "forgotten (took leave)",
    ]


async def test_only_the_worker_at_the_named_port_takes_leave() -> None:
    """Others may have its name."""
    async with a_master() as master:
        await announce(master, "w", 4711)
        await announce(master, "w", 4712)
        assert (await master.call("DELETE", "/worker/w?port=4711")).status == 200
        (left,) = (await master.get("/workers")).json
        assert left["url"] == "http://127.0.0.1:4712"


async def test_a_worker_that_announced_a_url_takes_leave_with_it() -> None:
    """However it wrote the address, and wherever it says so."""
    async with a_master() as master:
        for name, url in (("w", "http://127.0.0.9:4711"), ("w", "http://127.0.0.8:4711")):
            await master.post("/worker", {"worker_name": name, "url": url})
        answer = await master.call("DELETE", "/worker/w?url=http%3A%2F%2F127.0.0.9%3A4711%2F")
        assert [worker["url"] for worker in answer.json] == ["http://127.0.0.9:4711"]
        assert (await master.workers())["w"]["url"] == "http://127.0.0.8:4711"


@pytest.mark.parametrize("port", ["0", "x", "65536", "-1", "%ff"])
async def test_leaving_with_a_port_that_is_none_is_refused(port: str) -> None:
    """And nobody goes."""
    async with a_master() as master:
        await announce(master, "w", 4711)
        answer = await master.call("DELETE", f"/worker/w?port={port}")
        assert_problem(answer, 400, "invalid_parameter")
        assert set(await master.workers()) == {"w"}


@pytest.mark.parametrize(
    "path",
    [
        "/worker/nobody",
        "/worker/%ff",
        "/worker/w?port=4712",
        "/worker/w?url=http://127.0.0.1:4712",
        "/worker/w?url=127.0.0.1:4711",
    ],
)
async def test_a_worker_that_is_not_there_cannot_leave(path: str) -> None:
    """404, with a code of its own."""
    async with a_master() as master:
        await announce(master, "w", 4711)
        assert_problem(await master.call("DELETE", path), 404, "worker_not_found")


async def test_a_name_may_be_any_text() -> None:
    """A slash, a blank and a script are characters like others."""
    async with a_master() as master:
        name = "a/b é <script>%2F?#"
        await announce(master, name, 4711)
        assert set(await master.workers()) == {name}
        path = "/worker/a%2Fb%20%C3%A9%20%3Cscript%3E%252F%3F%23"
        assert (await master.call("DELETE", path)).status == 200
        assert (await master.get("/workers")).json == []


async def test_operations_go_to_the_workers_that_take_them() -> None:
    """A deployment can dedicate workers to one operation each."""
    async with (
        a_master() as master,
        a_worker(master, "s", ("sum",)) as summing,
        a_worker(master, "o", ("sub", "mul", "div")) as others,
    ):
        await master.until_worker("s", "live")
        await master.until_worker("o", "live")
        before = (summing.state.computed, others.state.computed)
        assert (await master.answer_of("1+2.5+3+4-1*6"))["answer"] == 4.5
        assert (summing.state.computed - before[0], others.state.computed - before[1]) == (3, 2)


async def test_an_operation_that_nobody_takes_waits_for_a_worker_that_does() -> None:
    """The others of the job are done meanwhile."""
    async with a_master() as master, a_worker(master, "s", ("sum",)):
        job = (await master.post("/submit", {"task": "(1+2)*4"})).json
        async with a_worker(master, "m", ("mul",)):
            assert (await master.get(f"/job/{job['job_id']}?wait=60")).json["answer"] == 12
