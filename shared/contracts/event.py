"""What every event of the published language is."""

from typing import ClassVar

import msgspec


class Event(msgspec.Struct, frozen=True, tag_field="type"):
    """A fact, in past tense, in the domain's words.

    Each subclass carries an explicit versioned tag (`collection_published.v1`), which is its name for ever: in the
    store, on the wire and in the documents. The bytes that are stored are the bytes that are published.
    `aggregate` is the word that stands for the stream's kind in subjects and listings.
    """

    aggregate: ClassVar[str] = ""


def event_type(event: type[Event] | Event) -> str:
    """The versioned tag of an event or its class, such as `hold_placed.v1`."""
    tag = event.__struct_config__.tag
    assert isinstance(tag, str)
    return tag
