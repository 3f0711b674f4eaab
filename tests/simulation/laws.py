"""The checker: what must hold in every run, whatever went wrong in it.

It hears of everything that can be seen from outside (calls, announcements of state, what clients
were told) and writes down each law that was broken as a sentence. It shares no code with what it
checks; the answers come from the oracle.

    what was acknowledged is stored, and a key never gives two jobs
    ids are unique and grow
    a finished job never changes, and its outcome is the oracle's
    no innocent job fails: as poison only what kills, as exhausted nothing but that
    no call goes to a DEAD or REJECTED worker, but for its examination
    no worker is asked for an operation that it does not take
    no worker is declared dead that was well all the time, as when the master itself slept
    an operation is tried so often and not more, and a poison kills so many workers and not more
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import cast

from engine.examination import QUESTIONS
from engine.job import Job, Outcome
from engine.messages import Computation
from engine.pool import WorkerPool
from engine.settings import MasterSettings
from engine.standing import State
from tests.expressions import exact, oracle
from tests.simulation.network import Call

SIGNS_OF_DEATH_S = 4.0  # a worker well for so long has done nothing to be declared dead for
MARK = 7_000_000_000  # operands from here on mark one operation of the whole run
POISON = 9_000_000_000  # and from here on kill whoever computes them
MARKS = 1_000  # of each: what a random expression comes to by chance is none

_EXAMINATION = {(name, *operands) for name, operands, _ in QUESTIONS}


def is_marked(asked: Computation) -> bool:
    """Return whether this operation is the only one of its kind: no result looks like that."""
    numbered = isinstance(asked.op1, int) and any(
        mark <= asked.op1 < mark + MARKS for mark in (MARK, POISON)
    )
    return asked.operation == "mul" and asked.op2 == 3 and numbered


def is_poison(asked: Computation) -> bool:
    """Return whether this operation kills whoever computes it."""
    return is_marked(asked) and isinstance(asked.op1, int) and asked.op1 >= POISON


class Laws:
    """Hears of everything and keeps the sentences about what should not have been."""

    def __init__(self, settings: MasterSettings, now: Callable[[], float]) -> None:
        self.broken: list[str] = []
        self.acknowledged: dict[int, str] = {}  # job -> task
        self.cancelled: set[int] = set()  # jobs that a client wanted cancelled
        self.liars: set[str] = set()  # URLs of workers that compute wrongly
        self.finished: dict[int, Outcome] = {}
        self.naps: list[tuple[float, float]] = []  # of the master, from and until
        self._settings = settings
        self._now = now
        self._finished_at: dict[int, float] = {}  # when somebody first heard of it
        self._keys: dict[str, int] = {}
        self._failures: Counter[tuple[int, int]] = Counter()  # life and mark
        self._deaths: dict[tuple[int, int], set[str]] = {}
        self._dead_calls: list[tuple[str, frozenset[str]]] = []

    def break_(self, sentence: str) -> None:
        """Write a sentence about a broken law down."""
        self.broken.append(f"at {self._now():.6f}: {sentence}")

    def _claim(self, holds: bool, sentence: str) -> None:
        if not holds:
            self.break_(sentence)

    # What clients are told

    @property
    def last_acknowledged(self) -> int:
        """The largest id that a client has heard of."""
        return max(self.acknowledged, default=0)

    def was_acknowledged(self, job_id: int, task: str, key: str | None, at_least: int) -> None:
        """Hear that a submission was answered, which began when ids had reached `at_least`."""
        before = self._keys.setdefault(key, job_id) if key else job_id
        self._claim(before == job_id, f"key {key} gave job {before} and then {job_id}")
        if before == job_id and self.acknowledged.get(job_id) != task:
            self._claim(job_id not in self.acknowledged, f"job {job_id} was acknowledged twice")
        self._claim(
            key is not None or job_id > at_least,
            f"job {job_id} was acknowledged after {at_least}: ids grow",
        )
        self.acknowledged[job_id] = task

    def was_refused(self, task: str, code: str) -> None:
        """Hear that a task was refused as no expression."""
        self._claim(oracle(task) == code, f"{task} was refused with {code}")

    def saw_page(self, jobs: Sequence[Job], at_least: int, asked_at: float) -> None:
        """Hear of the newest jobs, asked for when `at_least` had been acknowledged."""
        ids = [int(job.job_id) for job in jobs]
        self._claim(ids == sorted(set(ids), reverse=True), f"a page is in disorder: {ids}")
        self._claim(at_least <= max(ids, default=0), f"job {at_least} is in no page: {ids}")
        for job in jobs:
            self.saw(job, asked_at)

    def saw(self, job: Job, asked_at: float) -> None:
        """Hear how a job is, from somebody who asked at that time."""
        job_id = int(job.job_id)
        task = self.acknowledged.get(job_id, job.task)
        self._claim(task == job.task, f"job {job_id} was {task} and is {job.task}")
        before = self.finished.get(job_id)
        if before is not None:
            # Two answers may overtake each other on the way: only a later question says something.
            early = job.outcome is None and asked_at <= self._finished_at[job_id]
            same = early or (job.outcome is not None and _same(before, job.outcome))
            self._claim(same, f"job {job_id} was {before} and is {job.outcome}")
        elif job.outcome is not None:
            self.finished[job_id] = job.outcome
            self._finished_at[job_id] = self._now()
            self._judge(job_id, job.task, job.outcome)

    def _judge(self, job_id: int, task: str, outcome: Outcome) -> None:
        if outcome.error == "cancelled":
            self._claim(job_id in self.cancelled, f"job {job_id} was cancelled by nobody")
        elif any(number >= POISON for number in _marks(task)):
            right = outcome.error in ("poison_operation", "attempts_exhausted")
            self._claim(right, f"job {job_id} is poison and ended as {outcome}")
        elif outcome.error == "poison_operation":
            self._claim(self._was_unlucky(), f"job {job_id}, {task}, is innocent: {outcome}")
        else:
            expected = oracle(task)
            if isinstance(expected, str):
                right = outcome.error == expected
            else:
                answer = outcome.answer
                right = answer is not None and exact(answer) == exact(expected)
            self._claim(right, f"job {job_id}, {task}, ended as {outcome}: should be {expected!r}")

    def _was_unlucky(self) -> bool:
        """Whether some operation was aboard three times when a worker died, once by the script.

        Then nobody can tell it from poison.
        """
        seen: Counter[str] = Counter()
        scripted: set[str] = set()
        for killer, aboard in self._dead_calls:
            for computation in aboard:
                seen[computation] += 1
                if killer == "the script":
                    scripted.add(computation)
        deaths = self._settings.dispatch.poison_deaths
        return any(times >= deaths and which in scripted for which, times in seen.items())

    # What is seen on the wire

    def sent(self, call: Call, pool: WorkerPool, life: int) -> None:
        """Hear of a call as it is sent."""
        if call.is_probe or is_examination(call):
            return
        self._claim(call.url not in self.liars, f"{call.url} computes wrongly and got work")
        known = [worker for worker in pool if worker.url == call.url]
        states = {worker.state for worker in known}
        usable = states - {State.DEAD, State.REJECTED}
        self._claim(bool(usable) or not states, f"{call.url} is {sorted(states)} and got work")
        for worker in known:
            foreign = {asked.operation for asked in call.computations} - worker.operations
            self._claim(not foreign, f"{call.url} takes no {sorted(foreign)} and was asked for it")
        for computation in call.computations:
            if is_poison(computation):
                deaths = len(self._deaths.get((life, cast(int, computation.op1)), ()))
                killed_enough = deaths >= self._settings.dispatch.poison_deaths
                self._claim(not killed_enough, f"{computation} was sent on after {deaths} deaths")

    def over(self, call: Call, life: int) -> None:
        """Hear what became of a call."""
        if call.is_probe or is_examination(call):
            return
        if call.fate == "died":
            aboard = frozenset(map(repr, call.computations))
            self._dead_calls.append((call.killer or "", aboard))
        # Who is not there, or busy, has not tried it.
        if call.fate in ("answered", "busy", "refused") or self._slept_since(call.sent_at):
            return
        for computation in call.computations:
            if is_marked(computation):
                self._failed((life, cast(int, computation.op1)), call)

    def _failed(self, which: tuple[int, int], call: Call) -> None:
        self._failures[which] += 1
        # One more for the copy that a hedge may have on its way when the last attempt fails.
        most = self._settings.dispatch.attempts + 1
        self._claim(self._failures[which] <= most, f"operation {which} was tried over {most} times")
        if call.fate == "died" and which[1] >= POISON:
            self._deaths.setdefault(which, set()).add(call.url)

    def _slept_since(self, then: float) -> bool:
        return any(until > then for _, until in self.naps)

    def died(self, url: str, well_since: float | None) -> None:
        """Hear that a worker was declared dead, and since when it is well, if it is."""
        if well_since is not None and self._now() - well_since > SIGNS_OF_DEATH_S:
            self.break_(f"{url} was declared dead, and was well since {well_since:.3f}")

    # At the end

    def check_record(self, jobs: Iterable[Job]) -> None:
        """Compare the whole record with what was said of it: it holds every job, ended."""
        stored = {int(job.job_id): job for job in jobs}
        for job in stored.values():
            self.saw(job, self._now())
            self._claim(job.finished, f"job {job.job_id}, {job.task}, never ended")
        self._claim(sorted(stored) == list(range(1, len(stored) + 1)), "ids do not grow by one")
        for job_id, task in self.acknowledged.items():
            self._claim(job_id in stored, f"job {job_id}, {task}, was acknowledged and is lost")


def is_examination(call: Call) -> bool:
    """Return whether a call asks nothing but what examinations ask."""
    return all((c.operation, c.op1, c.op2) in _EXAMINATION for c in call.computations)


def _same(one: Outcome, other: Outcome) -> bool:
    if one.answer is None or other.answer is None:
        return one == other
    return exact(one.answer) == exact(other.answer) and one.error == other.error


def _marks(task: str) -> list[int]:
    return [int(mark) for mark in re.findall(r"\((?:\(0\+)?([79][0-9]{9})\)?\*3\)", task)]
