"""The checker finds every breach: without that, a clean report says nothing."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from engine.store.database import FILE
from engine.store.schema import MIGRATIONS
from tests.chaos.ledger import Ledger, Row
from tests.chaos.postmortem import examine

RUNNING = Row(1, "1+1", ended=False)
DONE = Row(1, "1+1", ended=True, answer=2)


def faults(ledger: Ledger) -> dict[str, int]:
    """Return how many breaches there are of each kind."""
    return {kind: len(found) for kind, found in ledger.faults.items() if found}


def test_a_life_in_order_breaks_no_law() -> None:
    """Acknowledged, seen, ended, seen again, on record."""
    ledger = Ledger()
    ledger.acknowledge(1, "1+1", above=0)
    for row in (RUNNING, DONE, DONE):
        ledger.see(row, ledger.observations)
    ledger.compare([DONE])
    assert faults(ledger) == {}
    assert ledger.unfinished == []


def test_a_job_that_was_acknowledged_and_is_not_on_record_is_lost() -> None:
    """So is one that somebody has only seen."""
    ledger = Ledger()
    ledger.acknowledge(1, "1+1", above=0)
    ledger.see(Row(2, "2+2", ended=False), 0)
    ledger.compare([])
    assert faults(ledger) == {"lost": 2}


@pytest.mark.parametrize(
    "ending",
    [
        DONE._replace(answer=3),
        DONE._replace(answer=2.0),
        DONE._replace(answer=None, error="overflow"),
        DONE._replace(answer=None, error="cancelled"),
        DONE._replace(answer=None),
    ],
)
def test_an_ending_that_python_would_not_give_is_wrong(ending: Row) -> None:
    """To the type; and nobody had asked for it to be cancelled."""
    ledger = Ledger()
    ledger.see(ending, 0)
    assert faults(ledger) == {"wrong": 1}


def test_what_a_client_asked_to_cancel_may_be_cancelled() -> None:
    """Or have its answer, if that came first."""
    for ending in (DONE, DONE._replace(answer=None, error="cancelled")):
        ledger = Ledger()
        ledger.cancel(1)
        ledger.see(ending, 0)
        assert faults(ledger) == {}


@pytest.mark.parametrize("later", [RUNNING, DONE._replace(answer=4)])
def test_an_ending_that_is_another_one_later_has_changed(later: Row) -> None:
    """Or is none any more."""
    ledger = Ledger()
    ledger.see(DONE, 0)
    ledger.see(later, ledger.observations)
    assert faults(ledger) == {"changed": 1}


def test_older_news_that_comes_late_is_no_change() -> None:
    """It was asked for before the end was known."""
    ledger = Ledger()
    asked_at = ledger.observations
    ledger.see(DONE, asked_at)
    ledger.see(RUNNING, asked_at)
    assert faults(ledger) == {}


def test_one_id_for_two_tasks_and_two_ids_for_one_key_are_doubles() -> None:
    """As is one submission that the record has twice."""
    ledger = Ledger()
    ledger.acknowledge(1, "1+1", above=0)
    ledger.acknowledge(1, "1+2", above=None)
    ledger.repeat(2, first=1)
    ledger.compare([DONE, DONE._replace(job_id=2)])
    assert faults(ledger) == {"doubled": 3}


def test_an_id_that_does_not_grow_is_out_of_order() -> None:
    """It was submitted after the other one had been answered."""
    ledger = Ledger()
    ledger.acknowledge(2, "1+1", above=0)
    ledger.acknowledge(1, "1+2", above=ledger.highest)
    assert faults(ledger) == {"disordered": 1}


def test_a_record_may_forget_only_over_what_it_keeps_and_for_good() -> None:
    """Here it is to keep one finished job."""
    rows = [DONE._replace(job_id=number, task=f"1+1+0*{number}") for number in (1, 2)]
    ledger = Ledger(keep=1)
    for row in rows:
        ledger.see(row, 0)
    ledger.compare(rows[1:])
    assert faults(ledger) == {}
    ledger.compare(rows)
    assert faults(ledger) == {"changed": 1}
    empty = Ledger(keep=1)
    empty.see(DONE, 0)
    empty.compare([])
    assert faults(empty) == {"lost": 1}


def a_record(folder: Path, *statements: str) -> None:
    """Make a record with some rows."""
    with closing(sqlite3.connect(folder / FILE, isolation_level=None)) as record:
        for statement in (*MIGRATIONS[0], "PRAGMA user_version = 1", *statements):
            record.execute(statement)


JOB = "INSERT INTO jobs VALUES (1, 0.0, 3, '1+1')"


@pytest.mark.parametrize(
    ("statements", "found"),
    [
        ([JOB, "UPDATE last_job SET job_id = 1"], {"unsound": 1}),  # neither ended nor unfinished
        ([JOB, "INSERT INTO unfinished VALUES (1)"], {"disordered": 1}),
        (
            [
                JOB,
                "INSERT INTO unfinished VALUES (1)",
                "INSERT INTO outcomes VALUES (1, 0.0, '2', NULL, NULL)",
                "UPDATE last_job SET job_id = 1",
            ],
            {"unsound": 1},
        ),
    ],
)
def test_a_record_at_odds_with_itself_is_found(
    tmp_path: Path, statements: list[str], found: dict[str, int]
) -> None:
    """Whatever clients know."""
    a_record(tmp_path, *statements)
    ledger = Ledger()
    assert examine(tmp_path, ledger) == 1
    assert faults(ledger) == found


def test_a_damaged_file_is_found(tmp_path: Path) -> None:
    """By SQLite's own check."""
    a_record(tmp_path, JOB)
    content = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    ledger = Ledger()
    examine(tmp_path, ledger)
    assert faults(ledger) == {"unsound": 1}
