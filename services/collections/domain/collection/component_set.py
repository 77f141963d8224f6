"""The components that a collection has ever had: only ever more of them, so the set is a persistent one.

It is stored as runs of ids, for a creation or an edit takes its new ids one after the other.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import msgspec

from shared.persistent import Map

NONE: Map[int, None] = Map()


class ComponentSet(Collection[int]):
    """Immutable; one with more ids is made without copying those that are there."""

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
        ids, end = list[int](), 0
        for place, count in enumerate(msgspec.convert(plain, list[int])):
            if place % 2:
                ids += range(end, end + count)
            end += count
        return cls().including(ids)
