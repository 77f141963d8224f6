"""The ids of all components that a collection has ever had: an immutable set, to which ids are only added.

Based on a persistent map, so that adding ids copies none. In a snapshot it is a list of run lengths, which is short
because a creation or an edit assigns consecutive ids.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import msgspec

from shared.persistent import Map

NONE: Map[int, None] = Map()


class ComponentSet(Collection[int]):
    """An immutable set of ids."""

    __slots__ = ("_ids",)

    def __init__(self, ids: Map[int, None] = NONE) -> None:
        self._ids = ids

    def __contains__(self, component_id: object) -> bool:
        return component_id in self._ids

    def __iter__(self) -> Iterator[int]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ComponentSet) and self._ids == other._ids

    def __hash__(self) -> int:
        return hash(self._ids)

    def __repr__(self) -> str:
        return f"ComponentSet({sorted(self._ids)})"

    def including(self, ids: Iterable[int]) -> "ComponentSet":
        """The set with these ids, too."""
        new = [component_id for component_id in ids if component_id not in self._ids]
        return ComponentSet(self._ids.update(dict.fromkeys(new))) if new else self

    def to_plain(self) -> list[int]:
        """Run lengths from id 0: alternately how many ids are absent and present."""
        counts, end = list[int](), 0
        for component_id in sorted(self._ids):
            if counts and component_id == end:
                counts[-1] += 1
            else:
                counts += [component_id - end, 1]
            end = component_id + 1
        return counts

    @classmethod
    def from_plain(cls, plain: Any) -> "ComponentSet":
        """Reverses `to_plain`. Raises msgspec.ValidationError for anything but a list of integers."""
        ids, end = list[int](), 0
        for index, count in enumerate(msgspec.convert(plain, list[int])):
            if index % 2:
                ids += range(end, end + count)
            end += count
        return cls().including(ids)
