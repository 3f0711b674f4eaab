"""Chains in a plan: long runs of operations each of which waits only for the one before. Pure.

Such a run has no parallelism to lose, so it may travel to one worker in one call instead of
coming back to the master after each operation. What is a chain changes while a job runs: an
operation becomes a link as soon as its other operand is known. A division by a known zero is no
link, since nobody is to be asked for one.
"""

from collections.abc import Sequence

from engine.job import Link, Number


class PlanChains:
    """The chains of one plan, looked for when an operation becomes ready.

    `destinations[i]` is the place among `operands` that awaits the result of operation i, negative
    if none does; the operands of operation i are at the places 2i and 2i + 1, `None` if unknown.
    """

    def __init__(
        self,
        names: Sequence[str],
        columns: Sequence[int],
        operands: Sequence[Number | None],
        destinations: Sequence[int],
        shortest: int,
    ) -> None:
        self._names = names
        self._columns = columns
        self._operands = operands
        self._destinations = destinations
        self._shortest = shortest
        self._inside = bytearray(len(names))  # reached by a chain that was long enough

    def starts_at(self, index: int) -> bool:
        """Return whether operation `index` begins a chain that is long enough, or goes one on."""
        if self._inside[index]:
            return True
        for _ in range(self._shortest - 1):
            place = self._destinations[index]
            if not self._leads_on(place):
                return False
            index = place >> 1
        return True

    def after(self, index: int, at_most: int) -> list[Link]:
        """Return up to `at_most` links that follow operation `index` by now."""
        links: list[Link] = []
        while len(links) < at_most and self._leads_on(self._destinations[index]):
            place = self._destinations[index]
            index = place >> 1
            other = self._operands[place ^ 1]
            assert other is not None  # noqa: S101  # then it would not lead on
            links.append(
                Link(index, self._names[index], other, not place & 1, self._columns[index])
            )
            self._inside[index] = 1
        if links and self._destinations[index] >= 0:
            self._inside[self._destinations[index] >> 1] = 1
        return links

    def _leads_on(self, place: int) -> bool:
        if place < 0:
            return False
        other = self._operands[place ^ 1]
        divides_by_other = self._names[place >> 1] == "div" and not place & 1
        return other is not None and not (divides_by_other and other == 0)
