"""Whom to believe: tables of what workers say, and what becomes of it."""

from collections.abc import Sequence
from random import Random

import pytest

from engine.errors import OperationFailed
from engine.exchange import Result
from engine.job import JobId
from engine.verification import MEMORY_S, Verdict, Verification
from tests.builders import an_operation

JOB = JobId(1)
PRODUCT = an_operation(name="mul", operands=(6, 7))


def overflow(sentence: str = "too large") -> OperationFailed:
    """Return a failure of the operation's own."""
    return OperationFailed("overflow", sentence)


def asking(*takers: str, share: float = 1.0, seed: int = 1) -> Verification[str]:
    """Return a verification with these workers to ask."""
    return Verification(share, Random(seed), lambda _name: takers)


def after(
    sayings: Sequence[tuple[str, Result]], takers: str = "abcde"
) -> list[Verdict[str] | None]:
    """Return what is believed after each worker that was asked for 6*7 has answered."""
    verification = asking(*takers)
    return [verification.hear(JOB, PRODUCT, said, worker) for worker, said in sayings]


@pytest.mark.parametrize(
    ("sayings", "believed", "liars"),
    [
        ([("a", 42), ("b", 42)], 42, ""),
        ([("a", 42), ("b", 43), ("c", 42)], 42, "b"),
        ([("a", 43), ("b", 42), ("c", 42)], 42, "a"),
        ([("a", 42), ("b", 42.0), ("c", 42)], 42, "b"),
        ([("a", 0.0), ("b", -0.0), ("c", -0.0)], -0.0, "a"),
        ([("a", 41), ("b", 43), ("c", 42), ("d", 42)], 42, "ab"),
        ([("a", 42), ("b", overflow()), ("c", 42)], 42, "b"),
    ],
)
def test_what_two_say_alike_to_the_bit_is_believed_and_the_others_lied(
    sayings: list[tuple[str, Result]], believed: Result, liars: str
) -> None:
    """Nothing is believed before that, and who answered first does not matter."""
    *before, verdict = after(sayings)
    assert before == [None] * (len(sayings) - 1)
    assert verdict is not None
    assert repr(verdict.result) == repr(believed)
    assert "".join(verdict.lies) == liars


def test_failures_of_one_code_are_one_answer_whatever_the_sentence() -> None:
    """Workers in different languages have different words."""
    _, verdict = after([("a", overflow()), ("b", overflow("zu gross"))])
    assert verdict is not None
    assert verdict.lies == {}


@pytest.mark.parametrize(
    ("takers", "sayings", "liars"),
    [
        ("a", [("a", 42)], ""),
        ("a", [("a", 43)], "a"),
        ("ab", [("a", 43), ("b", 42)], "a"),
        ("ab", [("a", 41), ("b", 43)], "ab"),
    ],
)
def test_when_nobody_else_can_be_asked_the_master_computes_it(
    takers: str, sayings: list[tuple[str, Result]], liars: str
) -> None:
    """So no job waits for a third worker, nor believes one of two that differ."""
    *_, verdict = after(sayings, takers)
    assert verdict is not None
    assert (verdict.result, "".join(verdict.lies)) == (42, liars)
    assert verdict.by_master


def test_one_that_is_asked_again_since_others_failed_is_not_its_own_witness() -> None:
    """Its second word counts no more than its first: the master decides."""
    _, verdict = after([("a", 43), ("a", 43)])
    assert verdict is not None
    assert (verdict.result, verdict.by_master) == (42, True)
    assert list(verdict.lies) == ["a"]


def test_a_lie_is_told_as_the_call_that_it_was() -> None:
    """What was asked, what was said, and what should have been."""
    *_, verdict = after([("a", 42), ("b", 43), ("c", 42)])
    assert verdict is not None
    assert verdict.lies["b"] == "mul of 6 and 7 gave 43, should be 42"


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_share_that_is_verified_is_what_the_setting_says(share: float) -> None:
    """Chosen by chance, which is an argument: the same seed chooses the same operations."""
    chosen = []
    for _ in range(2):
        verification = asking(*"abc", share=share)
        steps = [an_operation(index) for index in range(2_000)]
        chosen.append([verification.hear(JOB, step, 3, "a") is None for step in steps])
    assert chosen[0] == chosen[1]
    assert sum(chosen[0]) / 2_000 == pytest.approx(share, abs=0.03)


def test_jobs_that_believed_a_liar_start_afresh_or_are_named_if_they_have_ended() -> None:
    """Others, and those whose results somebody confirmed, have nothing to do with it."""
    verification = asking(*"abc", share=0.0)
    for job_id, worker in [(1, "a"), (2, "b"), (3, "a"), (4, "a")]:
        verification.hear(JobId(job_id), PRODUCT, 42, worker)
    verification.end(JobId(3), now=10.0)
    verification.end(JobId(4), now=20.0)
    spoilt = verification.convict("a", now=10.5 + MEMORY_S)
    assert spoilt.running == [1]
    assert spoilt.ended == [4]  # the end of the other one is longer ago


def test_a_job_that_starts_afresh_has_believed_nobody() -> None:
    """The liar convicted once more has nothing more to spoil."""
    verification = asking(*"abc", share=0.0)
    verification.hear(JOB, PRODUCT, 43, "a")
    verification.convict("a", now=1.0)
    verification.end(JOB, now=2.0)
    assert verification.convict("a", now=3.0) == ([], [])


def test_what_was_confirmed_was_not_believed_of_anybody() -> None:
    """A liar that told the truth for once spoils nothing by it."""
    verification = asking(*"abc")
    verification.hear(JOB, PRODUCT, 42, "a")
    verification.hear(JOB, PRODUCT, 42, "b")
    assert verification.convict("a", now=1.0) == ([], [])


def test_what_a_liar_said_elsewhere_is_unsaid() -> None:
    """Another one that says the same is the first to say it."""
    verification = asking(*"abc")
    verification.hear(JOB, PRODUCT, 43, "a")
    verification.convict("a", now=1.0)
    assert verification.hear(JOB, PRODUCT, 43, "b") is None
