"""What a reader of JSON refuses, and what it does not."""

import pytest

from engine.messages import ComputedItem, Reader

MOST_DIGITS = "9" * 4_300

_items: Reader[list[ComputedItem]] = Reader(list[ComputedItem])


def an_array(error: str, op1: str = "1") -> bytes:
    """Return what a worker answers to two operations, of which the second one failed."""
    return (
        f'[{{"operation":"sum","op1":{op1},"op2":2,"result":3}},'
        f'{{"operation":"sum","op1":1,"op2":2,"error":"{error}","detail":"x"}}]'
    ).encode()


@pytest.mark.parametrize("op1", ["1", "-" + MOST_DIGITS])
@pytest.mark.parametrize("half", ["\\ud800", "\\udfff", "\\ud800\\ud800"])
def test_half_of_a_surrogate_pair_is_no_text(half: str, op1: str) -> None:
    """Whoever reads it: an integer of as many digits as there may be is read in another way."""
    with pytest.raises(ValueError, match="surrogate"):
        _items(an_array(half, op1))


@pytest.mark.parametrize("op1", ["1", "-" + MOST_DIGITS])
def test_a_whole_surrogate_pair_is_one_character(op1: str) -> None:
    """As JSON has it."""
    first, second = _items(an_array("\\ud83d\\ude00", op1))
    assert (first.op1, second.error) == (int(op1), "\U0001f600")
