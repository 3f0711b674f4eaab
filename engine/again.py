"""The queue of operations that are to be asked again, of another worker than before. Pure.

They stand in groups by name and by who is to be avoided, so that what a worker may have is found at
once, however much waits that it may not have: what failed at all workers that take it waits for one
that comes back, and of what two workers are to agree on, most waits for the slower one. The groups
have their turns.
"""

from collections import deque
from collections.abc import Callable, Container, Hashable, Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

from engine.job import Operation

Owner = TypeVar("Owner", bound=Hashable)
Entry = tuple[Owner, Operation, float]  # whose operation waits, and since when it was ready
Workers = frozenset[Hashable]


class Terms(NamedTuple):
    """What an operation asks of the call that carries it next."""

    name: str
    avoid: Workers = frozenset()  # unless nobody else is left
    alone: bool = False  # in its call
    suspected: bool = False  # so that the worker is to have nothing else in hand either


class Again(Generic[Owner]):
    """Operations that were asked before. Their terms may change while they wait."""

    def __init__(self, terms_of: Callable[[Entry[Owner]], Terms]) -> None:
        self._terms_of = terms_of
        self._waiting: dict[Terms, deque[Entry[Owner]]] = {}
        self._count = 0

    def __len__(self) -> int:
        """Return how many operations wait."""
        return self._count

    def __iter__(self) -> Iterator[Entry[Owner]]:
        """Iterate over all that wait."""
        for entries in self._waiting.values():
            yield from entries

    def count(self, names: Container[str]) -> int:
        """Return how many operations of these names wait."""
        return sum(len(them) for terms, them in self._waiting.items() if terms.name in names)

    def oldest(self) -> float | None:
        """Return since when the first of those wait that have waited longest in their group."""
        return min((entries[0][2] for entries in self._waiting.values()), default=None)

    def put(self, entries: Iterable[Entry[Owner]]) -> None:
        """Let operations wait."""
        for entry in entries:
            self._waiting.setdefault(self._terms_of(entry), deque()).append(entry)
            self._count += 1

    def take(
        self,
        worker: Hashable,
        names: Container[str],
        at_most: int,
        is_nobody_left: Callable[[str, Workers], bool],
        *,
        is_idle: bool,
    ) -> list[Entry[Owner]] | None:
        """Take up to `at_most` operations of these names that a worker may have in one call.

        It may have those that avoid it if `is_nobody_left` but those that they avoid. `None` when
        the next one is suspected and the worker not idle: it is to get nothing more until it is.
        """
        taken: list[Entry[Owner]] = []
        for terms in list(self._waiting):
            if len(taken) >= at_most:
                break
            if (
                terms.name not in names
                or (terms.alone and taken)
                or (worker in terms.avoid and not is_nobody_left(terms.name, terms.avoid))
            ):
                continue
            if terms.suspected and not is_idle:
                return None
            taken += self._pop(terms, 1 if terms.alone else at_most - len(taken))
            if terms.alone and taken:
                break
        return taken

    def _pop(self, terms: Terms, at_most: int) -> list[Entry[Owner]]:
        """Take the first of a group, which has its turn with that."""
        entries = self._waiting.pop(terms)
        taken: list[Entry[Owner]] = []
        while entries and len(taken) < at_most:
            entry = entries.popleft()
            self._count -= 1
            if self._terms_of(entry) == terms:
                taken.append(entry)
            else:
                self.put([entry])
        if entries:
            self._waiting[terms] = entries
        return taken

    def drop(self, owner: Owner) -> None:
        """Let go of all that waits for an owner."""
        for terms, entries in list(self._waiting.items()):
            kept = deque(entry for entry in entries if entry[0] is not owner)
            self._count -= len(entries) - len(kept)
            if kept:
                self._waiting[terms] = kept
            else:
                del self._waiting[terms]
