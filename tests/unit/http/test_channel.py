"""A channel tells each follower everything once and in order, keeps a bounded part, and wakes followers in rounds."""

import asyncio
import tracemalloc
from contextlib import ExitStack

from hypothesis import given
from hypothesis import strategies as st

from shared.http.channel import AT_ONCE, KEPT_BYTES, KEPT_OF_ONE, MOST_KEPT, Channel, Frame


def frame(number: int, size: int = 10, *, is_last: bool = False) -> Frame:
    return Frame(number, b"x" * size, is_last)


def ids(frames: list[Frame]) -> list[int | None]:
    return [each.id for each in frames]


@given(st.lists(st.booleans(), max_size=60))
def test_whoever_takes_when_is_told_everything_once(steps: list[bool]) -> None:
    """True: a frame is told; False: the follower takes."""

    async def follow() -> None:
        channel = Channel[Frame](0)
        seen, told = list[int | None](), 0
        with channel.following(0) as cursor:
            for tells in steps:
                if tells:
                    told += 1
                    channel.add(frame(told * 3))
                else:
                    seen += ids(channel.take(cursor))
            assert [*seen, *ids(channel.take(cursor))] == [3 * number for number in range(1, told + 1)]
            assert channel.take(cursor) == []

    asyncio.run(follow())


async def test_the_newest_frames_are_kept_and_the_floor_says_which() -> None:
    """In number and bytes; the more followers, the more bytes, up to a bound. The newest is kept in any case."""
    channel = Channel[Frame](0)
    for number in range(1, 2 * MOST_KEPT + 1):
        channel.add(frame(number))
    assert channel.floor == MOST_KEPT
    assert channel.reaches(MOST_KEPT)
    assert not channel.reaches(MOST_KEPT - 1)
    for followers, most in ((1, KEPT_OF_ONE), (1000, KEPT_BYTES)):
        with ExitStack() as stack:
            for _ in range(followers):
                stack.enter_context(channel.following(number))
            for _ in range(100):
                number += 1
                channel.add(frame(number, 10_000))
            assert most - 10_000 < channel.kept_bytes <= most
    channel.add(frame(number + 1, 2 * KEPT_BYTES))
    assert (channel.floor, channel.kept_bytes) == (number, 2 * KEPT_BYTES)


async def test_what_has_no_id_is_told_to_who_is_there_the_newest_of_each_key() -> None:
    channel = Channel[Frame](0)
    channel.add(Frame(None, b"too early"), "a")
    with channel.following(0) as cursor:
        for text, key in ((b"a1", "a"), (b"b1", "b"), (b"a2", "a")):
            channel.add(Frame(None, text), key)
        channel.add(frame(1))
        assert [each.sent for each in channel.take(cursor)] == [b"x" * 10, b"b1", b"a2"]
        assert channel.take(cursor) == []


async def test_what_has_no_id_is_kept_for_the_slowest_follower_and_no_longer() -> None:
    channel = Channel[Frame](0)
    with channel.following(0) as fast, channel.following(0) as slow:
        for number in range(3 * MOST_KEPT):
            channel.add(Frame(None, b"%d" % number), number)
            channel.take(fast)
        assert [each.sent for each in channel.take(slow)] == [b"%d" % n for n in range(2 * MOST_KEPT, 3 * MOST_KEPT)]
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            for number in range(3 * MOST_KEPT):
                channel.add(Frame(None, b"x" * 10_000), number)
                channel.take(fast)
                channel.take(slow)
            assert tracemalloc.get_traced_memory()[0] - before < 100 * 10_000
        finally:
            tracemalloc.stop()


async def test_older_frames_are_put_before_the_others_when_there_is_room() -> None:
    channel = Channel[Frame](10)
    channel.add(frame(11))
    channel.add_before(0, [frame(3), frame(9), frame(11)])
    assert channel.floor == 0
    with channel.following(0) as first, channel.following(3) as second:
        assert ids(channel.take(first)) == [3, 9, 11]
        assert ids(channel.take(second)) == [9, 11]
    small = Channel[Frame](10)
    small.add_before(0, [frame(1, KEPT_OF_ONE + 1)])
    assert small.floor == 10


async def test_many_followers_are_woken_in_rounds_and_at_once_for_the_end() -> None:
    """Frames collect between two rounds, so a follower is not woken for each; nobody waits for the end."""
    channel, wakings = Channel[Frame](0), 0

    async def follow() -> list[int | None]:
        nonlocal wakings
        seen = list[int | None]()
        with channel.following(0) as cursor:
            while True:
                seen += (news := ids(channel.take(cursor)))
                if channel.is_over and not news:
                    return seen
                await channel.news(cursor)
                wakings += 1

    many = 400
    followers = [asyncio.create_task(follow()) for _ in range(many)]
    await asyncio.sleep(0)
    for number in range(1, 101):
        channel.add(frame(number))
        for _ in range(many // AT_ONCE + 3):
            await asyncio.sleep(0)
    channel.add(frame(101, is_last=True))
    channel.close()
    assert all(seen == list(range(1, 102)) for seen in await asyncio.gather(*followers))
    assert wakings < 100 * many / 4, "not one for each frame"


async def test_a_round_gives_others_their_turn() -> None:
    """So many followers in one turn of the loop, and no more."""
    channel, woken = Channel[Frame](0), 0

    async def follow() -> None:
        nonlocal woken
        with channel.following(0) as cursor:
            await channel.news(cursor)
        woken += 1

    followers = [asyncio.create_task(follow()) for _ in range(4 * AT_ONCE)]
    await asyncio.sleep(0)
    channel.add(frame(1, is_last=True))
    before = woken
    while woken < len(followers):
        await asyncio.sleep(0)
        assert woken - before <= AT_ONCE
        before = woken
    await asyncio.gather(*followers)


async def test_room_waits_for_the_fastest_follower() -> None:
    """Who tells a stream as fast as it can be read loses no follower by it."""
    channel = Channel[Frame](0)
    seen = list[int | None]()

    async def tell() -> None:
        for number in range(1, 201):
            await channel.room(frame(number, 1000))
            channel.add(frame(number, 1000))
        channel.close()

    with channel.following(0) as cursor:
        telling = asyncio.create_task(tell())
        while not (telling.done() and seen[-1:] == [200]):
            assert channel.reaches(cursor.after)
            seen += ids(channel.take(cursor))
            await asyncio.sleep(0)
    assert seen == list(range(1, 201))


async def test_a_follower_takes_next_to_nothing() -> None:
    """A cursor: the frames are the channel's."""
    channel = Channel[Frame](0)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        with ExitStack() as stack:
            cursors = [stack.enter_context(channel.following(0)) for _ in range(1000)]
            for number in range(1, 501):
                channel.add(frame(number, 1000))
            for cursor in cursors:
                channel.take(cursor)
            assert tracemalloc.get_traced_memory()[0] - before < KEPT_BYTES + 1000 * 1000
    finally:
        tracemalloc.stop()
