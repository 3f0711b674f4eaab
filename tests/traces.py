"""What traces tell, to its end."""

from collections.abc import Iterable
from typing import cast

from engine.expression.parser import parse
from engine.plan import Plan
from engine.trace import Shown, Telling, UnderWay, WholeTrace


def shown(text: str, trace: WholeTrace, under_way: Iterable[UnderWay] = ()) -> Shown:
    """Return what the trace of a task tells."""
    return told_by(trace.shown(Plan(parse(text)), under_way))


def told_by(telling: Telling) -> Shown:
    """Return what is told in the end."""
    while True:
        try:
            next(telling)
        except StopIteration as end:
            return cast(Shown, end.value)
