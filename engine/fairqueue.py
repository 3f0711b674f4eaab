"""The queue of ready operations: one operation per job in turn. Pure.

Operations that the same workers take wait in one ring, which has one entry for every job that has
such operations waiting; what else that job has waiting stands behind its entry. Taking goes round
the ring, so that a job of one operation behind a job of 100,000 is served at once. Putting and
taking cost the same however many jobs and operations wait.
"""

from collections import deque
from collections.abc import Container, Hashable, Iterable, Iterator
from typing import Generic, TypeVar

from engine.job import Operation

Owner = TypeVar("Owner", bound=Hashable)
Entry = tuple[Owner, Operation, float]  # whose operation waits, and since when


class _Ring(Generic[Owner]):
    """What waits for the same workers."""

    __slots__ = ("behind", "count", "entries", "name")

    def __init__(self, name: str) -> None:
        self.name = name  # one of those that wait here: who takes it takes all of them
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

    def take(self, at_most: int, turn: int, taken: list[Entry[Owner]]) -> None:
        entries, behind = self.entries, self.behind
        before = len(taken)
        while entries and (room := at_most - (len(taken) - before)) > 0:
            entry = entries.popleft()
            owner = entry[0]
            if owner not in behind:
                continue
            taken.append(entry)
            waiting = behind[owner]
            if not waiting:
                del behind[owner]
                continue
            # Without anybody to take turns with, a turn takes all that there is room for.
            more = min(turn if entries else room, room) - 1
            if more >= len(waiting):
                taken += waiting
                del behind[owner]
            else:
                taken += [waiting.popleft() for _ in range(more)]
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
        waiting = list(self)
        self._abilities = list(abilities)
        self._rings.clear()
        self._ring_of.clear()
        for owner, operation, since in waiting:
            self.put(owner, (operation,), since)

    def __iter__(self) -> Iterator[Entry[Owner]]:
        """Iterate over all that waits, what is next in a ring before what is behind it."""
        for ring in self._rings.values():
            yield from ring.heads()
            for behind in ring.behind.values():
                yield from behind or ()

    def count(self, names: Container[str]) -> int:
        """Return how many operations of these names wait."""
        return sum(ring.count for ring in self._suitable(names))

    def waiting(self, owner: Owner) -> list[Entry[Owner]]:
        """Return what `owner` has waiting, of each name in the order in which it came."""
        return [entry for ring in self._rings.values() for entry in ring.waiting(owner)]

    def oldest(self) -> float | None:
        """Return since when the operation waits that has waited longest, `None` if none does."""
        rings = self._rings.values()
        return min((since for ring in rings for _, _, since in ring.heads()), default=None)

    def put(self, owner: Owner, operations: Iterable[Operation], since: float) -> None:
        """Let operations of `owner` that are ready since a time wait, behind those that do."""
        ring_of = self._ring_of
        for operation in operations:
            name = operation.name
            if name not in ring_of:
                kind = tuple(name in takes for takes in self._abilities)
                ring_of[name] = self._rings.setdefault(kind, _Ring(name))
            ring_of[name].put(owner, operation, since)

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

    def _suitable(self, names: Container[str]) -> list[_Ring[Owner]]:
        return [ring for ring in self._rings.values() if ring.name in names]
