"""Collections that others may try out, in the API."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from shared.contracts.collections import Payer


class FeedRow(NamedTuple):
    """A row of the feed's query, in the order of its columns."""

    id: UUID
    user_id: UUID
    title: str
    description: str
    is_remixable: bool
    max_generations: int
    paid_by: Payer
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
    """A variable that a visitor may set. `options`: a pick's values, by their display names."""

    name: str
    type: str
    description: str | None
    options: list[str] | None


class FeedItem(msgspec.Struct, frozen=True, kw_only=True):
    """A collection that others may try out. `paid_by`: whose credits `generate` takes of a visitor's artworks."""

    id: UUID
    title: str
    description: str
    preview_enabled: bool = True
    is_remixable: bool
    max_generations: int
    paid_by: Payer
    cover_image_url: str | None
    sample_images: list[Any]
    project: FeedProject
    variables: list[FeedVariable]
    created_at: datetime
    updated_at: datetime


def feed_item(row: FeedRow) -> FeedItem:
    return FeedItem(
        id=row.id,
        title=row.title,
        description=row.description,
        is_remixable=row.is_remixable,
        max_generations=row.max_generations,
        paid_by=row.paid_by,
        cover_image_url=row.cover_image_url,
        sample_images=row.images,
        project=FeedProject(row.project_name, row.user_id),
        variables=[_feed_variable(variable) for variable in msgspec.json.decode(row.data).get("variables") or []],
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _feed_variable(variable: dict[str, Any]) -> FeedVariable:
    value = variable.get("value")
    options = None
    if variable["type"] == "pick" and isinstance(value, dict):
        options = [str(option) for option in value.get("display_names") or value["values"]]
    description = variable.get("description")
    return FeedVariable(
        variable["name"], variable["type"], description if isinstance(description, str) else None, options
    )
