"""What the API shows of projects and collections."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from services.collections.domain.collection import Collection
from services.collections.domain.project import Project
from services.collections.projections.collections import CollectionRow
from services.collections.projections.component_assets import ComponentAssetRow
from services.collections.projections.projects import ProjectRow


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
    publish_date: datetime | None
    preview: PreviewView
    forked_from: UUID | None
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
    component_id: int
    job_id: UUID | None
    gid: UUID | None
    gen_in_data: dict[str, Any] | None
    gen_out_data: dict[str, Any] | None
    created_at: datetime


def project_view(row: ProjectRow) -> ProjectView:
    return ProjectView(
        id=row.id, name=row.name, user_id=row.user_id, is_default=row.is_default, created_at=row.created_at
    )


def project_view_of_state(state: Project, now: datetime) -> ProjectView:
    """As `collection_view_of_state`."""
    assert state.project_id is not None, "a project that is shown exists"
    assert state.user_id is not None, "a project that is shown has its user"
    return ProjectView(
        id=state.project_id, name=state.name, user_id=state.user_id, is_default=state.is_default, created_at=now
    )


def collection_summary(row: CollectionRow) -> CollectionSummary:
    return CollectionSummary(**_shown(row))


def collection_view(row: CollectionRow, data: dict[str, Any] | None) -> CollectionView:
    return CollectionView(**_shown(row), data=data)


def collection_view_of_state(state: Collection, version: int, now: datetime) -> CollectionView:
    """For an answer to a write that the read tables don't show yet; its times are those of the answer."""
    assert state.collection_id is not None, "a collection that is shown exists"
    row = CollectionRow(
        **{name: getattr(state, name) for name in ("project_id", "user_id", "status", "archived", "forked_from")},
        **msgspec.structs.asdict(state.fields),
        id=state.collection_id,
        is_current=False,
        publish_date=datetime.fromisoformat(state.publish_date) if state.publish_date else None,
        preview_enabled=state.preview.enabled,
        preview_max_generations=state.preview.max_generations,
        preview_is_remixable=state.preview.is_remixable,
        created_at=now,
        updated_at=now,
        version=version,
    )
    return collection_view(row, state.data)


def component_asset_view(row: ComponentAssetRow) -> ComponentAssetView:
    return ComponentAssetView(
        id=row.asset_id,
        name=row.name,
        path=row.path,
        mime_type=row.mime_type,
        sha256=row.sha256,
        component_id=row.component_id,
        job_id=row.job_id,
        gid=row.gid,
        gen_in_data=msgspec.json.decode(row.gen_in_data) if row.gen_in_data else None,
        gen_out_data=msgspec.json.decode(row.gen_out_data) if row.gen_out_data else None,
        created_at=row.created_at,
    )


def _shown(row: CollectionRow) -> dict[str, Any]:
    preview = PreviewView(row.preview_enabled, row.preview_max_generations, row.preview_is_remixable)
    fields = {name: getattr(row, name) for name in row.__struct_fields__ if not name.startswith("preview_")}
    return {**fields, "preview": preview}
