"""A channel delivers each frame to each subscriber once and in order, and keeps a bounded part of the stream."""

import asyncio
import tracemalloc
from contextlib import ExitStack

from hypothesis import given
from hypothesis import strategies as st

from shared.http.channel import BYTES_PER_SUBSCRIBER, MAX_BYTES, MAX_FRAMES, WAKE_BATCH, Channel, Frame


def frame(number: int, size: int = 10, *, is_last: bool = False) -> Frame:
    return Frame(number, b"x" * size, is_last)


def ids(frames: list[Frame]) -> list[int | None]:
    return [frame.id for frame in frames]


@given(st.lists(st.booleans(), max_size=60))
def test_each_frame_is_taken_once_whenever_it_is_taken(steps: list[bool]) -> None:
    """True: a frame is added; False: the subscriber takes."""

    async def follow() -> None:
        channel = Channel[Frame](0)
        taken_ids, added = list[int | None](), 0
        with channel.subscribe(0) as subscriber:
            for adds in steps:
                if adds:
                    added += 1
                    channel.add(frame(added * 3))
                else:
                    taken_ids += ids(channel.take(subscriber))
            assert [*taken_ids, *ids(channel.take(subscriber))] == [3 * number for number in range(1, added + 1)]
            assert channel.take(subscriber) == []

    asyncio.run(follow())


async def test_the_newest_frames_are_kept_and_the_floor_is_their_start() -> None:
    """Bounded in number and bytes; the more subscribers, the more bytes, up to a limit. The newest is always kept."""
    channel = Channel[Frame](0)
    for number in range(1, 2 * MAX_FRAMES + 1):
        channel.add(frame(number))
    assert channel.floor == MAX_FRAMES
    assert channel.reaches(MAX_FRAMES)
    assert not channel.reaches(MAX_FRAMES - 1)
    for followers, most in ((1, BYTES_PER_SUBSCRIBER), (1000, MAX_BYTES)):
        with ExitStack() as stack:
            for _ in range(followers):
                stack.enter_context(channel.subscribe(number))
            for _ in range(100):
                number += 1
                channel.add(frame(number, 10_000))
            assert most - 10_000 < channel.kept_bytes <= most
    channel.add(frame(number + 1, 2 * MAX_BYTES))
    assert (channel.floor, channel.kept_bytes) == (number, 2 * MAX_BYTES)


async def test_current_subscribers_get_the_newest_transient_frame_of_each_key() -> None:
    channel = Channel[Frame](0)
    channel.add(Frame(None, b"too early"), "a")
    with channel.subscribe(0) as subscriber:
        for text, key in ((b"a1", "a"), (b"b1", "b"), (b"a2", "a")):
            channel.add(Frame(None, text), key)
        channel.add(frame(1))
        assert [taken_frame.encoded for taken_frame in channel.take(subscriber)] == [b"x" * 10, b"b1", b"a2"]
        assert channel.take(subscriber) == []


async def test_transient_frames_are_kept_for_the_slowest_subscriber_and_no_longer() -> None:
    channel = Channel[Frame](0)
    with channel.subscribe(0) as fast, channel.subscribe(0) as slow:
        for number in range(3 * MAX_FRAMES):
            channel.add(Frame(None, b"%d" % number), number)
            channel.take(fast)
        assert [frame.encoded for frame in channel.take(slow)] == [
            b"%d" % n for n in range(2 * MAX_FRAMES, 3 * MAX_FRAMES)
        ]
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            for number in range(3 * MAX_FRAMES):
                channel.add(Frame(None, b"x" * 10_000), number)
                channel.take(fast)
                channel.take(slow)
            assert tracemalloc.get_traced_memory()[0] - before < 100 * 10_000
        finally:
            tracemalloc.stop()


async def test_older_frames_are_added_before_the_others_if_there_is_room() -> None:
    channel = Channel[Frame](10)
    channel.add(frame(11))
    channel.add_before(0, [frame(3), frame(9), frame(11)])
    assert channel.floor == 0
    with channel.subscribe(0) as first, channel.subscribe(3) as second:
        assert ids(channel.take(first)) == [3, 9, 11]
        assert ids(channel.take(second)) == [9, 11]
    small = Channel[Frame](10)
    small.add_before(0, [frame(1, BYTES_PER_SUBSCRIBER + 1)])
    assert small.floor == 10


async def test_many_subscribers_are_woken_in_rounds_and_at_once_for_the_end() -> None:
    """Frames collect between two rounds, so a subscriber is not woken for each; the last one is not delayed."""
    channel, wakings = Channel[Frame](0), 0

    async def follow() -> list[int | None]:
        nonlocal wakings
        taken_ids = list[int | None]()
        with channel.subscribe(0) as subscriber:
            while True:
                taken_ids += (new := ids(channel.take(subscriber)))
                if channel.is_closed and not new:
                    return taken_ids
                await channel.wait(subscriber)
                wakings += 1

    many = 400
    followers = [asyncio.create_task(follow()) for _ in range(many)]
    await asyncio.sleep(0)
    for number in range(1, 101):
        channel.add(frame(number))
        for _ in range(many // WAKE_BATCH + 3):
            await asyncio.sleep(0)
    channel.add(frame(101, is_last=True))
    channel.close()
    assert all(taken_ids == list(range(1, 102)) for taken_ids in await asyncio.gather(*followers))
    assert wakings < 100 * many / 4, "not one for each frame"


async def test_a_round_wakes_one_batch_in_each_turn_of_the_loop() -> None:
    channel, woken = Channel[Frame](0), 0

    async def follow() -> None:
        nonlocal woken
        with channel.subscribe(0) as subscriber:
            await channel.wait(subscriber)
        woken += 1

    followers = [asyncio.create_task(follow()) for _ in range(4 * WAKE_BATCH)]
    await asyncio.sleep(0)
    channel.add(frame(1, is_last=True))
    before = woken
    while woken < len(followers):
        await asyncio.sleep(0)
        assert woken - before <= WAKE_BATCH
        before = woken
    await asyncio.gather(*followers)


async def test_wait_for_room_waits_for_the_fastest_subscriber() -> None:
    """So a stream that is read as fast as possible does not outrun all subscribers."""
    channel = Channel[Frame](0)
    taken_ids = list[int | None]()

    async def produce() -> None:
        for number in range(1, 201):
            await channel.wait_for_room(frame(number, 1000))
            channel.add(frame(number, 1000))
        channel.close()

    with channel.subscribe(0) as subscriber:
        producer = asyncio.create_task(produce())
        while not (producer.done() and taken_ids[-1:] == [200]):
            assert channel.reaches(subscriber.after)
            taken_ids += ids(channel.take(subscriber))
            await asyncio.sleep(0)
    assert taken_ids == list(range(1, 201))


async def test_a_subscriber_needs_little_memory() -> None:
    """The frames are the channel's."""
    channel = Channel[Frame](0)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        with ExitStack() as stack:
            subscribers = [stack.enter_context(channel.subscribe(0)) for _ in range(1000)]
            for number in range(1, 501):
                channel.add(frame(number, 1000))
            for subscriber in subscribers:
                channel.take(subscriber)
            assert tracemalloc.get_traced_memory()[0] - before < MAX_BYTES + 1000 * 1000
    finally:
        tracemalloc.stop()
