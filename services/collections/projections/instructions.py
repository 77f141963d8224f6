"""Each collection's GenerationInput as JSON text, with its members in the recorded order.

Not a column of `collections`, so that lists don't read it, and other edits don't write it.
"""

from collections.abc import Iterable
from uuid import UUID

import msgspec

from shared.contracts.collections import CollectionCreated, InstructionsRevised
from shared.eventstore import RecordedEvent
from shared.projections import Key, Projection


class InstructionsRow(msgspec.Struct, frozen=True):
    collection_id: UUID
    data: str


DDL = """
create table {table} (
  collection_id uuid primary key,
  data text not null
)"""


def keys(recorded: RecordedEvent) -> Iterable[Key]:
    return ((recorded.stream_id,),)


def project(row: InstructionsRow | None, recorded: RecordedEvent) -> InstructionsRow | None:
    event = recorded.event
    if isinstance(event, CollectionCreated | InstructionsRevised):
        return InstructionsRow(event.collection_id, msgspec.json.encode(event.data).decode())
    return row


INSTRUCTIONS = Projection(
    name="instructions",
    version=1,
    row=InstructionsRow,
    key=("collection_id",),
    ddl=DDL,
    events=(CollectionCreated, InstructionsRevised),
    keys=keys,
    project=project,
)
