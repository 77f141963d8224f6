"""The cache of the states of the streams used last."""

from uuid import UUID, uuid4

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from shared.eventstore import Decider, Loaded
from shared.eventstore.decider import StateCache


class Sum(msgspec.Struct, frozen=True):
    total: int = 0


FIRST_DECIDER, SECOND_DECIDER = (Decider(name, Sum(), lambda state, _: state, Sum) for name in ("one", "two"))


def test_the_least_recently_used_state_is_dropped_first() -> None:
    """`get` counts as a use."""
    cache, (a, b, c) = StateCache(2), (uuid4(), uuid4(), uuid4())
    cache.put(FIRST_DECIDER, a, Loaded(Sum(1), 1))
    cache.put(FIRST_DECIDER, b, Loaded(Sum(2), 1))
    cache.get(FIRST_DECIDER, a)
    cache.put(FIRST_DECIDER, c, Loaded(Sum(3), 1))
    assert [cache.get(FIRST_DECIDER, stream) is not None for stream in (a, b, c)] == [True, False, True]


def test_an_older_state_does_not_replace_a_newer() -> None:
    """Two concurrent loads of one stream may end in any order."""
    cache, stream = StateCache(2), uuid4()
    cache.put(FIRST_DECIDER, stream, Loaded(Sum(7), 5))
    cache.put(FIRST_DECIDER, stream, Loaded(Sum(3), 4))
    assert cache.get(FIRST_DECIDER, stream) == Loaded(Sum(7), 5)


def test_deciders_do_not_share_states() -> None:
    """Two folds of one stream are cached separately."""
    cache, stream = StateCache(2), uuid4()
    cache.put(FIRST_DECIDER, stream, Loaded(Sum(1), 1))
    assert cache.get(SECOND_DECIDER, stream) is None


@given(st.integers(0, 4), st.lists(st.tuples(st.integers(1, 6), st.integers(1, 9)), max_size=40))
def test_the_number_of_states_is_bounded(size: int, puts: list[tuple[int, int]]) -> None:
    """A cached state is never older than the newest one that was put."""
    cache = StateCache(size)
    for name, version in puts:
        stream = UUID(int=name)
        cache.put(FIRST_DECIDER, stream, Loaded(Sum(version), version))
        cached = cache.get(FIRST_DECIDER, stream)
        assert (cached is None) == (size == 0)
        assert cached is None or cached.version >= version
        assert len(cache._states) <= size


def test_a_state_that_is_not_to_be_cached_leaves_the_cache() -> None:
    """Neither it nor the state before it is kept, and their bytes are not counted."""
    small = Decider("small", Sum(), lambda state, _: state, Sum, is_cached=lambda state: state.total < 5)
    cache, stream = StateCache(9), uuid4()
    cache.put(small, stream, Loaded(Sum(4), 1, size=10))
    assert (cache.get(small, stream), cache.bytes) == (Loaded(Sum(4), 1), 10)
    cache.put(small, stream, Loaded(Sum(5), 2, size=20))
    assert (cache.get(small, stream), cache.bytes) == (None, 0)
    cache.put(small, stream, Loaded(Sum(4), 1, size=10))
    assert cache.get(small, stream) == Loaded(Sum(4), 1), "an older state does no harm: `load` adds what is newer"


class Names(msgspec.Struct, frozen=True):
    names: tuple[str, ...] = ()


NAMES = Decider("names", Names(), lambda state, _: state, Names)


def test_the_bytes_of_states_are_bounded() -> None:
    """The least recently used are dropped first; a state above the bound is not cached."""
    cache = StateCache(1000, max_bytes=30_000)
    streams = [uuid4() for _ in range(10)]
    for stream in streams:
        cache.put(NAMES, stream, Loaded(Names(("x" * 8_000,)), 1, size=9_000))
        assert cache.bytes <= 30_000
    assert [cache.get(NAMES, stream) is not None for stream in streams] == [False] * 7 + [True] * 3
    cache.put(NAMES, streams[0], Loaded(Names(("x" * 40_000,)), 1, size=40_100))
    assert cache.get(NAMES, streams[0]) is None
    assert cache.bytes == 0


def test_a_small_state_of_many_events_is_measured() -> None:
    """Each time its events have doubled, so that all measurements encode no more bytes than the events have."""
    cache, stream, size = StateCache(10, max_bytes=100_000), uuid4(), 0
    for version in range(1, 10_000):
        loaded = cache.get(FIRST_DECIDER, stream) or Loaded(Sum(), 0)
        cache.put(FIRST_DECIDER, stream, Loaded(Sum(version), version, size=loaded.size + 500))
        size = max(size, cache.bytes)
    assert cache.get(FIRST_DECIDER, stream) is not None
    assert size < 5_000


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(0, 20_000)), max_size=40))
def test_bytes_are_counted_exactly(puts: list[tuple[int, int, int]]) -> None:
    """For any sequence of replacements and drops."""
    cache = StateCache(4, max_bytes=40_000)
    for name, version, size in puts:
        cache.put(FIRST_DECIDER, UUID(int=name), Loaded(Sum(version), version, size=size))
        cached = [loaded for number in range(7) if (loaded := cache.get(FIRST_DECIDER, UUID(int=number)))]
        assert cache.bytes == sum(loaded.size for loaded in cached) <= 40_000
