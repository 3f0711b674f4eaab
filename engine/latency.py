"""A window of the latest latencies, and their quantiles on demand.

Exact over the last `SIZE` values and nothing older: enough to tell a worker that is slow now from
one that was, and cheap to keep, for sorting happens only when somebody asks.
"""

from collections import deque

SIZE = 128


class LatencyWindow:
    """The last `SIZE` latencies, in seconds."""

    def __init__(self) -> None:
        self._values: deque[float] = deque(maxlen=SIZE)

    def __len__(self) -> int:
        """Return how many values are held."""
        return len(self._values)

    def add(self, seconds: float) -> None:
        """Take one more, letting the oldest go."""
        self._values.append(seconds)

    def quantile(self, share: float) -> float | None:
        """Return the value that `share` (0 to 1) of the window does not exceed; `None` if empty."""
        if not self._values:
            return None
        ordered = sorted(self._values)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
