"""A world: a master, its workers and clients, in virtual time, watched by the laws.

Scenarios (`test_faults.py`) and random runs (`scripts.py`) are both written against it. Everything
random comes from generators made from the world's seed, so that a seed has one history.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from random import Random
from types import TracebackType
from typing import Any, TypeVar

from engine.core import Engine
from engine.job import Job, JobId
from engine.master.assembly import Master
from engine.settings import MasterSettings
from engine.standing import State, Worker
from tests.simulation.disk import Disk
from tests.simulation.history import History
from tests.simulation.laws import Laws
from tests.simulation.loop import VirtualTimeLoop
from tests.simulation.machines import MasterMachine, WorkerMachine
from tests.simulation.network import Call, Network

Answer = TypeVar("Answer")


class World:
    """A context manager: at its end everything is stopped, and nothing may be left."""

    def __init__(self, seed: str, settings: MasterSettings | None = None) -> None:
        self.seed = seed
        self.settings = MasterSettings() if settings is None else settings
        self.loop = _virtual_time_loop()
        self.history = History(self.loop.time)
        self.laws = Laws(self.settings, self.loop.time)
        self.network = Network(self.random("network"))
        self.disk = Disk()
        self.workers: list[WorkerMachine] = []
        self.calls: list[Call] = []  # as they were sent, probes too
        self.master = MasterMachine(
            self.settings,
            self.network,
            self.disk,
            self.random("master"),
            self._sent,
            self._over,
        )
        self._tasks: list[asyncio.Task[Any]] = []
        self._listener = _Listener(self)
        self._born_with = asyncio.all_tasks(self.loop)

    def random(self, purpose: str) -> Random:
        """Return a source of chance of its own for one purpose."""
        return Random(f"{self.seed}/{purpose}")

    async def __aenter__(self) -> "World":
        """Start the master."""
        self.loop.set_exception_handler(self._unforeseen)
        self._listener.listen()
        await self.master.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop everything in order; whatever goes on afterwards is a leak."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for worker in self.workers:
            await worker.shut_down()
        await self.master.stop()
        self._listener.stop()
        left = asyncio.all_tasks(self.loop) - self._born_with
        if left:
            self.laws.break_(f"{len(left)} tasks are left: {sorted(map(_where, left))}")

    def spawn(self, work: Coroutine[Any, Any, object]) -> "asyncio.Task[Any]":
        """Let something go on beside the rest, until it or the world ends."""
        task = asyncio.ensure_future(work)
        task.add_done_callback(self._must_not_fail)
        self._tasks.append(task)
        return task

    def _must_not_fail(self, task: "asyncio.Task[Any]") -> None:
        if not task.cancelled() and task.exception() is not None:
            error = task.exception()
            self.laws.break_(f"the script itself failed: {_where(task)}: {error!r}")

    # Who is there

    def add_worker(self, name: str | None = None, **traits: Any) -> WorkerMachine:  # noqa: ANN401
        """Add a worker and start it."""
        number = len(self.workers) + 1
        worker = WorkerMachine(
            name or f"w{number}",
            f"10.0.0.{number}",
            self.network,
            self.master,
            self.random(f"worker {number}"),
            **traits,
        )
        worker.server.on_killed = lambda: worker.crash("poison")
        self.workers.append(worker)
        worker.start()
        return worker

    async def with_live(self, count: int, **traits: Any) -> list[WorkerMachine]:  # noqa: ANN401
        """Add so many workers and wait until all of them are LIVE."""
        added = [self.add_worker(**traits) for _ in range(count)]
        await self.until(lambda: all(self.state(worker) is State.LIVE for worker in added))
        return added

    def entry(self, worker: WorkerMachine) -> Worker | None:
        """Return what the pool knows of a worker at its present address."""
        found = [known for known in self.running.pool if known.url == worker.url]
        return found[0] if found else None

    def state(self, worker: WorkerMachine) -> State | None:
        """Return what the pool thinks of a worker."""
        known = self.entry(worker)
        return None if known is None else known.state

    def state_at(self, url: str) -> State | None:
        """Return what the pool thinks of whoever is, or was, at an address."""
        return next((known.state for known in self.running.pool if known.url == url), None)

    @property
    def running(self) -> Master:
        """The master that runs."""
        assert self.master.master is not None
        return self.master.master

    @property
    def engine(self) -> Engine:
        """The running master's engine."""
        return self.running.engine

    # What goes on

    async def until(self, holds: Callable[[], bool], at_most_s: float = 60.0) -> float:
        """Let time pass until something holds; return how long it took."""
        began = self.loop.time()
        while not holds():
            if self.loop.time() - began > at_most_s:
                raise AssertionError(f"did not come true within {at_most_s:g} virtual seconds")
            await asyncio.sleep(0.001)
        return self.loop.time() - began

    async def pass_time(self, seconds: float) -> None:
        """Let virtual time pass, everything going on."""
        await asyncio.sleep(seconds)

    async def submit(self, task: str) -> JobId:
        """Submit a task as a client does, and return its job's id."""
        before, asked_at = self.laws.last_acknowledged, self.loop.time()
        waits = before % 2 == 0
        job = await self.ask(lambda master: master.engine.submit(task, is_awaited=waits))
        self.laws.was_acknowledged(job.job_id, task, None, before)
        if job.finished:
            self.laws.saw(job, asked_at)
        return job.job_id

    async def ending(self, job_id: JobId, at_most_s: float = 60.0) -> Job:
        """Wait for a job's end and return it, checked against the laws."""
        asked_at = self.loop.time()
        job = await self.ask(lambda master: master.engine.wait(job_id, at_most_s))
        assert job.finished, f"job {job_id} has not ended after {at_most_s:g} virtual seconds"
        self.laws.saw(job, asked_at)
        return job

    async def answer(self, task: str) -> Job:
        """Submit a task and return the job as it ended."""
        return await self.ending(await self.submit(task))

    async def ask(self, request: Callable[[Master], Awaitable[Answer]]) -> Answer:
        """Ask the master something, as an HTTP client would."""
        return await self.master.ask(request)

    def sleep_master(self, seconds: float) -> None:
        """Let time jump, nothing happening in it: the whole process was stopped."""
        began = self.loop.time()
        self.loop.jump(seconds)
        self.laws.naps.append((began, self.loop.time()))
        self.history.add(f"the master wakes from {seconds:.3f} s of sleep")

    # What is heard of it

    def _sent(self, call: Call) -> None:
        self.calls.append(call)
        if not call.is_probe:
            self.history.add(f"send {call.url} {_shown(call)}")
        if self.master.master is not None:
            self.laws.sent(call, self.master.master.pool, self.master.life)

    def _over(self, call: Call) -> None:
        if not call.is_probe:
            self.history.add(f"{call.fate} {call.url} {_shown(call)}")
        self.laws.over(call, self.master.life)

    def changed(self, url: str, state: State) -> None:
        """Hear from the log that the pool thinks otherwise of a worker.

        What a master thinks that was killed, and whose network is cut, says nothing.
        """
        if state is State.DEAD and self.master.up:
            worker = next((one for one in self.workers if one.url == url), None)
            well = worker is not None and worker.is_well
            self.laws.died(url, worker.well_since if worker and well else None)

    def _unforeseen(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.laws.break_(f"the loop was left with {context['message']}: {error!r}")


def _virtual_time_loop() -> VirtualTimeLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop), "run a world with tests.simulation.loop.run"
    return loop


