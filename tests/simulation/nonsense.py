"""What a misbehaving worker answers: everything that is no result, and must never become one.

A `Nonsense` takes the items of the right answer and whether an array was asked for, and returns
what becomes of the call (`faulty`, or `busy` if it is no fault) with the reply, or `None` to let
the right answer through.
"""

import json
from collections.abc import Callable
from random import Random

from engine.exchange import Reply
from engine.messages import encode

Items = list[dict[str, object]]
Nonsense = Callable[[Items, bool], tuple[str, Reply] | None]


def status(code: int, retry_after_s: float | None = None) -> Nonsense:
    """Answer with a status, and say when to come back."""
    fate = "busy" if code in (429, 503) else "faulty"
    return lambda _items, _as_array: (fate, Reply(code, b"", retry_after_s))


def body(content: bytes) -> Nonsense:
    """Answer 200 with a body that has nothing to do with the question."""
    return lambda _items, _as_array: ("faulty", Reply(200, content))


def spoilt(spoil: Callable[[dict[str, object]], None]) -> Nonsense:
    """Answer with the first item spoilt."""

    def nonsense(items: Items, as_array: bool) -> tuple[str, Reply]:
        spoil(items[0])
        answer = items if as_array else items[0]
        return "faulty", Reply(200, json.dumps(answer).encode())

    return nonsense


def result_of(value: object) -> Nonsense:
    """Answer with `value` in the place of a result."""
    return spoilt(lambda item: item.update(result=value))


def foreign_operand() -> Nonsense:
    """Answer another question than the one asked."""
    return spoilt(lambda item: item.update(op1=-987654321.5, result=1))


def foreign_operation() -> Nonsense:
    """Answer for another operation."""
    return spoilt(lambda item: item.update(operation="pow", result=1))


def truncated(items: Items, as_array: bool) -> tuple[str, Reply]:
    """Answer with the beginning of the right answer."""
    whole = encode(items if as_array else items[0])
    return "faulty", Reply(200, whole[: len(whole) // 2])


def of_wrong_length(items: Items, as_array: bool) -> tuple[str, Reply]:
    """Answer with one item less; a single one in an array."""
    return "faulty", Reply(200, encode(items[:-1] if as_array else items))


def of_wrong_order(items: Items, as_array: bool) -> tuple[str, Reply]:
    """Answer with the items turned round; a single one in an array."""
    if as_array and items == items[::-1]:
        return "answered", Reply(200, encode(items))
    return "faulty", Reply(200, encode(items[::-1]))


ALL: dict[str, Nonsense] = {
    "500": status(500),
    "503 for a second": status(503, 1.0),
    "503 for an hour": status(503, 3600.0),
    "429": status(429),
    "404": status(404),
    "302": status(302),
    "204": status(204),
    "garbage": body(b"\x00\xff<html>"),
    "null": body(b"null"),
    "missing key": spoilt(lambda item: [item.pop(key, None) for key in ("result", "error")]),  # type: ignore[arg-type]
    "string": result_of("3"),
    "bool": result_of(True),
    "NaN": result_of(float("nan")),
    "Infinity": result_of(float("inf")),
    "null result": result_of(None),
    "foreign operand": foreign_operand(),
    "foreign operation": foreign_operation(),
    "truncated": truncated,
    "wrong length": of_wrong_length,
    "wrong order": of_wrong_order,
}


def sometimes(nonsense: Nonsense, share: float, random: Random) -> Nonsense:
    """Answer nonsense in a share of the calls."""
    return lambda items, as_array: nonsense(items, as_array) if random.random() < share else None


def only_arrays(nonsense: Nonsense) -> Nonsense:
    """Answer nonsense to whoever asks for many at once."""
    return lambda items, as_array: nonsense(items, as_array) if as_array else None
