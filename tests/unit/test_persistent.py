"""The persistent map beside a dictionary."""

import os
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from shared.persistent import Map

KEYS = st.integers(0, 20)


@given(st.lists(st.tuples(KEYS, st.integers()) | KEYS))
def test_it_is_a_dictionary_of_which_every_version_stays(changes: list[tuple[int, int] | int]) -> None:
    """A pair sets, a key alone deletes."""
    mapping: Map[int, int] = Map()
    like: dict[int, int] = {}
    versions = [(mapping, dict(like))]
    for change in changes:
        if isinstance(change, tuple):
            mapping, like = mapping.set(*change), {**like, change[0]: change[1]}
        elif change in like:
            mapping = mapping.delete(change)
            del like[change]
        versions.append((mapping, dict(like)))
    for version, entries in versions:
        assert dict(version) == entries
        assert (len(version), version == Map(entries), hash(version)) == (len(entries), True, hash(Map(entries)))
        assert {key: version.get(key) for key in range(21)} == {key: entries.get(key) for key in range(21)}


def test_many_entries_at_once() -> None:
    assert Map({1: "a"}).update({1: "b", 2: "c"}) == Map({1: "b", 2: "c"})


ENCODED = """
from shared.eventstore.decider import encode_state
from shared.persistent import Map

print(encode_state(Map({str(key): key for key in range(40)})).decode())"""


def test_equal_states_are_stored_alike_by_every_process() -> None:
    """Each has other hashes of texts, by which a trie is ordered."""
    stored = {
        subprocess.run(
            [sys.executable, "-c", ENCODED],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(stored) == 1
