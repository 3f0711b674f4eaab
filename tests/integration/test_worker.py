"""Our own worker: what it computes, what it refuses, and how its process starts and ends."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local import ROOT, LocalCluster, Process, StartFailed
from tests.expressions import exact
from tests.integration.serving import Caller, a_worker, assert_problem, eventually, exchanged

pytestmark = pytest.mark.gen_test

EXIT_UNAVAILABLE = 69


def question(operation: str = "sum", op1: float = 1, op2: float = 2) -> dict[str, object]:
    """Return what `/compute` is asked."""
    return {"operation": operation, "op1": op1, "op2": op2}


@pytest.mark.parametrize(
    ("operation", "op1", "op2", "result"),
    [
        ("sum", 2**53, 1, 2**53 + 1),
        ("sum", 10**4299, 1, 10**4299 + 1),
        ("sum", 0.1, 0.2, 0.30000000000000004),
        ("sub", 1, 1.0, 0.0),
        ("mul", -1, 0.0, -0.0),
        ("mul", -1, 0, 0),
        ("div", 6, 3, 2.0),
        ("div", 7, 2, 3.5),
        ("div", 1e-323, 2, 5e-324),
    ],
)
async def test_a_result_is_exact_to_the_bit_and_to_the_type(
    operation: str, op1: float, op2: float, result: float
) -> None:
    """As in Python."""
    async with a_worker() as worker:
        answer = (await worker.post("/compute", question(operation, op1, op2))).json
        assert exact(answer["result"]) == exact(result)
        assert exact(answer["op1"]) == exact(op1)
        assert exact(answer["op2"]) == exact(op2)


FAILING = [
    ("div", 1, 0, "division_by_zero"),
    ("div", 1, 0.0, "division_by_zero"),
    ("div", 0, 0, "division_by_zero"),
    ("mul", 1e308, 10, "overflow"),
    ("div", 10**400, 3, "overflow"),
    ("sum", 10**400, 0.5, "overflow"),
    ("mul", 10**2200, 10**2200, "too_many_digits"),
]


@pytest.mark.parametrize(("operation", "op1", "op2", "error"), FAILING)
async def test_an_operation_without_a_result_is_a_problem(
    operation: str, op1: float, op2: float, error: str
) -> None:
    """422: it is the operation's own, and no worker's fault."""
    async with a_worker() as worker:
        answer = await worker.post("/compute", question(operation, op1, op2))
        assert_problem(answer, 422, error)


async def test_an_array_is_answered_by_an_array_in_the_same_order() -> None:
    """What has no result says so in its place, with the question as it was."""
    async with a_worker() as worker:
        asked = [question("sum", 1, 2), *(question(*failing[:3]) for failing in FAILING)]
        answers = (await worker.post("/compute", [*asked, question("mul", 3, 4)])).json
        assert answers[0] == question("sum", 1, 2) | {"result": 3}
        assert answers[-1] == question("mul", 3, 4) | {"result": 12}
        for one, answer, failing in zip(asked[1:], answers[1:-1], FAILING, strict=True):
            assert set(answer) == {"operation", "op1", "op2", "error", "detail"}
            assert {key: answer[key] for key in one} == one
            assert answer["error"] == failing[3]


async def test_an_empty_array_is_answered_by_one() -> None:
    """There is nothing wrong with it."""
    async with a_worker() as worker:
        assert (await worker.post("/compute", [])).json == []


async def test_an_array_longer_than_announced_is_refused() -> None:
    """413: the master would have to ask for less."""
    async with a_worker(batch=2) as worker:
        assert_problem(await worker.post("/compute", [question()] * 3), 413, "too_large")
        assert len((await worker.post("/compute", [question()] * 2)).json) == 2


async def test_an_operand_may_refer_to_an_earlier_item() -> None:
    """A chain is computed in one call: each item on the one before it."""
    async with a_worker() as worker:
        first, second = question("sum", 1, 2), {"operation": "mul", "op1": {"item": 0}, "op2": 7}
        third = {"operation": "sub", "op1": 100, "op2": {"item": 1}}
        answers = (await worker.post("/compute", [first, second, third])).json
        assert answers[1] == {"operation": "mul", "op1": 3, "op2": 7, "result": 21}
        assert answers[2] == {"operation": "sub", "op1": 100, "op2": 21, "result": 79}


async def test_an_item_on_one_without_a_result_has_none_either() -> None:
    """And says that it was not computed."""
    async with a_worker() as worker:
        asked = [question("div", 1, 0), {"operation": "sum", "op1": {"item": 0}, "op2": 1}]
        answers = (await worker.post("/compute", asked)).json
        assert answers[0]["error"] == "division_by_zero"
        assert answers[1]["error"] == "not_computed"
        assert answers[1]["op1"] == {"item": 0}


@pytest.mark.parametrize("item", [0, 1, 10**30])
async def test_an_item_that_is_not_earlier_cannot_be_referred_to(item: int) -> None:
    """In an array; in a single object there are none at all."""
    async with a_worker() as worker:
        asked = {"operation": "sum", "op1": {"item": item}, "op2": 1}
        assert_problem(await worker.post("/compute", [asked]), 400, "invalid_request")
        assert_problem(await worker.post("/compute", asked), 400, "invalid_request")


async def test_health_tells_how_much_was_computed() -> None:
    """Good answers only; HEAD works too."""
    async with a_worker() as worker:
        await worker.post("/compute", question())
        await worker.post("/compute", [question()] * 3)
        await worker.post("/compute", question("div", 1, 0))
        assert (await worker.get("/health")).json == {"status": "ok", "computed": 4}
        assert (await worker.call("HEAD", "/health")).status == 200


async def test_a_worker_on_its_way_out_computes_nothing_more() -> None:
    """503 with Retry-After, and the connection is closed; it still says how it is."""
    async with a_worker() as worker:
        worker.state.draining = True
        answer = await worker.post("/compute", question())
        assert_problem(answer, 503, "draining")
        assert answer.headers["Retry-After"] == "1"
        assert answer.headers["Connection"] == "close"
        assert (await worker.get("/health")).json["status"] == "draining"


@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "BREW"])
async def test_after_any_call_nothing_is_in_hand(method: str) -> None:
    """However it was answered: one that is told to stop must see when it has finished."""
    async with a_worker() as worker:
        await worker.call(method, "/compute", b"{}")
        await exchanged(worker.port, b"POST /compute HTTP/1.1\r\nHost: x\r\nContent-Le")
        assert worker.state.calls == 0
        await worker.state.idle()


def large_call(count: int) -> bytes:
    """Return a call of so many operations, whose answer of 13 kB each no system's buffers hold."""
    body = b"[%s]" % b",".join([json.dumps(question("sum", 10**4290, 10**4290)).encode()] * count)
    return b"POST /compute HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body) + body


