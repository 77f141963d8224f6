"""How far one piece of work (an HTTP request) has written, so that its answer can say so.

Every append and every command notes its position in the current context, so that no handler can forget to. Without a
`begin` in the context (consumers, processes), nothing is noted.
"""

from contextvars import ContextVar, Token


class Written:
    """The highest position of the events that this work has recorded, or has found recorded before; 0 without any."""

    __slots__ = ("position",)

    def __init__(self) -> None:
        self.position = 0


_current: ContextVar[Written | None] = ContextVar("written", default=None)


def begin(written: Written) -> Token[Written | None]:
    """Notes from now on, in this context and the tasks that it starts; the token ends it."""
    return _current.set(written)


def end(token: Token[Written | None]) -> None:
    _current.reset(token)


def note(position: int) -> None:
    """Notes that reads show what the current work did once they show this position."""
    written = _current.get()
    if written is not None and position > written.position:
        written.position = position
