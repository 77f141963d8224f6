"""The base class of all events of the published language."""

from typing import ClassVar

import msgspec


class Event(msgspec.Struct, frozen=True, tag_field="type"):
    """A fact, named in past tense.

    Each subclass has an explicit versioned tag (`collection_published.v1`), which never changes: it is the event's name
    in the store, in messages and in documents. The stored bytes are the published bytes. `aggregate` names the kind of
    stream in subjects and listings.
    """

    aggregate: ClassVar[str] = ""


def event_type(event: type[Event] | Event) -> str:
    """The versioned tag of an event or its class, such as `hold_placed.v1`."""
    tag = event.__struct_config__.tag
    assert isinstance(tag, str)
    return tag
