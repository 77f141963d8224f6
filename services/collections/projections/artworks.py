"""The artworks of all series, with their place in it: a collection's tokens."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec

from shared.contracts.collections import ARTWORK_EVENTS, ArtworkDrawn, ArtworkMade
from shared.eventstore import RecordedEvent
from shared.projections import Key, Projection


class ArtworkRow(msgspec.Struct, frozen=True):
    """`variables`, `traits` and `files` are JSON text, as they were recorded; the last two null until it is made."""

    gid: UUID
    job_id: UUID
    collection_id: UUID
    place: int
    hash: str
    variables: str
    traits: str | None
    files: str | None
    made_at: datetime | None


DDL = """
create table {table} (
  gid uuid primary key,
  job_id uuid not null,
  collection_id uuid not null,
  place bigint not null,
  hash text not null,
  variables text not null,
  traits text,
  files text,
  made_at timestamptz
);
create index {table}_of_job on {table} (job_id, place) where made_at is not null"""


def keys(recorded: RecordedEvent) -> Iterable[Key]:
    return ((recorded.stream_id,),)


def project(row: ArtworkRow | None, recorded: RecordedEvent) -> ArtworkRow | None:
    event = recorded.event
    if isinstance(event, ArtworkDrawn):
        return ArtworkRow(
            gid=event.gid,
            job_id=event.job_id,
            collection_id=event.collection_id,
            place=event.place,
            hash=event.hash,
            variables=_text(event.variables),
            traits=None,
            files=None,
            made_at=None,
        )
    if row is not None and isinstance(event, ArtworkMade):
        return msgspec.structs.replace(
            row, traits=_text(event.traits), files=_text(event.files), made_at=recorded.recorded_at
        )
    return row


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


ARTWORKS = Projection(
    name="artworks",
    version=1,
    row=ArtworkRow,
    key=("gid",),
    ddl=DDL,
    events=ARTWORK_EVENTS,
    keys=keys,
    project=project,
)
