"""One row per stored file."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from shared.contracts.storage import AssetDescribed, AssetStored
from shared.eventstore import RecordedEvent
from shared.projections import Projection

DDL = """
create table {table} (
  asset_id      bigint primary key,
  user_id       uuid not null,
  name          text not null,
  path          text not null,
  mime_type     text not null,
  size          bigint not null,
  sha256        text not null,
  job_id        uuid,
  gid           uuid,
  sid           uuid,
  collection_id uuid,
  component_id  bigint,
  cid           text,
  gen_in_data   json,
  gen_out_data  json,
  created_at    timestamptz not null
);
create index {table}_of_user on {table} (user_id, asset_id desc);
create index {table}_of_job on {table} (job_id, asset_id desc) where job_id is not null;
create index {table}_of_collection on {table} (collection_id, asset_id desc) where collection_id is not null"""


class AssetRow(msgspec.Struct, frozen=True):
    asset_id: int
    user_id: UUID
    name: str
    path: str
    mime_type: str
    size: int
    sha256: str
    job_id: UUID | None
    gid: UUID | None
    sid: UUID | None
    collection_id: UUID | None
    component_id: int | None
    cid: str | None
    gen_in_data: dict[str, Any] | None
    gen_out_data: dict[str, Any] | None
    created_at: datetime


def row_of(event: AssetStored, created_at: datetime) -> AssetRow:
    """The row of a file that is stored and not described yet."""
    stored = {field: getattr(event, field) for field in event.__struct_fields__ if field in AssetRow.__struct_fields__}
    return AssetRow(**stored, gen_in_data=None, gen_out_data=None, created_at=created_at)


def keys(recorded: RecordedEvent) -> list[tuple[int]]:
    assert isinstance(recorded.event, AssetStored | AssetDescribed)
    return [(recorded.event.asset_id,)]


def project(row: AssetRow | None, recorded: RecordedEvent) -> AssetRow:
    match recorded.event:
        case AssetStored() as event:
            return row_of(event, recorded.recorded_at)
        case AssetDescribed() as event:
            assert row is not None, f"asset {event.asset_id} is described at {recorded.position} before it is stored"
            return msgspec.structs.replace(row, gen_in_data=event.gen_in_data, gen_out_data=event.gen_out_data)
        case _:
            raise AssertionError(f"{recorded.type} does not change an asset")


ASSETS = Projection(
    name="assets",
    version=3,
    row=AssetRow,
    key=("asset_id",),
    ddl=DDL,
    events=(AssetStored, AssetDescribed),
    keys=keys,
    project=project,
)
