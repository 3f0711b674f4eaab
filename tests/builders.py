"""Small makers of the things that tests talk about: each names only what its test is about."""

from engine.job import Number, Operation


def an_operation(
    index: int = 0, name: str = "sum", operands: tuple[Number, ...] = (1, 2), column: int = 2
) -> Operation:
    """Return an operation whose operands are known."""
    return Operation(index, name, operands, column)


def operations(count: int, name: str = "sum") -> list[Operation]:
    """Return `count` operations that are ready, told apart by their index."""
    return [an_operation(index, name, (index, 1)) for index in range(count)]
