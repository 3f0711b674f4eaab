"""A master frees what it makes without the collector of reference cycles.

`engine/collector.py` rests on that: under load nothing is looked for, for minutes.
"""

import asyncio
import gc
import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import engine
from tests.integration.serving import ServedMaster, a_master, a_worker, announce, eventually
from tests.misbehaving_worker import (
    Misbehaviour,
    a_misbehaving_worker,
    answering,
    closing,
    hanging,
    response,
    sending,
)

pytestmark = pytest.mark.gen_test

ENGINE = str(Path(engine.__file__).parent)
TIMES = 5


@contextmanager
def nothing_left() -> Iterator[None]:
    """Fail if what was done has left reference cycles with anything of the engine in them."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield
        gc.collect()
        left = [_told(thing) for thing in gc.garbage if _is_ours(thing)]
        assert left == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def _is_ours(thing: object) -> bool:
    if inspect.isframe(thing):
        return thing.f_code.co_filename.startswith(ENGINE)
    if inspect.iscoroutine(thing):
        return thing.cr_code.co_filename.startswith(ENGINE)
    return isinstance(thing, asyncio.Future) or type(thing).__module__.startswith("engine.")


def _told(thing: object) -> str:
    if inspect.isframe(thing):
        return f"frame of {thing.f_code.co_qualname}, line {thing.f_lineno}"
    return repr(thing)


async def ends_well(master: ServedMaster) -> None:
    """Submit what has an answer, and many in a request."""
    await master.answer_of("1+(2*3)/4-5")
    await master.post("/submit", {"tasks": ["1+2*3", "2**3", "(4)"]})


async def ends_badly(master: ServedMaster) -> None:
    """Submit what has none."""
    await master.answer_of("1/(1-1)+2*(3-3/0)")
    await master.answer_of("1e308*10")


async def is_refused(master: ServedMaster) -> None:
    """Send what is no task, and what is no request."""
    await master.post("/submit", {"task": "1+"})
    await master.post("/submit", b"{")
    await master.get("/job/999999")
    await master.get("/nowhere")


async def is_cancelled(master: ServedMaster) -> None:
    """Submit what is much, and take it back."""
    status = (await master.post("/submit", {"task": "+".join(["1.5"] * 5000)})).json
    await master.call("DELETE", f"/job/{status['job_id']}")


async def is_announced_in_vain(master: ServedMaster) -> None:
    """Announce a worker that cannot be connected to, and wait until that was seen."""
    await announce(master, "not there", 9)
    await eventually(
        lambda: any(worker.name == "not there" and worker.reason for worker in master.master.pool),
        lambda: f"it should be missed: {list(master.master.pool)}",
    )


async def is_watched(master: ServedMaster) -> None:
    """Follow the events for a while."""
    reader, writer = await asyncio.open_connection("127.0.0.1", master.port)
    writer.write(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readline()
    await master.answer_of("1+1")
    writer.close()
    await eventually(lambda: master.master.events.readers == 0, lambda: "its end should be seen")


@pytest.mark.parametrize(
    "happens",
    [ends_well, ends_badly, is_refused, is_cancelled, is_announced_in_vain, is_watched],
)
async def test_a_job_leaves_nothing(happens: Callable[[ServedMaster], Awaitable[None]]) -> None:
    """However it ends, and whoever asks."""
    async with a_master() as master, a_worker(master, "w"):
        await master.until_worker("w", "live")
        await happens(master)  # the first time, modules and caches are filled
        with nothing_left():
            for _ in range(TIMES):
                await happens(master)


async def test_who_waits_in_vain_leaves_nothing() -> None:
    """One waits too short, and one goes away while it waits: nobody is there to compute."""
    async with a_worker() as late, a_master() as master:
        with nothing_left():
            status = (await master.post("/submit?wait=0.01", {"task": "1/4"})).json
            assert not status["finished"]
            _, writer = await asyncio.open_connection("127.0.0.1", master.port)
            body = b'{"task": "7/2"}'
            head = b"POST /submit?wait=60 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
            writer.write(head % len(body) + body)
            engine = master.master.engine
            await eventually(lambda: engine.submitted == 2, lambda: "it should be taken")
            writer.close()
            await announce(master, "late", late.port)
            assert (await master.get("/job/1?wait=60")).json["answer"] == 0.25
            assert (await master.get("/job/2?wait=60")).json["answer"] == 3.5


@pytest.mark.parametrize(
    "misbehaviour",
    [
        sending(response(b"", "500 Internal Server Error")),
        sending(response(b"", "503 Service Unavailable", "Retry-After: 1")),
        closing,
        hanging,
        answering(lambda answer: answer | {"op1": 7}),
    ],
    ids=["500", "503", "no answer", "hangs", "another operand"],
)
async def test_a_call_that_fails_leaves_nothing(misbehaviour: Misbehaviour) -> None:
    """A failure is raised, and what raised it does not keep it."""
    async with (
        a_misbehaving_worker() as bad,
        a_worker() as good,
        a_master(dispatch__call_timeout_s=0.3) as master,
    ):
        await announce(master, "bad", bad.port)
        await master.until_worker("bad", "live")
        bad.misbehaviour = misbehaviour
        with nothing_left():
            await master.post("/submit", {"task": "6*7"})
            await bad.misbehaved.wait()
            await announce(master, "good", good.port)
            assert (await master.get("/job/1?wait=60")).json["answer"] == 42
