"""What happened, line by line, with virtual times: the same seed gives the same lines."""

from collections.abc import Callable


class History:
    """A list of lines, each with the time at which it was added."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.lines: list[str] = []

    def add(self, what: str) -> None:
        """Add a line."""
        self.lines.append(f"{self._now():11.6f} {what}")

    @property
    def text(self) -> str:
        """All lines, as they are compared and printed."""
        return "\n".join(self.lines)
