"""A persistent (immutable) mapping, for states that are replaced with each event."""

from collections.abc import ItemsView, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from rpds import HashTrieMap

K = TypeVar("K")
V = TypeVar("V")

EMPTY: "HashTrieMap[Any, Any]" = HashTrieMap()


class Map(Mapping[K, V]):
    """Immutable and hashable. `set`, `delete` and `update` return a map that shares all but a few nodes with this one.

    It wraps rpds's map, which can't be annotated with the types of its keys and values at run time; stored states are
    decoded by these. rpds rather than `immutables`, which has no wheel for Python 3.14.
    """

    __slots__ = ("_trie",)

    def __init__(self, entries: "Mapping[K, V] | Iterable[tuple[K, V]] | HashTrieMap[K, V]" = EMPTY) -> None:
        self._trie: HashTrieMap[K, V] = entries if isinstance(entries, HashTrieMap) else HashTrieMap(entries)

    def set(self, key: K, value: V) -> "Map[K, V]":
        """A map with this entry, added or replaced."""
        return Map(self._trie.insert(key, value))

    def delete(self, key: K) -> "Map[K, V]":
        """A map without this key. Raises KeyError if it is missing."""
        return Map(self._trie.remove(key))

    def update(self, entries: Mapping[K, V]) -> "Map[K, V]":
        """A map with these entries, added or replaced."""
        return Map(self._trie.update(entries))

    def __getitem__(self, key: K) -> V:
        return self._trie[key]

    def items(self) -> ItemsView[K, V]:
        """The entries, in no particular order."""
        return self._trie.items()

    def __contains__(self, key: object) -> bool:
        return key in self._trie

    def __iter__(self) -> Iterator[K]:
        return iter(self._trie)

    def __len__(self) -> int:
        return len(self._trie)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Map) and self._trie == other._trie

    def __hash__(self) -> int:
        return hash(self._trie)

    def __repr__(self) -> str:
        return f"Map({dict(self)})"
