"""Hedging: what counts as late, and how much of that may be asked for a second time. Pure.

A call is late when it takes longer than nineteen in twenty of the latest did. To ask for what is
late at another worker, too, costs work; so it is paid from savings, to which each operation that
is sent adds its share. While all goes well hardly anything is paid, and when much is late at once
it is the pool that is slow, and no worker.
"""

from engine.latency import LatencyWindow

AFTER_S = 0.01  # however quick the workers are: less is the noise of a busy machine
CREDIT = 100.0  # operations that may be saved up to be hedged at once


class Hedging:
    """Knows the latest latencies, and keeps the savings."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._latency = LatencyWindow()
        self._credit = CREDIT

    @property
    def is_on(self) -> bool:
        """Whether anything is ever hedged."""
        return self._share > 0

    @property
    def late_s(self) -> float:
        """After how many seconds a call is late."""
        return max(self._latency.quantile(0.95) or 0.0, AFTER_S)

    def sent(self, operations: int) -> None:
        """Save for operations that were sent."""
        self._credit = min(self._credit + self._share * operations, CREDIT)

    def answered(self, elapsed_s: float) -> None:
        """Learn from a call that was answered, at whatever worker."""
        self._latency.add(elapsed_s)

    def spend(self, operations: int) -> bool:
        """Take what it costs to send so many operations again; return whether it was there."""
        if operations > self._credit:
            return False
        self._credit -= operations
        return True
