"""Logs on stderr: lines for people, or JSON for machines. Set up once, by a program's roof.

What may happen often has a line now and then, with a count: `Seldom` says when.
"""

import logging
import math
import sys
import time

from engine.messages import encode
from engine.settings import LogSettings

TOLD_EVERY_S = 60.0  # what happens again and again
CONTEXT = ("job_id", "job_ids", "traceparent")  # what a record may add


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time in UTC, level, logger, message, and what a record adds."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line of JSON."""
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in CONTEXT:
            value = getattr(record, name, None)
            if value is not None:
                line[name] = value
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return encode(line).decode()


class Seldom:
    """Counts what may happen often, and says when a line about it is due."""

    def __init__(self) -> None:
        self.count = 0  # since the start
        self._before = 0  # when it was told
        self._told_at = -math.inf

    def happened(self, now: float) -> int:
        """Count it; return how often it happened since the last line, 0 while none is due."""
        self.count += 1
        if now - self._told_at < TOLD_EVERY_S:
            return 0
        count = self.count - self._before
        self._before, self._told_at = self.count, now
        return count


def configure(settings: LogSettings) -> None:
    """Send everything that is logged from now on to stderr, as the settings say."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter()
        if settings.format == "json"
        else logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
