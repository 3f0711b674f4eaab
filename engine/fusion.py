"""Fusion: what waits only for operations aboard the same call may travel with them. Pure.

Two reasons make it worth while. A long run of operations each of which waits only for the one
before has no parallelism to lose, so it need not come back to the master after each of them. And
while so much waits that every worker has its hands full, to spread a job wider makes nothing
quicker, and every way back that is saved makes everything so.

What can be fused changes while a job runs: an operand has become known, or has not. A division by
a known zero is never fused, since nobody is to be asked for one; nor is an operation that the
worker does not take.
"""

from collections.abc import Container, Sequence

import msgspec

from engine.job import Number
from engine.messages import Computation, Item


class Link(msgspec.Struct, frozen=True, gc=False):
    """An operation that travels with those that it waits for, and is computed after them.

    An operand in what is `asked` is a number if it is known. Else it is an `Item`: the result of
    that item, counted from 0, of the same call.
    """

    index: int
    name: str
    asked: Computation
    column: int

    @property
    def operands(self) -> tuple[Number | None, ...]:
        """The operands, `None` for those that are not known."""
        operands = self.asked.op1, self.asked.op2
        return tuple([None if isinstance(operand, Item) else operand for operand in operands])


class Fusion:
    """What can follow the operations of one plan in their call.

    `destinations[i]` is the place among `operands` that awaits the result of operation i, negative
    if none does; the operands of operation i are at the places 2i and 2i + 1, `None` if unknown.
    Runs of `chain_from` operations or more count as long; 0: none does.
    """

    __slots__ = ("_columns", "_destinations", "_inside", "_names", "_operands", "_shortest")

    def __init__(
        self,
        names: Sequence[str],
        columns: Sequence[int],
        operands: Sequence[Number | None],
        destinations: Sequence[int],
        chain_from: int,
    ) -> None:
        self._names = names
        self._columns = columns
        self._operands = operands
        self._destinations = destinations
        self._shortest = chain_from
        # Reached by a chain that was long enough.
        self._inside = bytearray(len(names) if self.may_have_chains else 0)

    def __len__(self) -> int:
        """Return how many operations the plan has."""
        return len(self._names)

    @property
    def may_have_chains(self) -> bool:
        """Whether the job has as many operations as a long chain."""
        return 1 < self._shortest <= len(self._names)

    def is_chain(self, index: int) -> bool:
        """Return whether operation `index` begins a chain that is long enough, or goes one on.

        Whoever computes it: a worker that takes only some of it still brings it forward.
        """
        if self._inside[index]:
            return True
        for _ in range(self._shortest - 1):
            place = self._destinations[index]
            if not self._leads_on(place):
                return False
            index = place >> 1
        return True

    def chain(self, index: int, first: int, at_most: int, takes: Container[str]) -> list[Link]:
        """Return up to `at_most` links that follow operation `index`, the item `first` of a call.

        `takes` names the operations that its worker takes. However short the rest of the chain is,
        it counts as long from now on.
        """
        links = self.links([index], first, at_most, takes)
        for link in links:
            self._inside[link.index] = 1
        last = self._destinations[links[-1].index if links else index]
        if last >= 0:
            self._inside[last >> 1] = 1
        return links

    def links(
        self, indexes: Sequence[int], first: int, at_most: int, takes: Container[str]
    ) -> list[Link]:
        """Return up to `at_most` operations that wait for nothing but operations `indexes`.

        Those are ready, and are the items from `first` on of a call; the links follow them there,
        each behind those that it waits for. `takes` names the operations that its worker takes.
        """
        names, operands, destinations = self._names, self._operands, self._destinations
        aboard = list(indexes)
        waiting: dict[int, int] = {}  # by the place that it goes to: the item with the result
        links: list[Link] = []
        for item, index in enumerate(aboard, start=first):  # it grows with each link
            if at_most <= 0:
                break
            place = destinations[index]
            if place < 0:
                continue
            waits = place >> 1
            name = names[waits]
            if name not in takes:
                continue
            other = operands[place ^ 1]
            theirs: Number | Item
            if other is None:
                other_item = waiting.get(place ^ 1)
                if other_item is None:
                    waiting[place] = item
                    continue
                theirs = Item(other_item)
            elif other == 0 and not place & 1 and name == "div":
                continue
            else:
                theirs = other
            mine = Item(item)
            asked = (
                Computation(name, theirs, mine) if place & 1 else Computation(name, mine, theirs)
            )
            links.append(Link(waits, name, asked, self._columns[waits]))
            aboard.append(waits)
            at_most -= 1
        return links

    def _leads_on(self, place: int) -> bool:
        if place < 0:
            return False
        other = self._operands[place ^ 1]
        divides_by_other = self._names[place >> 1] == "div" and not place & 1
        return other is not None and not (divides_by_other and other == 0)
