"""How much of something may be done now, when so much a second is allowed. Pure.

What was not used is kept for later, but no more than `most`: after a quiet hour the pace is the
same as ever. However often somebody asks, over any time `most` and the pace are not exceeded.
"""


class Allowance:
    """So much a second, and never more than `most` at once."""

    def __init__(self, per_s: float, most: float, now: float) -> None:
        self._per_s = per_s
        self._most = most
        self._left = most
        self._at = now

    def left(self, now: float) -> int:
        """Return how much may be done now."""
        self._left = min(self._most, self._left + (now - self._at) * self._per_s)
        self._at = now
        return int(self._left)

    def spend(self, count: int) -> None:
        """Count what is done, which is no more than was left."""
        self._left -= count
