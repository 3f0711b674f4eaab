"""Named moments at which a master can be made to die, so that tests see what outlives it.

`EXECUTOR_CRASH_AT=submit.stored` makes the process kill itself there, as `kill -9` would, at the
first passing; `submit.stored:20` at the twentieth; `?` lets it live and say on stderr, once each,
which points it passes. Unarmed, which is always but in tests, a point costs a call and a
comparison: there are points per job, per call and per group of writes, and none per operation.

What is armed belongs to the process, as the death does: it is set once, by the roof.
"""

import os
import signal
import sys
from collections import Counter
from typing import Literal, get_args

from engine.errors import SettingsError

Point = Literal[
    "submit.received",
    "submit.parsed",
    "submit.stored",
    "dispatch.before_send",
    "dispatch.answered",
    "dispatch.delivered",
    "finish.computed",
    "finish.stored",
    "finish.told",
    "write.begun",
    "write.half_written",
    "write.before_commit",
    "write.committed",
    "retention.half_forgotten",
    "retention.forgotten",
    "recovery.locked",
    "recovery.examined",
    "recovery.half_migrated",
    "recovery.migrated",
    "recovery.opened",
    "recovery.read",
    "recovery.taken_up",
    "drain.begun",
    "drain.calls_over",
    "drain.settled",
    "close.before_checkpoint",
    "close.after_checkpoint",
    "close.unlocked",
]
POINTS: tuple[Point, ...] = get_args(Point)
SAY = "?"


class _Armed:
    """Counts passings; ends the process at one of them, or says what it passes."""

    def __init__(self, target: str, passing: int) -> None:
        self._target = target
        self._passing = passing
        self._passed: Counter[str] = Counter()

    def passed(self, name: str) -> None:
        self._passed[name] += 1
        if self._target == SAY and self._passed[name] == 1:
            print(f"crash point {name}", file=sys.stderr, flush=True)
        elif self._target == name and self._passed[name] == self._passing:
            os.kill(os.getpid(), signal.SIGKILL)


_armed: _Armed | None = None


def arm(text: str) -> None:
    """Arm what `EXECUTOR_CRASH_AT` says; '' disarms. Raises `SettingsError` for unknown points."""
    global _armed  # noqa: PLW0603  # a process dies once: see above
    name, _, passing = text.partition(":")
    if name not in ("", SAY, *POINTS) or not (passing or "1").isdecimal():
        raise SettingsError(
            f"EXECUTOR_CRASH_AT={text}: there is no such point; unset it, or see the list in"
            " docs/reliability.md"
        )
    _armed = _Armed(name, int(passing or "1")) if name else None


def crash_point(name: Point) -> None:
    """Die here if this is the armed point; else go on."""
    if _armed is not None:
        _armed.passed(name)
