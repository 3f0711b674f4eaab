"""What `/events` tells: a snapshot, then changes, built once for all readers, four times a second.

Nothing is built while nobody reads, but for a point of the history every second. A change holds
only what is new since the one before it, and of many new things at once the latest: pages show no
more.
"""

from collections import deque
from collections.abc import Iterable

from msgspec import UNSET

from engine.clock import Clock
from engine.core import Engine
from engine.dispatcher import Dispatcher
from engine.errors import Draining, Overloaded
from engine.health import HealthMonitor
from engine.job import Job, JobId
from engine.master.feed import RECONNECT_MS, Feed, Follower
from engine.master.views import job_seen, worker_statuses
from engine.messages import (
    Change,
    HistoryPoint,
    JobSeen,
    Snapshot,
    Summary,
    WorkerGone,
    WorkerStatus,
)
from engine.pool import WorkerPool
from engine.standing import Worker, WorkerKey

PERIOD_S = 0.25  # between changes: people see no more than four a second
HISTORY = 300  # points, one a second
LINGER_S = 30.0  # after the last reader has gone: it may come back
JOBS = 100  # in a snapshot, and new or finished ones in a change
WORKERS_AT_ONCE = 100  # in a change; those that find no place are in the next ones
SEEN_EVERY_S = 2.0  # how often a worker is told again only because it was heard


class Events:
    """Watches the master for those who follow it."""

    def __init__(  # the whole master is watched here
        self,
        engine: Engine,
        pool: WorkerPool,
        dispatcher: Dispatcher,
        health: HealthMonitor,
        clock: Clock,
        most_readers: int,
    ) -> None:
        self._engine = engine
        self._pool = pool
        self._dispatcher = dispatcher
        self._health = health
        self._clock = clock
        self._most_readers = most_readers
        self._started_at = clock.wall()
        self._feed = Feed(f"{int(self._started_at * 1000):x}")
        self._readers: set[Follower] = set()
        self._opening = 0
        self._closed = False
        self._watched_at: float | None = None  # when somebody was there last
        self._history = _History(clock.now())
        self._new_points: list[HistoryPoint] = []
        self._summary: Summary | None = None  # as it was told last
        self._jobs: dict[JobId, Job] = {}  # that changed since the last change
        self._workers: dict[WorkerKey, _Told | None] = {}  # as they were told last

    async def run(self) -> None:
        """Build changes as long as somebody reads them, for ever; cancel to stop."""
        while True:
            await self._clock.sleep(PERIOD_S)
            self.tick(self._clock.now(), self._clock.wall())

    async def reader(self, last_event_id: str | None) -> Follower:
        """Return a reader that goes on after an event, or begins with a snapshot.

        Raises `Overloaded` when there are too many, and `Draining`. Close it when it is done.
        """
        if self._closed:
            raise Draining("the master is shutting down; follow it again in a few seconds", 5.0)
        if len(self._readers) + self._opening >= self._most_readers:
            raise Overloaded(
                f"{self._most_readers} pages follow the events already; close some, or raise"
                " limits.event_readers",
                5.0,
            )
        self._watch()
        place = self._feed.place_of(last_event_id)
        first = b"retry: %d\n\n" % RECONNECT_MS
        if place is None:
            place = self._feed.last
            self._opening += 1
            try:
                first += self._feed.event("snapshot", place, await self._snapshot())
            finally:
                self._opening -= 1
        reader = Follower(self._feed, first, place, self._readers.discard)
        self._readers.add(reader)
        return reader

    @property
    def readers(self) -> int:
        """How many read now."""
        return len(self._readers)

    def close(self) -> None:
        """Tell readers what is new until now, end all streams, and begin no new ones."""
        self._closed = True
        if self._readers:
            self.tick(self._clock.now(), self._clock.wall())
        for reader in list(self._readers):
            reader.close()

    def tick(self, now: float, wall: float) -> None:
        """Take a point of the history if it is time, and tell readers what has changed."""
        point = self._history.point(now, wall, self._dispatcher)
        if self._watched_at is None:
            return
        if self._readers or self._opening:
            self._watched_at = now
        elif now - self._watched_at > LINGER_S:
            self._rest()
            return
        if point is not None:
            self._new_points.append(point)
        change = self._change(now, wall)
        if change is not None:
            self.tell(change)

    def tell(self, change: Change) -> None:
        """Put a change into the stream, for whoever reads."""
        self._feed.add(change)
        for reader in self._readers:
            reader.wake()

    def _watch(self) -> None:
        self._watched_at = self._clock.now()
        self._engine.on_change = self._job_changed

    def _rest(self) -> None:
        self._watched_at = None
        self._engine.on_change = None
        self._feed.forget()
        self._new_points.clear()
        self._jobs.clear()
        self._workers.clear()

    def _job_changed(self, job: Job) -> None:
        self._jobs[job.job_id] = job

    # What is told

    async def _snapshot(self) -> Snapshot:
        page = await self._engine.jobs(JOBS)
        jobs = [job_seen(job) for job in page.jobs]
        while page.rest:
            page = await self._engine.more_jobs(page)
            jobs += [job_seen(job) for job in page.jobs]
        now = self._clock.now()
        for worker in self._pool:
            self._workers.setdefault(worker.key, None)
        return Snapshot(
            now=round(self._clock.wall(), 3),
            started_at=round(self._started_at, 3),
            summary=self._summed(now),
            history=self._history.points(),
            workers=self._statuses(self._pool, now),
            jobs=jobs,
        )

    def _change(self, now: float, wall: float) -> Change | None:
        """Return what is new since the last call, `None` if nothing is."""
        points, self._new_points = self._new_points, []
        summary = self._summed(now)
        new_summary = summary != self._summary
        self._summary = summary
        workers, gone, jobs = self._changed_workers(now), self._gone_workers(), self._changed_jobs()
        if not (new_summary or points or workers or gone or jobs):
            return None
        return Change(
            now=round(wall, 3),
            summary=summary if new_summary else UNSET,
            history=points or UNSET,
            workers=workers or UNSET,
            workers_gone=gone or UNSET,
            jobs=jobs or UNSET,
        )

    def _summed(self, now: float) -> Summary:
        engine, counts = self._engine, self._engine.counts
        return Summary(
            workers_live=len(self._pool.live()),
            workers=len(self._pool),
            queued=self._dispatcher.queued,
            in_flight=self._dispatcher.in_flight,
            running=engine.running,
            waiting=max(0, counts.unfinished - engine.running),
            unfinished=counts.unfinished,
            succeeded=counts.succeeded,
            failed=counts.failed,
            operations_per_s=self._history.operations_per_s,
            oldest_queued_s=round(self._dispatcher.oldest_queued_s(now), 3),
            loop_lag_s=round(self._health.loop_lag_s, 3),
        )

    def _changed_jobs(self) -> list[JobSeen]:
        """Return the newest of the jobs that changed, and the latest of older ones that ended."""
        changed, self._jobs = self._jobs, {}
        newest = sorted(changed)[-JOBS:]
        ended = [job_id for job_id, job in changed.items() if job.finished and job_id < newest[0]]
        return [job_seen(changed[job_id]) for job_id in sorted(ended[-JOBS:]) + newest]

    def _changed_workers(self, now: float) -> list[WorkerStatus]:
        old = [worker for worker in self._pool if self._is_old(worker)]
        if len(old) > WORKERS_AT_ONCE:  # each has its turn: those first that were told long ago
            old.sort(key=self._told_at)
        for worker in old[:WORKERS_AT_ONCE]:
            self._workers[worker.key] = _Told(worker, now)
        return self._statuses(old[:WORKERS_AT_ONCE], now)

    def _statuses(self, workers: Iterable[Worker], now: float) -> list[WorkerStatus]:
        return worker_statuses(workers, now, self._dispatcher.oldest_calls())

    def _is_old(self, worker: Worker) -> bool:
        told = self._workers.get(worker.key)
        return told is None or told.is_old(worker)

    def _told_at(self, worker: Worker) -> float:
        told = self._workers.get(worker.key)
        return 0.0 if told is None else told.at

    def _gone_workers(self) -> list[WorkerGone]:
        gone = self._workers.keys() - {worker.key for worker in self._pool}
        for key in gone:
            del self._workers[key]
        return [WorkerGone(*key) for key in sorted(gone)]


