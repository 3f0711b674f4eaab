"""How a worker keeps its master informed, in virtual time and with a master that a test scripts."""

import asyncio
import json
import logging
from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from engine.clock import LoopClock
from engine.messages import Announcement
from engine.worker.announcer import Announcer, Response
from tests.simulation.loop import run

Says = Callable[[float], Response | OSError]

TAKEN = Response(200, b'{"announce_again_s": 3}')
AWAY = OSError("connection refused")
A_WORKER = Announcement("w")


class ScriptedMaster:
    """A master that answers by the time, and notes when it was asked what."""

    def __init__(self, says: Says) -> None:
        self._says = says
        self.asked: list[tuple[float, str, str, Any]] = []

    async def request(self, method: str, path: str, body: bytes | None) -> Response:
        """Answer as the script says."""
        now = asyncio.get_running_loop().time()
        self.asked.append((now, method, path, body and json.loads(body)))
        answer = self._says(now)
        if isinstance(answer, OSError):
            raise answer
        return answer

    @property
    def times(self) -> list[float]:
        """When it was asked."""
        return [time for time, *_ in self.asked]

    @property
    def pauses(self) -> list[float]:
        """The seconds between one question and the next."""
        return [later - earlier for earlier, later in pairwise(self.times)]


def an_announcer(master: ScriptedMaster, announcement: Announcement = A_WORKER) -> Announcer:
    """Return an announcer to a scripted master."""
    return Announcer(announcement, master.request, LoopClock(), Random(1))


def announced_for(
    seconds: float, says: Says, announcement: Announcement = A_WORKER
) -> ScriptedMaster:
    """Return the master that an announcer has talked to for so long."""
    master = ScriptedMaster(says)

    async def main() -> None:
        announcing = asyncio.create_task(an_announcer(master, announcement).run())
        await asyncio.wait((announcing,), timeout=seconds)
        assert not announcing.done(), "an announcer never gives up"
        announcing.cancel()

    run(main())
    return master


def test_it_announces_at_once_what_the_worker_is() -> None:
    """The whole announcement, in one request."""
    announcement = Announcement("w", port=7, operations=["sum"], batch=5, chains=True)
    master = announced_for(0.01, lambda _: TAKEN, announcement)
    assert master.asked == [
        (
            0.0,
            "POST",
            "/worker",
            {
                "worker_name": "w",
                "port": 7,
                "operations": ["sum"],
                "batch": 5,
                "chains": True,
                "api": 1,
            },
        )
    ]


def test_it_announces_again_at_the_interval_that_the_master_names() -> None:
    """So that a master that was restarted hears of it."""
    assert announced_for(10, lambda _: TAKEN).times == [0.0, 3.0, 6.0, 9.0]


def test_the_master_may_change_the_interval() -> None:
    """A pool that grows asks for fewer announcements."""
    master = announced_for(
        10, lambda now: Response(200, b'{"announce_again_s": %d}' % (1 if now < 2 else 4))
    )
    assert master.times == [0.0, 1.0, 2.0, 6.0]


def test_a_master_that_names_no_interval_hears_of_it_every_second() -> None:
    """Section 1 of the contract promises an object only."""
    assert announced_for(2.5, lambda _: Response(200, b"{}")).times == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(("said", "pause_s"), [("1e-9", 0.1), ("1e300", 60.0)])
def test_an_unreasonable_interval_is_kept_within_bounds(said: str, pause_s: float) -> None:
    """One floods the master; with the other its successor never hears of the worker."""
    body = f'{{"announce_again_s": {said}}}'.encode()
    master = announced_for(3 * pause_s + pause_s / 2, lambda _: Response(200, body))
    assert master.pauses == pytest.approx([pause_s] * 3)


def test_out_of_reach_it_is_tried_again_with_pauses_that_double_up_to_a_second() -> None:
    """Each drawn from the upper half of 0.1, 0.2, 0.4, 0.8, 1, 1, ... seconds."""
    ceilings = [0.1, 0.2, 0.4, 0.8, *[1.0] * 4]
    pauses = announced_for(60, lambda _: AWAY).pauses[: len(ceilings)]
    for pause_s, ceiling_s in zip(pauses, ceilings, strict=True):
        assert ceiling_s / 2 <= pause_s <= ceiling_s
    assert len({round(pause_s, 3) for pause_s in pauses[4:]}) == 4, "pauses are jittered"