async def test_a_call_is_in_hand_until_the_last_byte_of_its_answer_has_left() -> None:
    """A worker that is told to stop must not cut it off, however slowly the master reads."""
    async with a_worker(batch=1000) as worker:
        reader, writer = await asyncio.open_connection("127.0.0.1", worker.port, limit=1024)
        writer.write(large_call(1000))
        await eventually(lambda: worker.state.computed, lambda: "the worker should compute")
        assert worker.state.calls == 1
        answer = await reader.read()
        await worker.state.idle()
        writer.close()
        assert answer.count(b'"result"') == 1000


async def test_a_call_whose_caller_has_gone_is_in_hand_no_more() -> None:
    """Its answer can go nowhere."""
    async with a_worker(batch=1000) as worker:
        _, writer = await asyncio.open_connection("127.0.0.1", worker.port, limit=1024)
        writer.write(large_call(1000))
        await eventually(lambda: worker.state.computed, lambda: "the worker should compute")
        writer.transport.abort()
        await worker.state.idle()


# Its process


def outcome(*arguments: str, flags: tuple[str, ...] = ()) -> tuple[int, str]:
    """Return the exit code of a program that ends by itself, and what it said on stderr."""
    environment = {key: v for key, v in os.environ.items() if not key.startswith("EXECUTOR_")}
    done = subprocess.run(
        [sys.executable, *flags, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=environment,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("program", ["master.py", "worker.py"])
async def test_without_assertions_neither_program_starts(program: str) -> None:
    """Tornado checks with them what it reads."""
    code, said = outcome(program, flags=("-O",))
    assert code == EXIT_UNAVAILABLE
    assert "run it without -O" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("program", ["master.py", "worker.py"])
async def test_a_port_in_use_is_said_in_a_sentence(program: str, tmp_path: Path) -> None:
    """Which one, and what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        data = ("--data", str(tmp_path)) if program == "master.py" else ()
        code, said = outcome(program, "--port", str(port), *data)
    assert code == EXIT_UNAVAILABLE
    assert f"cannot listen on 127.0.0.1:{port} (Address already in use)" in said
    assert "choose another --port" in said
    assert "Traceback" not in said


async def test_settings_that_cannot_be_used_are_said_all_at_once() -> None:
    """With the usage code, and before anything is opened."""
    code, said = outcome("master.py", "--port", "x", "--set", "limits.tsk=1")
    assert code == 2
    assert "port (--port)" in said
    assert "limits.tsk" in said
    assert "Traceback" not in said


async def test_a_worker_does_not_announce_what_it_cannot_compute() -> None:
    """It says what there is to choose from."""
    nowhere = ("--host", "192.0.2.1")  # so that it ends in any case
    code, said = outcome("worker.py", "--operations", "sum,pow", *nowhere)
    assert code == 2
    assert "pow cannot be computed here; choose from sum, sub, mul, div" in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_worker_that_is_told_to_stop_ends_well_without_a_master_too(
    number: signal.Signals,
) -> None:
    """Exit code 0, and a line in the log."""
    worker = Process("worker.py", ["--port", "0", "--master", "http://127.0.0.1:1"])
    worker.signal(number)
    assert worker.popen.wait() == 0
    assert "left without the master's knowing" in "".join(worker.seen)


async def test_what_is_ignored_at_the_start_does_not_stop_it() -> None:
    """`nohup python worker.py &` outlives the terminal."""
    arguments = ["--port", "0", "--master", "http://127.0.0.1:1"]
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # which a child inherits
    try:
        worker = Process("worker.py", arguments)
    finally:
        signal.signal(signal.SIGHUP, before)
    worker.signal(signal.SIGHUP)
    caller = Caller(worker.url)
    assert (await caller.get("/health")).status == 200
    caller.close()
    assert worker.stop() == 0


LONG = 10**4298
MANY = 512  # sums of two of them have more digits than the sockets of both ends hold


async def with_a_call_in_hand() -> tuple[Process, socket.socket]:
    """Return a worker whose answer waits to be read, and the connection on which it is."""
    worker = Process("worker.py", ["--port", "0", "--master", "http://127.0.0.1:1"])
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", worker.port))
    body = json.dumps([question("sum", LONG, LONG + n) for n in range(MANY)]).encode()
    head = b"POST /compute HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    connection.sendall(head + body)
    caller = Caller(worker.url)
    while (await caller.get("/health")).json["computed"] < MANY:
        pass
    caller.close()
    return worker, connection


async def test_a_worker_that_is_told_to_stop_ends_when_its_last_answer_has_left() -> None:
    """However slowly it is read."""
    worker, connection = await with_a_call_in_hand()
    worker.signal(signal.SIGTERM)
    await asyncio.to_thread(worker.said, "left without the master's knowing")
    assert worker.popen.poll() is None
    connection.setblocking(True)
    with connection, connection.makefile("rb") as replies:
        while (line := replies.readline()) != b"\r\n":
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        answers = json.loads(await asyncio.to_thread(replies.read, length))
    assert [answer["result"] - 2 * LONG for answer in answers] == [*range(MANY)]
    assert await asyncio.to_thread(worker.popen.wait) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_it_at_once(number: signal.Signals) -> None:
    """Who is in a hurry need not wait for `drain_s`."""
    worker, connection = await with_a_call_in_hand()
    with connection:
        worker.signal(signal.SIGTERM)
        await asyncio.to_thread(worker.said, "left without the master's knowing")
        worker.signal(number)
        assert await asyncio.to_thread(worker.popen.wait) == -number
        with pytest.raises(StartFailed):  # there is no such line, to the last one
            await asyncio.to_thread(worker.said, "Traceback")


async def test_a_worker_is_dedicated_by_a_flag() -> None:
    """It announces what it takes, takes nothing else, and gets nothing else."""
    with LocalCluster(0, ["--data", ""]) as cluster:
        cluster.start_worker("--operations", "sum", "--name", "sums")
        cluster.start_worker("--operations", "sub,mul,div", "--name", "others")
        master, sums = Caller(cluster.url), Caller(cluster.workers[0].url)
        assert (await master.answer_of("1+2.5+3-4*2"))["answer"] == -1.5
        workers = {worker["name"]: worker for worker in (await master.get("/workers")).json}
        assert workers["sums"]["operations"] == ["sum"]
        assert (workers["sums"]["completed"], workers["others"]["completed"]) == (2, 2)
        refused = await sums.post("/compute", question("mul", 2, 3))
        assert_problem(refused, 400, "unknown_operation")
        assert "sum" in json.loads(refused.body)["detail"]
        master.close()
        sums.close()
