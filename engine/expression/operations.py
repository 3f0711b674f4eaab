"""What a text says, as flat lists: its operations, in the order in which Python computes them.

There is no tree: where a result is awaited is a number, so nothing has to be walked, and no depth
can break anything. A sign is no operation: it belongs to the literal behind it, and before a
bracket it is a `mul` by -1.
"""

from array import array
from collections.abc import MutableSequence

from engine.job import Number

NOWHERE = -1  # where the result of the last operation goes: it is the answer


class Expression:
    """The operations of one text. `value` is its number if it has none.

    Operation i has `names[i]` and stands at column `columns[i]` (from 1). Its operands are at 2i
    and 2i + 1 of `operands`, `None` where the result of an earlier operation is awaited. Its own
    result goes to the place `destinations[i]` among them. `ready` are those that wait for nothing.
    Whoever takes such lists over may change them.

    Of a large text they are arrays where they can be: an array of any length is let go at once, and
    the collector does not look into it. Lists of some ten are quicker.
    """

    __slots__ = ("columns", "destinations", "names", "operands", "ready", "value")

    def __init__(self, *, is_large: bool = False) -> None:
        self.names: list[str] = []
        self.columns: MutableSequence[int] = array("q") if is_large else []
        self.operands: list[Number | None] = []
        self.destinations: MutableSequence[int] = array("q") if is_large else []
        self.ready: MutableSequence[int] = array("q") if is_large else []
        self.value: Number | None = None