def _where(task: "asyncio.Task[Any]") -> str:
    return getattr(task.get_coro(), "__qualname__", "?")


def _shown(call: Call) -> str:
    first = call.computations[0]
    more = f" and {len(call.computations) - 1} more" if len(call.computations) > 1 else ""
    return f"{first.operation} {str(first.op1)[:20]} {str(first.op2)[:20]}{more}"


class _Listener(logging.Handler):
    """Writes the product's log into the history; whatever it calls unforeseen breaks a law."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.INFO)
        self._world = world
        self._log = logging.getLogger("engine")

    def listen(self) -> None:
        """Hear what is logged from now on."""
        self._before = self._log.level, self._log.propagate
        self._log.addHandler(self)
        self._log.setLevel(logging.INFO)
        self._log.propagate = False

    def stop(self) -> None:
        """Leave the log as it was."""
        self._log.removeHandler(self)
        level, self._log.propagate = self._before
        self._log.setLevel(level)

    def emit(self, record: logging.LogRecord) -> None:
        """Hear a record."""
        message = record.getMessage()
        self._world.history.add(f"log {record.levelname.lower()}: {message[:200]}")
        if record.exc_info or "unforeseen" in message:
            error = record.exc_info[1] if record.exc_info else None
            self._world.laws.break_(f"logged: {message} {error!r}")
        if record.name == "engine.master.assembly" and isinstance(record.args, tuple):
            _, url, state, *_ = (*record.args, None, None)
            if isinstance(state, State):
                self._world.changed(str(url), state)
