"""How an aggregate's state is folded from its events; the cache of states, and their encoding for snapshots."""

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


def always(_state: object) -> bool:
    """For aggregates of which every state stays in memory."""
    return True


@dataclass(frozen=True)
class Decider(Generic[S]):
    """An aggregate's fold. `decide` stays a plain function of the domain; the store only folds.

    After every `snapshot_every` events, and when more were folded at once, the state is stored as JSON. So msgspec must
    be able to decode `state_type`, apart from persistent maps (`shared.persistent.Map`) and parts that are `Plain`.
    Increment `state_version` when the state's fields or the fold change: then older snapshots are ignored.
    """

    name: str
    initial: S
    evolve: Callable[[S, Event], S]
    state_type: type[S]
    state_version: int = 1
    snapshot_every: int | None = None
    is_cached: Callable[[S], bool] = always
    """Whether a state stays in memory. False for those after which a stream is seldom used again."""


@dataclass(frozen=True, slots=True)
class Loaded(Generic[S]):
    """A stream's state at a version. Version 0: the stream does not exist, or did not yet at that time.

    `began_at` and `recorded_at` are the times of its first and of its last event up to the version.
    `size` is an upper bound of the state's bytes as JSON: those of the events, or of the snapshot and later events.
    `snapshot_version` is the version of the newest snapshot that this process knows of; 0 for none.
    """

    state: S
    version: int
    position: int = 0
    recorded_at: datetime | None = None
    size: int = field(default=0, compare=False)
    began_at: datetime | None = field(default=None, compare=False)
    snapshot_version: int = field(default=0, compare=False)

    def handled(self, events: tuple[Event, ...] = ()) -> "Handled[S]":
        """As the result of a command that recorded these `events`."""
        return Handled(self.state, self.version, self.position, events, self.recorded_at, self.began_at)


@dataclass(frozen=True, slots=True)
class Handled(Generic[S]):
    """The result of a command: the events that it recorded, and the stream's state after them.

    `events` is empty when there was nothing to do, or when the command was recorded before; then the state is the
    present one. The times are as in `Loaded`.
    """

    state: S
    version: int
    position: int
    events: tuple[Event, ...] = ()
    recorded_at: datetime | None = field(default=None, compare=False)
    began_at: datetime | None = field(default=None, compare=False)


def fold(decider: Decider[S], start: Loaded[S], events: list[RecordedEvent]) -> Loaded[S]:
    """The state after the events, which follow directly on `start`."""
    state = start.state
    for recorded in events:
        state = decider.evolve(state, recorded.event)
    if not events:
        return start
    last = events[-1]
    size = start.size + sum([len(recorded.data) for recorded in events])
    began_at = start.began_at if start.version else events[0].recorded_at
    return Loaded(state, last.version, last.position, last.recorded_at, size, began_at, start.snapshot_version)


MEASURE_FROM = 4096
"""Bytes. The size of a state whose events have fewer bytes is not measured: that of the events is used."""


class StateCache:
    """The states of the streams used last. `load` adds the newer events, so an outdated state does no harm.

    The cache is bounded in number, and in bytes of JSON; the Python objects need a small multiple of these.
    """

    def __init__(self, size: int, max_bytes: int = 64 * 1024 * 1024) -> None:
        self._size, self._max_bytes = size, max_bytes
        self._states: OrderedDict[tuple[str, UUID], Loaded[Any]] = OrderedDict()
        self._measured: dict[tuple[str, UUID], int] = {}
        self.bytes = 0

    def get(self, decider: Decider[S], stream_id: UUID) -> Loaded[S] | None:
        """The cached state; None if there is none."""
        loaded = self._states.get((decider.name, stream_id))
        if loaded is not None:
            self._states.move_to_end((decider.name, stream_id))
        return loaded

    def put(self, decider: Decider[S], stream_id: UUID, loaded: Loaded[S]) -> None:
        """Caches a state, unless a newer one is cached; drops the states used longest ago to keep the bounds.

        A state that the decider does not want cached replaces an older one by nothing.
        """
        key = (decider.name, stream_id)
        cached = self._states.get(key)
        if cached is not None:
            if cached.version > loaded.version:
                return
            self.bytes -= cached.size
        if not decider.is_cached(loaded.state):
            self._states.pop(key, None)
            self._measured.pop(key, None)
            return
        loaded = self._with_measured_size(key, loaded)
        self.bytes += loaded.size
        self._states[key] = loaded
        self._states.move_to_end(key)
        while self._states and (len(self._states) > self._size or self.bytes > self._max_bytes):
            oldest, dropped = self._states.popitem(last=False)
            self.bytes -= dropped.size
            self._measured.pop(oldest, None)

    def _with_measured_size(self, key: tuple[str, UUID], loaded: Loaded[S]) -> Loaded[S]:
        """Measures the size again once the events have doubled it, since many events may result in a small state.

        So all measurements of a state together encode no more bytes than its events have.
        """
        if loaded.size <= max(MEASURE_FROM, 2 * self._measured.get(key, 0)):
            return loaded
        with contextlib.suppress(TypeError):  # a state without snapshots need not be encodable
            loaded = replace(loaded, size=len(encode_state(loaded.state)))
        self._measured[key] = loaded.size
        return loaded

    def clear(self) -> None:
        """Drops all states because the store went back: they may contain events that no longer exist."""
        self._states.clear()
        self._measured.clear()
        self.bytes = 0


@runtime_checkable
class Plain(Protocol):
    """A part of a state that msgspec can't encode: it converts itself to plain values, and back."""

    def to_plain(self) -> Any:
        """Values that msgspec encodes."""
        ...

    @classmethod
    def from_plain(cls, plain: Any) -> Self:
        """Reverses `to_plain`. Raises ValueError or TypeError for values that it does not return."""
        ...


def encode_state(state: Any) -> bytes:
    """As JSON. Equal states have equal bytes in every process: persistent maps are encoded in the order of keys."""
    return msgspec.json.encode(state, enc_hook=_to_plain)


def decode_state(decider: Decider[S], data: bytes) -> S:
    """Reverses `encode_state`. Raises msgspec.DecodeError for data that does not match the state's type."""
    return msgspec.json.decode(data, type=decider.state_type, dec_hook=_from_plain)


def _to_plain(part: Any) -> Any:
    if isinstance(part, Map):
        return _in_order(dict(part.items()))
    if isinstance(part, Plain):
        return part.to_plain()
    raise TypeError(f"{type(part)} can't be stored in a snapshot: give it `to_plain` and `from_plain`")


def _in_order(entries: dict[Any, Any]) -> dict[Any, Any]:
    """Sorted by key. UUIDs are compared as integers, since their own comparison is slow Python code."""
    by = attrgetter("int") if isinstance(next(iter(entries), None), UUID) else None
    return {key: entries[key] for key in sorted(entries, key=by)}


def _from_plain(part: type[Any], plain: Any) -> Any:
    if get_origin(part) is Map:
        return Map(msgspec.convert(plain, dict[get_args(part)], str_keys=True))  # type: ignore[misc]  # its types are known at run time only
    if issubclass(part, Plain):
        return part.from_plain(plain)
    raise TypeError(f"{part} can't be read from a snapshot: give it `to_plain` and `from_plain`")
