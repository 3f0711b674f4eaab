from engine.expression.tokens import STEP, TOKEN


def steps(text: str) -> list[tuple[str | None, ...]]:
    """Return the parts of each step of `text`, as far as there are any."""
    read: list[tuple[str | None, ...]] = []
    end = 0
    while step := STEP.match(text, end):
        read.append(step.groups())
        end = step.end()
    return read


def test_a_step_is_a_number_with_what_stands_around_it() -> None:
    """Together the steps are the whole text, blanks included."""
    text = " -(12.5e-3) *(\t.5\r\n) / 1.-7"
    parts = steps(text)
    assert parts == [
        (" -(", "12.5e-3", ") ", "*"),
        ("(\t", ".5", "\r\n) ", "/"),
        (" ", "1.", "", "-"),
        ("", "7", "", ""),
    ]
    assert "".join(part or "" for step in parts for part in step) == text


def test_there_is_no_step_without_a_number() -> None:
    """What stands in the place of one is found as a token, with its own place."""
    for text, token, place in (
        ("", None, 0),
        (" -( x1*2", "x1", 4),
        ("+)", ")", 1),
        ("(.", ".", 1),
    ):
        assert STEP.match(text) is None
        found = TOKEN.search(text, place)
        assert (found and (found[0], found.start())) == (token and (token, place))


def test_only_ascii_digits_make_numbers() -> None:
    """The `d` of patterns, `isdigit` and `int` all take more than the grammar does."""
    assert steps("1²") == [("", "1", "", "")]
    assert not steps("\u0661") + steps("\uff11")
