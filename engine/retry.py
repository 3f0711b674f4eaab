"""Whether, when and where a failed operation is tried again. Pure.

Operations are pure, so trying again is always safe; the questions are only how soon and how often.
The first failover is at once, to a worker not yet tried; later ones wait for a full-jitter delay
(a random share of a ceiling that doubles), so that what failed together does not come back
together. A worker that is only busy, or that cannot even be connected to, costs no attempt: the
operation has not been tried there. An operation that was aboard when several
different workers died is poison: first it is sent to a worker that has nothing else in hand, so
that the next death tells it from those that were aboard by chance, and then it fails its job. Where
there are not so many different workers, each life of one that comes back counts as another's.
"""

from collections.abc import Callable, Hashable, Iterable
from random import Random

from engine.errors import OperationFailed, Refused, Unreachable, WorkerError
from engine.settings import DispatchSettings

ALONE_AFTER_DEATHS = 2  # from this death on it has a worker to itself: no innocent dies of it
ALONE_AFTER_FAILURES = 2  # a batch is taken apart when it has failed twice


class Attempts:
    """The history of one operation that has failed at least once."""

    def __init__(self) -> None:
        self.failures = 0
        self.unreached = 0  # workers that could not be connected to
        self.avoid: set[Hashable] = set()  # the workers where it failed
        self.deaths: set[tuple[Hashable, int]] = set()  # with it aboard: who, in which life
        self.copies = 0  # of it that are queued or on their way, beside the one that failed

    @property
    def alone(self) -> bool:
        """Whether the operation has to be the only one in its next call."""
        return self.suspected or self.failures >= ALONE_AFTER_FAILURES

    @property
    def suspected(self) -> bool:
        """Whether it may be poison: its next worker has nothing else in hand meanwhile."""
        return len(self.deaths) >= ALONE_AFTER_DEATHS

    @property
    def dead(self) -> set[Hashable]:
        """The workers that died with it aboard, though they may have come back."""
        return {worker for worker, _ in self.deaths}


class RetryPolicy:
    """Decides what becomes of an operation whose attempt failed."""

    def __init__(self, settings: DispatchSettings, random: Random) -> None:
        self._settings = settings
        self._random = random

    def decide(
        self,
        attempts: Attempts,
        worker: Hashable,
        error: WorkerError,
        live: Callable[[], Iterable[Hashable]],
        life: int = 0,
    ) -> float:
        """Record the failure in `attempts`; return after how many seconds to try again.

        `live` names the workers that could be asked next; `life` tells those of one worker apart.
        Raises `OperationFailed` when it has been tried often enough, or killed enough workers.
        """
        if isinstance(error, Refused) and error.busy:
            attempts.avoid = {worker}
            return 0.0
        attempts.avoid.add(worker)
        if isinstance(error, Unreachable) and not error.aboard:
            attempts.unreached += 1
            return self._pause_s(attempts)
        attempts.failures += 1
        if _is_death(error):
            attempts.deaths.add((worker, life))
            if self._is_poison(attempts, live):
                raise OperationFailed(
                    "poison_operation",
                    f"{len(attempts.deaths)} times a worker died while it computed this operation",
                )
        if attempts.failures >= self._settings.attempts:
            raise OperationFailed(
                "attempts_exhausted",
                f"{attempts.failures} attempts failed, the last one at a worker that {error}",
            )
        return self._pause_s(attempts)

    def _pause_s(self, attempts: Attempts) -> float:
        return self._random.uniform(0.0, self.ceiling_s(attempts.failures + attempts.unreached))

    def note_aboard(
        self,
        known: dict[int, Attempts],
        index: int,
        worker: Hashable,
        error: WorkerError,
        life: int = 0,
    ) -> None:
        """Record in `known` that an operation was aboard a call that failed, and not sent for it.

        It has not been tried, but what a worker dies of may be any operation aboard.
        """
        if _is_death(error):
            known.setdefault(index, Attempts()).deaths.add((worker, life))

    def _is_poison(self, attempts: Attempts, live: Callable[[], Iterable[Hashable]]) -> bool:
        dead = attempts.dead
        different = len(dead)
        if different >= self._settings.poison_deaths:
            return True
        if len(attempts.deaths) < self._settings.poison_deaths:
            return False
        # Others would tell more than the same one again, if there are enough of them.
        others = len(set(live()) - dead)
        return different + others < self._settings.poison_deaths

    def ceiling_s(self, failures: int) -> float:
        """Return the longest wait after so many failures: 0, 0.05, 0.1, 0.2, ... up to 2 s."""
        if failures <= 1:
            return 0.0
        doubled = self._settings.backoff_min_s * 2.0 ** min(failures - 2, 30)
        return min(doubled, self._settings.backoff_max_s)

    def allowance(self, in_flight: int) -> int:
        """Return how many operations in flight may be retries when `in_flight` are in all."""
        return max(self._settings.retry_min, int(self._settings.retry_budget * in_flight))


def _is_death(error: WorkerError) -> bool:
    return isinstance(error, Unreachable) and error.aboard
