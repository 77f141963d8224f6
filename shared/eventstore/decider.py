"""What the store needs to know of an aggregate: how its state grows out of its events."""

import contextlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import attrgetter
from typing import Any, Generic, Protocol, Self, TypeVar, get_args, get_origin, runtime_checkable
from uuid import UUID

import msgspec

from shared.contracts.event import Event
from shared.eventstore.records import RecordedEvent
from shared.persistent import Map

S = TypeVar("S")


@dataclass(frozen=True)
class Decider(Generic[S]):
    """An aggregate's fold. `decide` stays a plain function of the domain; the store only folds.

    After every `snapshot_every` events, and when more were folded, the state is stored as JSON, so msgspec must be able
    to decode `state_type`, but for persistent maps (`shared.persistent.Map`) and parts of it that are `Plain`.
    Raise `state_version` when the state's fields or the fold change: then older snapshots are not used any more.
    """

    name: str
    initial: S
    evolve: Callable[[S, Event], S]
    state_type: type[S]
    state_version: int = 1
    snapshot_every: int | None = None


@dataclass(frozen=True, slots=True)
class Loaded(Generic[S]):
    """A stream's state at a version. Version 0: the stream does not exist (or did not yet).

    `began_at` and `recorded_at` are the times of its first and of its last event.
    `size` says how many bytes the state has as JSON, at most: those of the events, or of the snapshot, that made it.
    `kept` is the version of the newest snapshot that this process knows of; 0 for none.
    """

    state: S
    version: int
    position: int = 0
    recorded_at: datetime | None = None
    size: int = field(default=0, compare=False)
    began_at: datetime | None = field(default=None, compare=False)
    kept: int = field(default=0, compare=False)

    def handled(self, events: tuple[Event, ...] = ()) -> "Handled[S]":
        """As what a command left, which recorded these `events`."""
        return Handled(self.state, self.version, self.position, events, self.recorded_at, self.began_at)


@dataclass(frozen=True, slots=True)
class Handled(Generic[S]):
    """What a command did, and the stream after it.

    `events` is empty when there was nothing to do, or when it had been done before; the stream is then as it is now.
    The times are as in `Loaded`.
    """

    state: S
    version: int
    position: int
    events: tuple[Event, ...] = ()
    recorded_at: datetime | None = field(default=None, compare=False)
    began_at: datetime | None = field(default=None, compare=False)


def fold(decider: Decider[S], start: Loaded[S], events: list[RecordedEvent]) -> Loaded[S]:
    state = start.state
    for recorded in events:
        state = decider.evolve(state, recorded.event)
    if not events:
        return start
    last = events[-1]
    size = start.size + sum([len(recorded.data) for recorded in events])
    began_at = start.began_at if start.version else events[0].recorded_at
    return Loaded(state, last.version, last.position, last.recorded_at, size, began_at, start.kept)


MEASURED_FROM = 4096
"""Bytes: a state whose events have no more than these is not measured; the events' size counts as its size."""


class StateCache:
    """The states of the streams last used. `load` adds the events since then, so an old state does no harm.

    The cache is bounded in number, and in bytes of JSON; the Python objects take a small multiple of these.
    """

    def __init__(self, size: int, max_bytes: int = 64 * 1024 * 1024) -> None:
        self._size, self._max_bytes = size, max_bytes
        self._states: OrderedDict[tuple[str, UUID], Loaded[Any]] = OrderedDict()
        self._measured: dict[tuple[str, UUID], int] = {}
        self.bytes = 0

    def get(self, decider: Decider[S], stream_id: UUID) -> Loaded[S] | None:
        loaded = self._states.get((decider.name, stream_id))
        if loaded is not None:
            self._states.move_to_end((decider.name, stream_id))
        return loaded

    def put(self, decider: Decider[S], stream_id: UUID, loaded: Loaded[S]) -> None:
        key = (decider.name, stream_id)
        known = self._states.get(key)
        if known is not None:
            if known.version > loaded.version:
                return
            self.bytes -= known.size
        loaded = self._weighed(key, loaded)
        self.bytes += loaded.size
        self._states[key] = loaded
        self._states.move_to_end(key)
        while self._states and (len(self._states) > self._size or self.bytes > self._max_bytes):
            oldest, dropped = self._states.popitem(last=False)
            self.bytes -= dropped.size
            self._measured.pop(oldest, None)

    def _weighed(self, key: tuple[str, UUID], loaded: Loaded[S]) -> Loaded[S]:
        """With its size measured again if the events since then have doubled it: many events may make a small state.

        So all measurements of a state together encode no more bytes than its events have.
        """
        if loaded.size <= max(MEASURED_FROM, 2 * self._measured.get(key, 0)):
            return loaded
        with contextlib.suppress(TypeError):  # a state need not be one that can be written down
            loaded = replace(loaded, size=len(encode_state(loaded.state)))
        self._measured[key] = loaded.size
        return loaded

    def clear(self) -> None:
        """Drops every state because the store went back: a state may contain events that are no longer recorded."""
        self._states.clear()
        self._measured.clear()
        self.bytes = 0


@runtime_checkable
class Plain(Protocol):
    """A part of a state that msgspec does not know: it says itself how it is stored."""

    def to_plain(self) -> Any: ...

    @classmethod
    def from_plain(cls, plain: Any) -> Self:
        """Raises ValueError or TypeError for what is not as `to_plain` makes it."""
        ...


def encode_state(state: Any) -> bytes:
    """As JSON. Equal states have the same bytes in every process: persistent maps are written in the order of keys."""
    return msgspec.json.encode(state, enc_hook=_to_plain)


def decode_state(decider: Decider[S], data: bytes) -> S:
    return msgspec.json.decode(data, type=decider.state_type, dec_hook=_from_plain)


def _to_plain(part: Any) -> Any:
    if isinstance(part, Map):
        return _in_order(dict(part.items()))
    if isinstance(part, Plain):
        return part.to_plain()
    raise TypeError(f"{type(part)} can't be stored")


def _in_order(entries: dict[Any, Any]) -> dict[Any, Any]:
    """By key. UUIDs are compared as integers: their own comparison is Python code, of which ten thousand need much."""
    by = attrgetter("int") if isinstance(next(iter(entries), None), UUID) else None
    return {key: entries[key] for key in sorted(entries, key=by)}


def _from_plain(part: type[Any], plain: Any) -> Any:
    if get_origin(part) is Map:
        return Map(msgspec.convert(plain, dict[get_args(part)], str_keys=True))  # type: ignore[misc]
    if issubclass(part, Plain):
        return part.from_plain(plain)
    raise TypeError(f"{part} can't be stored")
