"""The progress of a build: recorded seldom, and a place where it can be stopped."""

import pytest

from services.storage.domain.package import Count
from services.storage.packaging.meter import NOTE_EVERY, Meter, Stopped


class Build:
    """A build with a clock of its own; `noted` is what was recorded."""

    def __init__(self) -> None:
        self.now, self.is_cancelled = 0.0, False
        self.noted: list[Count] = []
        self.meter = Meter(self.note, self.look, lambda: self.now)

    async def note(self, count: Count) -> None:
        self.noted.append(count)

    async def look(self) -> bool:
        return self.is_cancelled


async def test_a_short_build_records_nothing():
    build = Build()
    build.meter.begin("writing", 3, 30)
    for _ in range(3):
        await build.meter.pass_bytes(10)
        build.meter.end_file()
    assert build.noted == []
    assert build.meter.count == Count("writing", 3, 3, 30, 30)


async def test_a_long_build_records_at_most_a_hundred_shares_of_its_bytes():
    build = Build()
    build.meter.begin("writing", 1, 10_000)
    for _ in range(10_000):
        build.now += NOTE_EVERY
        await build.meter.pass_bytes(1)
    assert [count.bytes for count in build.noted] == list(range(100, 10_001, 100))


async def test_a_fast_build_records_every_few_seconds():
    build = Build()
    build.meter.begin("writing", 1, 100)
    for _ in range(100):
        build.now += NOTE_EVERY / 10
        await build.meter.pass_bytes(1)
    assert 9 <= len(build.noted) <= 10


async def test_files_without_bytes_are_progress_too():
    """Small artworks are looked up, and not read."""
    build = Build()
    build.meter.begin("checking", 1_000, 0)
    for _ in range(1_000):
        build.now += NOTE_EVERY
        await build.meter.pass_bytes(0)
        build.meter.end_file()
    assert 90 <= len(build.noted) <= 100


async def test_a_build_is_stopped_at_its_next_piece():
    build = Build()
    await build.meter.pass_bytes(1)
    build.meter.is_stopped = True
    with pytest.raises(Stopped):
        await build.meter.pass_bytes(1)


async def test_the_last_chance_asks_the_database():
    build = Build()
    await build.meter.last_chance()
    build.is_cancelled = True
    with pytest.raises(Stopped):
        await build.meter.last_chance()
