"""Whether the master itself was asleep: then nobody else is to blame for the silence.

A process that was stopped, swapped out or suspended wakes to find every time-out passed at once.
Whoever is about to blame a worker asks here first whether the time was really spent waiting. The
heartbeat calls `beat` at each of its ticks, and whoever asks something of a worker `look` before it
does; a gap between two of these is sleep. Who was asked after it is not excused by it. Pure.
"""


class Wakefulness:
    """Remembers the latest time that the master was away, from its own heartbeat."""

    def __init__(self, now: float, longest_gap_s: float) -> None:
        self._longest_gap_s = longest_gap_s
        self._beat_at = now
        self._awake_at = now  # surely
        self._woke_at: float | None = None

    def beat(self, now: float) -> float:
        """Record a tick; return how many seconds of sleep came before it, 0 if none."""
        self.look(now)
        gap = now - self._beat_at
        self._beat_at = now
        return gap if gap > self._longest_gap_s else 0.0

    def look(self, now: float) -> None:
        """Notice sleep that ended just now."""
        if now - self._awake_at > self._longest_gap_s:
            self._woke_at = now
        self._awake_at = now

    def slept_since(self, then: float, now: float) -> bool:
        """Return whether the master was asleep at some time between `then` and `now`."""
        if now - self._awake_at > self._longest_gap_s:
            return True  # just woken, and nothing has noticed it yet
        return self._woke_at is not None and self._woke_at > then
