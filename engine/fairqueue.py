"""The queue of ready operations: one operation per job in turn. Pure.

Each operation name has a ring with one entry for every job that has such operations waiting; what
else that job has waiting under the name stands behind its entry. Taking goes round the ring, so
that a job of one operation behind a job of 100,000 is served at once. Putting and taking cost the
same however many jobs and operations wait.
"""

from collections import deque
from collections.abc import Container, Hashable, Iterable
from typing import Generic, TypeVar

from engine.job import Operation

Owner = TypeVar("Owner", bound=Hashable)


class _Ring(Generic[Owner]):
    """What waits under one name."""

    __slots__ = ("behind", "count", "entries")

    def __init__(self) -> None:
        self.entries: deque[tuple[Owner, Operation]] = deque()
        # Who has an entry, and what waits behind it; an entry whose owner is not here was dropped.
        self.behind: dict[Owner, deque[Operation] | None] = {}
        self.count = 0

    def put(self, owner: Owner, operation: Operation) -> None:
        self.count += 1
        behind = self.behind
        if owner not in behind:
            behind[owner] = None
            self.entries.append((owner, operation))
            return
        waiting = behind[owner]
        if waiting is None:
            behind[owner] = deque((operation,))
        else:
            waiting.append(operation)

    def take(self, at_most: int, taken: list[tuple[Owner, Operation]]) -> None:
        entries, behind = self.entries, self.behind
        before = len(taken)
        while entries and len(taken) - before < at_most:
            entry = entries.popleft()
            owner = entry[0]
            if owner not in behind:
                continue
            taken.append(entry)
            waiting = behind[owner]
            if not waiting:
                del behind[owner]
            elif entries:
                entries.append((owner, waiting.popleft()))
            else:  # nobody to take turns with
                more = min(len(waiting) - 1, at_most - (len(taken) - before))
                taken.extend([(owner, waiting.popleft()) for _ in range(more)])
                entries.append((owner, waiting.popleft()))
        self.count -= len(taken) - before

    def drop(self, owner: Owner) -> None:
        if owner in self.behind:
            self.count -= 1 + len(self.behind.pop(owner) or ())


class FairQueue(Generic[Owner]):
    """Operations that wait for a worker, by name and by owner (a job's lane).

    An owner that was dropped does not come back.
    """

    def __init__(self) -> None:
        self._rings: dict[str, _Ring[Owner]] = {}

    def __len__(self) -> int:
        """Return how many operations wait."""
        return sum(ring.count for ring in self._rings.values())

    def count(self, names: Container[str]) -> int:
        """Return how many operations of these names wait."""
        return sum(ring.count for name, ring in self._rings.items() if name in names)

    def count_of(self, owner: Owner) -> int:
        """Return how many operations of `owner` wait."""
        having = [ring.behind[owner] for ring in self._rings.values() if owner in ring.behind]
        return sum(1 + len(waiting or ()) for waiting in having)

    def put(self, owner: Owner, operations: Iterable[Operation]) -> None:
        """Let operations of `owner` wait, behind those that it has waiting already."""
        rings = self._rings
        for operation in operations:
            name = operation.name
            if name not in rings:
                rings[name] = _Ring()
            rings[name].put(owner, operation)

    def take(self, names: Container[str], at_most: int) -> list[tuple[Owner, Operation]]:
        """Take up to `at_most` operations of these names, one per owner in turn."""
        taken: list[tuple[Owner, Operation]] = []
        rings = [ring for name, ring in self._rings.items() if ring.count and name in names]
        while rings and len(taken) < at_most:
            quota = max(1, (at_most - len(taken)) // len(rings))
            for ring in rings:
                ring.take(min(quota, at_most - len(taken)), taken)
            rings = [ring for ring in rings if ring.count]
        return taken

    def drop(self, owner: Owner) -> None:
        """Forget whatever `owner` has waiting."""
        for ring in self._rings.values():
            ring.drop(owner)
