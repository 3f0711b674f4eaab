"""The retry policy: when an operation is tried again, alone or not, and when it is given up."""

from random import Random

import pytest

from engine.errors import (
    BrokenReply,
    OperationFailed,
    Refused,
    TimedOut,
    Unreachable,
    WorkerError,
)
from engine.retry import Attempts, RetryPolicy
from engine.settings import DispatchSettings

DIED = Unreachable("closed the connection", aboard=True)
REFUSED = Unreachable("refused the connection")


def a_policy(**settings: float) -> RetryPolicy:
    """Return a policy with chance from a seed."""
    return RetryPolicy(DispatchSettings(**settings), Random(1))  # type: ignore[arg-type]


def many() -> str:
    """Return more live workers than any operation could kill."""
    return "abcdefgh"


def after(*failures: tuple[str, WorkerError]) -> tuple[Attempts, float]:
    """Return the history of an operation after these failures, and the last delay."""
    attempts, policy, delay_s = Attempts(), a_policy(), 0.0
    for worker, error in failures:
        delay_s = policy.decide(attempts, worker, error, many)
    return attempts, delay_s


@pytest.mark.parametrize("error", [DIED, REFUSED, TimedOut("x"), BrokenReply("x")])
def test_the_first_failover_is_at_once_and_elsewhere(error: WorkerError) -> None:
    """Whatever went wrong: the worker is avoided, and no time is lost."""
    attempts, delay_s = after(("a", error))
    assert delay_s == 0.0
    assert attempts.avoid == {"a"}
    assert not attempts.alone


def test_a_worker_that_cannot_be_connected_to_costs_no_attempt() -> None:
    """The operation was not tried there, however often; but the pauses grow."""
    policy, attempts = a_policy(attempts=3), Attempts()
    for n in range(100):
        assert policy.decide(attempts, "a", REFUSED, many) <= policy.ceiling_s(1 + n)
    assert (attempts.failures, attempts.avoid, attempts.alone) == (0, {"a"}, False)
    delays_s = [policy.decide(attempts, "a", REFUSED, many) for _ in range(100)]
    assert max(delays_s) > 1.0
    for _ in range(2):
        policy.decide(attempts, "a", TimedOut("x"), many)
    with pytest.raises(OperationFailed, match="3 attempts failed"):
        policy.decide(attempts, "a", TimedOut("x"), many)


