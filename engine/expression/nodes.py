"""The tree of an expression: literals, and operations on two subtrees.

A tree may be as deep as its text is long, so nothing may recurse over one: nodes are compared by
identity, shown without what is below them, and walked with a list of what is still to be visited.
A sign is no node: it belongs to the literal behind it, and before a bracket it is a `mul` by -1.
"""

from dataclasses import dataclass
from types import MappingProxyType

from engine.job import Number

SYMBOLS = MappingProxyType({"sum": "+", "sub": "-", "mul": "*", "div": "/"})


@dataclass(slots=True, eq=False)
class Literal:
    """A number with its sign. `column` (from 1) is where the sign that counts, or it, begins."""

    value: Number
    column: int


@dataclass(slots=True, eq=False, repr=False)
class BinaryOperation:
    """An operation on two subtrees. `column` (from 1) is where its operator stands."""

    name: str
    left: "Node"
    right: "Node"
    column: int

    def __repr__(self) -> str:
        return f"BinaryOperation(name={self.name!r}, column={self.column})"


Node = Literal | BinaryOperation


def to_text(tree: Node) -> str:
    """Return `tree` with all its brackets: `(1 + ((2 * 3) / 4))`."""
    parts: list[str] = []
    to_visit: list[Node | str] = [tree]
    while to_visit:
        item = to_visit.pop()
        if isinstance(item, str):
            parts.append(item)
        elif isinstance(item, Literal):
            parts.append(repr(item.value))
        else:
            symbol = f" {SYMBOLS[item.name]} "
            to_visit += (")", item.right, symbol, item.left, "(")
    return "".join(parts)
