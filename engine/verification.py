"""Whether what a worker says is believed: a share of all operations is asked of a second one. Pure.

An answer under verification is believed once two workers gave it, to the bit and to the type;
while those that were asked differ, another one is asked, and when none is left, the master
computes it itself. Whoever said otherwise has lied. What is not verified is believed at once, but
it is remembered which job took it from whom: when that one is found lying, its jobs that still run
start afresh. Those that have ended never change: the ones of the last minute are named.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import combinations
from random import Random
from typing import Generic, NamedTuple, TypeVar

from engine.arithmetic import bits, compute
from engine.errors import OperationFailed
from engine.exchange import Result, Step, operands_of, shown
from engine.job import JobId

MEMORY_S = 60.0  # for how long it is known of a job that has ended whom it believed
MOST_ENDED = 100_000  # and of how many of them, the latest: some 30 MB

Witness = TypeVar("Witness", bound=Hashable)


class Verdict(NamedTuple, Generic[Witness]):
    """What is believed of an operation and of the first part of its chain, and who lied, how."""

    results: list[Result]
    lies: dict[Witness, str]
    by_master: bool = False


class Spoilt(NamedTuple):
    """The jobs that believed a liar: those that have not ended, and those that lately have."""

    running: list[JobId]
    ended: list[JobId]


class Verification(Generic[Witness]):
    """Chooses what is verified, hears the workers, and remembers whom each job believed.

    `share` (0 to 1) of the operations are verified, chosen by `random`; `takers` names the workers
    that could be asked for an operation of some name.
    """

    def __init__(
        self, share: float, random: Random, takers: Callable[[str], Iterable[Witness]]
    ) -> None:
        self._share = share
        self._random = random
        self._takers = takers
        # By job, then by operation: who said what of it.
        self._cases: dict[JobId, dict[int, dict[Witness, list[Result]]]] = {}
        self._believed: dict[JobId, set[Witness]] = {}
        self._ended: deque[tuple[float, JobId, set[Witness]]] = deque()

    def hear(
        self, job_id: JobId, steps: Sequence[Step], said: list[Result], witness: Witness
    ) -> Verdict[Witness] | None:
        """Take what a worker says of an operation and what followed it in its chain.

        Return what is believed, perhaps of a part of the chain, or `None` if somebody else is to
        be asked. To be called for each answer to an operation until it is believed.
        """
        index = steps[0].index
        cases = self._cases.get(job_id, {})
        if index not in cases:
            if self._random.random() >= self._share:
                self._believed.setdefault(job_id, set()).add(witness)
                return Verdict(said, {})
            cases = self._cases.setdefault(job_id, cases)
            cases[index] = {}
        case = cases[index]
        nobody_else = witness in case  # or it would not have been asked again
        case[witness] = said
        results = _agreed(list(case.values()))
        by_master = results is None and (
            nobody_else or set(self._takers(steps[0].name)) <= case.keys()
        )
        if by_master:
            results = _computed(steps[: min(map(len, case.values()))])
        if results is None:
            return None
        del cases[index]
        return Verdict(results, _lies(steps, case, results), by_master)

    def convict(self, liar: Witness, now: float) -> Spoilt:
        """Unsay what a liar said, and return the jobs that believed it.

        Those that have not ended are to start afresh: what was said in them is forgotten.
        """
        running = [job_id for job_id, believed in self._believed.items() if liar in believed]
        for job_id in running:
            del self._believed[job_id]
            self._cases.pop(job_id, None)
        for cases in self._cases.values():
            for case in cases.values():
                case.pop(liar, None)
        self._forget(now)
        ended = [job_id for _, job_id, believed in self._ended if liar in believed]
        return Spoilt(running, ended)

    def end(self, job_id: JobId, now: float) -> None:
        """Hear that a job waits for nothing more."""
        self._cases.pop(job_id, None)
        believed = self._believed.pop(job_id, None)
        if believed is not None:
            self._ended.append((now, job_id, believed))
            self._forget(now)

    def _forget(self, now: float) -> None:
        ended = self._ended
        while ended and (ended[0][0] < now - MEMORY_S or len(ended) > MOST_ENDED):
            ended.popleft()


def _agreed(said: Sequence[list[Result]]) -> list[Result] | None:
    """Return what two say alike, as far as all have come in the chain; `None` if no two do."""
    length = min(map(len, said))
    for one, other in combinations(said, 2):
        if all(map(_same, one[:length], other[:length])):
            return one[:length]
    return None


def _same(one: Result, other: Result) -> bool:
    if isinstance(one, OperationFailed) or isinstance(other, OperationFailed):
        # Each worker has a sentence of its own for it.
        both = isinstance(one, OperationFailed) and isinstance(other, OperationFailed)
        return both and one.code == other.code  # type: ignore[union-attr]
    return bits(one) == bits(other)


def _computed(steps: Iterable[Step]) -> list[Result]:
    """Compute an operation and what follows it in its chain, as a worker does."""
    results: list[Result] = []
    result: Result | None = None
    for step in steps:
        if not isinstance(result, OperationFailed):
            try:
                result = compute(step.name, operands_of(step, result))
            except OperationFailed as failure:
                result = failure
        results.append(result)
    return results


def _lies(
    steps: Sequence[Step], case: dict[Witness, list[Result]], believed: Sequence[Result]
) -> dict[Witness, str]:
    lies = {}
    for witness, said in case.items():
        for place, (its, result) in enumerate(zip(said, believed, strict=False)):
            if not _same(its, result):
                lies[witness] = _lie(steps[place], believed[:place], its, result)
                break
    return lies


def _lie(step: Step, before: Sequence[Result], said: Result, believed: Result) -> str:
    previous = before[-1] if before else None
    assert not isinstance(previous, OperationFailed)  # noqa: S101  # a failure is the last lie
    operands = shown(operands_of(step, previous))
    return f"{step.name} of {operands} gave {_told(said)}, should be {_told(believed)}"


def _told(result: Result) -> str:
    return result.code[:40] if isinstance(result, OperationFailed) else shown((result,))
