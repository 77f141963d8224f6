"""Revisions of what is public of published collections: as published, and after each change since then."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec

from services.collections.domain.collection.state import FIRST_REVISION
from shared.contracts.collections import CollectionPublished, PublicationRevised
from shared.eventstore import RecordedEvent
from shared.projections import Key, Projection


class RevisionRow(msgspec.Struct, frozen=True):
    """`version`: that of the collection's stream from which on this revision is public."""

    collection_id: UUID
    number: int
    version: int
    at: datetime
    changes: list[str]


DDL = """
create table {table} (
  collection_id uuid not null,
  number bigint not null,
  version bigint not null,
  at timestamptz not null,
  changes json not null,
  primary key (collection_id, number)
)"""


def keys(recorded: RecordedEvent) -> Iterable[Key]:
    return ((recorded.stream_id, _number(recorded)),)


def project(row: RevisionRow | None, recorded: RecordedEvent) -> RevisionRow | None:
    event = recorded.event
    if isinstance(event, CollectionPublished):
        at = datetime.fromisoformat(event.publish_date)
        return RevisionRow(recorded.stream_id, FIRST_REVISION, recorded.version, at, [])
    if isinstance(event, PublicationRevised):
        changes = event.changes
        return RevisionRow(recorded.stream_id, event.revision, recorded.version, recorded.recorded_at, changes)
    return row


def _number(recorded: RecordedEvent) -> int:
    return recorded.event.revision if isinstance(recorded.event, PublicationRevised) else FIRST_REVISION


REVISIONS = Projection(
    name="revisions",
    version=1,
    row=RevisionRow,
    key=("collection_id", "number"),
    ddl=DDL,
    events=(CollectionPublished, PublicationRevised),
    keys=keys,
    project=project,
)
