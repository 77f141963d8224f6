"""The jobs that make or have made artworks of collections; without visitors' previews."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec

from shared.contracts.collections import SERIES_EVENTS, SeriesBegun, SeriesFinished, SeriesResumed, SeriesStopped
from shared.eventstore import RecordedEvent
from shared.projections import Key, Projection


class SeriesRow(msgspec.Struct, frozen=True):
    """`artworks` and `finished_at` are null until the series is finished. `outcome`: how its job ended without that."""

    job_id: UUID
    collection_id: UUID
    user_id: UUID
    artworks: int | None
    finished_at: datetime | None
    outcome: str | None


DDL = """
create table {table} (
  job_id uuid primary key,
  collection_id uuid not null,
  user_id uuid not null,
  artworks bigint,
  finished_at timestamptz,
  outcome text
);
create index {table}_of_collection on {table} (collection_id, finished_at, job_id) where finished_at is not null;
create index {table}_unfinished on {table} (collection_id, user_id)
  where finished_at is null and outcome is null"""


def keys(recorded: RecordedEvent) -> Iterable[Key]:
    return ((recorded.stream_id,),)


def project(row: SeriesRow | None, recorded: RecordedEvent) -> SeriesRow | None:
    event = recorded.event
    if isinstance(event, SeriesBegun) and not event.is_preview:
        return SeriesRow(event.job_id, event.collection_id, event.user_id, None, None, None)
    if row is None:
        return None
    match event:
        case SeriesFinished(artworks=artworks):
            return msgspec.structs.replace(row, artworks=artworks, finished_at=recorded.recorded_at, outcome=None)
        case SeriesStopped(outcome=outcome):
            return msgspec.structs.replace(row, outcome=outcome)
        case SeriesResumed():
            return msgspec.structs.replace(row, outcome=None)
        case _:
            return row


SERIES = Projection(
    name="series", version=3, row=SeriesRow, key=("job_id",), ddl=DDL, events=SERIES_EVENTS, keys=keys, project=project
)
