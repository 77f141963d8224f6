"""The files that components made, with the input and the output of their generations."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec

from shared.contracts.collections import COMPONENT_ASSET_EVENTS, ComponentAssetDescribed, ComponentAssetLinked
from shared.eventstore import RecordedEvent
from shared.projections import Key, Projection


class ComponentAssetRow(msgspec.Struct, frozen=True):
    """`gen_in_data` and `gen_out_data` are JSON text, as they were recorded; null until the generation has ended."""

    asset_id: int
    user_id: UUID
    collection_id: UUID
    component_id: int
    job_id: UUID | None
    gid: UUID | None
    name: str
    path: str
    mime_type: str
    sha256: str
    gen_in_data: str | None
    gen_out_data: str | None
    created_at: datetime
    cid: str | None
    size: int | None


DDL = """
create table {table} (
  asset_id bigint primary key,
  user_id uuid not null,
  collection_id uuid not null,
  component_id bigint not null,
  job_id uuid,
  gid uuid,
  name text not null,
  path text not null,
  mime_type text not null,
  sha256 text not null,
  gen_in_data text,
  gen_out_data text,
  created_at timestamptz not null,
  cid text,
  size bigint
);
create index {table}_of_component on {table} (collection_id, component_id, created_at desc, asset_id desc)"""


def keys(recorded: RecordedEvent) -> Iterable[Key]:
    event = recorded.event
    assert isinstance(event, ComponentAssetLinked | ComponentAssetDescribed), recorded.type
    return ((event.asset_id,),)


def project(row: ComponentAssetRow | None, recorded: RecordedEvent) -> ComponentAssetRow | None:
    event = recorded.event
    if isinstance(event, ComponentAssetLinked):
        return ComponentAssetRow(
            asset_id=event.asset_id,
            user_id=event.user_id,
            collection_id=event.collection_id,
            component_id=event.component_id,
            job_id=event.job_id,
            gid=event.gid,
            name=event.name,
            path=event.path,
            mime_type=event.mime_type,
            sha256=event.sha256,
            gen_in_data=None,
            gen_out_data=None,
            created_at=recorded.recorded_at,
            cid=event.cid,
            size=event.size,
        )
    if row is not None and isinstance(event, ComponentAssetDescribed):
        return msgspec.structs.replace(
            row,
            gen_in_data=msgspec.json.encode(event.gen_in_data).decode(),
            gen_out_data=msgspec.json.encode(event.gen_out_data).decode(),
        )
    return row


COMPONENT_ASSETS = Projection(
    name="component_assets",
    version=4,
    row=ComponentAssetRow,
    key=("asset_id",),
    ddl=DDL,
    events=COMPONENT_ASSET_EVENTS,
    keys=keys,
    project=project,
)
