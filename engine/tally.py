"""What is counted on the way: plain integers, for metrics and rates. Pure.

Counting is per call wherever it can be, since an operation has no microsecond to spare: all
operations of a call are observed at once, with the time that the call took.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from engine.errors import OperationFailed
from engine.exchange import Result, Step

# Seconds: from a call on loopback to a call that timed out, with room for a long queue.
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


class Histogram:
    """How many values were not above each of `BOUNDS_S`, and above all of them."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Take a value, as often as it was seen."""
        self.counts[bisect_left(BOUNDS_S, value)] += times
        self.sum += value * times


class Tally:
    """What has been computed, tried and waited for since the start."""

    def __init__(self) -> None:
        self.completed = 0  # operations that came back, with a result or a failure of their own
        self.broken = 0  # attempts that brought nothing
        self.computed: Counter[str] = Counter()  # operations that came back, by name
        self.failed: Counter[str] = Counter()  # those of them that have no result
        self.retries: Counter[str] = Counter()  # attempts to be made again, by reason
        self.call_s: dict[str, Histogram] = {}  # of operations by name: how long their call took
        self.queue_s = Histogram()  # of the first operation of each call

    def answered(self, steps: Sequence[Step], results: Sequence[Result], elapsed_s: float) -> None:
        """Count a call that was answered."""
        self.completed += len(steps)
        names = Counter([step.name for step in steps]) if len(steps) > 1 else {steps[0].name: 1}
        for name, count in names.items():
            self.computed[name] += count
            if name not in self.call_s:
                self.call_s[name] = Histogram()
            self.call_s[name].observe(elapsed_s, count)
        if OperationFailed in map(type, results):
            for step, result in zip(steps, results, strict=True):
                self.failed[step.name] += isinstance(result, OperationFailed)

    def broke(self, operations: int, reason: str) -> None:
        """Count a call that brought nothing, for a reason."""
        self.broken += operations
        self.retries[reason] += operations
