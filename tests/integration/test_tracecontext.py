"""A caller's trace context goes with the operations of its job, over real HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from tornado.httputil import HTTPServerRequest

from engine.roof import bound
from engine.site import Route
from engine.web import site
from engine.worker.app import ComputeHandler, WorkerState, serve
from tests.integration.serving import ALL_FOUR, ServedMaster, a_master, announce

ONE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-00"


class Seen(NamedTuple):
    """A call, as it came to a worker."""

    trace_parent: str | None
    operands: set[int]


class WatchedHandler(ComputeHandler):
    """Computes, and remembers what came."""

    def __init__(self, request: HTTPServerRequest, state: WorkerState, seen: list[Seen]) -> None:
        super().__init__(request, state)
        self.seen = seen

    def post(self) -> None:
        """Note the call, and answer it."""
        asked = json.loads(self.request.body)
        items = asked if isinstance(asked, list) else [asked]
        operands = {item["op1"] for item in items}
        self.seen.append(Seen(self.request.headers.get("traceparent"), operands))
        super().post()


@asynccontextmanager
async def a_watched_worker(master: ServedMaster) -> AsyncIterator[list[Seen]]:
    """Run a worker that tells what came to it."""
    seen: list[Seen] = []
    given = {"state": WorkerState(list(ALL_FOUR), 512, ""), "seen": seen}
    server = serve(site([Route(r"/compute", WatchedHandler)], given))
    sockets, port = bound("127.0.0.1", 0)
    server.add_sockets(sockets)
    try:
        await announce(master, "watched", port, batch=512)
        yield seen
    finally:
        server.stop()
        await server.close_all_connections()


async def submitted(master: ServedMaster, number: int, trace_parent: str, count: int = 1) -> int:
    """Submit `count` independent operations that are known by their first operand."""
    task = "+".join([f"({number}*0.5)"] * count)
    answer = await master.post("/submit", {"task": task}, {"traceparent": trace_parent})
    return int(answer.json["job_id"])


def test_a_call_for_one_job_goes_in_its_trace() -> None:
    """As it came; the examination belongs to nobody's."""

    async def law() -> None:
        async with a_master() as master, a_watched_worker(master) as seen:
            job_id = await submitted(master, 7001, ONE)
            await master.get(f"/job/{job_id}?wait=60")
        assert [call.trace_parent for call in seen if 7001 in call.operands] == [ONE]
        assert {call.trace_parent for call in seen if 7001 not in call.operands} == {None}

    asyncio.run(law())


def test_a_call_for_several_jobs_goes_in_no_trace() -> None:
    """It would be half wrong in each."""

    async def law() -> None:
        async with a_master() as master:
            await submitted(master, 7001, ONE, 50)
            last = await submitted(master, 7002, OTHER, 50)
            async with a_watched_worker(master) as seen:
                await master.get(f"/job/{last}?wait=60")
        mixed = [call for call in seen if {7001, 7002} <= call.operands]
        assert mixed
        assert {call.trace_parent for call in mixed} == {None}

    asyncio.run(law())


def test_a_malformed_context_is_ignored() -> None:
    """The job is taken all the same."""

    async def law() -> None:
        async with a_master() as master, a_watched_worker(master) as seen:
            job_id = await submitted(master, 7001, "nonsense")
            await master.get(f"/job/{job_id}?wait=60")
        assert [call.trace_parent for call in seen if 7001 in call.operands] == [None]

    asyncio.run(law())
