"""What one `/compute` call says, and what counts as an answer to it. Pure.

`ask` writes the body for some operations, `read` takes the results out of a reply. A reply counts
only if it is exactly what was asked for: same operations, same operands, in the same order; that
results are finite numbers is the `Reader`'s business. If `read` raises anything but a
`WorkerError`, that is a bug here.
"""

import contextlib
from collections.abc import Sequence
from http import HTTPStatus
from typing import TypeVar

import msgspec
from msgspec import UNSET

from engine.errors import BrokenReply, ForeignReply, OperationFailed, Refused
from engine.fusion import Link
from engine.job import Number, Operation
from engine.messages import Computation, Computed, ComputedItem, Item, Reader, Refusal, encode

Result = Number | OperationFailed
Step = Operation | Link
Operand = Number | Item | OperationFailed
Body = TypeVar("Body")

# A 4xx of these says something about the deployment or the moment, and nothing of the operation.
NOT_THE_OPERATIONS_FAULT = frozenset({401, 403, 404, 405, 407, 408, 413, 421, 425, 429, 431})
LONGEST_DETAIL = 200  # characters of a worker's own sentence that are passed on

_read_one: Reader[Computed] = Reader(Computed)
_read_many: Reader[list[ComputedItem]] = Reader(list[ComputedItem])
_read_refusal: Reader[Refusal] = Reader(Refusal)


class Reply(msgspec.Struct):
    """An HTTP response, as far as a call is concerned."""

    status: int
    body: bytes
    retry_after_s: float | None = None
    computing_s: float | None = None  # for how long the worker had it, if it tells


def ask(operations: Sequence[Step], *, as_array: bool) -> bytes:
    """Return the body that asks for `operations`: an array of them, or the only one's object."""
    asked = [
        Computation(step.name, *step.operands) if isinstance(step, Operation) else step.asked
        for step in operations
    ]
    return encode(asked if as_array else asked[0])


def read(reply: Reply, operations: Sequence[Step], *, as_array: bool) -> list[Result]:
    """Return a result, or the operation's own failure, for each of `operations`, in their order.

    A link that waits for an operation that failed has that failure too.

    Raises `Refused` for 5xx and 429, `ForeignReply` when another question was answered and
    `BrokenReply` for everything else that is no answer.
    """
    if reply.status != HTTPStatus.OK:
        if len(operations) > 1:
            raise _worker_error(reply)  # it may mean any of them: they are asked again one by one
        return [_refusal(reply)]
    if not as_array:
        one, (only,) = _understood(_read_one, reply.body), operations
        assert isinstance(only, Operation)  # noqa: S101  # links come in arrays
        name, operands = only.name, only.operands
        if one.operation != name or (one.op1, one.op2) != operands:
            raise _foreign(one, name, operands)
        return [one.result]
    items = _understood(_read_many, reply.body)
    if len(items) != len(operations):
        raise BrokenReply(f"answered {len(items)} operations when asked for {len(operations)}")
    return _results(items, operations)


def _results(items: Sequence[ComputedItem], steps: Sequence[Step]) -> list[Result]:
    results: list[Result] = []
    for item, step in zip(items, steps, strict=True):
        op1: Operand
        op2: Operand
        if isinstance(step, Operation):
            op1, op2 = step.operands
        else:
            op1, op2 = step.asked.op1, step.asked.op2
            if isinstance(op1, Item):
                op1 = results[op1.item]
            if isinstance(op2, Item):
                op2 = results[op2.item]
        # By value: a language with one kind of number may write 2 for 2.0. What it then computes
        # is the examination's business.
        is_answer = item.operation == step.name and item.op1 == op1 and item.op2 == op2
        if is_answer and (result := item.result) is not UNSET:
            results.append(result)
        else:
            results.append(_failed(item, step.name, op1, op2))
    return results


def _understood(read_body: Reader[Body], body: bytes) -> Body:
    try:
        return read_body(body)
    except (ValueError, RecursionError) as error:
        raise BrokenReply(f"sent a reply that cannot be read: {error}") from None


def _failed(item: ComputedItem, name: str, op1: Operand, op2: Operand) -> OperationFailed:
    """Return why an item has no result: an operand has none, or the worker says so itself."""
    for operand in (op1, op2):
        if isinstance(operand, OperationFailed):
            return operand
    if item.operation != name or (item.op1, item.op2) != (op1, op2):
        raise _foreign(item, name, (op1, op2))
    if item.error is UNSET:
        raise BrokenReply("sent an item with neither a result nor an error")
    return _failure(item.error, item.detail)


def _foreign(
    echo: Computed | ComputedItem, name: str, operands: tuple[object, ...]
) -> ForeignReply:
    return ForeignReply(
        f"was asked for {name} of {shown(operands)}"
        f" and answered {echo.operation[:20]} of {shown((echo.op1, echo.op2))}"
    )


def shown(operands: tuple[object, ...]) -> str:
    """Return numbers as a sentence can hold them: `1 and 2.5`, each shortened if it is long."""
    return " and ".join(_short(repr(operand)) for operand in operands)


def _short(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:20]}..."


def _refusal(reply: Reply) -> OperationFailed:
    if 400 <= reply.status < 500 and reply.status not in NOT_THE_OPERATIONS_FAULT:
        # Without a problem of the contract's form it is the worker's own.
        with contextlib.suppress(ValueError, RecursionError):
            problem = _read_refusal(reply.body)
            return _failure(problem.error, problem.detail)
    raise _worker_error(reply)


def _worker_error(reply: Reply) -> BrokenReply | Refused:
    status = reply.status
    if status >= 500 or status == HTTPStatus.TOO_MANY_REQUESTS:
        busy = status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
        return Refused(f"answered {status}", retry_after_s=reply.retry_after_s, busy=busy)
    return BrokenReply(f"answered {status}")


def _failure(error: str, detail: str | msgspec.UnsetType) -> OperationFailed:
    sentence = error if isinstance(detail, msgspec.UnsetType) else detail
    return OperationFailed(error[:LONGEST_DETAIL], sentence[:LONGEST_DETAIL])
