"""Projects and collections in the API."""

from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

import msgspec

from services.collections.domain.collection.history import sentence_of
from services.collections.domain.collection.state import Collection
from services.collections.domain.project import Project
from services.collections.projections.collections import CollectionRow
from services.collections.projections.component_assets import ComponentAssetRow
from services.collections.projections.projects import ProjectRow
from shared.contracts.collections import SalesReceiver
from shared.contracts.problem import Detail
from shared.eventstore import RecordedEvent


class ProjectView(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    name: str
    user_id: UUID
    is_default: bool
    version: Literal["v2"] = "v2"
    """Of the instructions that the project's collections are made of."""
    created_at: datetime


class PreviewView(msgspec.Struct, frozen=True):
    enabled: bool
    max_generations: int
    is_remixable: bool


class CollectionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A collection as lists show it. `price` is an exact decimal, and `version` the ETag's number."""

    id: UUID
    project_id: UUID
    user_id: UUID
    title: str
    description: str
    status: Literal["draft", "published"]
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
    scheduled_for: datetime | None
    """When its scheduled publication is due."""
    publish_date: datetime | None
    receivers: list[SalesReceiver]
    preview: PreviewView
    forked_from: UUID | None
    is_custodial: bool
    """Kept for somebody who is known by a social account only: `social_org` and `social_identifier`."""
    social_org: str | None
    social_identifier: str | None
    created_at: datetime
    updated_at: datetime
    version: int


class CollectionView(CollectionSummary, frozen=True, kw_only=True):
    """A collection in full. `data` is its GenerationInput; null where it is not the reader's to see."""

    data: dict[str, Any] | None


class ComponentAssetView(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a component made; `GET /assets/{id}` knows where its bytes are."""

    id: int
    name: str
    path: str
    mime_type: str
    sha256: str
    cid: str | None
    """CIDv1 of the bytes, where it is known: `ipfs://<cid>` is their permanent address."""
    component_id: int
    job_id: UUID | None
    gid: UUID | None
    gen_in_data: dict[str, Any] | None
    gen_out_data: dict[str, Any] | None
    created_at: datetime


class ChainCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A collection on one chain: the faults that keep it from being published there, and its metadata."""

    faults: list[Detail]
    collection: dict[str, Any]
    token: dict[str, Any]
    """The first one's document; with the variables' test values before there is one."""


class PublishCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What publishing would say. `faults` are those of its own chain; each has its pointer in the collection."""

    dry_run: Literal[True] = True
    valid: bool
    blockchain: str | None
    faults: list[Detail]
    chains: dict[str, ChainCheck]
    """By ETHEREUM, BASE and TEZOS."""


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a collection: `text` in words, `changes` in values.

    Revised instructions are not among them: `GET /collections/{id}?as_of=<version>` has them.
    """

    version: int
    actor: str
    """`user:<uuid>`, or what else did it, such as `schedule`."""
    at: datetime
    type: str
    text: str
    changes: dict[str, Any]


class FeedRow(NamedTuple):
    """A row of the feed's query, in the order of its columns."""

    id: UUID
    user_id: UUID
    title: str
    description: str
    is_remixable: bool
    max_generations: int
    cover_image_url: str | None
    images: list[Any]
    created_at: datetime
    updated_at: datetime
    project_name: str
    data: str


class FeedProject(msgspec.Struct, frozen=True):
    name: str
    user_id: UUID


class FeedVariable(msgspec.Struct, frozen=True):
    """What a visitor may set. `options`: a pick's values, under the names that they are shown by."""

    name: str
    type: str
    description: str | None
    options: list[str] | None


class FeedItem(msgspec.Struct, frozen=True, kw_only=True):
    """A collection that others may try out."""

    id: UUID
    title: str
    description: str
    preview_enabled: bool = True
    is_remixable: bool
    max_generations: int
    cover_image_url: str | None
    sample_images: list[Any]
    project: FeedProject
    variables: list[FeedVariable]
    created_at: datetime
    updated_at: datetime


def project_view(row: ProjectRow) -> ProjectView:
    return ProjectView(
        id=row.id, name=row.name, user_id=row.user_id, is_default=row.is_default, created_at=row.created_at
    )


def project_view_of_state(state: Project, created_at: datetime) -> ProjectView:
    assert state.project_id is not None, "a project that is shown exists"
    assert state.user_id is not None, "a project that is shown has its user"
    return ProjectView(
        id=state.project_id, name=state.name, user_id=state.user_id, is_default=state.is_default, created_at=created_at
    )


def collection_summary(row: CollectionRow) -> CollectionSummary:
    return CollectionSummary(**_shown(row))


def collection_view(
    state: Collection, version: int, *, created_at: datetime, updated_at: datetime, is_current: bool = False
) -> CollectionView:
    """A collection in full, as it is or as it was."""
    assert state.collection_id is not None, "a collection that is shown exists"
    assert state.project_id is not None, "a collection that is shown is in a project"
    assert state.user_id is not None, "a collection that is shown has an owner"
    preview, custody = state.preview, state.custody
    return CollectionView(
        id=state.collection_id,
        project_id=state.project_id,
        user_id=state.user_id,
        status=state.status,
        archived=state.archived,
        is_current=is_current,
        scheduled_for=datetime.fromisoformat(state.scheduled_for) if state.scheduled_for else None,
        publish_date=datetime.fromisoformat(state.publish_date) if state.publish_date else None,
        receivers=state.receivers,
        preview=PreviewView(preview.enabled, preview.max_generations, preview.is_remixable),
        forked_from=state.forked_from,
        is_custodial=custody is not None,
        social_org=custody.social_org if custody else None,
        social_identifier=custody.social_identifier if custody else None,
        created_at=created_at,
        updated_at=updated_at,
        version=version,
        data=state.data,
        **msgspec.structs.asdict(state.fields),
    )


def history_entry(recorded: RecordedEvent) -> HistoryEntry:
    said = msgspec.to_builtins(recorded.event)
    return HistoryEntry(
        version=recorded.version,
        actor=recorded.context.actor,
        at=recorded.recorded_at,
        type=recorded.type,
        text=sentence_of(recorded.event),
        changes={name: value for name, value in said.items() if name not in {"type", "collection_id", "data"}},
    )


def component_asset_view(row: ComponentAssetRow) -> ComponentAssetView:
    return ComponentAssetView(
        id=row.asset_id,
        name=row.name,
        path=row.path,
        mime_type=row.mime_type,
        sha256=row.sha256,
        cid=row.cid,
        component_id=row.component_id,
        job_id=row.job_id,
        gid=row.gid,
        gen_in_data=msgspec.json.decode(row.gen_in_data) if row.gen_in_data else None,
        gen_out_data=msgspec.json.decode(row.gen_out_data) if row.gen_out_data else None,
        created_at=row.created_at,
    )


def feed_item(row: FeedRow) -> FeedItem:
    return FeedItem(
        id=row.id,
        title=row.title,
        description=row.description,
        is_remixable=row.is_remixable,
        max_generations=row.max_generations,
        cover_image_url=row.cover_image_url,
        sample_images=row.images,
        project=FeedProject(row.project_name, row.user_id),
        variables=[_feed_variable(each) for each in msgspec.json.decode(row.data).get("variables") or []],
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _feed_variable(variable: dict[str, Any]) -> FeedVariable:
    value = variable.get("value")
    options = None
    if variable["type"] == "pick" and isinstance(value, dict):
        options = [str(each) for each in value.get("display_names") or value["values"]]
    description = variable.get("description")
    return FeedVariable(
        variable["name"], variable["type"], description if isinstance(description, str) else None, options
    )


def _shown(row: CollectionRow) -> dict[str, Any]:
    preview = PreviewView(row.preview_enabled, row.preview_max_generations, row.preview_is_remixable)
    fields = {name: getattr(row, name) for name in row.__struct_fields__ if not name.startswith("preview_")}
    fields["receivers"] = msgspec.convert(row.receivers, list[SalesReceiver])
    return {**fields, "preview": preview, "is_custodial": row.social_org is not None}
