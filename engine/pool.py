"""The worker pool: who is there, in which state, and who takes the next call. Pure.

Everything here is synchronous and takes `now` (monotonic seconds): no I/O, no tasks, no clock.
`health.py` carries out the probes that `due()` asks for, `dispatcher.py` the calls that
`acquire()` allows; both tell the pool what came of it.

Invariants: only a LIVE worker is handed out; a worker holds at most `calls_per_worker` calls; an
announcement alone never makes a worker LIVE, only an examination that it passed does, and after
that any answer of its own; DEAD is reversible; what comes late of a forgotten worker changes
nothing. Workers are told apart by name and address.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator

from engine.errors import (
    BrokenReply,
    ForeignReply,
    Overloaded,
    Refused,
    TimedOut,
    WorkerError,
    WorkerNotFound,
)
from engine.settings import DispatchSettings, WorkersSettings
from engine.standing import TRANSITIONS, Abilities, Event, State, Worker, WorkerKey

FAULT_LIMIT = 3  # faulty replies or time-outs in a row after which a worker is examined again
FOREIGN_FAULTS = 3  # an answer to another question weighs as much as three unreadable ones
BUSY_S = 0.1  # rest of a worker that said "busy" without saying until when
BUSY_MAX_S = 2.0  # and the longest rest that it can ask for
STEADY_S = 60.0  # a worker LIVE for this long has its earlier deaths forgiven
CALL_S = 0.0005  # what a call costs, both sides together, with nothing to compute
LEAST_WORTH_A_CALL = 64  # operations, for a worker that computes each of them sooner than that
MOST_WORTH_A_CALL = 256  # and for one that computes them as quick as anything
QUICK_S = 0.00005  # an operation, at the longest, at a worker that is quick as workers go
WARM_S = 0.01  # since its last answer: what a worker needs is still in the caches of its processor
UNKNOWN_PACE_BATCH = 8  # operations in a call to a worker whose pace nobody has measured yet


class WorkerPool:
    """All workers that announced themselves, and the free places of those that are LIVE."""

    def __init__(
        self,
        settings: WorkersSettings,
        dispatch: DispatchSettings,
        on_change: Callable[[Worker, State | None], None] = lambda _worker, _before: None,
    ) -> None:
        """Have `on_change` told of each state and the one before it, which a new worker has not.

        Once more when a worker has been forgotten: it is no longer in the pool then.
        """
        self._settings = settings
        self._dispatch = dispatch
        self._on_change = on_change
        self._workers: dict[WorkerKey, Worker] = {}
        self._at: dict[str, list[Worker]] = {}  # by address
        # Free places of LIVE workers, one entry a place, grouped by what the workers take: the
        # longest unused is first and handed out first, however many workers there are.
        self._free: dict[frozenset[str], deque[Worker]] = {}
        self._live: Counter[frozenset[str]] = Counter()
        self._taking: Counter[frozenset[str]] = Counter()  # workers by what they take, LIVE or not
        self._warm: tuple[Worker, float] | None = None  # who answered last, and when

    def __iter__(self) -> Iterator[Worker]:
        """Iterate over all workers in the order in which they announced themselves."""
        return iter(list(self._workers.values()))

    def __len__(self) -> int:
        """Return how many workers are known, in whatever state."""
        return len(self._workers)

    def __contains__(self, worker: Worker) -> bool:
        """Return whether it is this worker that is known, and not one that had its key before."""
        return self._workers.get(worker.key) is worker

    def live(self, operation: str | None = None) -> list[Worker]:
        """Return the LIVE workers, those that take `operation` if one is named."""
        return [
            worker
            for worker in self._workers.values()
            if worker.state is State.LIVE and (operation is None or operation in worker.operations)
        ]

    # Announcements

    @property
    def announce_s(self) -> float:
        """How often a worker should announce itself, in seconds: longer in a large pool."""
        return max(self._settings.announce_s, len(self._workers) / self._settings.probes_per_s)

    def announce(self, name: str, url: str, abilities: Abilities, now: float) -> Worker:
        """Take an announcement: a new worker becomes a CANDIDATE, a known one is looked at soon.

        Raises `Overloaded` when the pool is full of workers that are not dead.
        """
        key = WorkerKey(name, url)
        worker = self._workers.get(key)
        if worker is None:
            self._make_room()
            worker = Worker(key, abilities, now)
            self._workers[key] = worker
            self._taking[worker.operations] += 1
            self._at.setdefault(url, []).append(worker)
            self._supersede(worker, now)
            self._on_change(worker, None)
            return worker
        if worker.abilities != abilities:
            # Another program than before, it seems: what it passed says nothing any more.
            self._to(worker, State.CANDIDATE, "announced other abilities than before", now)
            self._taking[abilities.operations] += 1
            self._let_go(worker.operations)
            worker.abilities = abilities
        worker.announced_at = now
        self._supersede(worker, now)
        self._happen(worker, Event.ANNOUNCED, now)
        if worker.state is not State.LIVE:
            worker.probe_at = min(worker.probe_at, max(now, worker.readmit_at))
        return worker

    def _supersede(self, worker: Worker, now: float) -> None:
        """Let those go that had this worker's address before it.

        Addresses are given out again, and then probes of the one that had it reach the one that
        has it. Whoever is in trouble goes at once; anybody else when it has kept silent while
        this worker announced itself twice.
        """
        again = worker.announced_at > worker.first_announced_at
        for other in [other for other in self._at[worker.url] if other is not worker]:
            silent = again and other.announced_at < worker.first_announced_at
            if silent or other.state in (State.SUSPECT, State.DEAD, State.REJECTED):
                self._happen(other, Event.LEFT, now, f"{worker.name} is at its address now")
                if other.state is State.DRAINING:
                    self._forget_if_gone(other)

    def _make_room(self) -> None:
        if len(self._workers) < self._settings.max:
            return
        useless = [w for w in self._workers.values() if w.state in (State.DEAD, State.REJECTED)]
        if not useless:
            raise Overloaded(
                f"the pool is full: {self._settings.max} workers; raise workers.max", 5.0
            )
        self._forget(min(useless, key=lambda worker: worker.heard_at or worker.state_since))

    def leave(self, name: str, matches: Callable[[Worker], bool], now: float) -> list[Worker]:
        """Let the workers of this name that `matches` accepts go once they have finished.

        Raises `WorkerNotFound` when there is none.
        """
        leaving = [w for w in self._workers.values() if w.name == name and matches(w)]
        if not leaving:
            raise WorkerNotFound(
                "no worker of this name and address is in the pool; GET /workers lists them"
            )
        for worker in leaving:
            self._happen(worker, Event.LEFT, now, "took leave")
            self._forget_if_gone(worker)
        return leaving

    # Probes

    def due(self, now: float, at_most: int) -> list[Worker]:
        """Return the workers to probe or examine now, and count them as being probed.

        The longest due come first. Workers that have been silent for `forget_s` while dead,
        rejected or on their way out are forgotten instead.
        """
        overdue = []
        for worker in list(self._workers.values()):
            if self._is_past(worker, now):
                self._forget(worker)
            elif not worker.probing and worker.state is not State.DRAINING:
                if worker.state is State.LIVE and worker.heard_at is not None:
                    worker.probe_at = worker.heard_at + self._probe_s
                if worker.probe_at <= now:
                    overdue.append(worker)
        overdue.sort(key=lambda worker: worker.probe_at)
        for worker in overdue[:at_most]:
            worker.probing = True
        return overdue[:at_most]

    @property
    def _probe_s(self) -> float:
        return max(self._settings.probe_s, len(self._workers) / self._settings.probes_per_s)

    def _is_past(self, worker: Worker, now: float) -> bool:
        last = max(worker.heard_at or 0.0, worker.state_since)
        useless = worker.state in (State.DEAD, State.REJECTED, State.DRAINING)
        return useless and not worker.calls and now - last > self._settings.forget_s

    def probe_timeout_s(self, worker: Worker) -> float:
        """Return how long its next probe may take: half as long for one that is suspect."""
        whole = self._settings.probe_timeout_s
        return whole / 2 if worker.state is State.SUSPECT else whole

    def probe_answered(self, worker: Worker, now: float) -> None:
        """Record that a probe came back: a sign of life, whatever it said."""
        worker.probing = False
        self._heard(worker, now)

    def probe_failed(self, worker: Worker, error: WorkerError, now: float) -> None:
        """Record that a probe or an examination got no answer."""
        worker.probing = False
        worker.has_missed_probe = True
        worker.failures += 1
        self._unheard(worker, str(error), now)

    def passed(self, worker: Worker, examined: Abilities, now: float) -> None:
        """Record that the worker's answers were right when its `examined` abilities were asked for.

        They say nothing of what it has announced since: then it is examined again.
        """
        worker.probing = False
        worker.heard_at = now
        if worker.abilities != examined:
            return
        if worker.state is State.REJECTED and now < worker.readmit_at:
            return  # it lied while it was examined
        worker.failures = worker.faults = 0
        self._happen(worker, Event.PASSED, now)

    def flunked(self, worker: Worker, reason: str, now: float) -> None:
        """Record that an answer was wrong: no work for it. It may try again later."""
        worker.probing = False
        worker.heard_at = now
        self._happen(worker, Event.FLUNKED, now, reason)
        worker.reason = reason
        self._back_off(worker, now)

    def reject(self, key: WorkerKey, reason: str, now: float) -> Worker | None:
        """Take out a worker that computed wrongly after it had passed, for `forget_s`.

        To be examined again would prove nothing of it: it comes back sooner only as another
        program, when it has taken leave or announces other abilities. Returns the worker, or
        `None` if it was out already.
        """
        worker = self._workers.get(key)
        if worker is None or Event.LIED not in TRANSITIONS[worker.state]:
            return None
        self._happen(worker, Event.LIED, now, reason)
        worker.readmit_at = worker.probe_at = now + self._settings.forget_s
        return worker

    def spare(self, worker: Worker, now: float) -> None:
        """Take back a probe that says nothing, since the master itself slept meanwhile."""
        worker.probing = False
        worker.probe_at = max(now, worker.readmit_at)

    # Calls

    def places(self, takes: frozenset[str]) -> int:
        """Return how many calls the LIVE workers of exactly these abilities hold, free or not."""
        return self._live[takes] * self._dispatch.calls_per_worker

    @property
    def kinds(self) -> tuple[frozenset[str], ...]:
        """What the workers in the pool take that are LIVE or were: each different set once."""
        return tuple(self._free)

    def abilities(self) -> list[frozenset[str]]:
        """Return what the workers with free places take: each different set once."""
        return [takes for takes, free in self._free.items() if free]

    def acquire(self, takes: frozenset[str], now: float) -> Worker | None:
        """Take a free place at the worker of exactly these abilities that was unused longest.

        `None` when there is none, or when all of them asked for a rest.
        """
        free = self._free.get(takes, deque())
        for _ in range(len(free)):
            worker = free.popleft()
            if worker.rests_until > now:
                free.append(worker)
                continue
            worker.calls += 1
            return worker
        return None

    def prefer_warm(self, now: float) -> None:
        """Let the worker that answered last be the next one, if that was just now.

        Unless somebody else's place has become free since: then it is not looked for.
        """
        if self._warm is None:
            return
        worker, answered_at = self._warm
        free = self._free.get(worker.operations)
        if free and free[-1] is worker and now - answered_at <= WARM_S:
            free.rotate(1)

    def has_room_besides(self, worker: Worker) -> bool:
        """Return whether a worker that takes all that this one takes has a free place too."""
        return any(
            other is not worker
            for takes, free in self._free.items()
            if takes >= worker.operations
            for other in free
        )

    def put_back(self, worker: Worker) -> None:
        """Give a place back unused: there was nothing for this worker."""
        worker.calls -= 1
        self._offer(worker)

    def reserve(self, worker: Worker) -> None:
        """Let the only call that the worker holds be the only one until it is over."""
        worker.reserved = True
        self._drop_places(worker)

    def sent(self, worker: Worker, operations: int) -> None:
        """Count operations that are on their way to the worker."""
        worker.in_flight += operations

    def answered(
        self,
        worker: Worker,
        operations: int,
        elapsed_s: float,
        now: float,
        computing_s: float | None = None,
    ) -> None:
        """Record a good reply to a call of `operations` after `elapsed_s`, and free its place.

        A worker may have told how much of that it took itself.
        """
        self._warm = worker, now
        worker.completed += operations
        worker.faults = 0
        worker.latency.add(elapsed_s)
        pace = (elapsed_s if computing_s is None else min(computing_s, elapsed_s)) / operations
        known = worker.pace_s
        worker.pace_s = pace if known is None else min(pace, 0.7 * known + 0.3 * pace)
        self._heard(worker, now)
        self._release(worker, operations)

    def broke(self, worker: Worker, operations: int, error: WorkerError, now: float) -> None:
        """Record a call that brought no result, and free its place."""
        worker.failed += operations
        if isinstance(error, Refused) and error.busy:
            self._heard(worker, now)
            wanted = BUSY_S if error.retry_after_s is None else error.retry_after_s
            worker.rests_until = now + min(wanted, BUSY_MAX_S)
        elif isinstance(error, BrokenReply | Refused):
            worker.heard_at = now  # it lives; whether it computes is another question
            self._faulted(worker, error, now)
        else:
            if isinstance(error, TimedOut):
                self._timed_out(worker, error, now)
            self._unheard(worker, str(error), now)
        self._release(worker, operations)

    def let_off(self, worker: Worker, operations: int) -> None:
        """Free the place of a call whose failure is not the worker's."""
        self._release(worker, operations)

    def batch_limit(self, worker: Worker) -> int:
        """Return how many operations the next call may carry.

        What the worker announced and the master allows, and no more than it is expected to
        compute within `target_call_s`: a worker of slow operations gets few at a time.
        """
        limit = min(worker.batch, self._dispatch.batch)
        if limit == 1:
            return 1
        if worker.pace_s is None:
            return min(limit, UNKNOWN_PACE_BATCH)
        return max(1, min(limit, int(self._dispatch.target_call_s / max(worker.pace_s, 1e-9))))

    @staticmethod
    def is_quick(worker: Worker) -> bool:
        """Return whether a worker computes so soon that a few like it keep a master busy."""
        return worker.pace_s is not None and worker.pace_s < QUICK_S

    def worth_a_call(self, worker: Worker) -> int:
        """Return how many operations a call should at least carry: many if the worker is quick.

        As many as take it as long as the call itself, or nearly so.
        """
        if worker.pace_s is None or worker.pace_s >= CALL_S:
            return 1
        as_long_as_the_call = int(CALL_S / max(worker.pace_s, 1e-9))
        return max(LEAST_WORTH_A_CALL, min(MOST_WORTH_A_CALL, as_long_as_the_call))

    # What follows changes states, and nothing else does.

    def _heard(self, worker: Worker, now: float) -> None:
        worker.heard_at = now
        worker.failures = 0
        if worker.state is State.LIVE:
            if worker.deaths and now - worker.state_since > STEADY_S:
                worker.deaths = 0
        else:
            self._happen(worker, Event.ANSWERED, now)
            worker.probe_at = max(now, worker.readmit_at)

    def _unheard(self, worker: Worker, reason: str, now: float) -> None:
        if worker.state is State.LIVE:
            worker.failures = 1
            self._happen(worker, Event.FAILED, now, reason)
            worker.probe_at = now
        elif worker.state in (State.DEAD, State.REJECTED):
            worker.probe_at = max(now + self._settings.dead_probe_s, worker.readmit_at)
        elif worker.failures >= self._settings.dead_after:
            self._happen(worker, Event.GAVE_OUT, now, reason)
        else:
            worker.probe_at = max(now + self._settings.suspect_probe_s, worker.readmit_at)
        if worker.state is not State.REJECTED:  # why it was is what people need to know
            worker.reason = reason

    def _timed_out(self, worker: Worker, error: TimedOut, now: float) -> None:
        """Count a time-out as a fault: probes may be answered while no call is.

        Calls that were under way together have stood still together, and count once.
        """
        before, sent_at = worker.timed_out_at, now - self._dispatch.call_timeout_s
        if before is None or before <= sent_at:
            worker.timed_out_at = now
            self._faulted(worker, error, now)

    def _faulted(self, worker: Worker, error: WorkerError, now: float) -> None:
        worker.faults += FOREIGN_FAULTS if isinstance(error, ForeignReply) else 1
        if worker.faults >= FAULT_LIMIT and worker.state in (State.LIVE, State.SUSPECT):
            self._happen(worker, Event.FAULTED, now, str(error))
            self._back_off(worker, now)

    def _back_off(self, worker: Worker, now: float) -> None:
        worker.deaths += 1
        wait = self._settings.readmit_min_s * 2.0 ** min(worker.deaths - 1, 20)
        worker.readmit_at = now + min(wait, self._settings.readmit_max_s)
        worker.probe_at = worker.readmit_at

    def _happen(self, worker: Worker, event: Event, now: float, reason: str | None = None) -> None:
        after = TRANSITIONS[worker.state].get(event)
        if after is not None and worker in self:
            self._to(worker, after, reason, now)

    def _to(self, worker: Worker, after: State, reason: str | None, now: float) -> None:
        before, worker.state = worker.state, after
        worker.state_since = now
        worker.reason = reason
        if before is State.LIVE:
            self._drop_places(worker)
            self._live[worker.operations] -= 1
        if after is State.LIVE:
            self._live[worker.operations] += 1
            worker.failures = 0
            worker.life += worker.has_missed_probe
            worker.has_missed_probe = False
            self._offer_all(worker)
        elif after is State.CANDIDATE:
            worker.probe_at = now
        elif after is State.DEAD:
            self._back_off(worker, now)
        self._on_change(worker, before)

    def _release(self, worker: Worker, operations: int) -> None:
        worker.calls -= 1
        worker.in_flight -= operations
        if worker.reserved:
            worker.reserved = False
            self._offer_all(worker)
        else:
            self._offer(worker)
        self._forget_if_gone(worker)

    def _offer_all(self, worker: Worker) -> None:
        for _ in range(self._dispatch.calls_per_worker - worker.calls):
            self._offer(worker)

    def _offer(self, worker: Worker) -> None:
        if worker.state is State.LIVE and not worker.reserved:
            self._free.setdefault(worker.operations, deque()).append(worker)

    def _drop_places(self, worker: Worker) -> None:
        free = self._free.get(worker.operations)
        if free is not None:
            kept = deque(other for other in free if other is not worker)
            self._free[worker.operations] = kept

    def _forget_if_gone(self, worker: Worker) -> None:
        if worker.state is State.DRAINING and not worker.calls:
            self._forget(worker)

    def _forget(self, worker: Worker) -> None:
        if worker in self:
            del self._workers[worker.key]
            self._let_go(worker.operations)
            self._at[worker.url].remove(worker)
            if not self._at[worker.url]:
                del self._at[worker.url]
            self._on_change(worker, worker.state)

    def _let_go(self, takes: frozenset[str]) -> None:
        """Count a worker of these abilities less; with the last one they are no kind any more."""
        self._taking[takes] -= 1
        if not self._taking[takes]:
            for table in (self._taking, self._live, self._free):
                table.pop(takes, None)
