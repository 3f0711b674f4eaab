"""What one call says, and what counts as an answer to it."""

import json

import pytest

from engine import exchange
from engine.errors import BrokenReply, ForeignReply, OperationFailed, Refused, WorkerError
from engine.exchange import Reply
from engine.fusion import Link
from engine.job import Number, Operation
from engine.messages import Computation, Item
from tests.builders import an_operation

SUM = an_operation(name="sum", operands=(1, 2.5))
ANSWER = {"operation": "sum", "op1": 1, "op2": 2.5, "result": 3.5}


def a_reply(body: object = ANSWER, status: int = 200, **more: object) -> Reply:
    """Return a response with `body` as JSON, or as it is if it is bytes."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, raw, **more)  # type: ignore[arg-type]


def read_one(reply: Reply, operation: Operation = SUM) -> exchange.Result:
    """Read the reply to a single object."""
    (result,) = exchange.read(reply, [operation], as_array=False)
    return result


def test_one_operation_is_asked_for_in_the_three_keys_of_the_contract() -> None:
    """A plain worker sees exactly what section 1 says."""
    assert json.loads(exchange.ask([SUM], as_array=False)) == {
        "operation": "sum",
        "op1": 1,
        "op2": 2.5,
    }


def test_many_operations_are_asked_for_in_an_array_in_their_order() -> None:
    """One object each, in the order in which they were given."""
    body = exchange.ask([an_operation(operands=(n, 1)) for n in range(3)], as_array=True)
    assert [item["op1"] for item in json.loads(body)] == [0, 1, 2]


@pytest.mark.parametrize("number", [2**53 + 1, 10**4299, -(10**4299), 5e-324, -0.0, 0.1, 1e308])
def test_numbers_are_exact_on_the_wire(number: Number) -> None:
    """Both ways: what is asked, and what is answered."""
    body = exchange.ask([an_operation(operands=(number, 1))], as_array=False)
    asked = json.loads(body)["op1"]
    assert (type(asked), repr(asked)) == (type(number), repr(number))
    operation = an_operation(operands=(number, 1))
    answer = {"operation": "sum", "op1": number, "op2": 1, "result": number}
    result = read_one(a_reply(answer), operation)
    assert (type(result), repr(result)) == (type(number), repr(number))


def test_a_good_reply_is_its_result() -> None:
    """Extra keys do no harm, and an operand may be written as another kind of number."""
    assert read_one(a_reply()) == 3.5
    assert read_one(a_reply(ANSWER | {"host": "w1", "op1": 1.0})) == 3.5


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"operation":"sum","op1":1,"op2":2.5,"result":3.5}}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"zz":' + b"[" * 100_000,
        b"[]",
        b"null",
        b'{"operation":"sum","op1":1,"op2":2.5}',
        b'{"operation":"sum","op1":1,"op2":2.5,"result":"3.5"}',
        b'{"operation":"sum","op1":1,"op2":2.5,"result":true}',
        b'{"operation":"sum","op1":1,"op2":2.5,"result":null}',
        b'{"operation":"sum","op1":1,"op2":2.5,"result":NaN}',
        b'{"operation":"sum","op1":1,"op2":2.5,"result":Infinity}',
        b'{"operation":"sum","op1":1,"op2":2.5,"result":1e400}',
        b'{"operation":"sum","op1":1,"op2":2.5,"result":' + b"9" * 5000 + b"}",
        b'{"operation":"sum","op1":1,"op2":true,"result":3.5}',
    ],
)
def test_what_cannot_be_read_as_an_answer_is_a_broken_reply(body: bytes) -> None:
    """Never a result, never another exception."""
    with pytest.raises(BrokenReply):
        read_one(a_reply(body))


@pytest.mark.parametrize("change", [{"operation": "sub"}, {"op1": 2}, {"op2": 2.25}])
def test_an_answer_to_another_question_is_foreign(change: dict[str, object]) -> None:
    """Other operation or other operands: well-formed, and worse than unreadable."""
    with pytest.raises(ForeignReply):
        read_one(a_reply(ANSWER | change))


@pytest.mark.parametrize(
    ("status", "busy"), [(429, True), (503, True), (500, False), (502, False), (504, False)]
)
def test_5xx_and_429_are_refusals_and_some_of_them_only_for_now(status: int, busy: bool) -> None:
    """Busy is no fault; anything else above 500 is one, whatever the body says."""
    with pytest.raises(Refused) as caught:
        read_one(a_reply({"error": "x", "detail": "y"}, status, retry_after_s=1.5))
    assert (caught.value.busy, caught.value.retry_after_s) == (busy, 1.5)


@pytest.mark.parametrize(
    "status", [204, 301, 302, 307, 401, 403, 404, 405, 407, 408, 413, 421, 425, 431]
)
def test_a_status_that_says_nothing_of_the_operation_is_a_broken_reply(status: int) -> None:
    """A redirect is not followed, and a missing path fails no job, whatever the body says."""
    with pytest.raises(BrokenReply):
        read_one(a_reply({"error": "x", "detail": "y"}, status))


def test_a_4xx_problem_is_the_operations_own_failure() -> None:
    """The job fails with the worker's code and sentence, shortened."""
    result = read_one(a_reply({"error": "division_by_zero", "detail": "d" * 999}, 422))
    assert isinstance(result, OperationFailed)
    assert result.code == "division_by_zero"
    assert len(result.detail) == 200


