"""Whatever a worker sends, the job ends with the right answer at an honest one.

Each case: the misbehaving worker passes its examination and is alone, so that the call is its;
when it has misbehaved, an honest one comes. A wrong result would be seen as a wrong answer.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.integration.serving import ServedMaster, a_master, a_worker, announce
from tests.misbehaving_worker import (
    MisbehavingWorker,
    Misbehaviour,
    a_misbehaving_worker,
    answering,
    bombing,
    closing,
    flooding,
    hanging,
    response,
    saying,
    sending,
)

pytestmark = pytest.mark.gen_test

REPLY_LIMIT = 10 * 1024 * 1024
UNREAD = 16 * 1024 * 1024  # what may lie in the buffers of sockets, unread, when one hangs up
FLOOD = 200 * 1024 * 1024
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b"10000\r\n" + b" " * 65536 + b"\r\n"

REFUSALS = {
    "500": sending(response(b"", "500 Internal Server Error")),
    "502 with HTML": sending(response(b"<html>", "502 Bad Gateway", "Content-Type: text/html")),
    "503": sending(response(b"", "503 Service Unavailable")),
    "503 with Retry-After": sending(response(b"", "503 Service Unavailable", "Retry-After: 1")),
    "503 for an hour": sending(response(b"", "503 Service Unavailable", "Retry-After: 3600")),
    "503 until a date": sending(
        response(b"", "503 Service Unavailable", "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT")
    ),
    "503 for nonsense": sending(response(b"", "503 Service Unavailable", "Retry-After: nan")),
    "429": sending(response(b"", "429 Too Many Requests", "Retry-After: 1")),
    "404": sending(response(b"", "404 Not Found")),
    "401": sending(response(b'{"error": "unauthorized"}', "401 Unauthorized")),
    "418 without a problem": sending(response(b"short and stout", "418 I'm a teapot")),
    "999": sending(response(b"", "999 Whatever")),
}
BROKEN = {
    "no answer": closing,
    "no HTTP": sending(b"\x00\xff\x00garbage\r\n\r\n"),
    "HTTP/0.9": sending(b'{"operation": "mul", "op1": 6, "op2": 7, "result": 41}'),
    "half a status": sending(b"HTTP/1.1 2"),
    "half a header": sending(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "half a body": sending(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
    "half a chunk": sending(CHUNKED + b"64\r\n{"),
    "chunks without an end": sending(CHUNKED + b"1\r\n1\r\n"),
    "bad chunk": sending(CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n"),
    "two lengths": sending(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} "),
    "negative length": sending(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}"),
    "NUL in a header": sending(b"HTTP/1.1 200 OK\r\nX: \x00\r\nContent-Length: 2\r\n\r\n{}"),
    "204": sending(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "304": sending(b"HTTP/1.1 304 Not Modified\r\n\r\n"),
    "101": sending(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
    "empty": sending(response(b"")),
    "HTML": sending(response(b"<html>it works</html>")),
    "invalid UTF-8": answering(lambda _answer: b'{"operation": "\xff"}'),
    "deep": sending(response(b"[" * 100_000)),
    "gzip bomb": bombing(64 * 1024 * 1024),
}
FLOODS = {
    "huge body": flooding(
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % FLOOD, b" " * 65536, FLOOD
    ),
    "body without an end": flooding(b"HTTP/1.1 200 OK\r\n\r\n", b" " * 65536, FLOOD),
    "chunks for ever": flooding(CHUNKED, CHUNK, FLOOD),
    "huge header": flooding(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 65536, FLOOD),
    "headers for ever": flooding(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 10_000, FLOOD),
    "interim responses for ever": flooding(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 2600, FLOOD),
}
WRONG = {
    "missing result": answering(lambda answer: {k: answer[k] for k in answer if k != "result"}),
    "missing operand": answering(lambda answer: {k: answer[k] for k in answer if k != "op1"}),
    "a string": saying('"42"'),
    "a bool": saying("true"),
    "null": saying("null"),
    "NaN": saying("NaN"),
    "Infinity": saying("Infinity"),
    "minus Infinity": saying("-Infinity"),
    "1e400": saying("1e400"),
    "5,000 digits": saying("9" * 5000),
    "a list": saying("[42]"),
    "an object": saying('{"item": 0}'),
    "a list around it": answering(lambda answer: [answer]),
    "a number alone": answering(lambda answer: answer["result"]),
    "nothing": answering(lambda _answer: None),
    "twice": answering(lambda answer: (str(answer) * 2).encode()),
    "another operation": answering(lambda answer: answer | {"operation": "sum", "result": 13}),
    "other operands": answering(lambda answer: answer | {"op1": 7, "result": 49}),
    "operands swapped": answering(lambda answer: answer | {"op1": 7, "op2": 6, "result": 41}),
    "operands as strings": answering(lambda answer: answer | {"op1": "6", "result": 41}),
}
WRONG_ARRAYS = {
    "too short": answering(lambda answers: answers[:-1]),
    "too long": answering(lambda answers: [*answers, answers[-1]]),
    "empty": answering(lambda _answers: []),
    "reversed": answering(lambda answers: answers[::-1]),
    "all the same": answering(lambda answers: answers[:1] * len(answers)),
    "rotated": answering(lambda answers: answers[1:] + answers[:1]),
    "an object": answering(lambda answers: answers[0]),
    "one item null": answering(lambda answers: [None, *answers[1:]]),
    "one result missing": answering(
        lambda answers: [{k: answers[0][k] for k in ("operation", "op1", "op2")}, *answers[1:]]
    ),
    "one result a string": answering(lambda answers: [answers[0] | {"result": "1"}, *answers[1:]]),
    "500": sending(response(b"", "500 Internal Server Error")),
    "413": sending(response(b"", "413 Content Too Large")),
    "a problem for all": sending(
        response(b'{"error": "overflow", "detail": "too much"}', "422 Unprocessable Content")
    ),
}


@asynccontextmanager
async def a_master_with_one_that(
    misbehaviour: Misbehaviour, **settings: object
) -> AsyncIterator[tuple[ServedMaster, MisbehavingWorker]]:
    """Run a master whose only worker passed its examination, and misbehaves from now on."""
    async with a_misbehaving_worker() as worker, a_master(**settings) as master:
        await announce(master, "bad", worker.port, batch=512)
        await master.until_worker("bad", "live")
        worker.misbehaviour = misbehaviour
        yield master, worker


@pytest.mark.parametrize(
    "misbehaviour",
    [*REFUSALS.values(), *BROKEN.values(), *WRONG.values()],
    ids=[*REFUSALS, *BROKEN, *WRONG],
)
async def test_what_is_no_answer_is_never_a_result(misbehaviour: Misbehaviour) -> None:
    """The operation goes to another worker."""
    async with a_master_with_one_that(misbehaviour) as (master, bad):
        await master.post("/submit", {"task": "6*7"})
        await bad.misbehaved.wait()
        async with a_worker(master, "good"):
            status = (await master.get("/job/1?wait=60")).json
            assert status == {"job_id": 1, "finished": True, "answer": 42}


@pytest.mark.parametrize("misbehaviour", FLOODS.values(), ids=FLOODS)
async def test_a_flood_is_cut_off(misbehaviour: Misbehaviour) -> None:
    """The master hangs up after 10 MB at the latest, and holds no more than that."""
    async with a_master_with_one_that(misbehaviour) as (master, bad):
        await master.post("/submit", {"task": "6*7"})
        await bad.misbehaved.wait()
        async with a_worker(master, "good"):
            assert (await master.get("/job/1?wait=60")).json["answer"] == 42
        assert bad.sent_bytes < REPLY_LIMIT + UNREAD


@pytest.mark.parametrize("misbehaviour", WRONG_ARRAYS.values(), ids=WRONG_ARRAYS)
async def test_of_an_array_that_is_no_answer_no_item_is_a_result(
    misbehaviour: Misbehaviour,
) -> None:
    """Nor does any of its operations fail for it."""
    async with a_master_with_one_that(misbehaviour) as (master, bad):
        bad.only_arrays = True
        await master.post("/submit", {"tasks": [f"{number}*3" for number in range(40)]})
        await bad.misbehaved.wait()
        async with a_worker(master, "good"):
            for number in range(40):
                status = (await master.get(f"/job/{number + 1}?wait=60")).json
                assert status["answer"] == number * 3, status


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_not_followed(status: str) -> None:
    """A worker must not lead the master anywhere."""
    async with a_misbehaving_worker() as trap:
        location = f"Location: http://127.0.0.1:{trap.port}/compute"
        redirect = sending(response(b"", status, location))
        async with a_master_with_one_that(redirect) as (master, bad):
            await master.post("/submit", {"task": "6*7"})
            await bad.misbehaved.wait()
            async with a_worker(master, "good"):
                assert (await master.get("/job/1?wait=60")).json["answer"] == 42
        assert trap.requests == 0


async def test_one_that_hangs_is_given_up_after_the_call_time_out() -> None:
    """Another worker gets the operation then."""
    async with a_master_with_one_that(hanging, dispatch__call_timeout_s=0.3) as (master, bad):
        await master.post("/submit", {"task": "6*7"})
        await bad.misbehaved.wait()
        async with a_worker(master, "good"):
            assert (await master.get("/job/1?wait=60")).json["answer"] == 42


async def test_what_one_that_hangs_has_in_hand_is_named() -> None:
    """Whoever looks at the workers sees which operation does not come back."""
    async with a_master_with_one_that(hanging) as (master, bad):
        await master.post("/submit", {"task": "6*7"})
        await bad.misbehaved.wait()
        in_hand = (await master.workers())["bad"]["in_hand"]
        assert (in_hand["job_id"], in_hand["operation"]) == (1, "mul")
        assert in_hand["sent_s"] >= 0


async def test_one_that_is_busy_is_no_worse_for_it() -> None:
    """503 with Retry-After is no sign of death, and after that time it gets work again."""
    busy = REFUSALS["503 with Retry-After"]
    async with a_master_with_one_that(busy) as (master, bad):
        await master.post("/submit", {"task": "6*7"})
        await bad.misbehaved.wait()
        bad.misbehaviour = None
        assert (await master.get("/job/1?wait=60")).json["answer"] == 42
        worker = (await master.workers())["bad"]
        assert (worker["state"], worker["failed"], worker["completed"]) == ("live", 1, 1)


async def test_one_that_asks_for_an_hour_gets_two_seconds() -> None:
    """A single reply cannot take a worker out for long."""
    busy = REFUSALS["503 for an hour"]
    async with a_master_with_one_that(busy) as (master, bad):
        await master.post("/submit", {"task": "6*7"})
        await bad.misbehaved.wait()
        bad.misbehaviour = None
        assert (await master.get("/job/1?wait=60")).json["answer"] == 42


async def test_an_answer_to_another_question_takes_a_worker_out_at_once() -> None:
    """It weighs three times as much as one that cannot be read: it is examined again."""
    async with a_master_with_one_that(WRONG["other operands"]) as (master, bad):
        await master.post("/submit", {"task": "6*7"})
        await bad.misbehaved.wait()
        worker = await master.until_worker("bad", "candidate")
        assert "was asked for mul of 6 and 7 and answered mul of 7 and 7" in worker["reason"]


async def test_a_4xx_problem_is_the_operations_own_failure() -> None:
    """The job fails with the worker's code and sentence, and nothing is tried again."""
    refusing = sending(
        response(b'{"error": "too_complex", "detail": "no"}', "422 Unprocessable Content")
    )
    async with a_master_with_one_that(refusing) as (master, _):
        status = await master.answer_of("6*7")
        assert status["error"] == "too_complex"
        assert "no" in status["detail"]
        assert (await master.workers())["bad"]["state"] == "live"


async def test_one_that_lies_after_its_examination_is_found_out_and_stays_out() -> None:
    """With all verified no client is told what it said, and `/workers` tells which call it was."""
    lying = answering(lambda answer: answer | {"result": answer["result"] + 1})
    async with a_master_with_one_that(lying, dispatch__verify=1.0) as (master, _):
        async with a_worker(master, "good"), a_worker(master, "fine"):
            await master.until_worker("good", "live")
            await master.until_worker("fine", "live")
            answers = [(await master.answer_of("6*7"))["answer"] for _ in range(6)]
        assert answers == [42] * 6
        worker = (await master.workers())["bad"]
        assert worker["state"] == "rejected"
        assert worker["reason"] == "mul of 6 and 7 gave 43, should be 42"
