"""Logs on stderr: lines for people, or JSON for machines. Set up once, by a program's roof."""

import logging
import sys
import time

from engine.messages import encode
from engine.settings import LogSettings

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
    logging.getLogger("tornado.general").setLevel(logging.ERROR)  # malformed requests: not ours