class _Told:
    """What was told of a worker, as far as it is worth telling again when it changes."""

    def __init__(self, worker: Worker, now: float) -> None:
        self.at = now
        self._facts = self._facts_of(worker)
        self._heard_at = worker.heard_at or 0.0

    def is_old(self, worker: Worker) -> bool:
        """Return whether the worker is no longer as it was told."""
        heard_s = (worker.heard_at or 0.0) - self._heard_at
        return heard_s > SEEN_EVERY_S or self._facts != self._facts_of(worker)

    @staticmethod
    def _facts_of(worker: Worker) -> tuple[object, ...]:
        counts = worker.in_flight, worker.completed, worker.failed
        return worker.state, worker.reason, worker.abilities, *counts


class _History:
    """A point a second of the last `HISTORY` seconds."""

    def __init__(self, now: float) -> None:
        self._points: deque[HistoryPoint] = deque(maxlen=HISTORY)
        self._at = now
        self._completed = self._failed = 0
        self.operations_per_s = 0.0

    def points(self) -> list[HistoryPoint]:
        """Return all points, the oldest first."""
        return list(self._points)

    def point(self, now: float, wall: float, dispatcher: Dispatcher) -> HistoryPoint | None:
        """Add a point, and return it, if a second has passed since the last one."""
        passed_s = now - self._at
        if passed_s < 1.0 - PERIOD_S / 2:
            return None
        tally = dispatcher.tally
        completed, failed = tally.completed, tally.broken + tally.failed.total()
        self.operations_per_s = round((completed - self._completed) / passed_s, 1)
        failed_per_s = round((failed - self._failed) / passed_s, 1)
        self._at, self._completed, self._failed = now, completed, failed
        point = (round(wall, 1), dispatcher.queued, self.operations_per_s, failed_per_s)
        self._points.append(point)
        return point
