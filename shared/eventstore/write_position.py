"""The position up to which one piece of work (an HTTP request) has written, so that its answer can include it.

Every append and every command notes its position in the current context, so that no handler can forget to. Without a
`begin` in the context (consumers, processes), nothing is noted.
"""

from contextvars import ContextVar, Token


class WritePosition:
    """The highest position of the events that the work's commands have recorded, now or before; 0 without any."""

    __slots__ = ("position",)

    def __init__(self) -> None:
        self.position = 0


_current: ContextVar[WritePosition | None] = ContextVar("write_position", default=None)


def begin(target: WritePosition) -> Token[WritePosition | None]:
    """Notes positions in `target` from now on, in this context and in tasks started in it, until `end(token)`."""
    return _current.set(target)


def end(token: Token[WritePosition | None]) -> None:
    """Stops noting positions: the counterpart of `begin`."""
    _current.reset(token)


def note(position: int) -> None:
    """Notes that the current work has written up to this position: a read shows it once it includes the position."""
    target = _current.get()
    if target is not None and position > target.position:
        target.position = position
