"""The queue of operations that wait for the word of another worker than those asked before. Pure.

They stand in lanes of their own by name and by who was asked, so that what a worker may have is
found at once, however much waits that it may not have: of two workers one is often the slower, and
then most of what waits is waiting for it.
"""

from collections import deque
from collections.abc import Callable, Container, Hashable, Iterator
from typing import Generic, TypeVar

from engine.job import Operation

Owner = TypeVar("Owner", bound=Hashable)
Witness = TypeVar("Witness", bound=Hashable)
Entry = tuple[Owner, Operation, float]  # whose operation waits, and since when it was ready
Asked = frozenset[Witness]


class Unconfirmed(Generic[Owner, Witness]):
    """Operations that were answered, and are to be asked again elsewhere."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, Asked[Witness]], deque[Entry[Owner]]] = {}
        self._count = 0

    def __len__(self) -> int:
        """Return how many operations wait."""
        return self._count

    def __iter__(self) -> Iterator[Entry[Owner]]:
        """Iterate over all that wait."""
        for entries in self._waiting.values():
            yield from entries

    def put(self, entry: Entry[Owner], asked: Asked[Witness]) -> None:
        """Let an operation wait for somebody who is not among those `asked`."""
        self._waiting.setdefault((entry[1].name, asked), deque()).append(entry)
        self._count += 1

    def take(
        self,
        witness: Witness,
        names: Container[str],
        at_most: int,
        is_nobody_left: Callable[[str, Asked[Witness]], bool],
    ) -> list[Entry[Owner]]:
        """Take up to `at_most` operations of these names that a worker was not asked for.

        Those for which `is_nobody_left` but the ones that were asked, it may have too.
        """
        taken: list[Entry[Owner]] = []
        for (name, asked), entries in list(self._waiting.items()):
            if len(taken) == at_most:
                break
            if name in names and (witness not in asked or is_nobody_left(name, asked)):
                count = min(at_most - len(taken), len(entries))
                taken += [entries.popleft() for _ in range(count)]
                if not entries:
                    del self._waiting[name, asked]
        self._count -= len(taken)
        return taken

    def drop(self, owner: Owner) -> None:
        """Let go of all that waits for an owner."""
        for place, entries in list(self._waiting.items()):
            kept = deque(entry for entry in entries if entry[0] is not owner)
            self._count -= len(entries) - len(kept)
            if kept:
                self._waiting[place] = kept
            else:
                del self._waiting[place]
