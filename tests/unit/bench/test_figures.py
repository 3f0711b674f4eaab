import pytest

from bench.figures import Aim, Figure, at_least, at_most, line, median_ratio, quantile, shown


@pytest.mark.parametrize(
    ("aim", "value", "held"),
    [
        (at_least(0.5), 0.5, True),
        (at_least(0.5), 0.49, False),
        (at_most(20), 20, True),
        (at_most(20), 20.1, False),
    ],
)
def test_a_line_says_whether_an_aim_is_held(aim: Aim, value: float, held: bool) -> None:
    """The bound itself holds; a missed aim cannot be overlooked."""
    assert ("**no**" not in line(Figure("it", value, aim=aim))) == held


def test_a_figure_without_an_aim_says_neither() -> None:
    """It is there for people."""
    assert line(Figure("it", 3)) == "| it |  | 3.00 |  |  |"


def test_a_ratio_is_of_pairs_that_were_measured_together() -> None:
    """A round in which the machine was twice as slow for both changes nothing."""
    assert median_ratio([10, 5, 20], [20, 10, 40]) == 0.5


def test_a_quantile_is_a_value_that_was_measured() -> None:
    """Nothing is interpolated: the p99 of 300 values is the third largest of them."""
    assert quantile(range(1, 301), 0.99) == 298
    assert quantile([7], 0.99) == 7


@pytest.mark.parametrize(("value", "text"), [(0.456, "0.46"), (12.34, "12.3"), (51234.5, "51,234")])
def test_a_number_has_as_many_digits_as_mean_something(value: float, text: str) -> None:
    """Rounds differ by more than the third digit."""
    assert shown(value) == text
