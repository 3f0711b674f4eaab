"""The examination: calls with known answers that a worker passes before its first operation.

Each question is one that a language with other numbers than Python's gets wrong: integers above
2**53 and above 64 bits, the last bit of a float, the sign of zero, true division, and floats that
stay floats where they are whole: of each operation, a dedicated worker being asked for its own
only. Pure: `health.py` asks the questions.
"""

from collections.abc import Iterable

from engine.arithmetic import bits
from engine.exchange import Result
from engine.job import Number, Operation

QUESTIONS: tuple[tuple[str, tuple[Number, Number], Number], ...] = (
    ("sum", (2**53, 1), 2**53 + 1),
    ("sum", (2**64, 2**64), 2**65),
    ("sum", (0.1, 0.2), 0.30000000000000004),
    ("sum", (1.25, 1.75), 3.0),
    ("sub", (2**53 + 1, 2**53), 1),
    ("sub", (0.3, 0.1), 0.19999999999999998),
    ("sub", (2.75, 0.75), 2.0),
    ("mul", (2**40, 2**40), 2**80),
    ("mul", (-1, 0.0), -0.0),
    ("mul", (0.25, 8), 2.0),
    ("div", (7, 2), 3.5),
    ("div", (6, 3), 2.0),
)


def questions_for(operations: Iterable[str]) -> list[Operation]:
    """Return what a worker that takes `operations` is asked; nothing for names we cannot check."""
    names = set(operations)
    return [
        Operation(index, name, operands, column=0)
        for index, (name, operands, _) in enumerate(QUESTIONS)
        if name in names
    ]


def fault(question: Operation, result: Result) -> str | None:
    """Return in words what is wrong with `result`, or `None` if it is right to the bit."""
    expected = QUESTIONS[question.index][2]
    if isinstance(result, int | float) and bits(result) == bits(expected):
        return None
    said = repr(result) if isinstance(result, int | float) else f"an error ({result})"
    first, second = question.operands
    return f"{question.name} of {first} and {second} gave {said[:60]}, should be {expected!r}"