@pytest.mark.parametrize("body", [b"<h1>Bad</h1>", b"{}", b'{"error": 1}', b'{"error": ""}'])
def test_a_4xx_without_a_problem_is_the_workers_failure(body: bytes) -> None:
    """It does not say what is wrong with the operation, so another worker is asked."""
    with pytest.raises(BrokenReply):
        read_one(a_reply(body, 400))


def two() -> list[Operation]:
    """Return two operations that differ."""
    return [an_operation(0, operands=(1, 2)), an_operation(1, operands=(3, 4))]


def item(op1: int, op2: int, **more: object) -> dict[str, object]:
    """Return an item of an array of answers."""
    return {"operation": "sum", "op1": op1, "op2": op2} | more


def test_an_array_holds_a_result_or_an_error_for_each() -> None:
    """An item that failed fails alone."""
    body = [item(1, 2, error="overflow", detail="too large"), item(3, 4, result=7)]
    first, second = exchange.read(a_reply(body), two(), as_array=True)
    assert isinstance(first, OperationFailed)
    assert (first.code, second) == ("overflow", 7)


@pytest.mark.parametrize(
    "body",
    [
        [],
        [item(1, 2, result=3)],
        [item(1, 2, result=3), item(3, 4, result=7), item(3, 4, result=7)],
        [item(3, 4, result=7), item(1, 2, result=3)],
        [item(1, 2, result=3), item(3, 4)],
        [item(1, 2, result=3), item(3, 4, result="7")],
        item(1, 2, result=3),
    ],
)
def test_an_array_that_does_not_match_is_worth_nothing(body: object) -> None:
    """Wrong length, wrong order, or one bad item: all of it is a failed attempt."""
    with pytest.raises(WorkerError):
        exchange.read(a_reply(body), two(), as_array=True)


def test_a_4xx_to_an_array_fails_no_operation() -> None:
    """It may mean any of them, so each is asked again on its own."""
    with pytest.raises(BrokenReply):
        exchange.read(a_reply({"error": "overflow", "detail": "x"}, 422), two(), as_array=True)


def a_chain() -> list[exchange.Step]:
    """Return an operation and two links that follow it: ((1 + 2) * 3) and 10 / that."""
    return [
        an_operation(0, operands=(1, 2)),
        Link(1, "mul", Computation("mul", Item(0), 3), column=4),
        Link(2, "div", Computation("div", 10, Item(1)), column=6),
    ]


def chained(*results: object) -> list[dict[str, object]]:
    """Return the right answers to `a_chain`, with other results."""
    asked = [("sum", 1, 2), ("mul", results[0], 3), ("div", 10, results[1])]
    return [
        {"operation": name, "op1": op1, "op2": op2, "result": result}
        for (name, op1, op2), result in zip(asked, results, strict=True)
    ]


def test_a_link_is_asked_for_with_a_reference_to_the_item_before_it() -> None:
    """In the place of the operand that nobody knows yet."""
    asked = json.loads(exchange.ask(a_chain(), as_array=True))
    assert asked[1] == {"operation": "mul", "op1": {"item": 0}, "op2": 3}
    assert asked[2] == {"operation": "div", "op1": 10, "op2": {"item": 1}}


def test_a_chain_is_answered_with_the_operands_that_came_of_it() -> None:
    """What a link is echoed with must be the result of the item before it."""
    good = a_reply(chained(3, 9, 10 / 9))
    assert exchange.read(good, a_chain(), as_array=True) == [3, 9, 10 / 9]
    lie = chained(3, 9, 10 / 9)
    lie[2]["op2"] = 8
    with pytest.raises(ForeignReply):
        exchange.read(a_reply(lie), a_chain(), as_array=True)


def test_what_follows_a_failure_in_a_chain_has_that_failure() -> None:
    """There is nothing to compute it from."""
    body = chained(3, 0, 0)
    del body[1]["result"]
    body[1] |= {"error": "overflow", "detail": "too large"}
    body[2] = {"operation": "div", "op1": 10, "op2": {"item": 1}, "error": "not_computed"}
    results = exchange.read(a_reply(body), a_chain(), as_array=True)
    assert results[0] == 3
    assert results[1] is results[2]
    assert isinstance(results[1], OperationFailed)
