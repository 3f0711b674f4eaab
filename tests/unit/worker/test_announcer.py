"""When a worker announces itself, in virtual time, to a master that does what the script says."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from random import Random

import msgspec
import pytest

from engine.clock import LoopClock
from engine.messages import Announcement, AnnouncementTaken, encode
from engine.worker.announcer import Announcer, Response
from tests.simulation.loop import run

Answer = Response | OSError
TAKEN = Response(200, encode(AnnouncementTaken("w", "live", 1.0)))
GONE = OSError("refused")


class ScriptedMaster:
    """Answers as the script says, the last answer for ever, and remembers when it was asked."""

    def __init__(self, *script: Answer) -> None:
        self.script = list(script)
        self.asked: list[tuple[float, str, str, bytes | None]] = []

    async def request(self, method: str, path: str, body: bytes | None) -> Response:
        """Answer one request."""
        self.asked.append((asyncio.get_running_loop().time(), method, path, body))
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(answer, OSError):
            raise answer
        return answer

    @property
    def times(self) -> list[float]:
        """When it was asked."""
        return [round(asked[0], 6) for asked in self.asked]

    @property
    def pauses(self) -> list[float]:
        """How long it was left alone between."""
        return [after - before for before, after in zip(self.times, self.times[1:], strict=False)]


def an_announcer(master: ScriptedMaster, name: str = "w") -> Announcer:
    """Return an announcer of a worker."""
    return Announcer(Announcement(name, port=7), master.request, LoopClock(), Random(3))


def announced_for(seconds: float, master: ScriptedMaster) -> None:
    """Let an announcer run for so long."""

    async def main() -> None:
        running = asyncio.ensure_future(an_announcer(master).run())
        await asyncio.sleep(seconds)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run(main())


def test_it_announces_at_once() -> None:
    """Everything that was announced is in the body."""
    master = ScriptedMaster(TAKEN)
    announced_for(0.5, master)
    ((at, method, path, body),) = master.asked
    assert (at, method, path) == (0.0, "POST", "/worker")
    assert body is not None
    announcement = msgspec.json.decode(body)
    assert (announcement["worker_name"], announcement["port"]) == ("w", 7)


def test_it_announces_again_when_the_master_wants_to_hear_it() -> None:
    """The master names the interval, and may change it each time."""
    often = Response(200, encode(AnnouncementTaken("w", "live", 2.0)))
    seldom = Response(200, encode(AnnouncementTaken("w", "live", 5.0)))
    master = ScriptedMaster(often, seldom, often)
    announced_for(10, master)
    assert master.times == [0.0, 2.0, 7.0, 9.0]


def test_a_master_that_is_not_there_is_tried_again_at_least_every_second() -> None:
    """Soon at first, then more seldom, each time after a random half of the pause."""
    master = ScriptedMaster(GONE)
    announced_for(60, master)
    for pause, ceiling in zip(master.pauses, [0.1, 0.2, 0.4, 0.8, *[1.0] * 200], strict=False):
        assert ceiling / 2 - 1e-6 <= pause <= ceiling + 1e-6
    assert len(set(master.pauses)) > 10
    assert master.times[-1] > 58


@pytest.mark.parametrize(
    "answer",
    [
        GONE,
        Response(500, b""),
        Response(503, b"{}"),
        Response(401, b'{"error": "unauthorized"}'),
        Response(404, b"\xff"),
        Response(200, b""),
        Response(200, b"<html>"),
        Response(200, b"[]"),
        Response(200, b'{"announce_again_s": 0}'),
        Response(200, b'{"announce_again_s": -1}'),
        Response(200, b'{"announce_again_s": "soon"}'),
        Response(200, b'{"announce_again_s": NaN}'),
        Response(200, b"[" * 100_000),
    ],
)
def test_whatever_goes_wrong_it_never_gives_up(answer: Answer) -> None:
    """A master that comes to its senses hears of this worker within a second."""
    master = ScriptedMaster(*[answer] * 50, TAKEN)
    announced_for(100, master)
    assert max(master.pauses) <= 1.0 + 1e-6
    assert master.pauses[-10:] == [1.0] * 10


def test_a_master_of_another_kind_need_not_name_an_interval() -> None:
    """Any JSON object is an answer: then it is a second."""
    master = ScriptedMaster(Response(200, b"{}"))
    announced_for(3.5, master)
    assert master.times == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize(("said", "pause_s"), [("1e-3", 0.1), ("1e300", 60.0)])
def test_an_unreasonable_interval_is_kept_within_bounds(said: str, pause_s: float) -> None:
    """One floods the master; with the other, one that was restarted never hears of the worker."""
    master = ScriptedMaster(Response(200, f'{{"announce_again_s": {said}}}'.encode()))
    announced_for(3.5 * pause_s, master)
    assert master.pauses == pytest.approx([pause_s] * 3)


def test_after_an_answer_the_next_trouble_is_tried_soon_again() -> None:
    """The pause begins small each time: a restart takes the master a moment only."""
    master = ScriptedMaster(*[GONE] * 20, TAKEN, GONE)
    announced_for(60, master)
    assert master.pauses[20] == 1.0
    assert master.pauses[21] <= 0.1


def test_trouble_is_logged_when_it_changes(caplog: pytest.LogCaptureFixture) -> None:
    """Not each time; and it is said when it is over."""
    refused = Response(401, b"who are you?")
    master = ScriptedMaster(*[GONE] * 5, *[refused] * 5, TAKEN)
    with caplog.at_level(logging.INFO):
        announced_for(60, master)
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [
        "the master cannot be reached (refused); trying on",
        "the master refuses this worker: 401 who are you?",
        "announced as w, which is live so far",
    ]


def test_what_it_is_to_the_master_is_logged_when_it_changes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whoever looks at a worker that gets no work need not look elsewhere; its leave, too."""
    states = ("candidate", "candidate", "live", "live", "dead", "live")
    answers = [Response(200, encode(AnnouncementTaken("w", state, 1.0))) for state in states]
    with caplog.at_level(logging.INFO):
        announced_for(10, ScriptedMaster(*answers))
        leaving(lambda announcer: announcer.leave(), ScriptedMaster(TAKEN), "w")
    announced, *later, leave = caplog.messages
    assert announced == "announced as w, which is candidate so far"
    assert later == [f"to the master this worker is {one} now" for one in ("live", "dead", "live")]
    assert leave == "has taken leave of the master"