@pytest.mark.parametrize(
    "trouble",
    [
        AWAY,
        Response(400, b'{"error": "invalid_announcement"}'),
        Response(401, b"{}"),
        Response(404, b"\xff"),
        Response(503, b""),
        Response(302, b""),
        Response(200, b"<html>"),
        Response(200, b"[]"),
        Response(200, b'{"announce_again_s": 0}'),
        Response(200, b'{"announce_again_s": NaN}'),
        Response(200, b"[" * 10_000),
    ],
)
def test_it_never_gives_up_and_is_heard_within_a_second(trouble: Response | OSError) -> None:
    """After an hour of trouble, whatever it was."""
    heals = 3600.0
    master = announced_for(heals + 10, lambda now: trouble if now < heals else TAKEN)
    heard = next(number for number, time in enumerate(master.times) if time >= heals)
    assert master.times[heard] <= heals + 1
    assert master.pauses[heard] == pytest.approx(3.0), "what it said then counts"


def test_after_it_was_heard_pauses_begin_small_again() -> None:
    """A master that is restarted is back soon."""
    master = announced_for(100, lambda now: TAKEN if 50 < now < 52 else AWAY)
    heard = next(number for number, time in enumerate(master.times) if time > 50)
    assert master.pauses[heard] == pytest.approx(3.0)
    assert master.pauses[heard + 1] <= 0.1


# What is logged


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Return levels and messages."""
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_trouble_is_logged_when_it_changes_and_not_each_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A log that repeats itself every second is not read."""
    caplog.set_level(logging.INFO)

    def says(now: float) -> Response | OSError:
        if now < 100:
            return AWAY
        return Response(401, b"set token alike") if now < 200 else TAKEN

    announced_for(300, says)
    assert logged(caplog) == [
        ("ERROR", "the master cannot be reached (connection refused); trying on"),
        ("ERROR", "the master refuses this worker: 401 set token alike"),
        ("INFO", "announced as w"),
    ]


def test_trouble_that_comes_back_is_logged_again(caplog: pytest.LogCaptureFixture) -> None:
    """It is news."""
    announced_for(30, lambda now: TAKEN if 10 < now < 20 else AWAY)
    assert [level for level, _ in logged(caplog)] == ["ERROR", "ERROR"]


def test_what_is_no_master_is_told_with_the_setting_to_look_at(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Something else listens there."""
    announced_for(5, lambda _: Response(200, b"<html>"))
    assert logged(caplog) == [("ERROR", "what answers is no master; look at the setting master")]


def test_a_master_without_the_path_is_told_with_the_setting_to_look_at(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its private port is another one."""
    announced_for(5, lambda _: Response(404, b"nothing is at /worker"))
    ((_, message),) = logged(caplog)
    assert "404 nothing is at /worker" in message
    assert "let the setting master name the port for workers" in message


def test_no_more_than_200_bytes_of_a_refusal_are_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever answers there may be talkative."""
    announced_for(1, lambda _: Response(500, b"x" * 10_000))
    ((_, message),) = logged(caplog)
    assert message.count("x") <= 200


# Taking leave


def test_it_takes_leave_by_name_and_port() -> None:
    """Others may have its name, and a name may hold any character."""
    master = ScriptedMaster(lambda _: Response(200, b"[]"))
    run(an_announcer(master, Announcement("a/b ?é")).leave(7))
    assert master.asked == [(0.0, "DELETE", "/worker/a%2Fb%20%3F%C3%A9?port=7", None)]


def test_it_leaves_a_master_that_is_not_there_too(caplog: pytest.LogCaptureFixture) -> None:
    """Once; that one will notice by itself."""
    master = ScriptedMaster(lambda _: AWAY)
    run(an_announcer(master).leave(7))
    assert len(master.asked) == 1
    assert [level for level, _ in logged(caplog)] == ["WARNING"]
