"""Encodes and decodes events: one JSON object each, tagged with its type; old versions are upcast."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import msgspec

from shared.contracts import sizes
from shared.contracts.event import Event, event_type
from shared.contracts.language import Language, Upcaster
from shared.contracts.problem import Problem

NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""JSON's escape of the NUL character, not an escaped backslash before the text `u0000`."""

MAX_MESSAGE = sizes.MAX_EVENT
"""Bytes of a message with its headers that every NATS server accepts by default."""
MAX_METADATA = 2048
"""Bytes of an event's metadata, from which its message's headers are made."""
MAX_EVENT = MAX_MESSAGE - 8 * 1024
"""Bytes of an event as JSON: a message without its headers. These need about 1 KiB, and three times the metadata when
each character is percent-encoded."""


class UnknownEventType(Exception):  # noqa: N818 - a state of the data, not a fault
    """An event has a type that this release's contracts don't list."""

    def __init__(self, tag: str) -> None:
        super().__init__(f"this release knows no event of type {tag}")
        self.tag = tag


class Unreadable(Event, frozen=True, tag="unreadable"):
    """Replaces an event that can't be decoded (damaged, or of a newer release), for readers with `keep_unreadable`."""

    reason: str


UNREADABLE = (UnknownEventType, msgspec.MsgspecError, ValueError, RecursionError)
"""What decoding may raise; ValueError for bytes that are not UTF-8, or were sealed with another key."""


class Codec:
    """The events of one service. Each of `upcasters` converts an old version of a type to the next one.

    `decode` returns the newest version. Raises ValueError for an upcaster that does not lead to one of `events`.
    """

    def __init__(self, events: Iterable[type[Event]], *, upcasters: Mapping[str, Upcaster] | None = None) -> None:
        self.events = {event_type(event): event for event in events}
        self._upcasters = dict(upcasters or {})
        self._newest = {tag: self._follow(tag) for tag in (*self.events, *self._upcasters)}
        self._names = {tag: _name(tag) for tag in self._newest}
        self._decoders = {tag: msgspec.json.Decoder(event) for tag, event in self.events.items()}
        self._decoders_of: dict[frozenset[str] | None, Mapping[str, Callable[[bytes], Event] | None]] = {}
        self._wanted_of: dict[frozenset[str], Callable[[str], bool]] = {}
        self._encode = msgspec.json.Encoder().encode

    @classmethod
    def of(cls, language: Language) -> "Codec":
        """The codec of a published language."""
        return cls(language.events, upcasters=language.upcasters)

    # Tags

    def knows(self, tag: str) -> bool:
        """Whether the tag is the newest or an older version of a type that this release has."""
        return tag in self._newest

    def aggregate(self, tag: str) -> str:
        """The aggregate of the events with this tag; all versions of a type have the same. Raises UnknownEventType."""
        newest = self._any_version(tag)
        if newest is None:
            raise UnknownEventType(tag)
        return self.events[newest].aggregate

    def has_aggregate(self, tag: str) -> bool:
        """Whether this release has any version of the type."""
        return self._any_version(tag) is not None

    def _any_version(self, tag: str) -> str | None:
        """The newest tag of the type, also for a version that is newer than this release knows."""
        return self._newest.get(tag) or next(
            (self._newest[other] for other, name in self._names.items() if name == _name(tag)), None
        )

    def stored_tags(self, types: Iterable[str]) -> frozenset[str]:
        """Every tag, of any version, under which events of these types (newest tags) may be stored."""
        newest_tags = frozenset(types)
        return frozenset(tag for tag, newest in self._newest.items() if newest in newest_tags)

    def wanted(self, types: Iterable[str]) -> Callable[[str], bool]:
        """A filter for stored tags: it accepts every version of these types (newest tags).

        It raises UnknownEventType for a version of such a type that is later than this release knows.
        """
        types = frozenset(types)
        cached = self._wanted_of.get(types)
        if cached is not None:
            return cached
        tags = self.stored_tags(types)
        names = {self._names[tag] for tag in tags}

        def is_wanted(tag: str) -> bool:
            if tag in tags:
                return True
            if tag not in self._newest and _name(tag) in names:
                raise UnknownEventType(tag)
            return False

        self._wanted_of[types] = is_wanted
        return is_wanted

    def decoders(self, types: frozenset[str] | None) -> Mapping[str, Callable[[bytes], Event] | None]:
        """The decoder of each stored tag; None for a tag of another type than these (newest tags).

        It lacks tags that this release does not know: pass those to the filter that `wanted` returns.
        """
        decoders = self._decoders_of.get(types)
        if decoders is None:
            tags = self.stored_tags(types) if types is not None else self._newest
            decoders = {tag: self._decoder(tag) if tag in tags else None for tag in self._newest}
            self._decoders_of[types] = decoders
        return decoders

    def _decoder(self, tag: str) -> Callable[[bytes], Event]:
        return partial(self._upcast, tag) if tag in self._upcasters else self._decoders[tag].decode

    def _follow(self, tag: str) -> str:
        first = tag
        while tag in self._upcasters:
            tag = _next_version(tag)
        if tag not in self.events:
            raise ValueError(f"{first} is upcast to {tag}, which is not in `events`: add it, or its upcaster")
        return tag

    # Encoding and decoding

    def encode(self, event: Event) -> tuple[str, bytes]:
        """Returns tag and bytes. Raises UnknownEventType for an event of another service.

        Raises Problem VALIDATION_FAILED for a NUL character, which PostgreSQL's text columns can't store, so that every
        read table would stop at the event; and PAYLOAD_TOO_LARGE for an event of more than MAX_EVENT bytes, which the
        broker might reject.
        """
        tag = event_type(event)
        if tag not in self._decoders:
            raise UnknownEventType(tag)
        data = self._encode(event)
        if len(data) > MAX_EVENT:
            raise Problem(
                "PAYLOAD_TOO_LARGE",
                f"the event {tag} would have {len(data):,} bytes; at most {MAX_EVENT:,} are accepted",
            )
        if b"\\u0000" in data and NUL.search(data):
            raise Problem("VALIDATION_FAILED", f"a text in {tag} contains a NUL character, which can't be stored")
        return tag, data

    def decode(self, tag: str, data: bytes) -> Event:
        """The event in these bytes, in its newest version. Raises UnknownEventType or msgspec.DecodeError."""
        if tag not in self._upcasters:
            decoder = self._decoders.get(tag)
            if decoder is None:
                raise UnknownEventType(tag)
            return decoder.decode(data)
        return self._upcast(tag, data)

    def current(self, event: Event) -> Event:
        """The event as it will be read: in the newest version, even if it is still written in an older one."""
        tag = event_type(event)
        return self._upcast(tag, self._encode(event)) if tag in self._upcasters else event

    def _upcast(self, tag: str, data: bytes) -> Event:
        document: dict[str, Any] = msgspec.json.decode(data, type=dict[str, Any])
        while tag in self._upcasters:
            try:
                document = {**self._upcasters[tag](document), "type": _next_version(tag)}
            except Exception as error:
                raise msgspec.ValidationError(f"a {tag} can't be upcast: {error!r}") from error
            tag = document["type"]
        # Encoded as JSON and decoded again: msgspec.convert does not accept exactly the same values as the decoder.
        return self._decoders[tag].decode(self._encode(document))


def _name(tag: str) -> str:
    return tag.rpartition(".v")[0] or tag


def _next_version(tag: str) -> str:
    name, _, version = tag.rpartition(".v")
    return f"{name}.v{int(version) + 1}"
