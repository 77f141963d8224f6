"""Walking through JSON values, and the pointers of the values in them."""

from collections.abc import Iterator
from typing import Any, final


@final
class JsonPointer:
    """A value's JSON pointer (RFC 6901), built only when it is used.

    Building it takes time in proportion to its length, and only the pointers of faults are needed.
    """

    __slots__ = ("key", "parent", "text")

    def __init__(self, root: str = "", parent: "JsonPointer | None" = None, key: str | int = "") -> None:
        self.text = root if parent is None else None
        self.parent, self.key = parent, key

    def child(self, key: str | int) -> "JsonPointer":
        """The pointer of a member, by its key or index."""
        return JsonPointer(parent=self, key=key)

    def __str__(self) -> str:
        if self.text is None:
            root, keys = self._path()
            self.text = "/".join([root, *map(escape_token, reversed(keys))])
        return self.text

    def _path(self) -> tuple[str, list[str]]:
        """The text of the nearest ancestor that has one, and the keys from here up to it."""
        keys: list[str] = []
        pointer: JsonPointer = self
        while pointer.text is None:
            keys.append(str(pointer.key))
            assert pointer.parent is not None, "a root has its text"
            pointer = pointer.parent
        return pointer.text, keys

    def __repr__(self) -> str:
        return repr(str(self))

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other) if isinstance(other, JsonPointer | str) else NotImplemented

    def __hash__(self) -> int:
        return hash(str(self))


def escape_token(key: str) -> str:
    """A key as a reference token of a JSON pointer (RFC 6901, section 3)."""
    return key.replace("~", "~0").replace("/", "~1")


def values(document: Any, root: str = "") -> Iterator[tuple[JsonPointer, Any]]:
    """Every string, object and list in a document, itself first, in document order. Not recursive: any depth works."""
    stack: list[tuple[JsonPointer, Any]] = [(JsonPointer(root), document)]
    while stack:
        pointer, value = stack.pop()
        yield pointer, value
        if not isinstance(value, str):
            stack.extend(child_values(pointer, value))


def child_values(pointer: JsonPointer, value: Any) -> Iterator[tuple[JsonPointer, Any]]:
    """The strings, objects and lists in an object or list, in reverse order, for a stack."""
    if isinstance(value, dict):
        for key in reversed(value):
            if isinstance(value[key], _WALKED):
                yield pointer.child(key), value[key]
    elif isinstance(value, list):
        for index in range(len(value) - 1, -1, -1):
            if isinstance(value[index], _WALKED):
                yield pointer.child(index), value[index]


_WALKED = (str, dict, list)
