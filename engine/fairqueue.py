"""The queue of ready operations: one operation per job in turn. Pure.

Operations that the same workers take wait in one ring, in which every job that has such operations
waiting stands once. Taking goes round the ring, so that a job of one operation behind a job of
100,000 is served at once. Putting and taking cost the same however many jobs and operations wait.
"""

from collections import deque
from collections.abc import Container, Hashable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

from engine.job import Operation

Owner = TypeVar("Owner", bound=Hashable)
Entry = tuple[Owner, Operation, float]  # whose operation waits, and since when
Batch = tuple[list[Operation], float]  # what was put together, the next one last; and since when


class _Ring(Generic[Owner]):
    """What waits for the same workers."""

    __slots__ = ("count", "name", "owners", "waiting")

    def __init__(self, name: str) -> None:
        self.name = name  # one of those that wait here: who takes it takes all of them
        self.owners: deque[Owner] = deque()  # in turn; up to a half were dropped
        self.waiting: dict[Owner, deque[Batch]] = {}
        self.count = 0

    def put(self, owner: Owner, operations: list[Operation], since: float) -> None:
        self.count += len(operations)
        batches = self.waiting.get(owner)
        if batches is None:
            self.waiting[owner] = deque(((operations, since),))
            self.owners.append(owner)
        else:
            batches.append((operations, since))

    def take(self, at_most: int, turn: int, taken: list[Entry[Owner]]) -> None:
        owners, waiting = self.owners, self.waiting
        before = len(taken)
        while owners and (room := at_most - (len(taken) - before)) > 0:
            owner = owners.popleft()
            batches = waiting.get(owner)
            if batches is None:
                continue
            # Without anybody to take turns with, a turn takes all that there is room for.
            more = min(turn, room) if owners else room
            while batches and more:
                operations, since = batches[0]
                if more < len(operations):
                    taken += [(owner, operations.pop(), since) for _ in range(more)]
                    break
                taken += [(owner, operation, since) for operation in reversed(operations)]
                more -= len(operations)
                batches.popleft()
            if batches:
                owners.append(owner)
            else:
                del waiting[owner]
        self.count -= len(taken) - before

    def batches(self) -> Iterator[tuple[Owner, Batch]]:
        for owner in self.owners:
            for batch in self.waiting.get(owner, ()):
                yield owner, batch

    def drop(self, owner: Owner) -> None:
        self.count -= sum(len(operations) for operations, _ in self.waiting.pop(owner, ()))
        if len(self.owners) > 2 * len(self.waiting):
            self.owners = deque(owner for owner in self.owners if owner in self.waiting)


class FairQueue(Generic[Owner]):
    """Operations that wait for a worker, by who may take them and by owner (a job's lane).

    Only what was `arrange`d can be taken. An owner that was dropped does not come back.
    """

    def __init__(self) -> None:
        self._abilities: list[Container[str]] = []
        self._rings: dict[tuple[bool, ...], _Ring[Owner]] = {}  # by which abilities have them
        self._ring_of: dict[str, _Ring[Owner]] = {}  # by the name of an operation

    def __len__(self) -> int:
        """Return how many operations wait."""
        return sum(ring.count for ring in self._rings.values())

    def arrange(self, abilities: Iterable[Container[str]]) -> None:
        """Let names share a ring if the same of these `abilities` have them.

        Costs a look at all that waits: to be called when there are other abilities than before.
        """
        waiting = [entry for ring in self._rings.values() for entry in ring.batches()]
        self._abilities = list(abilities)
        self._rings.clear()
        self._ring_of.clear()
        for owner, (operations, since) in waiting:
            self.put(owner, operations[::-1], since)

    def count(self, names: Container[str]) -> int:
        """Return how many operations of these names wait."""
        return sum(ring.count for ring in self._suitable(names))

    def waiting(self, owner: Owner) -> list[Entry[Owner]]:
        """Return what `owner` has waiting, of each name in the order in which it came."""
        return [
            (owner, operation, since)
            for ring in self._rings.values()
            for operations, since in ring.waiting.get(owner, ())
            for operation in reversed(operations)
        ]

    def oldest(self) -> float | None:
        """Return since when the operation waits that has waited longest, `None` if none does."""
        first = (batches[0] for ring in self._rings.values() for batches in ring.waiting.values())
        return min((since for _, since in first), default=None)

    def put(self, owner: Owner, operations: Sequence[Operation], since: float) -> None:
        """Let operations of `owner` that are ready since a time wait, behind those that do."""
        by_ring: dict[_Ring[Owner], list[Operation]] = {}
        for operation in reversed(operations):
            ring = self._ring_of.get(operation.name) or self._ring(operation.name)
            if ring in by_ring:
                by_ring[ring].append(operation)
            else:
                by_ring[ring] = [operation]
        for ring, its in by_ring.items():
            ring.put(owner, its, since)

    def take(self, names: Container[str], at_most: int, turn: int = 1) -> list[Entry[Owner]]:
        """Take up to `at_most` operations of these names, `turn` per owner in turn.

        `names` is one of the abilities that the queue is arranged by. The operations of one turn
        are next to each other.
        """
        taken: list[Entry[Owner]] = []
        rings = [ring for ring in self._suitable(names) if ring.count]
        while rings and len(taken) < at_most:
            quota = max(1, (at_most - len(taken)) // len(rings))
            for ring in rings:
                ring.take(min(quota, at_most - len(taken)), turn, taken)
            rings = [ring for ring in rings if ring.count]
        return taken

    def drop(self, owner: Owner) -> None:
        """Forget whatever `owner` has waiting."""
        for ring in self._rings.values():
            ring.drop(owner)

    def _ring(self, name: str) -> _Ring[Owner]:
        kind = tuple(name in takes for takes in self._abilities)
        self._ring_of[name] = ring = self._rings.setdefault(kind, _Ring(name))
        return ring

    def _suitable(self, names: Container[str]) -> list[_Ring[Owner]]:
        return [ring for ring in self._rings.values() if ring.name in names]
