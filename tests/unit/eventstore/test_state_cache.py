"""The states of the streams last used, as many as fit."""

from uuid import UUID, uuid4

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from shared.eventstore import Decider, Loaded
from shared.eventstore.decider import StateCache


class Sum(msgspec.Struct, frozen=True):
    total: int = 0


ONE, TWO = (Decider(name, Sum(), lambda state, _: state, Sum) for name in ("one", "two"))


def test_the_least_recently_used_goes_first() -> None:
    """A look counts as a use."""
    cache, (a, b, c) = StateCache(2), (uuid4(), uuid4(), uuid4())
    cache.put(ONE, a, Loaded(Sum(1), 1))
    cache.put(ONE, b, Loaded(Sum(2), 1))
    cache.get(ONE, a)
    cache.put(ONE, c, Loaded(Sum(3), 1))
    assert [cache.get(ONE, stream) is not None for stream in (a, b, c)] == [True, False, True]


def test_an_older_state_does_not_replace_a_newer() -> None:
    """Two loads of one stream may finish in any order."""
    cache, stream = StateCache(2), uuid4()
    cache.put(ONE, stream, Loaded(Sum(7), 5))
    cache.put(ONE, stream, Loaded(Sum(3), 4))
    assert cache.get(ONE, stream) == Loaded(Sum(7), 5)


def test_deciders_have_states_of_their_own() -> None:
    """Two folds of one stream don't meet."""
    cache, stream = StateCache(2), uuid4()
    cache.put(ONE, stream, Loaded(Sum(1), 1))
    assert cache.get(TWO, stream) is None


@given(st.integers(0, 4), st.lists(st.tuples(st.integers(1, 6), st.integers(1, 9)), max_size=40))
def test_never_more_than_fit(size: int, puts: list[tuple[int, int]]) -> None:
    """And what is there is never older than what was put last."""
    cache = StateCache(size)
    for name, version in puts:
        stream = UUID(int=name)
        cache.put(ONE, stream, Loaded(Sum(version), version))
        found = cache.get(ONE, stream)
        assert (found is None) == (size == 0)
        assert found is None or found.version >= version
        assert len(cache._states) <= size


class Names(msgspec.Struct, frozen=True):
    names: tuple[str, ...] = ()


NAMES = Decider("names", Names(), lambda state, _: state, Names)


def test_no_more_bytes_than_fit() -> None:
    """The least recently used go first, and one that alone is too large does not stay."""
    cache = StateCache(1000, max_bytes=30_000)
    streams = [uuid4() for _ in range(10)]
    for stream in streams:
        cache.put(NAMES, stream, Loaded(Names(("x" * 8_000,)), 1, size=9_000))
        assert cache.bytes <= 30_000
    assert [cache.get(NAMES, stream) is not None for stream in streams] == [False] * 7 + [True] * 3
    cache.put(NAMES, streams[0], Loaded(Names(("x" * 40_000,)), 1, size=40_100))
    assert cache.get(NAMES, streams[0]) is None
    assert cache.bytes == 0


def test_a_small_state_of_many_events_counts_as_small() -> None:
    """It is measured each time that its events have doubled, so in all for no more bytes than those have."""
    cache, stream, size = StateCache(10, max_bytes=100_000), uuid4(), 0
    for version in range(1, 10_000):
        loaded = cache.get(ONE, stream) or Loaded(Sum(), 0)
        cache.put(ONE, stream, Loaded(Sum(version), version, size=loaded.size + 500))
        size = max(size, cache.bytes)
    assert cache.get(ONE, stream) is not None
    assert size < 5_000


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(0, 20_000)), max_size=40))
def test_bytes_are_counted_right(puts: list[tuple[int, int, int]]) -> None:
    """Whatever is replaced or dropped on the way."""
    cache = StateCache(4, max_bytes=40_000)
    for name, version, size in puts:
        cache.put(ONE, UUID(int=name), Loaded(Sum(version), version, size=size))
        kept = [loaded for each in range(7) if (loaded := cache.get(ONE, UUID(int=each)))]
        assert cache.bytes == sum(loaded.size for loaded in kept) <= 40_000
