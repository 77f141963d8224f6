"""Collections without their instructions."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from services.collections.domain.collection.revision import first_fields, revised_fields
from services.collections.domain.collection.state import FIRST_REVISION, Status
from shared.contracts import collections as events
from shared.contracts.event import Event
from shared.eventstore import RecordedEvent
from shared.projections import Key, Projection


class ListedCollection(msgspec.Struct, frozen=True):
    """The first columns of the read table, which are also the first members of a collection in the API."""

    id: UUID
    project_id: UUID
    user_id: UUID
    title: str
    description: str
    status: Status
    archived: bool
    is_current: bool
    blockchain: str | None
    editions: int | None
    price: str | None
    batch_mint_enabled: bool
    batch_max_tokens: int | None
    encryption_enabled: bool
    cover_image_url: str | None
    images: list[Any]
    symbol: str | None
    tags: list[str]
    rights: str | None
    license: str | None
    license_url: str | None
    minter: str | None
    banner_image_url: str | None
    cover_token: int | None
    scheduled_for: datetime | None
    """When its scheduled publication is due."""
    publish_date: datetime | None


class CollectionRow(ListedCollection, frozen=True):
    revision: int | None
    receivers: list[Any]
    royalty_receiver: str | None
    preview_enabled: bool
    preview_max_generations: int
    preview_is_remixable: bool
    preview_paid_by: events.Payer
    forked_from: UUID | None
    social_org: str | None
    social_identifier: str | None
    created_at: datetime
    updated_at: datetime
    version: int


DDL = """
create table {table} (
  id uuid primary key,
  project_id uuid not null,
  user_id uuid not null,
  title text not null,
  description text not null,
  status text not null,
  archived boolean not null,
  is_current boolean not null,
  blockchain text,
  editions bigint,
  price text,
  batch_mint_enabled boolean not null,
  batch_max_tokens bigint,
  encryption_enabled boolean not null,
  cover_image_url text,
  images json not null,
  symbol text,
  tags json not null,
  rights text,
  license text,
  license_url text,
  minter text,
  banner_image_url text,
  cover_token bigint,
  scheduled_for timestamptz,
  publish_date timestamptz,
  revision bigint,
  receivers json not null,
  royalty_receiver text,
  preview_enabled boolean not null,
  preview_max_generations bigint not null,
  preview_is_remixable boolean not null,
  preview_paid_by text not null,
  forked_from uuid,
  social_org text,
  social_identifier text,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  version bigint not null
);
create index {table}_of_project on {table} (project_id, archived, created_at desc, id desc);
create index {table}_of_project_in_status on {table} (project_id, archived, status, created_at desc, id desc);
create index {table}_published_on_chain on {table} (blockchain, publish_date desc, id desc)
  where status = 'published' and not archived;
create index {table}_published on {table} (publish_date desc, id desc) where status = 'published' and not archived;
create index {table}_shown on {table} (created_at desc, id desc) where preview_enabled and not archived;
create index {table}_scheduled on {table} (scheduled_for, id) where scheduled_for is not null"""


def keys(recorded: RecordedEvent) -> Iterable[Key]:
    """The event's collection; if a project's current collection changes, the previous one and the new one."""
    event = recorded.event
    if isinstance(event, events.CurrentCollectionChosen):
        ids = (event.previous_collection_id, event.collection_id)
        return [(collection_id,) for collection_id in ids if collection_id is not None]
    return [(recorded.stream_id,)]


def project(row: CollectionRow | None, recorded: RecordedEvent) -> CollectionRow | None:
    event = recorded.event
    if isinstance(event, events.CollectionCreated):
        return _new_row(event, recorded)
    if row is None:
        return None
    if isinstance(event, events.CurrentCollectionChosen):
        return msgspec.structs.replace(row, is_current=row.id == event.collection_id)
    return msgspec.structs.replace(row, **_changes(event), updated_at=recorded.recorded_at, version=recorded.version)


def _changes(event: Event) -> dict[str, Any]:
    match event:
        case events.PreviewCreated() | events.PreviewConfigured():
            changes: dict[str, Any] = {
                "preview_enabled": event.enabled,
                "preview_max_generations": event.max_generations,
                "preview_is_remixable": event.is_remixable,
                "preview_paid_by": event.paid_by if isinstance(event, events.PreviewConfigured) else "visitor",
            }
        case events.ReceiversSet():
            receivers = msgspec.to_builtins(event.receivers)
            changes = {"receivers": receivers, "royalty_receiver": event.royalty_receiver}
        case (
            events.PublicationScheduled()
            | events.PublicationCalledOff()
            | events.CollectionPublished()
            | events.PublicationRevised()
        ):
            changes = _publication_changes(event)
        case events.CollectionArchived() | events.CollectionRestored():
            changes = {"archived": isinstance(event, events.CollectionArchived)}
        case events.CustodyTaken():
            changes = {"social_org": event.social_org, "social_identifier": event.social_identifier}
        case events.CustodyTransferred():
            changes = {
                "user_id": event.user_id,
                "project_id": event.project_id,
                "is_current": False,
                "social_org": None,
                "social_identifier": None,
            }
        case events.InstructionsRevised() | events.SeriesChosen():
            changes = {}
        case _:
            changes = revised_fields(event)
    return changes


def _publication_changes(
    event: events.PublicationScheduled
    | events.PublicationCalledOff
    | events.CollectionPublished
    | events.PublicationRevised,
) -> dict[str, Any]:
    match event:
        case events.PublicationScheduled():
            return {"scheduled_for": datetime.fromisoformat(event.publish_date)}
        case events.PublicationCalledOff():
            return {"scheduled_for": None}
        case events.PublicationRevised():
            return {"revision": event.revision}
        case events.CollectionPublished():
            return {
                "status": "published",
                "publish_date": datetime.fromisoformat(event.publish_date),
                "scheduled_for": None,
                "revision": event.revision or FIRST_REVISION,
            }


def _new_row(event: events.CollectionCreated, recorded: RecordedEvent) -> CollectionRow:
    return CollectionRow(
        id=event.collection_id,
        project_id=event.project_id,
        user_id=event.user_id,
        status="draft",
        archived=False,
        is_current=False,
        scheduled_for=None,
        publish_date=None,
        revision=None,
        receivers=[],
        royalty_receiver=None,
        preview_enabled=False,
        preview_max_generations=0,
        preview_is_remixable=False,
        preview_paid_by="visitor",
        forked_from=event.forked_from,
        social_org=None,
        social_identifier=None,
        created_at=recorded.recorded_at,
        updated_at=recorded.recorded_at,
        version=recorded.version,
        **msgspec.structs.asdict(first_fields(event)),
    )


COLLECTIONS = Projection(
    name="collections",
    version=8,
    row=CollectionRow,
    key=("id",),
    ddl=DDL,
    events=(events.CurrentCollectionChosen, *events.COLLECTION_EVENTS),
    keys=keys,
    project=project,
)
