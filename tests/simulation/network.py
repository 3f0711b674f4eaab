"""A network and workers that do what the script says, in virtual time. No sockets.

`ScriptedTransport` is a master's way to the workers that stand behind a `Network`; each can crash,
hang, be slow, be cut off in either direction, and answer nonsense. What it computes when it is
well is right, and encoded as a real worker encodes it. Like a real one it does one thing at a time.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from engine.arithmetic import compute
from engine.errors import OperationFailed, TimedOut, Unreachable, WorkerError
from engine.exchange import Reply
from engine.job import Number
from engine.messages import Computation, ComputedItem, Item, Reader, encode
from tests.simulation.nonsense import Nonsense

TRAVEL_S = 0.0002  # one way
OVERHEAD_S = 0.0003  # of a call, at the worker
OPERATION_S = 0.000002

_read_one: Reader[Computation] = Reader(Computation)
_read_many: Reader[list[Computation]] = Reader(list[Computation])


class Call:
    """One request to a worker, from its sending to whatever became of it."""

    def __init__(self, url: str, body: bytes | None, sent_at: float) -> None:
        self.url = url
        self.sent_at = sent_at
        self.as_array = body is not None and body.startswith(b"[")
        self.asked: list[Computation] = []
        if body is not None:
            self.asked = _read_many(body) if self.as_array else [_read_one(body)]
        # With the operands that references come to: an operation is the same, however it travels.
        self.computations = _dereferenced(self.asked)
        self.is_probe = body is None
        self.answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.fate = "lost"  # or answered, busy, faulty, refused, died
        self.killer: str | None = None  # if it died: what killed the worker

    def end(self, fate: str, result: Reply | WorkerError) -> None:
        """Let the caller have a result, if it is still there."""
        if self.answer.done():
            return
        self.fate = fate
        if isinstance(result, WorkerError):
            self.answer.set_exception(result)
        else:
            self.answer.set_result(result)


class ScriptedWorker:
    """One worker's server, as the network sees it."""

    def __init__(self, url: str, random: Random, batch: int = 512) -> None:
        self.url = url
        self.batch = batch
        self.up = False
        self.hung = False
        self.draining = False
        self.deaf = False  # nothing from the master arrives
        self.mute = False  # nothing to the master arrives
        self.slowness = 1.0
        self.operation_s = OPERATION_S
        self.tells_time = False  # how long it computed
        self.nonsense: Nonsense | None = None
        self.arithmetic: Callable[[str, tuple[Number, ...]], Number] = compute
        self.kills: Callable[[Computation], bool] = lambda _computation: False
        self.on_killed: Callable[[], None] = self.crash
        self.calls = 0  # that arrived, probes not counted
        self.computed = 0
        self._random = random
        self._open: dict[Call, None] = {}
        self._free_at = 0.0
        self._stalled: deque[Callable[[], None]] = deque()  # while hung
        self._held: deque[Callable[[], None]] = deque()  # replies that the network holds back

    # What happens to it

    def crash(self, killer: str = "the script") -> None:
        """Die: every open connection breaks at once."""
        self.up = self.hung = self.draining = False
        self._stalled.clear()
        self._free_at = 0.0
        open_calls, self._open = self._open, {}
        for call in open_calls:
            call.killer = killer
            gone = Unreachable("closed the connection without an answer", aboard=True)
            self._towards_master(lambda call=call, gone=gone: call.end("died", gone))  # type: ignore[misc]

    def start(self) -> None:
        """Listen."""
        self.up = True

    def hang(self) -> None:
        """Stop as SIGSTOP stops: connections stay open, nothing is answered."""
        self.hung = self.up

    def resume(self) -> None:
        """Go on where it was stopped: what waited in the socket is read now."""
        self.hung = False
        stalled, self._stalled = self._stalled, deque()
        for step in stalled:
            step()

    def heal_network(self) -> None:
        """Let both directions through; what was on its way arrives late."""
        self.deaf = self.mute = False
        held, self._held = self._held, deque()
        for step in held:
            step()

    @property
    def calls_in_hand(self) -> int:
        """How many calls with operations it has not answered yet."""
        return sum(not call.is_probe for call in self._open)

    @property
    def busy(self) -> bool:
        """Whether it has calls in hand."""
        return bool(self._open)

    # What it does

    def receive(self, call: Call) -> None:
        """Take a request in."""
        if not self.up:
            refused = Unreachable("could not be connected to")
            self._towards_master(lambda: call.end("refused", refused))
            return
        self._open[call] = None
        self._unless_hung(lambda: self._begin(call))

    def _begin(self, call: Call) -> None:
        if call not in self._open:
            return
        loop = asyncio.get_running_loop()
        self.calls += not call.is_probe
        work_s = OVERHEAD_S + len(call.computations) * self.operation_s
        self._free_at = max(loop.time(), self._free_at) + work_s * self.slowness
        loop.call_at(self._free_at, self._unless_hung, lambda: self._answer(call))

    def _answer(self, call: Call) -> None:
        if self._open.pop(call, self) is self:  # it died meanwhile
            return
        if any(self.kills(computation) for computation in call.computations):
            self._open[call] = None
            self.on_killed()
            return
        fate, reply = self._reply(call)
        self._towards_master(lambda: call.end(fate, reply))

    def _unless_hung(self, step: Callable[[], None]) -> None:
        if self.hung:
            self._stalled.append(step)
        else:
            step()

    def _towards_master(self, step: Callable[[], None]) -> None:
        if self.mute:
            self._held.append(step)
        else:
            travel_s = TRAVEL_S * self._random.uniform(1.0, 3.0)
            asyncio.get_running_loop().call_later(travel_s, step)

    def _reply(self, call: Call) -> tuple[str, Reply]:
        if self.draining:
            return "busy", Reply(503, b"", 1.0)
        if call.is_probe:
            return "answered", Reply(404, b"")
        items = computed(call.asked, self.arithmetic)
        self.computed += len(items)
        if self.nonsense is not None:
            nonsense = self.nonsense(items, call.as_array)
            if nonsense is not None:
                return nonsense
        computing_s = len(items) * self.operation_s if self.tells_time else None
        if call.as_array:
            return "answered", Reply(200, encode(items), None, computing_s)
        status = 422 if "error" in items[0] else 200
        return "answered", Reply(status, encode(items[0]), None, computing_s)


