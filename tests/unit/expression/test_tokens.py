from engine.expression.tokens import tokens


def read(text: str) -> list[tuple[str, int, bool]]:
    """Return each token of `text`, its place from 0, and whether it is a number."""
    return [(match[0], match.start(), match.lastindex is not None) for match in tokens(text)]


def test_each_token_knows_its_place_and_whether_it_is_a_number() -> None:
    """Blanks separate and are never tokens."""
    assert read(" 12.5e-3*(x1\t\r\n.5") == [
        ("12.5e-3", 1, True),
        ("*", 8, False),
        ("(", 9, False),
        ("x1", 10, False),
        (".5", 15, True),
    ]


def test_only_ascii_digits_make_numbers() -> None:
    """The `d` of patterns, `isdigit` and `int` all take more than the grammar does."""
    assert [number for _, _, number in read("1²\u0661\uff11")] == [True, False, False, False]
