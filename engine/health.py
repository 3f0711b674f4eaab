"""The heartbeat monitor: asks the pool whom to probe, and tells it what came back.

A worker that just answered is alive, so only the silent are probed. Those that are not LIVE yet
are examined instead. If the master itself was asleep, whatever failed meanwhile says nothing.
Every probe is a task owned here.
"""

import asyncio
import logging
from collections import deque

from engine import exchange
from engine.allowance import Allowance
from engine.clock import Clock
from engine.errors import BrokenReply, Refused, WorkerError
from engine.examination import fault, questions_for
from engine.exchange import Result
from engine.job import Operation
from engine.pool import WorkerPool
from engine.settings import WorkersSettings
from engine.standing import EXAMINED_STATES, Abilities, Worker
from engine.transport import Transport
from engine.turns import CALL, Turns
from engine.wakefulness import Wakefulness

log = logging.getLogger(__name__)

TICK_S = 0.05  # how finely probes are timed; the loop's lag is measured against it
LAGS = 20  # ticks whose lateness is remembered: a second


class HealthMonitor:
    """Keeps the pool's picture of its workers true, by probes and examinations."""

    def __init__(
        self,
        pool: WorkerPool,
        transport: Transport,
        settings: WorkersSettings,
        call_timeout_s: float,
        clock: Clock,
        wakefulness: Wakefulness,
    ) -> None:
        self._pool = pool
        self._transport = transport
        self._settings = settings
        self._call_timeout_s = call_timeout_s
        self._clock = clock
        self._wakefulness = wakefulness
        room = max(1.0, settings.probes_per_s * TICK_S)
        self._allowance = Allowance(settings.probes_per_s, room, clock.now())
        self._turns = Turns()  # of its own: hundreds may come at once, and jobs go on meanwhile
        self._probes: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._lags: deque[float] = deque([0.0], maxlen=LAGS)

    @property
    def loop_lag_s(self) -> float:
        """How late the event loop came to a timer: the worst of about the last second."""
        return max(self._lags)

    def hurry(self) -> None:
        """Look at the pool now instead of at the next tick: somebody new or suspect is there."""
        self._wake.set()

    async def run(self) -> None:
        """Probe whoever is due, for ever; cancel to stop."""
        try:
            while True:
                self._tick()
                await self._until_next_tick()
        finally:
            for probe in self._probes:
                probe.cancel()
            await asyncio.gather(*self._probes, return_exceptions=True)

    async def _until_next_tick(self) -> None:
        self._wake.clear()
        due = self._clock.now() + TICK_S
        try:
            async with asyncio.timeout(TICK_S):
                await self._wake.wait()
        except TimeoutError:
            self._lags.append(max(0.0, self._clock.now() - due))

    def _tick(self) -> None:
        now = self._clock.now()
        slept_s = self._wakefulness.beat(now)
        if slept_s:
            log.warning("the master itself was asleep for %.1f s: no worker is blamed", slept_s)
        due = self._pool.due(now, self._allowance.left(now))
        self._allowance.spend(len(due))
        for worker in due:
            probe = asyncio.ensure_future(self._look_at(worker, now))
            self._probes.add(probe)
            probe.add_done_callback(self._probes.discard)

    async def _look_at(self, worker: Worker, started: float) -> None:
        timeout_s = self._pool.probe_timeout_s(worker)
        abilities = worker.abilities  # it may announce others meanwhile
        try:
            if worker.state not in EXAMINED_STATES:
                await self._transport.health(worker.url, timeout_s)
                self._pool.probe_answered(worker, self._clock.now())
            elif self._settings.examine:
                await self._examine(worker, abilities)
            else:
                await self._transport.health(worker.url, timeout_s)
                self._pool.passed(worker, abilities, self._clock.now())
        except WorkerError as error:
            now = self._clock.now()
            if self._wakefulness.slept_since(started, now):
                self._pool.spare(worker, now)
            elif isinstance(error, Refused | BrokenReply) and worker.state not in EXAMINED_STATES:
                self._pool.probe_answered(worker, now)  # an odd sign of life is one
            else:
                self._pool.probe_failed(worker, error, now)

    async def _examine(self, worker: Worker, abilities: Abilities) -> None:
        questions = questions_for(abilities.operations)
        for question in questions:
            (result,) = await self._ask(worker, [question], as_array=False)
            if not self._is_right(worker, question, result):
                return
        if abilities.batch > 1:
            for begin in range(0, len(questions), abilities.batch):
                asked = questions[begin : begin + abilities.batch]
                results = await self._ask(worker, asked, as_array=True)
                for question, result in zip(asked, results, strict=True):
                    if not self._is_right(worker, question, result):
                        return
        if not questions:
            await self._transport.health(worker.url, self._call_timeout_s)
        self._pool.passed(worker, abilities, self._clock.now())

    async def _ask(
        self, worker: Worker, questions: list[Operation], *, as_array: bool
    ) -> list[Result]:
        await self._turns.take(CALL)
        body = exchange.ask(questions, as_array=as_array)
        # One whose operations take their time is slow, and not silent: it may have it.
        timeout_s = self._call_timeout_s * len(questions)
        reply = await self._transport.compute(worker.url, body, timeout_s)
        return exchange.read(reply, questions, as_array=as_array)

    def _is_right(self, worker: Worker, question: Operation, result: Result) -> bool:
        wrong = fault(question, result)
        if wrong is not None:
            log.error("worker %s at %s is rejected: %s", worker.name, worker.url, wrong)
            self._pool.flunked(worker, wrong, self._clock.now())
        return wrong is None
