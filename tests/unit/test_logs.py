"""What a line of log is to a machine."""

import json
import logging

from engine.logs import TOLD_EVERY_S, JsonFormatter, Seldom


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


def test_what_happens_often_has_a_line_now_and_then() -> None:
    """The first time at once, and none of them is left out of the count."""
    seldom = Seldom()
    times = [0.0, 0.1, 0.2, TOLD_EVERY_S, TOLD_EVERY_S + 1, 5 * TOLD_EVERY_S]
    assert [seldom.happened(now) for now in times] == [1, 0, 0, 3, 0, 2]
    assert seldom.count == 6