def computed(
    computations: list[Computation], arithmetic: Callable[[str, tuple[Number, ...]], Number]
) -> list[dict[str, Any]]:
    """Return what a real worker answers, item by item, references to earlier items resolved."""
    results: list[Number | None] = []
    items: list[dict[str, Any]] = []
    for asked in computations:
        op1, op2 = (_resolved(operand, results) for operand in (asked.op1, asked.op2))
        item = ComputedItem(asked.operation, op1, op2)
        result = None
        if isinstance(op1, Item) or isinstance(op2, Item):
            item.error, item.detail = "not_computed", "an operand is an item without a result"
        else:
            try:
                item.result = result = arithmetic(asked.operation, (op1, op2))
            except OperationFailed as failure:
                item.error, item.detail = failure.code, failure.detail
        results.append(result)
        items.append(dict(msgspec.to_builtins(item)))
    return items


def _dereferenced(asked: list[Computation]) -> list[Computation]:
    if not any(isinstance(op, Item) for one in asked for op in (one.op1, one.op2)):
        return asked
    items = computed(asked, compute)
    return [
        one
        if isinstance(item["op1"], dict) or isinstance(item["op2"], dict)
        else Computation(one.operation, item["op1"], item["op2"])
        for one, item in zip(asked, items, strict=True)
    ]


def _resolved(operand: Number | Item, results: list[Number | None]) -> Number | Item:
    if isinstance(operand, Item):
        result = results[operand.item]
        return operand if result is None else result
    return operand


class Network:
    """Finds workers by their URL. What nobody listens at refuses."""

    def __init__(self, random: Random) -> None:
        self._workers: dict[str, ScriptedWorker] = {}
        self._random = random

    def connect(self, worker: ScriptedWorker) -> None:
        """Let a worker be found at its URL."""
        self._workers[worker.url] = worker

    def travel_s(self) -> float:
        """Return how long something takes one way."""
        return TRAVEL_S * self._random.uniform(1.0, 3.0)

    def send(self, call: Call) -> None:
        """Take a request to its worker."""
        asyncio.get_running_loop().call_later(self.travel_s(), self._arrive, call)

    def _arrive(self, call: Call) -> None:
        worker = self._workers.get(call.url)
        if worker is None:
            call.end("refused", Unreachable("could not be connected to"))
        elif not worker.deaf:
            worker.receive(call)


class ScriptedTransport:
    """One master's way to the workers, until that master is killed."""

    def __init__(
        self,
        network: Network,
        on_sent: Callable[[Call], None] = lambda _call: None,
        on_over: Callable[[Call], None] = lambda _call: None,
    ) -> None:
        self._network = network
        self._on_sent = on_sent
        self._on_over = on_over
        self._open: dict[Call, None] = {}
        self._cut = False

    async def compute(
        self, url: str, body: bytes, timeout_s: float, trace_parent: str | None = None
    ) -> Reply:
        """POST to a scripted worker, which makes nothing of a trace."""
        return await self._request(url, body, timeout_s)

    async def health(self, url: str, timeout_s: float) -> Reply:
        """Probe a scripted worker: it knows no such path, which is a sign of life."""
        return await self._request(url, None, timeout_s)

    async def _request(self, url: str, body: bytes | None, timeout_s: float) -> Reply:
        if self._cut:
            raise Unreachable("is out of reach of the dead")
        call = Call(url, body, asyncio.get_running_loop().time())
        self._on_sent(call)
        self._open[call] = None
        self._network.send(call)
        try:
            async with asyncio.timeout(timeout_s):
                return await call.answer
        except TimeoutError:
            raise TimedOut(f"did not answer within {timeout_s:g} s") from None
        finally:
            self._open.pop(call, None)
            if not self._cut:
                self._on_over(call)

    def cut(self) -> None:
        """Break all connections, for good: the master behind this transport was killed."""
        self._cut = True
        for call in list(self._open):
            call.end("lost", Unreachable("is out of reach of the dead"))

    def close(self) -> None:
        """Nothing is open."""
