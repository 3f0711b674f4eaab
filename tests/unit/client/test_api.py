"""The client says on the wire what the contract says, and tells its failures apart."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.client.api import MasterClient
from engine.client.errors import ApiError, MasterUnreachable, UnexpectedReply
from engine.messages import JobStatus, Submitted, TaskRefused
from tests.scripted_master import (
    HANG_UP,
    HOLD,
    Reply,
    ScriptedMaster,
    a_closed_port,
    a_job,
    a_worker,
    problem,
    running,
    scripted_master,
)

Got = TypeVar("Got")


def ask(url: str, call: Callable[[MasterClient], Awaitable[Got]], timeout_s: float = 20.0) -> Got:
    """Return what `call` gets of the master at `url`."""

    async def attempt() -> Got:
        with MasterClient(url, timeout_s=timeout_s) as client:
            return await call(client)

    return asyncio.run(attempt())


def test_submit_sends_the_task_and_the_idempotency_key(master: ScriptedMaster) -> None:
    """The body is the contract's, and a key travels in its header."""
    master.script("POST /submit", Reply({"job_id": 47, "finished": False}))
    got = ask(master.url, lambda client: client.submit("1+1", idempotency_key="k1"))
    (asked,) = master.asked
    assert (got, asked.body) == (Submitted(47), {"task": "1+1"})
    assert asked.headers["Idempotency-Key"] == "k1"


def test_submit_that_waits_gives_the_finished_job(master: ScriptedMaster) -> None:
    """`wait` goes into the query, and the answer is the job."""
    master.script("POST /submit", Reply(a_job(47, 2)))
    got = ask(master.url, lambda client: client.submit("1+1", wait_s=2.5))
    assert (got, master.asked[0].query) == (JobStatus(47, True, 2), {"wait": "2.5"})


def test_a_master_that_does_not_know_wait_is_understood(master: ScriptedMaster) -> None:
    """The two keys of the fixed contract are an answer to a submit that wanted to wait."""
    master.script("POST /submit", Reply({"job_id": 47, "finished": False}))
    assert ask(master.url, lambda client: client.submit("1+1", wait_s=1)) == Submitted(47)


def test_keys_that_are_not_known_are_ignored(master: ScriptedMaster) -> None:
    """A newer master may say more."""
    master.script("GET /job/47", Reply(a_job(47, 2, novelty={"a": [1]})))
    master.script("GET /workers", Reply([a_worker(novelty=1)]))
    assert ask(master.url, lambda client: client.job(47)) == JobStatus(47, True, 2)
    assert ask(master.url, lambda client: client.workers())[0].name == "w1"


def test_many_tasks_get_one_item_each_in_their_order(master: ScriptedMaster) -> None:
    """What is refused stands where its task stood."""
    refusal = {"error": "invalid_expression", "detail": "no", "column": 3}
    master.script("POST /submit", Reply({"jobs": [{"job_id": 1, "finished": False}, refusal]}))
    got = ask(master.url, lambda client: client.submit_many(["1+1", "2*("]))
    assert got == [Submitted(1), TaskRefused("invalid_expression", "no", 3)]


def test_fewer_items_than_tasks_are_no_answer(master: ScriptedMaster) -> None:
    """An item too few would shift every answer after it to another task."""
    master.script("POST /submit", Reply({"jobs": [{"job_id": 1, "finished": False}]}))
    with pytest.raises(UnexpectedReply, match="1 items to 2 tasks"):
        ask(master.url, lambda client: client.submit_many(["1", "2"]))


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_answers_are_exact(number: float) -> None:
    """Every number that JSON can say comes back to the bit, and with its type."""
    with scripted_master() as master:
        master.script("GET /job/47", Reply(a_job(47, number)))
        answer = ask(master.url, lambda client: client.job(47)).answer
    assert repr(answer) == repr(number)


def test_an_integer_of_4300_digits_is_read(master: ScriptedMaster) -> None:
    """Python's own limit between text and integers is the only one, with a sign too."""
    master.script("GET /job/47", Reply(a_job(47, -(10**4299))))
    assert ask(master.url, lambda client: client.job(47)).answer == -(10**4299)


def test_a_refusal_carries_the_masters_words(master: ScriptedMaster) -> None:
    """Status, code, sentence, column and Retry-After are the master's."""
    master.script(
        "POST /submit", problem(503, "overloaded", "too much to do", column=3, retry_after=7)
    )
    with pytest.raises(ApiError) as raised:
        ask(master.url, lambda client: client.submit("1+1"))
    error = raised.value
    assert (error.status, error.code, error.detail) == (503, "overloaded", "too much to do")
    assert (error.column, error.retry_after_s, error.busy) == (3, 7.0, True)


