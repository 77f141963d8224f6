"""Walking through JSON values, and the pointers of the values in them."""

from collections.abc import Iterator
from typing import Any, final


@final
class Place:
    """A value's JSON pointer (RFC 6901), built only when it is used.

    Building it takes time in proportion to its length, and only the pointers of faults are needed.
    """

    __slots__ = ("key", "parent", "text")

    def __init__(self, root: str = "", parent: "Place | None" = None, key: str | int = "") -> None:
        self.text = root if parent is None else None
        self.parent, self.key = parent, key

    def under(self, key: str | int) -> "Place":
        return Place(parent=self, key=key)

    def __str__(self) -> str:
        if self.text is None:
            root, keys = self._path()
            self.text = "/".join([root, *map(escaped, reversed(keys))])
        return self.text

    def _path(self) -> tuple[str, list[str]]:
        """The text of the nearest ancestor that has one, and the keys from here up to it."""
        keys: list[str] = []
        place: Place = self
        while place.text is None:
            keys.append(str(place.key))
            assert place.parent is not None, "a place without a parent has its text"
            place = place.parent
        return place.text, keys

    def __repr__(self) -> str:
        return repr(str(self))

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other) if isinstance(other, Place | str) else NotImplemented

    def __hash__(self) -> int:
        return hash(str(self))


def escaped(key: str) -> str:
    """A key as a token of a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")


def values(document: Any, root: str = "") -> Iterator[tuple[Place, Any]]:
    """Every string, object and list in a document, itself first, in document order. Not recursive: any depth works."""
    stack: list[tuple[Place, Any]] = [(Place(root), document)]
    while stack:
        place, value = stack.pop()
        yield place, value
        if not isinstance(value, str):
            stack.extend(below(place, value))


def below(place: Place, value: Any) -> Iterator[tuple[Place, Any]]:
    """The strings, objects and lists in an object or list, in reverse order, for a stack."""
    if isinstance(value, dict):
        for key in reversed(value):
            if isinstance(value[key], _WALKED):
                yield place.under(key), value[key]
    elif isinstance(value, list):
        for index in range(len(value) - 1, -1, -1):
            if isinstance(value[index], _WALKED):
                yield place.under(index), value[index]


_WALKED = (str, dict, list)
