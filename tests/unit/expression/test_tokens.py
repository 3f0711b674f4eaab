from engine.expression.tokens import END, NUMBER, OTHER, tokens


def test_each_token_knows_its_kind_its_text_and_its_column() -> None:
    """Operators are their own kind; an end follows the last column."""
    assert list(tokens(" 12.5e-3*(x1")) == [
        (NUMBER, "12.5e-3", 2),
        ("*", "*", 9),
        ("(", "(", 10),
        (OTHER, "x1", 11),
        (END, "", 13),
    ]


def test_a_text_of_blanks_has_only_an_end() -> None:
    """Blanks separate and are never tokens."""
    assert list(tokens(" \t\r\n")) == [(END, "", 5)]


def test_only_ascii_digits_make_numbers() -> None:
    """The `d` of patterns, `isdigit` and `int` all take more than the grammar does."""
    assert [kind for kind, _, _ in tokens("1²\u0661\uff11")] == [NUMBER, OTHER, OTHER, OTHER, END]
