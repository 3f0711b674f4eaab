"""Many operations, many attempts: hands what is ready to whichever worker has room.

One fair queue over all jobs. Nothing ever waits for a batch to fill: when a worker has a free
place it is given its share of what is there at that moment. Each call is one task, owned here;
there is no task, no future and no log line per operation. An operation is delivered to its lane
once, however many calls brought it; what nobody waits for any more is let go.
"""

import asyncio
import logging
from collections.abc import Container, Hashable, Iterator, Sequence
from functools import partial
from itertools import islice

from engine import exchange
from engine.again import Again, Terms
from engine.arithmetic import failure_of
from engine.calls import Call, Entry, Lane, Load
from engine.clock import Clock
from engine.crashpoints import crash_point
from engine.errors import BrokenReply, OperationFailed, Refused, WorkerError
from engine.exchange import Result
from engine.fairqueue import FairQueue
from engine.fusion import Fusion
from engine.hedging import Hedging
from engine.job import JobId, Operation
from engine.logs import Seldom
from engine.pool import BUSY_MAX_S, WorkerPool
from engine.retry import Attempts, RetryPolicy
from engine.settings import DispatchSettings
from engine.standing import State, Worker, WorkerKey
from engine.tally import Tally
from engine.trace import FailedAttempt, Trip, UnderWay
from engine.transport import Transport
from engine.turns import CALL, PIECE, Turns
from engine.verification import Verification
from engine.wakefulness import Wakefulness

log = logging.getLogger(__name__)

SPREAD = 32  # operations that wait: up to so many every worker gets one, however quick it is
QUICK_CALLS = 32  # at quick workers at a time: they wait for the master, more would wait longer
READY_SHARE = 3 / 8  # of a call; of ten operations in any shape 3.7 are ready, of many up to half
FUSED_TURN = 16  # operations of one job that are taken in turn, when many wait and all are fused
IDS_IN_A_LINE = 1_000  # of the log


