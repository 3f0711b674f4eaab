"""What a line of log is to a machine."""

import json
import logging

from engine.logs import JsonFormatter


def a_line(**more: object) -> dict[str, object]:
    """Return a record as the machine reads it."""
    record = logging.makeLogRecord(
        {
            "name": "engine.core",
            "levelname": "INFO",
            "msg": "job %d is taken",
            "args": (47,),
            **more,
        }
    )
    line: dict[str, object] = json.loads(JsonFormatter().format(record))
    return line


def test_a_line_is_one_json_object() -> None:
    """With a time in UTC, a level, a logger and a message."""
    line = a_line(created=0.5, msecs=500)
    assert line == {
        "time": "1970-01-01T00:00:00.500Z",
        "level": "info",
        "logger": "engine.core",
        "message": "job 47 is taken",
    }


def test_what_a_line_is_about_has_keys_of_its_own() -> None:
    """So that all lines of a job, or of a trace, can be found."""
    line = a_line(job_id=47, traceparent="00-...-01")
    assert (line["job_id"], line["traceparent"]) == (47, "00-...-01")


def test_what_is_not_known_is_not_there() -> None:
    """A job without a trace has no key for it."""
    assert "traceparent" not in a_line(job_id=47, traceparent=None)