def test_the_ceiling_of_the_delay_doubles_up_to_its_maximum() -> None:
    """0, 0.05, 0.1, 0.2 ... 2 seconds."""
    policy = a_policy()
    assert [policy.ceiling_s(failures) for failures in range(1, 10)] == pytest.approx(
        [0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    )


def test_later_delays_are_spread_over_the_whole_time_up_to_the_ceiling() -> None:
    """Full jitter: what failed together does not come back together."""
    policy = a_policy()
    delays = []
    for _ in range(300):
        attempts = Attempts()
        attempts.failures = 4
        delays.append(policy.decide(attempts, "a", TimedOut("x"), many))
    assert 0.0 <= min(delays) < 0.1 * 0.4
    assert 0.9 * 0.4 < max(delays) <= 0.4


def test_after_so_many_attempts_the_operation_fails_with_the_last_reason() -> None:
    """The job then says what went wrong last."""
    policy, attempts = a_policy(attempts=3), Attempts()
    policy.decide(attempts, "a", TimedOut("did not answer"), many)
    policy.decide(attempts, "b", TimedOut("did not answer"), many)
    with pytest.raises(OperationFailed, match="sent garbage") as caught:
        policy.decide(attempts, "c", BrokenReply("sent garbage"), many)
    assert caught.value.code == "attempts_exhausted"


def test_a_busy_worker_costs_no_attempt() -> None:
    """It may be busy as often as it likes: the operation waits or goes elsewhere."""
    attempts, delay_s = after(*[("a", Refused("503", busy=True))] * 50)
    assert (attempts.failures, delay_s) == (0, 0.0)
    assert attempts.avoid == {"a"}


def test_a_death_counts_for_what_only_travelled_along_too() -> None:
    """It may be what the worker died of; but it has not been tried, and nothing else counts."""
    known: dict[int, Attempts] = {}
    policy = a_policy()
    policy.note_aboard(known, 7, "a", REFUSED)
    assert known == {}
    policy.note_aboard(known, 7, "a", DIED)
    policy.note_aboard(known, 7, "b", DIED)
    assert known[7].suspected
    assert (known[7].failures, known[7].avoid) == (0, set())


def test_an_operation_that_was_aboard_when_three_workers_died_is_poison() -> None:
    """From the second death on it travels alone; the third one ends its job."""
    attempts, policy = Attempts(), a_policy()
    policy.decide(attempts, "a", DIED, many)
    assert not attempts.alone
    policy.decide(attempts, "b", DIED, many)
    assert attempts.alone
    with pytest.raises(OperationFailed) as caught:
        policy.decide(attempts, "c", DIED, many)
    assert caught.value.code == "poison_operation"


def test_only_different_workers_that_died_with_it_aboard_count_as_deaths() -> None:
    """Not the same one again, not a refused connection, not one that hangs."""
    failures = [("a", DIED), ("a", DIED), ("b", REFUSED), ("c", TimedOut("x")), ("d", DIED)]
    attempts, _ = after(*failures)
    assert attempts.dead == {"a", "d"}


@pytest.mark.parametrize(
    ("deaths", "live", "is_poison"),
    [
        ("a", "", False),
        ("aa", "", False),
        ("aaa", "", True),  # there is nobody else
        ("aaa", "a", True),
        ("aaa", "b", True),  # and one more would not make three
        ("aba", "", True),
        ("aba", "ab", True),
        ("aaa", "bc", False),  # they will tell
        ("aba", "c", False),
        ("aaaabbbb", "c", False),
        ("abc", "def", True),
    ],
)
def test_where_there_are_no_three_workers_one_that_comes_back_counts_again(
    deaths: str, live: str, is_poison: bool
) -> None:
    """Different ones tell more than the same one again, so as many are asked as there are."""
    attempts, policy = Attempts(), a_policy()

    def die(worker: str, others: str) -> bool:
        life = len(attempts.deaths)
        try:
            policy.decide(attempts, worker, DIED, lambda: others, life)
        except OperationFailed as failure:
            return failure.code == "poison_operation"
        return False

    for worker in deaths[:-1]:
        assert not die(worker, "abcdefgh")
    assert die(deaths[-1], live) == is_poison


def test_what_died_twice_at_one_worker_travels_alone() -> None:
    """Nothing else is to be aboard when it may be the third time."""
    attempts, policy = Attempts(), a_policy()
    for life in (0, 1):
        assert not attempts.suspected
        policy.decide(attempts, "a", DIED, many, life)
    assert attempts.suspected


def test_a_worker_that_breaks_connections_and_lives_has_died_once_at_most() -> None:
    """However often: the operation has its attempts, and may meet another worker meanwhile."""
    attempts, policy = Attempts(), a_policy()
    for _ in range(9):
        policy.decide(attempts, "a", DIED, tuple)
    with pytest.raises(OperationFailed) as caught:
        policy.decide(attempts, "a", DIED, tuple)
    assert caught.value.code == "attempts_exhausted"


def test_a_batch_is_taken_apart_when_it_has_failed_twice() -> None:
    """So that what is wrong with one of its operations hits that one alone."""
    attempts, _ = after(("a", BrokenReply("x")))
    assert not attempts.alone
    attempts, _ = after(("a", BrokenReply("x")), ("b", BrokenReply("x")))
    assert attempts.alone


@pytest.mark.parametrize(("in_flight", "allowed"), [(0, 10), (50, 10), (100, 20), (1000, 200)])
def test_retries_have_a_budget(in_flight: int, allowed: int) -> None:
    """A fifth of what is in flight, and ten in any case."""
    assert a_policy().allowance(in_flight) == allowed
