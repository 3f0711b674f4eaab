"""The stream of events: resumed where possible, bounded always, nothing kept for the slow."""

import asyncio

import pytest

from engine.master.feed import HEARTBEAT_S, RING, RING_BYTES, Feed, Follower, FollowerTooSlow
from engine.messages import Change, JobSeen
from tests.simulation.loop import run


def a_change(number: int = 0, size: int = 10) -> Change:
    """Return a change that takes about `size` bytes."""
    return Change(number, jobs=[JobSeen(number, False, None, "1" * size, 0.0)])


def a_follower(feed: Feed) -> Follower:
    """Return a follower that has all so far."""
    return Follower(feed, b"snapshot", feed.last, lambda _follower: None)


def test_an_event_says_its_kind_and_number() -> None:
    """In the form that browsers read."""
    feed = Feed("abc")
    feed.add(Change(1.5))
    (event,) = feed.after(0)
    assert event == b'event: change\nid: abc-1\ndata: {"now":1.5}\n\n'


def test_whoever_comes_back_soon_goes_on_where_it_was() -> None:
    """With all events after the one that it had last."""
    feed = Feed("abc")
    for number in range(5):
        feed.add(a_change(number))
    place = feed.place_of("abc-3")
    assert place == 3
    assert len(feed.after(place)) == 2


@pytest.mark.parametrize(
    "event_id", [None, "", "abc-", "abc-7", "old-3", "abc-x", "abc-\u0663", "-3"]
)
def test_whoever_names_no_event_of_ours_begins_anew(event_id: str | None) -> None:
    """Another master's, a future one, or nonsense."""
    feed = Feed("abc")
    for number in range(5):
        feed.add(a_change(number))
    assert feed.place_of(event_id) is None


def test_the_ring_keeps_a_bounded_number_of_events() -> None:
    """Whoever was away for longer begins anew."""
    feed = Feed("abc")
    for number in range(RING + 10):
        feed.add(a_change(number))
    assert feed.place_of("abc-9") is None
    assert feed.place_of("abc-10") == 10
    with pytest.raises(FollowerTooSlow):
        feed.after(9)


def test_the_ring_keeps_a_bounded_number_of_bytes() -> None:
    """Large changes make room sooner."""
    feed = Feed("abc")
    for number in range(8):
        feed.add(a_change(number, RING_BYTES // 4))
    assert feed.place_of("abc-4") is None
    assert len(feed.after(5)) == 3


def test_what_nobody_watched_cannot_be_resumed() -> None:
    """Changes of that time were never built."""
    feed = Feed("abc")
    feed.add(a_change())
    feed.forget()
    assert feed.place_of("abc-1") is None


def test_a_follower_gets_what_is_new_at_once() -> None:
    """All of it in one piece, after what it was to be sent first."""

    async def law() -> None:
        feed = Feed("abc")
        follower = a_follower(feed)
        assert await anext(follower) == b"snapshot"
        waiting = asyncio.ensure_future(anext(follower))
        await asyncio.sleep(0)
        feed.add(a_change(1))
        feed.add(a_change(2))
        follower.wake()
        assert await waiting == b"".join(feed.after(0))

    run(law())


def test_silence_is_broken_by_a_comment() -> None:
    """So that nothing in between takes the connection for dead."""

    async def law() -> None:
        follower = a_follower(Feed("abc"))
        await anext(follower)
        began = asyncio.get_running_loop().time()
        assert (await anext(follower)).startswith(b":")
        assert asyncio.get_running_loop().time() - began == HEARTBEAT_S

    run(law())


def test_a_follower_that_lost_its_place_is_told_so() -> None:
    """Nothing was kept for it."""

    async def law() -> None:
        feed = Feed("abc")
        follower = a_follower(feed)
        await anext(follower)
        for number in range(RING + 1):
            feed.add(a_change(number))
        with pytest.raises(FollowerTooSlow):
            await anext(follower)

    run(law())


def test_a_closed_follower_ends() -> None:
    """Even while it waits."""

    async def law() -> None:
        follower = a_follower(Feed("abc"))
        pieces = [follower]
        waiting = asyncio.ensure_future(read_all(follower))
        await asyncio.sleep(0)
        pieces[0].close()
        assert await waiting == [b"snapshot"]

    run(law())


async def read_all(follower: Follower) -> list[bytes]:
    """Return all pieces until the end."""
    return [piece async for piece in follower]
