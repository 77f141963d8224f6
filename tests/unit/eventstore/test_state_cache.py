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