def test_a_master_without_the_path_is_told_with_the_setting_to_look_at(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Workers have a port of their own there."""
    announced_for(5, ScriptedMaster(Response(404, b"nothing is at /worker")))
    (record,) = caplog.records
    assert "404 nothing is at /worker; let the setting master name" in record.getMessage()


def test_no_more_than_200_bytes_of_a_refusal_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever answers there may be talkative."""
    announced_for(1, ScriptedMaster(Response(500, b"x" * 10_000)))
    (record,) = caplog.records
    assert record.getMessage().count("x") <= 200


def leaving(act: Callable[[Announcer], Awaitable[None]], master: ScriptedMaster, name: str) -> None:
    """Let an announcer of `name` do something."""

    async def main() -> None:
        await act(an_announcer(master, name))

    run(main())


def test_it_takes_leave_with_its_name_and_port() -> None:
    """Whatever the name is made of."""
    master = ScriptedMaster(TAKEN)
    leaving(lambda announcer: announcer.leave(), master, "a/b é?")
    ((_, method, path, body),) = master.asked
    assert (method, path, body) == ("DELETE", "/worker/a%2Fb%20%C3%A9%3F?port=7", None)


def test_one_that_announced_a_url_takes_leave_with_that() -> None:
    """The port that it listens on says nothing there."""
    master = ScriptedMaster(TAKEN)
    told = Announcement("w", url="http://10.0.0.9:80/")

    async def main() -> None:
        await Announcer(told, master.request, LoopClock(), Random(3)).leave()

    run(main())
    ((_, _, path, _),) = master.asked
    assert path == "/worker/w?url=http%3A%2F%2F10.0.0.9%3A80%2F"


def test_a_leave_that_the_master_does_not_take_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """It goes on calling a worker that is gone: somebody should know why."""
    master = ScriptedMaster(Response(404, b"no worker of this name"))
    leaving(lambda announcer: announcer.leave(), master, "w")
    assert "the master does not know it: 404 no worker of this name" in caplog.text


def test_a_master_that_is_not_there_does_not_keep_it_from_leaving(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is asked once, and the log says so."""
    master = ScriptedMaster(GONE)
    leaving(lambda announcer: announcer.leave(), master, "w")
    assert len(master.asked) == 1
    assert "left without the master's knowing" in caplog.text


def test_an_announcement_on_its_way_comes_before_the_leave() -> None:
    """Behind it, it would bring back to the list a worker that is gone."""
    done: list[str] = []

    async def slow_master(method: str, _path: str, _body: bytes | None) -> Response:
        await asyncio.sleep(0.5 if method == "POST" else 0.0)
        done.append(method)
        return TAKEN

    async def main() -> None:
        announcer = Announcer(Announcement("w", port=7), slow_master, LoopClock(), Random(3))
        running = asyncio.ensure_future(announcer.run())
        await asyncio.sleep(0.1)
        await announcer.leave()
        await asyncio.sleep(5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run(main())
    assert done == ["POST", "DELETE"]