class Dispatcher:
    """The executor that computes at the workers of a pool, over HTTP."""

    def __init__(
        self,
        pool: WorkerPool,
        transport: Transport,
        policy: RetryPolicy,
        settings: DispatchSettings,
        clock: Clock,
        wakefulness: Wakefulness,
        turns: Turns,
        verification: Verification[WorkerKey] | None = None,
    ) -> None:
        self._pool = pool
        self._transport = transport
        self._policy = policy
        self._settings = settings
        self._clock = clock
        self._wakefulness = wakefulness
        self._turns = turns
        self._verification = verification
        self._alone = Seldom()  # there was nobody to verify with
        self.tally = Tally()
        self._lanes: dict[JobId, Lane] = {}
        self._queue: FairQueue[Lane] = FairQueue()
        self._kinds: tuple[frozenset[str], ...] = ()  # what it is arranged by
        self._again = Again(_terms_of)  # tried before, without an answer; due now
        self._unconfirmed = Again(_terms_of)  # answered, and another one is to say so, too
        self._calls: dict[asyncio.Task[None], Call] = {}
        # What waits until it is due, by a number: a timer that knew itself would never be freed.
        self._delayed: dict[int, tuple[asyncio.TimerHandle, Load]] = {}
        self._delays = 0  # so far
        self._retries_in_flight = 0
        self._in_flight = 0
        self._quick_calls = 0
        self._pump_scheduled = False
        self._hedging = Hedging(settings.hedge_share)
        self._hedge_timer: asyncio.TimerHandle | None = None

    @property
    def queued(self) -> int:
        """How many operations wait for a worker."""
        return len(self._queue) + len(self._again) + len(self._unconfirmed)

    def oldest_queued_s(self, now: float) -> float:
        """Return how long the operation has waited that has waited longest for a worker."""
        queues = self._queue, self._again, self._unconfirmed
        since = [oldest for queue in queues if (oldest := queue.oldest()) is not None]
        return max(0.0, now - min(since)) if since else 0.0

    @property
    def in_flight(self) -> int:
        """How many operations are at workers."""
        return self._in_flight

    def oldest_calls(self) -> dict[WorkerKey, Call]:
        """Return the call that each worker has had longest, of those that have one."""
        oldest: dict[WorkerKey, Call] = {}
        for call in self._calls.values():  # in the order in which they were sent
            oldest.setdefault(call.worker.key, call)
        return oldest

    def open(self, job_id: JobId, fusion: Fusion, trace_parent: str | None = None) -> Lane:
        """Return a lane of its own for a job, whose operations go with a trace context."""
        lane = self._lanes[job_id] = Lane(job_id, self, fusion, self._turns, trace_parent)
        return lane

    def under_way(self, job_id: JobId) -> Iterator[UnderWay]:
        """Iterate over the operations of a job that are at workers, or wait for one, in this order.

        Costs a look at everything that is at workers or failed before.
        """
        lane = self._lanes.get(job_id)
        if lane is None:
            return
        for call in self._calls.values():
            yield from call.under_way(lane)
        yield from lane.waiting_again(self._again)
        yield from lane.waiting_again(self._unconfirmed)
        for _, entries in self._delayed.values():
            yield from lane.waiting_again(entries)
        for _, operation, since in self._queue.waiting(lane):
            yield UnderWay(operation, since)

    def enqueue(self, lane: Lane, operations: Sequence[Operation], since: float) -> None:
        """Let operations of a lane wait for their turn."""
        if lane.attempts:  # a link was aboard when a worker died: if it is suspected, it goes alone
            fresh = []
            for operation in operations:
                attempts = lane.attempts.get(operation.index)
                if attempts is not None and attempts.alone:
                    self._again.put([(lane, operation, since)])
                else:
                    fresh.append(operation)
            operations = fresh
        # What a job begins with is not kept waiting by a worker that has to wake up first. What
        # comes next is spread over the pool, as ever.
        if lane.is_new and len(operations) == 1 and not self.queued and not self._in_flight:
            self._pool.prefer_warm(since)
        lane.is_new = False
        self._queue.put(lane, operations, since)
        self.kick()

    def withdraw(self, lane: Lane) -> None:
        """Take what a lane has waiting out of the queue, and forget the lane."""
        self._queue.drop(lane)
        if lane.attempts:  # else nothing of it is there
            self._again.drop(lane)
            self._unconfirmed.drop(lane)
        if self._lanes.get(lane.job_id) is lane:
            del self._lanes[lane.job_id]
            if self._verification is not None:
                self._verification.end(lane.job_id, self._clock.now())

    def kick(self) -> None:
        """Look soon whether something can be sent: something waits, or a worker has room."""
        if not self._pump_scheduled:
            self._pump_scheduled = True
            asyncio.get_running_loop().call_soon(self._pump)

    async def drain(self, timeout_s: float) -> None:
        """Send nothing more, and wait for the calls on their way, `timeout_s` at the longest."""
        self._pump_scheduled = True  # for good: nothing is pumped any more
        if self._calls:
            await asyncio.wait(self._calls, timeout=timeout_s)

    async def stop(self) -> None:
        """Cancel what is on its way and wait until all of it is over."""
        self._pump_scheduled = True
        for timer, _ in self._delayed.values():
            timer.cancel()
        if self._hedge_timer is not None:
            self._hedge_timer.cancel()
        for task in self._calls:
            task.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    # Sending

    def _pump(self) -> None:
        self._pump_scheduled = False
        now = self._clock.now()
        self._wakefulness.look(now)
        if self._pool.kinds != self._kinds:
            self._kinds = self._pool.kinds
            self._queue.arrange(self._kinds)
        room = self._turns.room
        for takes in self._pool.abilities():
            room -= self._pump_for(takes, room, now)
            if room <= 0:
                self.kick()  # the rest in the next turn, and others in between
                break

    def _pump_for(self, takes: frozenset[str], room: int, now: float) -> int:
        """Send what workers of these abilities may have within `room`; return how much it took."""
        sent = 0
        idle = []
        while sent < room and self._has_for(takes):
            worker = self._pool.acquire(takes, now)
            if worker is None:
                break
            if self._quick_calls >= QUICK_CALLS and self._pool.is_quick(worker):
                idle.append(worker)
                break
            call = self._load(worker, now)
            if call is None:
                idle.append(worker)
            else:
                self._send(call)
                sent += len(call.steps) + CALL
        for worker in idle:
            self._pool.put_back(worker)
        return sent

    def _has_for(self, takes: frozenset[str]) -> bool:
        queues = self._queue, self._again, self._unconfirmed
        return any(queue.count(takes) for queue in queues)

    def _load(self, worker: Worker, now: float) -> Call | None:
        limit = self._pool.batch_limit(worker)
        again = self._take_again(worker, limit) if self._again else []
        if again is None:
            return None
        if again and (terms := _terms_of(again[0])).alone:
            if terms.suspected:
                self._pool.reserve(worker)
            return Call(worker, again, 1, now)
        load = again
        if self._unconfirmed:
            load = again + self._take_unconfirmed(worker, limit - len(again))
        room = limit - len(load)
        share = self._share(worker) if room else 0
        # With that much to do everywhere, whole parts of jobs travel: most of the call is left for
        # what follows.
        fuses = worker.chains and self._verification is None
        fused = fuses and 0 < self._settings.fuse_from <= share
        if fused:
            room = max(1, int(room * READY_SHARE))
        turn = FUSED_TURN if fused else 1
        fresh = self._queue.take(worker.operations, min(share, room), turn)
        load = load + fresh
        if not load:
            return None
        if fresh:
            self.tally.queue_s.observe(now - fresh[0][2])
        call = Call(worker, load, len(again), now)
        if fused:
            call.take_all_aboard(limit)
        elif fuses and any(entry[0].fusion.may_have_chains for entry in load):
            call.take_chains_aboard(limit)
        return call

    def _share(self, worker: Worker) -> int:
        """Return how many of the operations that wait this worker should have.

        A few are spread over all places. Of more, none is called for fewer than are worth a call:
        else hundreds of quick workers would get one operation each, and the master do nothing else.
        """
        waiting = self._queue.count(worker.operations)
        share = self._spread(waiting, worker)
        return share if waiting <= SPREAD else max(share, self._pool.worth_a_call(worker))

    def _spread(self, count: int, worker: Worker) -> int:
        """Return how many of `count` operations are one place's part of them."""
        places = self._pool.places(worker.operations)
        if self._pool.is_quick(worker):
            places = min(places, QUICK_CALLS)
        return -(-count // max(1, places))

    def _take_again(self, worker: Worker, limit: int) -> Load | None:
        """Take retries that this worker may have, within the retry budget; one alone if need be.

        `None` when the next one needs a worker to itself: this one gets nothing more until it has
        finished what it has in hand.
        """
        budget = self._policy.allowance(self._in_flight) - self._retries_in_flight
        return self._take(self._again, worker, min(limit, budget))

    def _take_unconfirmed(self, worker: Worker, limit: int) -> Load:
        """Take a share of what another one's word is awaited for. This is no retry: no budget."""
        return self._take(self._unconfirmed, worker, limit) or []

    def _take(self, queue: Again[Lane], worker: Worker, limit: int) -> Load | None:
        names = worker.operations
        at_most = min(limit, self._spread(queue.count(names), worker))
        is_idle = worker.calls <= 1  # this one is counted
        taken = queue.take(worker.key, names, at_most, self._is_nobody_left, is_idle=is_idle)
        return None if taken is None else [entry for entry in taken if entry[0].awaits(entry[1])]

    def _is_nobody_left(self, name: str, asked: Container[Hashable]) -> bool:
        return all(key in asked for key in self._live(name))

    def _live(self, name: str) -> list[WorkerKey]:
        return [worker.key for worker in self._pool.live(name)]

    def _send(self, call: Call) -> None:
        count = len(call.steps)
        self._in_flight += count
        self._retries_in_flight += call.retries
        call.is_quick = self._pool.is_quick(call.worker)
        self._quick_calls += call.is_quick
        self._pool.sent(call.worker, count)
        self._hedging.sent(count)
        task = asyncio.get_running_loop().create_task(self._carry_out(call))
        self._calls[task] = call
        task.add_done_callback(self._over)
        self._hedge_later()

    def _over(self, task: asyncio.Task[None]) -> None:
        call = self._calls.pop(task)
        self._in_flight -= len(call.steps)
        self._retries_in_flight -= call.retries
        self._quick_calls -= call.is_quick
        self.kick()
        if not task.cancelled() and task.exception() is not None:
            # A bug of ours: no operation may be lost by it, and it must be seen.
            log.error("a call ended in an unforeseen way", exc_info=task.exception())
            self._pool.let_off(call.worker, len(call.steps))
            self._try_again(call, call.load, BrokenReply("was misunderstood by us"))

    async def _carry_out(self, call: Call) -> None:
        worker, steps = call.worker, call.steps
        as_array = len(steps) > 1
        call.sent_at = self._clock.now()  # the master may have slept since it was loaded
        try:
            body = exchange.ask(steps, as_array=as_array)
            crash_point("dispatch.before_send")
            reply = await self._transport.compute(
                worker.url, body, self._settings.call_timeout_s, **call.context()
            )
            crash_point("dispatch.answered")
            now = self._clock.now()
            if len(steps) >= PIECE:
                await self._turns.take(len(steps))
            results = exchange.read(reply, steps, as_array=as_array)
        except WorkerError as error:
            self._broke(call, error)
        else:
            self._pool.answered(worker, len(steps), now - call.sent_at, now, reply.computing_s)
            if not call.hedged:  # a late answer would raise what counts as late
                self._hedging.answered(now - call.sent_at)
            self.tally.answered(steps, results, now - call.sent_at)
            each_s = None if reply.computing_s is None else reply.computing_s / len(steps)
            trip = Trip(worker.name, call.sent_at, now, each_s)
            if self._verification is not None:
                self._verify(self._verification, call, results, trip)
            else:
                await call.deliver(results, trip)
            crash_point("dispatch.delivered")

    # When its word is not enough

    def _verify(
        self, verification: Verification[WorkerKey], call: Call, results: list[Result], trip: Trip
    ) -> None:
        """Deliver what is believed; ask somebody else for the rest, and see to those who lied."""
        for entry, said in zip(call.load, results, strict=True):
            lane, operation, since = entry
            if not lane.awaits(operation):
                continue
            if call.worker.state is State.REJECTED:  # maybe since the last operation
                self._ask_another(entry, call.worker)
                continue
            verdict = verification.hear(lane.job_id, operation, said, call.worker.key)
            if verdict is None:
                self._ask_another(entry, call.worker)
                continue
            for liar, lie in verdict.lies.items():
                lane.remember(operation, FailedAttempt(liar.name, "wrong_result"))
                self._convict(verification, liar, lie, trip.replied_at)
            if verdict.by_master:
                self._say_alone(trip.replied_at)
            lane.deliver_alone(operation, verdict.result, trip, since)

    def _ask_another(self, entry: Entry, worker: Worker) -> None:
        lane, operation, _ = entry
        attempts = lane.attempts.setdefault(operation.index, Attempts())
        attempts.avoid.add(worker.key)
        self.tally.retries["verify"] += 1
        if attempts.copies:
            attempts.copies -= 1  # another one has been asked already: it was late here
        elif attempts.alone:
            self._again.put([entry])
        else:
            self._unconfirmed.put([entry])
        self.kick()

    def _convict(
        self, verification: Verification[WorkerKey], liar: WorkerKey, lie: str, now: float
    ) -> None:
        if self._pool.reject(liar, lie, now) is not None:
            log.error("worker %s at %s is rejected: %s", *liar, lie)
        spoilt = verification.convict(liar, now)
        for job_id in spoilt.running:
            self._lanes[job_id].spoil()
        ended = iter(spoilt.ended)
        while ids := list(islice(ended, IDS_IN_A_LINE)):
            log.error(
                "jobs that have ended used results of %s, which lied, and stay as they are: %s",
                liar.name,
                ", ".join(map(str, ids)),
                extra={"job_ids": ids},
            )

    def _say_alone(self, now: float) -> None:
        if self._alone.happened(now):
            log.warning(
                "no further worker can be asked to verify what another one said, so the master"
                " computes it itself; start more workers, three at least"
            )

    # When it is late

    def _hedge_later(self) -> None:
        if self._hedge_timer is None and self._hedging.is_on:
            loop = asyncio.get_running_loop()
            self._hedge_timer = loop.call_later(self._hedging.late_s, self._hedge)

    def _hedge(self) -> None:
        """Ask for what is late a second time, at another worker, while there is nothing else."""
        self._hedge_timer = None
        if not self._calls:
            return
        now, late_s = self._clock.now(), self._hedging.late_s
        for call in self._calls.values():
            if self.queued or now - call.sent_at < late_s:
                break
            if call.hedged or not self._pool.has_room_besides(call.worker):
                continue
            late = [entry for entry in call.load if self._may_hedge(entry)]
            if not late or not self._hedging.spend(len(late)):
                continue
            call.hedged = True
            self.tally.retries["late"] += len(late)
            for lane, operation, _ in late:
                attempts = lane.attempts.setdefault(operation.index, Attempts())
                attempts.avoid.add(call.worker.key)
                attempts.copies += 1
            self._again.put(late)
            self.kick()
        self._hedge_later()

    @staticmethod
    def _may_hedge(entry: Entry) -> bool:
        lane, operation, _ = entry
        attempts = lane.attempts.get(operation.index)
        # Two copies are enough; and what a worker died of, perhaps, is not tried on two at once.
        return lane.awaits(operation) and not (attempts and (attempts.copies or attempts.deaths))

    # When it went wrong

    def _broke(self, call: Call, error: WorkerError) -> None:
        worker, now = call.worker, self._clock.now()
        if self._wakefulness.slept_since(call.sent_at, now):
            self._pool.let_off(worker, len(call.steps))
            self._requeue(call.load)
            return
        load = call.load
        if isinstance(error, BrokenReply | Refused):
            load = self._without_own_failures(call, now)
        if load:
            if isinstance(error, BrokenReply):  # of the others the pool tells when they matter
                about = {"job_ids": sorted({lane.job_id for lane, _, _ in load})}
                log.error("worker %s at %s %s", worker.name, worker.url, error, extra=about)
            self._pool.broke(worker, len(call.steps), error, now)
            self.tally.broke(len(call.steps), error.reason)
            self._try_again(call, load, error)
        else:
            self._pool.let_off(worker, len(call.steps))

    @staticmethod
    def _without_own_failures(call: Call, now: float) -> Load:
        """Deliver those failures that any worker would meet: a plain one can only say 500."""
        innocent = []
        trip = Trip(call.worker.name, call.sent_at, now)
        for lane, operation, since in call.load:
            failure = failure_of(operation.name, operation.operands)
            if failure is None:
                innocent.append((lane, operation, since))
            else:
                lane.deliver_alone(operation, failure, trip, since)
        return innocent

    def _try_again(self, call: Call, load: Load, error: WorkerError) -> None:
        worker, now = call.worker, self._clock.now()
        for lane, link in call.links():
            self._policy.note_aboard(lane.attempts, link.index, worker.key, error, worker.life)
        later: dict[float, Load] = {}
        for entry in load:
            lane, operation, since = entry
            if not lane.awaits(operation):
                continue
            attempts = lane.attempts.setdefault(operation.index, Attempts())
            try:
                delay_s = self._policy.decide(
                    attempts, worker.key, error, partial(self._live, operation.name), worker.life
                )
            except OperationFailed as failure:
                trip = Trip(worker.name, call.sent_at, now, reason=error.reason)
                lane.deliver_alone(operation, failure, trip, since)
            else:
                if attempts.copies and worker.key in attempts.dead:
                    attempts.copies -= 1  # whether the other one dies too is to be seen first
                else:
                    later.setdefault(delay_s, []).append(entry)
                lane.remember(operation, FailedAttempt(worker.name, error.reason))
        for delay_s, entries in later.items():
            if delay_s == 0.0:
                self._again.put(entries)
                self.kick()
            else:
                self._after(delay_s, entries)
        if isinstance(error, Refused) and error.busy:
            self._after(min(error.retry_after_s or 0.0, BUSY_MAX_S) + 0.1, [])

    def _requeue(self, load: Load) -> None:
        for lane, operation, _ in load:
            lane.attempts.setdefault(operation.index, Attempts())
        self._again.put(load)
        self.kick()

    def _after(self, delay_s: float, entries: Load) -> None:
        number = self._delays = self._delays + 1
        timer = asyncio.get_running_loop().call_later(delay_s, self._due, number)
        self._delayed[number] = timer, entries

    def _due(self, number: int) -> None:
        _, entries = self._delayed.pop(number)
        self._again.put([entry for entry in entries if entry[0].awaits(entry[1])])
        self.kick()


def _terms_of(entry: Entry) -> Terms:
    lane, operation, _ = entry
    attempts = lane.attempts[operation.index]
    return Terms(
        operation.name, frozenset(attempts.avoid), attempts.alone, suspected=attempts.suspected
    )
