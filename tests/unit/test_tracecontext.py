"""Which `traceparent` is passed on."""

import pytest

from engine.tracecontext import trace_parent_of

GOOD = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_well_formed_one_is_passed_on_as_it_came() -> None:
    """Blanks around a header's value mean nothing."""
    assert trace_parent_of(GOOD) == GOOD
    assert trace_parent_of(f" {GOOD} ") == GOOD


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "x",
        GOOD.upper(),
        GOOD[:-1],
        GOOD + "-extra",
        GOOD + "\n" + GOOD,
        GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        GOOD.replace("00f067aa0ba902b7", "0" * 16),
        "ff" + GOOD[2:],
    ],
)
def test_anything_else_is_ignored(header: str | None) -> None:
    """A client with a bug there still gets its answer."""
    assert trace_parent_of(header) is None
