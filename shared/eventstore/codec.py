"""Events to bytes and back: one JSON object each, tagged with its type, upcast when it is of an older version."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from eventsourcing.persistence import Cipher, Compressor

from shared.contracts.event import Event, event_type
from shared.contracts.problem import Problem

NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""JSON's escape of the NUL character, not an escaped backslash before the text `u0000`."""

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
"""Takes an old version's object and gives the next version's, with its `type` changed to that version's tag."""


class UnknownEventType(Exception):  # noqa: N818 - names what was found
    """A type that this service's contracts don't list."""


class Codec:
    """Encodes and decodes the events of one service.

    `compressor` and `cipher` are the `eventsourcing` library's hooks: compressed first, then encrypted.
    """

    def __init__(
        self,
        events: Iterable[type[Event]],
        *,
        upcasters: Mapping[str, Upcaster] | None = None,
        compressor: Compressor | None = None,
        cipher: Cipher | None = None,
    ) -> None:
        self.events = {event_type(event): event for event in events}
        self._decoders = {tag: msgspec.json.Decoder(event) for tag, event in self.events.items()}
        self._upcasters = dict(upcasters or {})
        self._encode = msgspec.json.Encoder().encode
        self._compressor, self._cipher = compressor, cipher
        self._plain = compressor is None and cipher is None

    def encode(self, event: Event) -> tuple[str, bytes]:
        """Its type and its bytes. Raises UnknownEventType for an event that isn't this service's to record.

        Raises Problem VALIDATION_FAILED for a NUL character: no read table could hold it, and all would wait behind it.
        """
        tag = event_type(event)
        if tag not in self._decoders:
            raise UnknownEventType(tag)
        data = self._encode(event)
        if b"\\u0000" in data and NUL.search(data):
            raise Problem("VALIDATION_FAILED", f"a text in {tag} contains the NUL character, which can't be kept")
        if self._compressor:
            data = self._compressor.compress(data)
        if self._cipher:
            data = self._cipher.encrypt(data)
        return tag, data

    def decode(self, tag: str, data: bytes) -> Event:
        """The event that these bytes say, in its newest version. Raises UnknownEventType or msgspec.DecodeError."""
        if not self._plain:
            data = self._open(data)
        decoder = self._decoders.get(tag)
        if decoder is not None and tag not in self._upcasters:
            return decoder.decode(data)
        return self._upcast(tag, msgspec.json.decode(data))

    def _open(self, data: bytes) -> bytes:
        if self._cipher:
            data = self._cipher.decrypt(data)
        if self._compressor:
            data = self._compressor.decompress(data)
        return data

    def _upcast(self, tag: str, document: dict[str, Any]) -> Event:
        while tag in self._upcasters:
            document = self._upcasters[tag](document)
            tag = document["type"]
        if tag not in self.events:
            raise UnknownEventType(tag)
        return msgspec.convert(document, self.events[tag])
