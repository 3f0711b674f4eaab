"""Whether the master itself was asleep: then nobody else is to blame for the silence.

A process that was stopped, swapped out or suspended wakes to find every time-out passed at once.
Whoever is about to blame a worker asks here first whether the time was really spent waiting. The
heartbeat calls `beat` at each of its ticks, and whoever asks something of a worker `look` before it
does; a long gap between two of these is sleep, and so are several shorter ones together. Who was
asked after it is not excused by it. Pure.
"""

from collections import deque

NAP = 0.25  # of the longest gap: a shorter one is a long turn of the loop, and no sleep
NAPS = 32  # that are remembered: together they are sleep, whatever was asked before them


class Wakefulness:
    """Remembers the latest times that the master was away, from its own heartbeat."""

    def __init__(self, now: float, longest_gap_s: float) -> None:
        self._longest_gap_s = longest_gap_s
        self._beat_at = now
        self._awake_at = now  # surely
        self._naps: deque[tuple[float, float]] = deque(maxlen=NAPS)  # when it woke, how long it was

    def beat(self, now: float) -> float:
        """Record a tick; return how many seconds of sleep came before it, 0 if none."""
        self.look(now)
        gap = now - self._beat_at
        self._beat_at = now
        return gap if gap > self._longest_gap_s else 0.0

    def look(self, now: float) -> None:
        """Notice sleep that ended just now."""
        if self._nap_s(now):
            self._naps.append((now, self._nap_s(now)))
        self._awake_at = now

    def slept_since(self, then: float, now: float) -> bool:
        """Return whether the master has slept between `then` and `now` for the longest gap."""
        slept_s = self._nap_s(now)  # just woken, and nothing has noticed it yet
        slept_s += sum(nap_s for woke_at, nap_s in self._naps if woke_at > then)
        return slept_s > self._longest_gap_s

    def _nap_s(self, now: float) -> float:
        gap = now - self._awake_at
        return gap if gap > NAP * self._longest_gap_s else 0.0
