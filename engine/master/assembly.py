"""The master's objects, put together: one place for the program, the tests and the simulation.

What reaches outside (transport, store, clock, chance) is handed in; what decides is made here.
The order of starting and stopping lives here too, with its reasons.
"""

import asyncio
import logging
from contextlib import suppress
from itertools import islice
from random import Random

from msgspec import UNSET

from engine.clock import Clock
from engine.core import Engine
from engine.crashpoints import crash_point
from engine.dispatcher import Dispatcher
from engine.errors import ExecutorError, InvalidAnnouncement, Overloaded
from engine.health import TICK_S, HealthMonitor
from engine.job import JobId
from engine.logs import Seldom
from engine.master.announcements import abilities_of, locate
from engine.master.events import Events
from engine.messages import Announcement, Explanation
from engine.planner import Planner
from engine.pool import WorkerPool
from engine.retry import RetryPolicy
from engine.settings import MasterSettings
from engine.standing import State, Worker, WorkerKey
from engine.store.base import Store
from engine.transport import Transport
from engine.turns import Turns
from engine.verification import Verification
from engine.wakefulness import Wakefulness
from engine.why import Facts, WorkerFacts, explain

log = logging.getLogger(__name__)

LOOKED_AT = 1_000  # operations of a job that are looked at to explain it
LONGEST_GAP_S = 10 * TICK_S  # a heartbeat this late was not waiting, it was away


class Master:
    """A whole master without its HTTP side."""

    def __init__(
        self,
        settings: MasterSettings,
        transport: Transport,
        store: Store,
        clock: Clock,
        random: Random,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self._transport = transport
        turns = Turns()
        self._wakefulness = Wakefulness(clock.now(), LONGEST_GAP_S)
        self.pool = WorkerPool(settings.workers, settings.dispatch, self._pool_changed)
        self.dispatcher = Dispatcher(
            self.pool,
            transport,
            RetryPolicy(settings.dispatch, random),
            settings.dispatch,
            clock,
            self._wakefulness,
            turns,
            self._verification(random),
        )
        self.health = HealthMonitor(
            self.pool,
            transport,
            settings.workers,
            settings.dispatch.call_timeout_s,
            clock,
            self._wakefulness,
        )
        planner = Planner(settings.jobs, settings.limits.task_bytes, turns)
        self.engine = Engine(
            store, self.dispatcher, planner, turns, settings.jobs, settings.limits, clock
        )
        self.events = Events(
            self.engine,
            self.pool,
            self.dispatcher,
            self.health,
            clock,
            settings.limits.event_readers,
        )
        self._refused = Seldom()  # requests, by bounds
        self._strangers = Seldom()  # announcements and leaves that were not taken
        self._watching: asyncio.Task[None] | None = None
        self._heartbeat: asyncio.Task[None] | None = None

    def _verification(self, random: Random) -> Verification[WorkerKey] | None:
        share, pool = self.settings.dispatch.verify, self.pool
        if share == 0:
            return None
        return Verification(share, random, lambda name: (one.key for one in pool.live(name)))

    async def start(self) -> None:
        """Open the store, then watch the workers, whom announcements bring from now on."""
        await self.engine.start()
        self._heartbeat = asyncio.create_task(self.health.run())
        self._watching = asyncio.create_task(self.events.run())

    @property
    def background(self) -> list[asyncio.Task[None]]:
        """What goes on from the start to the end: if one of them has ended, it was by a bug."""
        own = (self._heartbeat, self._watching)
        return [*self.engine.background, *(task for task in own if task is not None)]

    async def stop(self) -> None:
        """Finish what is on its way, as far as `drain_s` allows, and let everything go.

        Calls in flight come first, since their results finish jobs; the engine next, since it
        stores those, and answers who waits for others before its store closes; the heartbeat last,
        so that nobody is blamed meanwhile.
        """
        self.engine.drain()
        crash_point("drain.begun")
        self.events.close()
        await self.dispatcher.drain(self.settings.drain_s)
        crash_point("drain.calls_over")
        await self.engine.settle()
        crash_point("drain.settled")
        await self.engine.release()
        await self.engine.stop()
        await self.dispatcher.stop()
        for task in (self._watching, self._heartbeat):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        await self.clock.sleep(0)  # what the client has yet to tell comes before its end
        self._transport.close()

    @property
    def refused(self) -> int:
        """How many requests were refused since a bound was reached, since the start."""
        return self._refused.count

    def note_refusal(self, error: Overloaded) -> None:
        """Count, and log now and then which bound was reached, and how often since."""
        if count := self._refused.happened(self.clock.now()):
            log.warning("%d refused since the last such line: %s", count, error)

    def note_stranger(self, peer: str, error: ExecutorError) -> None:
        """Log now and then that an announcement or a leave was not taken, and why."""
        if count := self._strangers.happened(self.clock.now()):
            log.warning(
                "announcements or leaves not taken since the last such line: %d; the latest, of"
                " %s: %s",
                *(count, peer, error),
            )

    async def why(self, job_id: JobId) -> Explanation:
        """Return why a job is not finished. Raises `JobNotFound`."""
        job = await self.engine.job(job_id)
        return explain(
            Facts(
                job,
                self.clock.now(),
                begun=self.engine.is_running(job_id),
                planned=self.engine.is_planned(job_id),
                under_way=list(islice(self.dispatcher.under_way(job_id), LOOKED_AT)),
                workers=[WorkerFacts(w.name, w.state, w.operations) for w in self.pool],
                queued=self.dispatcher.queued,
                running_jobs=self.engine.running,
                most_running_jobs=self.settings.limits.running_jobs,
                trouble=self.engine.trouble,
            )
        )

    def announce(self, announcement: Announcement, url: str) -> Worker:
        """Take a worker's announcement that leads to `url`, and look at it at once.

        Raises `InvalidAnnouncement` when it names too many operations, and `Overloaded`.
        """
        name, abilities = announcement.worker_name, abilities_of(announcement)
        return self.pool.announce(name, url, abilities, self.clock.now())

    async def leave(self, announced: Announcement, peer: str) -> list[Worker]:
        """Let the worker go that announced this; without an address, all of its name.

        Raises `WorkerNotFound`, also where no worker can be.
        """
        everywhere = announced.url is UNSET and announced.port is UNSET
        url = None
        if not everywhere:
            with suppress(InvalidAnnouncement):
                url = await locate(announced, peer, self.settings.workers.default_port)
        return self.pool.leave(
            announced.worker_name, lambda w: everywhere or w.url == url, self.clock.now()
        )

    def _pool_changed(self, worker: Worker, before: State | None) -> None:
        reason = f" ({worker.reason})" if worker.reason else ""
        if worker not in self.pool:
            log.info("worker %s at %s: forgotten%s", worker.name, worker.url, reason)
        elif before is None:
            log.info("worker %s at %s: announced", worker.name, worker.url)
        else:
            log.info(
                "worker %s at %s: %s, was %s%s",
                worker.name,
                worker.url,
                worker.state,
                before,
                reason,
            )
        if worker.state is State.LIVE:
            self.dispatcher.kick()
        elif worker.state in (State.CANDIDATE, State.SUSPECT):
            self.health.hurry()
