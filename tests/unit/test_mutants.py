"""The table of safeguards is up to date: what is to be taken away is there, and so is its test."""

import pytest

from tests.mutants.__main__ import ROOT
from tests.mutants.safeguards import SAFEGUARDS, Change, Safeguard


@pytest.mark.parametrize("safeguard", SAFEGUARDS, ids=lambda safeguard: safeguard.name)
def test_each_text_stands_once_where_the_table_says_and_the_test_is_there(
    safeguard: Safeguard,
) -> None:
    """A table that has fallen behind proves nothing."""
    for change in safeguard.changes:
        assert (ROOT / change.file).read_text().count(change.text) == 1, change
    file, _, test = safeguard.test.partition("::")
    assert f"def {test}(" in (ROOT / file).read_text()


def test_a_text_that_is_not_there_is_an_error() -> None:
    """Else a safeguard would seem to be missed that nobody took away."""
    with pytest.raises(LookupError, match="bring it up to date"):
        Change("engine/retry.py", "no such text", "").apply_in(ROOT)


def test_names_of_safeguards_are_their_own() -> None:
    """They choose what is run."""
    names = [safeguard.name for safeguard in SAFEGUARDS]
    assert len(names) == len(set(names))
