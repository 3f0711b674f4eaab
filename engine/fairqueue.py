"""The queue of ready operations: one operation per job in turn. Pure.

Each operation name has a ring with one entry for every job that has such operations waiting; what
else that job has waiting under the name stands behind its entry. Taking goes round the ring, so
that a job of one operation behind a job of 100,000 is served at once. Putting and taking cost the
same however many jobs and operations wait.
"""

from collections import deque
from collections.abc import Container, Hashable, Iterable, Iterator
from typing import Generic, TypeVar

from engine.job import Operation

Owner = TypeVar("Owner", bound=Hashable)
Entry = tuple[Owner, Operation, float]  # whose operation waits, and since when


class _Ring(Generic[Owner]):
    """What waits under one name."""

    __slots__ = ("behind", "count", "entries")

    def __init__(self) -> None:
        self.entries: deque[Entry[Owner]] = deque()
        # Who has an entry, and what waits behind it; an entry whose owner is not here was dropped.
        self.behind: dict[Owner, deque[Entry[Owner]] | None] = {}
        self.count = 0

    def put(self, owner: Owner, operation: Operation, since: float) -> None:
        self.count += 1
        behind = self.behind
        entry = (owner, operation, since)
        if owner not in behind:
            behind[owner] = None
            self.entries.append(entry)
            return
        waiting = behind[owner]
        if waiting is None:
            behind[owner] = deque((entry,))
        else:
            waiting.append(entry)

    def take(self, at_most: int, taken: list[Entry[Owner]]) -> None:
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
                entries.append(waiting.popleft())
            else:  # nobody to take turns with
                more = min(len(waiting) - 1, at_most - (len(taken) - before))
                taken.extend([waiting.popleft() for _ in range(more)])
                entries.append(waiting.popleft())
        self.count -= len(taken) - before

    def heads(self) -> Iterator[Entry[Owner]]:
        return (entry for entry in self.entries if entry[0] in self.behind)

    def waiting(self, owner: Owner) -> list[Entry[Owner]]:
        if owner not in self.behind:
            return []
        return [entry for entry in self.entries if entry[0] == owner] + list(
            self.behind[owner] or ()
        )

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

    def waiting(self, owner: Owner) -> list[Entry[Owner]]:
        """Return what `owner` has waiting, of each name in the order in which it came."""
        return [entry for ring in self._rings.values() for entry in ring.waiting(owner)]

    def oldest(self) -> float | None:
        """Return since when the operation waits that has waited longest, `None` if none does."""
        rings = self._rings.values()
        return min((since for ring in rings for _, _, since in ring.heads()), default=None)

    def put(self, owner: Owner, operations: Iterable[Operation], since: float) -> None:
        """Let operations of `owner` that are ready since a time wait, behind those that do."""
        rings = self._rings
        for operation in operations:
            name = operation.name
            if name not in rings:
                rings[name] = _Ring()
            rings[name].put(owner, operation, since)

    def take(self, names: Container[str], at_most: int) -> list[Entry[Owner]]:
        """Take up to `at_most` operations of these names, one per owner in turn."""
        taken: list[Entry[Owner]] = []
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
