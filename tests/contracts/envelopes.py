"""Golden envelopes: subject and headers that one event of each owner is published with.

`golden/envelopes/<owner>.json`: the event's row in the store, and the subject and headers that it goes out with.
"""

from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid5

import msgspec

from shared.contracts.event import event_type
from shared.eventstore import Context, RecordedEvent
from shared.messaging.cloudevents import event_headers, event_subject
from tests.contracts import golden
from tests.contracts.catalogue import codec_of, event_modules
from tests.contracts.examples import MOMENT, full


class Envelope(msgspec.Struct, frozen=True):
    """A row of the store, its bytes exact, and what it is published with."""

    position: int
    event_id: UUID
    stream_id: UUID
    version: int
    type: str
    data: msgspec.Raw
    metadata: msgspec.Raw
    recorded_at: datetime
    subject: str
    headers: dict[str, str]


def path_of(owner: str) -> Path:
    return golden.FOLDER / "envelopes" / f"{owner}.json"


def read(owner: str) -> Envelope:
    return msgspec.json.decode(path_of(owner).read_bytes(), type=Envelope)


def stored(owner: str, envelope: Envelope) -> RecordedEvent:
    """The event as its owner's store holds it."""
    data = bytes(envelope.data)
    return RecordedEvent(
        envelope.position,
        envelope.event_id,
        envelope.stream_id,
        envelope.version,
        envelope.type,
        codec_of(owner).decode(envelope.type, data),
        data,
        bytes(envelope.metadata),
        envelope.recorded_at,
    )


def record(owner: str) -> bool:
    """Writes an owner's envelope if it has none: of the first event that it lists, with a context that says all.

    To one that it has, headers that events have been given since are added.
    """
    if path_of(owner).exists():
        envelope = read(owner)
        headers = {**event_headers(owner, stored(owner, envelope)), **envelope.headers}
        if headers != envelope.headers:
            write(owner, msgspec.structs.replace(envelope, headers=headers))
        return headers != envelope.headers
    event, context = full(event_modules()[owner].EVENTS[0]), full(Context)
    row = RecordedEvent(
        position=42,
        event_id=uuid5(context.command_id, "0"),
        stream_id=uuid5(context.command_id, "stream"),
        version=3,
        stored_type=event_type(event),
        event=event,
        data=codec_of(owner).encode(event)[1],
        metadata=msgspec.json.encode(context),
        recorded_at=MOMENT,
    )
    write(
        owner,
        Envelope(
            row.position,
            row.event_id,
            row.stream_id,
            row.version,
            row.stored_type,
            msgspec.Raw(row.data),
            msgspec.Raw(row.metadata),
            row.recorded_at,
            event_subject(owner, row),
            event_headers(owner, row),
        ),
    )
    return True


def write(owner: str, envelope: Envelope) -> None:
    lines = {name: msgspec.json.encode(getattr(envelope, name)) for name in Envelope.__struct_fields__}
    golden.write_lines(path_of(owner), lines)
