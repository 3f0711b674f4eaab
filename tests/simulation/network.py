"""A network and workers that do what the script says, in virtual time. No sockets.

`ScriptedTransport` is the master's transport; each `ScriptedWorker` behind it can crash, hang,
be slow, be cut off in either direction, and answer nonsense. What it computes when it is well is
right, and encoded as a real worker encodes it.
"""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from engine.arithmetic import compute
from engine.errors import OperationFailed, TimedOut, Unreachable
from engine.exchange import Reply
from engine.messages import Computation, ComputedItem, encode

Corruption = Callable[[list[dict[str, Any]]], Reply]

TRAVEL_S = 0.0002  # one way
OVERHEAD_S = 0.0003  # of a call, at the worker
OPERATION_S = 0.000002


class ScriptedWorker:
    """One worker, as the network sees it."""

    def __init__(self, name: str, url: str, batch: int = 512) -> None:
        self.name = name
        self.url = url
        self.batch = batch
        self.operations = ["sum", "sub", "mul", "div"]
        self.up = True
        self.hung = False
        self.deaf = False  # nothing from the master arrives
        self.mute = False  # nothing to the master arrives
        self.slowness = 1.0
        self.operation_s = OPERATION_S
        self.corruption: Corruption | None = None
        self.kills_on: Callable[[Computation], bool] = lambda _computation: False
        self.calls = 0
        self.computed = 0
        self._open: dict[asyncio.Future[Reply], Reply] = {}
        self._held: list[tuple[asyncio.Future[Reply], Reply]] = []

    def crash(self) -> None:
        """Die: every open connection breaks at once."""
        self.up, self.hung = False, False
        for waiter in list(self._open):
            if not waiter.done():
                waiter.set_exception(Unreachable("closed the connection", aboard=True))
        self._open.clear()
        self._held.clear()

    def restart(self) -> None:
        """Come back, empty."""
        self.up = True

    def hang(self) -> None:
        """Stop as SIGSTOP stops: connections stay open, nothing is answered."""
        self.hung = True

    def resume(self) -> None:
        """Go on where it was stopped: late replies go out now."""
        self.hung = False
        for waiter, reply in self._held:
            if not waiter.done():
                waiter.set_result(reply)
        self._held.clear()

    async def serve(self, body: bytes | None) -> Reply:
        """Answer one request; never, if the script says so."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Reply] = loop.create_future()
        if self.deaf:
            return await waiter  # for ever: the caller's time-out ends it
        if not self.up:
            raise Unreachable("refused the connection")
        reply, seconds = Reply(404, b""), OVERHEAD_S
        if body is not None:
            computations = _computations(body)
            self.calls += 1
            if any(self.kills_on(computation) for computation in computations):
                loop.call_later(OVERHEAD_S, self.crash)
            seconds += len(computations) * self.operation_s
            reply = self._reply(computations, as_array=body.startswith(b"["))
            self.computed += len(computations)
        self._open[waiter] = reply
        timer = loop.call_later(seconds * self.slowness, self._answer, waiter, reply)
        try:
            return await waiter
        finally:
            timer.cancel()
            self._open.pop(waiter, None)

    def _answer(self, waiter: "asyncio.Future[Reply]", reply: Reply) -> None:
        if self.hung or self.mute:
            self._held.append((waiter, reply))
        elif not waiter.done():
            waiter.set_result(reply)

    def _reply(self, computations: list[Computation], *, as_array: bool) -> Reply:
        items = [_computed(computation) for computation in computations]
        if self.corruption is not None:
            return self.corruption(items)
        if as_array:
            return Reply(200, encode(items))
        return Reply(422 if "error" in items[0] else 200, encode(items[0]))


def _computations(body: bytes) -> list[Computation]:
    kind: Any = list[Computation] if body.startswith(b"[") else Computation
    read = msgspec.json.decode(body, type=kind)
    return read if isinstance(read, list) else [read]


def _computed(computation: Computation) -> dict[str, Any]:
    item = ComputedItem(computation.operation, computation.op1, computation.op2)
    try:
        item.result = compute(computation.operation, (computation.op1, computation.op2))
    except OperationFailed as failure:
        item.error, item.detail = failure.code, failure.detail
    return dict(msgspec.to_builtins(item))


class ScriptedTransport:
    """The master's way to scripted workers, found by their URL."""

    def __init__(self, random: Random) -> None:
        self.workers: dict[str, ScriptedWorker] = {}
        self.sent: list[tuple[float, str]] = []  # when a call went to which URL
        self._random = random

    def add(self, worker: ScriptedWorker) -> ScriptedWorker:
        """Connect a worker."""
        self.workers[worker.url] = worker
        return worker

    async def compute(self, url: str, body: bytes, timeout_s: float) -> Reply:
        """POST to a scripted worker."""
        self.sent.append((asyncio.get_running_loop().time(), url))
        return await self._request(url, body, timeout_s)

    async def health(self, url: str, timeout_s: float) -> Reply:
        """Probe a scripted worker: it knows no such path, which is a sign of life."""
        return await self._request(url, None, timeout_s)

    async def _request(self, url: str, body: bytes | None, timeout_s: float) -> Reply:
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.sleep(TRAVEL_S * self._random.uniform(1.0, 3.0))
                return await self.workers[url].serve(body)
        except TimeoutError:
            raise TimedOut(f"did not answer within {timeout_s:g} s") from None

    def close(self) -> None:
        """Nothing is open."""
