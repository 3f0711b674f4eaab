"""The queue of ready operations: one operation per job in turn. Pure.

Each operation name has a ring of shares, a share being what one job has waiting under that name.
Taking goes round the ring, so that a job of one operation behind a job of 100,000 is served at
once. Putting and taking cost the same however many jobs and operations wait.
"""

from collections import deque
from collections.abc import Container, Hashable, Iterable
from typing import Generic, TypeVar

from engine.job import Operation

Owner = TypeVar("Owner", bound=Hashable)


class _Share(Generic[Owner]):
    __slots__ = ("operations", "owner")

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self.operations: deque[Operation] = deque()


class FairQueue(Generic[Owner]):
    """Operations that wait for a worker, by name and by owner (a job's lane)."""

    def __init__(self) -> None:
        self._rings: dict[str, deque[_Share[Owner]]] = {}
        self._shares: dict[Owner, dict[str, _Share[Owner]]] = {}
        self._counts: dict[str, int] = {}

    def __len__(self) -> int:
        """Return how many operations wait."""
        return sum(self._counts.values())

    def count(self, names: Container[str]) -> int:
        """Return how many operations of these names wait."""
        return sum(count for name, count in self._counts.items() if name in names)

    def count_of(self, owner: Owner) -> int:
        """Return how many operations of `owner` wait."""
        return sum(len(share.operations) for share in self._shares.get(owner, {}).values())

    def put(self, owner: Owner, operations: Iterable[Operation]) -> None:
        """Let operations of `owner` wait, behind those that it has waiting already."""
        shares = self._shares.setdefault(owner, {})
        for operation in operations:
            name = operation.name
            share = shares.get(name)
            if share is None:
                share = shares[name] = _Share(owner)
            if not share.operations:
                self._rings.setdefault(name, deque()).append(share)
            share.operations.append(operation)
            self._counts[name] = self._counts.get(name, 0) + 1

    def take(self, names: Container[str], at_most: int) -> list[tuple[Owner, Operation]]:
        """Take up to `at_most` operations of these names, one per owner in turn."""
        taken: list[tuple[Owner, Operation]] = []
        rings = {name: ring for name, ring in self._rings.items() if ring and name in names}
        while rings and len(taken) < at_most:
            quota = max(1, (at_most - len(taken)) // len(rings))
            for name in list(rings):
                before = len(taken)
                self._go_round(rings[name], min(quota, at_most - before), taken)
                self._counts[name] -= len(taken) - before
                if not rings[name]:
                    del rings[name]
        return taken

    @staticmethod
    def _go_round(
        ring: "deque[_Share[Owner]]", at_most: int, taken: list[tuple[Owner, Operation]]
    ) -> None:
        while at_most and ring:
            share = ring.popleft()
            turn = 1 if ring else min(at_most, len(share.operations))  # alone: no turns to take
            taken.extend([(share.owner, share.operations.popleft()) for _ in range(turn)])
            at_most -= turn
            if share.operations:
                ring.append(share)

    def drop(self, owner: Owner) -> None:
        """Forget whatever `owner` has waiting."""
        for name, share in self._shares.pop(owner, {}).items():
            if share.operations:
                self._counts[name] -= len(share.operations)
                self._rings[name].remove(share)
