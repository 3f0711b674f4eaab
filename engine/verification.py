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
from engine.exchange import Result, shown
from engine.job import JobId, Operation

MEMORY_S = 60.0  # for how long it is known of a job that has ended whom it believed
MOST_ENDED = 100_000  # and of how many of them, the latest: some 30 MB

Witness = TypeVar("Witness", bound=Hashable)


class Verdict(NamedTuple, Generic[Witness]):
    """What is believed of an operation, and who lied, how."""

    result: Result
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
        self._cases: dict[JobId, dict[int, dict[Witness, Result]]] = {}
        self._believed: dict[JobId, set[Witness]] = {}
        self._ended: deque[tuple[float, JobId, set[Witness]]] = deque()

    def hear(
        self, job_id: JobId, operation: Operation, said: Result, witness: Witness
    ) -> Verdict[Witness] | None:
        """Take what a worker says of an operation.

        Return what is believed of it, or `None` if somebody else is to be asked. To be called for
        each answer to an operation until it is believed.
        """
        index = operation.index
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
        result = _agreed(list(case.values()))
        by_master = result is None and (
            nobody_else or set(self._takers(operation.name)) <= case.keys()
        )
        if by_master:
            result = _computed(operation)
        if result is None:
            return None
        del cases[index]
        lies = {
            other: _lie(operation, its, result)
            for other, its in case.items()
            if not _same(its, result)
        }
        return Verdict(result, lies, by_master)

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


def _agreed(said: Sequence[Result]) -> Result | None:
    """Return what two say alike, `None` if no two do."""
    return next((one for one, other in combinations(said, 2) if _same(one, other)), None)


def _same(one: Result, other: Result) -> bool:
    if isinstance(one, OperationFailed) or isinstance(other, OperationFailed):
        # Each worker has a sentence of its own for it.
        both = isinstance(one, OperationFailed) and isinstance(other, OperationFailed)
        return both and one.code == other.code  # type: ignore[union-attr]
    return bits(one) == bits(other)


def _computed(operation: Operation) -> Result:
    try:
        return compute(operation.name, operation.operands)
    except OperationFailed as failure:
        return failure


def _lie(operation: Operation, said: Result, believed: Result) -> str:
    asked = f"{operation.name} of {shown(operation.operands)}"
    return f"{asked} gave {_told(said)}, should be {_told(believed)}"


def _told(result: Result) -> str:
    return result.code[:40] if isinstance(result, OperationFailed) else shown((result,))
