"""Work of one key in order, work of different keys at the same time."""

import asyncio
from collections import defaultdict
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.handling.lanes import Lanes
from tests.support.patience import PATIENCE


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=60))
def test_each_lane_keeps_its_order(work: list[tuple[int, int]]) -> None:
    """However long each piece takes, those of one key are done in the order in which they were put."""
    done: defaultdict[int, list[int]] = defaultdict(list)

    async def one(key: int, number: int, turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        done[key].append(number)

    async def run() -> int:
        async with asyncio.TaskGroup() as tasks:
            lanes = Lanes(tasks)
            for number, (key, turns) in enumerate(work):
                lanes.put(key, partial(one, key, number, turns))
        return len(lanes)

    assert asyncio.run(run()) == 0
    for key, numbers in done.items():
        assert numbers == [number for number, (item, _) in enumerate(work) if item == key]
    assert sum(map(len, done.values())) == len(work)


async def test_lanes_do_not_wait_for_each_other() -> None:
    """A lane that does not move does not delay the others."""
    release, passed = asyncio.Event(), asyncio.Event()

    async def stand() -> None:
        await release.wait()

    async def go() -> None:
        passed.set()

    async with asyncio.TaskGroup() as tasks:
        lanes = Lanes(tasks)
        lanes.put("a", stand)
        lanes.put("b", go)
        await asyncio.wait_for(passed.wait(), PATIENCE)
        assert len(lanes) == 1
        release.set()


async def test_a_fault_of_ours_ends_the_group() -> None:
    """Work handles its own failures; what escapes is a fault that must not be passed over in silence."""

    async def break_down() -> None:
        raise LookupError("a fault")

    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.TaskGroup() as tasks:
            Lanes(tasks).put("a", break_down)
    assert caught.group_contains(LookupError)
