"""What was measured, what it should be, and both as a table. Pure."""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

HEAD = "| what | aim | figure | | note |\n| --- | --- | --- | --- | --- |"


class Aim(NamedTuple):
    """The bound that a figure should keep."""

    bound: float
    at_least: bool  # otherwise at most

    def holds(self, value: float) -> bool:
        """Return whether `value` keeps it."""
        return value >= self.bound if self.at_least else value <= self.bound


class Figure(NamedTuple):
    """One line of the table: `value` in `unit`, and what a reader should know of it."""

    what: str
    value: float
    unit: str = ""
    aim: Aim | None = None
    note: str = ""


def at_least(bound: float) -> Aim:
    """Return the aim of reaching `bound`."""
    return Aim(bound, at_least=True)


def at_most(bound: float) -> Aim:
    """Return the aim of staying below `bound`."""
    return Aim(bound, at_least=False)


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` (0 to 1) of `values` do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """Return the median of the ratios of pairs that were measured one right after the other."""
    return median(a / b for a, b in zip(numerators, denominators, strict=True))


def shown(value: float, unit: str = "") -> str:
    """Return `value` with as many digits as mean something."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()


def line(figure: Figure) -> str:
    """Return the figure as a line of a Markdown table that begins with `HEAD`."""
    aim, held = "", ""
    if figure.aim is not None:
        sign = "≥" if figure.aim.at_least else "≤"
        aim = f"{sign} {shown(figure.aim.bound, figure.unit)}"
        held = "yes" if figure.aim.holds(figure.value) else "**no**"
    return (
        f"| {figure.what} | {aim} | {shown(figure.value, figure.unit)} | {held} | {figure.note} |"
    )