def test_a_refusal_without_a_problem_is_told_by_its_status(master: ScriptedMaster) -> None:
    """A proxy's page of HTML is no sentence for people."""
    page = Reply(b"<html>", 502, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"})
    master.script("GET /jobs", page)
    with pytest.raises(ApiError, match="HTTP 502 Bad Gateway") as raised:
        ask(master.url, lambda client: client.jobs())
    assert (raised.value.code, raised.value.retry_after_s) == ("http_502", None)


@pytest.mark.parametrize("body", [b"", b"hello", b"[]", b'{"job_id": 47}', b"[" * 100_000])
def test_what_no_master_says_is_unexpected(master: ScriptedMaster, body: bytes) -> None:
    """Something else may listen there: the address is to be checked."""
    master.script("GET /job/47", Reply(body))
    with pytest.raises(UnexpectedReply, match="check the address"):
        ask(master.url, lambda client: client.job(47))


def test_redirects_are_not_followed(master: ScriptedMaster) -> None:
    """A submission must not end up where nobody meant it to go."""
    master.script("POST /submit", Reply(b"", 302, {"Location": "/elsewhere"}))
    with pytest.raises(UnexpectedReply, match="302"):
        ask(master.url, lambda client: client.submit("1+1"))
    assert len(master.asked) == 1


def test_a_refused_connection_has_sent_nothing() -> None:
    """Where nobody listens, nobody has got the task."""
    with pytest.raises(MasterUnreachable) as raised:
        ask(a_closed_port(), lambda client: client.submit("1+1"))
    assert not raised.value.sent


@pytest.mark.parametrize("address", ["http://mäster:8080", "ftp://127.0.0.1:8080", "http://", ""])
def test_what_is_no_address_of_a_master_is_out_of_reach(address: str) -> None:
    """It is said as such, and nobody has got the task."""
    with pytest.raises(MasterUnreachable, match="no answer from") as raised:
        ask(address, lambda client: client.submit("1+1"))
    assert not raised.value.sent


def test_no_more_connections_are_used_than_there_may_be(master: ScriptedMaster) -> None:
    """Whoever submits thousands of jobs at once does not run out of sockets; all are served."""
    master.script("GET /job/47", Reply(running()))

    async def attempt() -> None:
        with MasterClient(master.url, connections=3) as client:
            await asyncio.gather(*(client.job(47) for _ in range(30)))

    asyncio.run(attempt())
    assert len(master.asked) == 30
    assert len({asked.connection for asked in master.asked}) <= 3


def test_a_closed_connection_may_have_sent_the_task(master: ScriptedMaster) -> None:
    """The master may have taken the task before the connection broke."""
    master.script("POST /submit", HANG_UP)
    with pytest.raises(MasterUnreachable) as raised:
        ask(master.url, lambda client: client.submit("1+1"))
    assert raised.value.sent


def test_a_master_that_does_not_answer_is_out_of_reach(master: ScriptedMaster) -> None:
    """Each request is bounded in time."""
    master.script("GET /jobs", HOLD)
    with pytest.raises(MasterUnreachable, match="timed out"):
        ask(master.url, lambda client: client.jobs(), timeout_s=0.05)


def test_a_client_that_is_closed_with_a_request_under_way_leaves_nothing_behind(
    master: ScriptedMaster, caplog: pytest.LogCaptureFixture
) -> None:
    """No timer of the HTTP client runs into what is closed."""
    master.script("GET /jobs", HOLD)

    async def attempt() -> None:
        with MasterClient(master.url) as client:
            asking = asyncio.ensure_future(client.jobs())
            await asyncio.to_thread(master.await_request, "GET /jobs")
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        for _ in range(10):
            await asyncio.sleep(0)

    asyncio.run(attempt())
    assert not caplog.records


def test_a_master_on_this_machine_is_not_looked_for_behind_a_proxy(
    master: ScriptedMaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There, 127.0.0.1 is another machine."""
    monkeypatch.setenv("http_proxy", a_closed_port())
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    master.script("GET /job/47", Reply(running()))
    assert not ask(master.url, lambda client: client.job(47)).finished


def test_paging_goes_into_the_query(master: ScriptedMaster) -> None:
    """Only what is asked for is said."""
    master.script("GET /jobs", Reply([]))
    ask(master.url, lambda client: client.jobs(limit=5, before=9, status="failed"))
    ask(master.url, lambda client: client.jobs())
    assert [asked.query for asked in master.asked] == [
        {"limit": "5", "before": "9", "status": "failed"},
        {},
    ]


def test_cancel_returns_the_job(master: ScriptedMaster) -> None:
    """Cancelling is a DELETE."""
    master.script("DELETE /job/47", Reply(a_job(47, error="cancelled", detail="as asked")))
    assert ask(master.url, lambda client: client.cancel(47)).error == "cancelled"


def test_readiness_is_told_by_the_status(master: ScriptedMaster) -> None:
    """503 is not an error here but the answer no."""
    master.script("GET /readyz", Reply({}), problem(503, "draining", "on its way out"))
    assert ask(master.url, lambda client: client.ready())
    assert not ask(master.url, lambda client: client.ready())


def test_metrics_are_summed_over_their_labels(master: ScriptedMaster) -> None:
    """A reader of totals does not want the labels."""
    text = b'# TYPE x counter\nx_total{a="1"} 2\nx_total{a="2"} 3\n# TYPE y gauge\ny 0.5\n'
    master.script("GET /metrics", Reply(text))
    got = ask(master.url, lambda client: client.metrics())
    assert got == {"x_total": 5.0, "y": 0.5}


def test_a_slash_at_the_end_of_the_address_does_not_matter(master: ScriptedMaster) -> None:
    """People type both."""
    master.script("GET /job/47", Reply(running()))
    assert not ask(master.url + "/", lambda client: client.job(47)).finished
