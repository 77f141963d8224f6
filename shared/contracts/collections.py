"""Events of the collections service: projects and collections."""

from typing import Any, ClassVar
from uuid import UUID

from shared.contracts.event import Event


class ProjectEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "project"


class ProjectCreated(ProjectEvent, frozen=True, tag="project_created.v1"):
    """A user's folder of collections exists; a user has one default project."""

    project_id: UUID
    user_id: UUID
    name: str
    is_default: bool


class CollectionEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "collection"


class CollectionCreated(CollectionEvent, frozen=True, tag="collection_created.v1"):
    """A draft exists. `data` is its GenerationInput with component ids and rewritten references."""

    collection_id: UUID
    project_id: UUID
    user_id: UUID
    title: str
    description: str
    data: dict[str, Any]
    blockchain: str | None = None
    editions: int | None = None
    price: str | None = None
    """An exact decimal in the chain's unit, written as a string."""
    batch_mint_enabled: bool = False
    batch_max_tokens: int | None = None
    encryption_enabled: bool = False
    cover_image_url: str | None = None
    images: list[Any] = []
    forked_from: UUID | None = None


class PreviewCreated(CollectionEvent, frozen=True, tag="preview_created.v1"):
    """A collection's preview exists, disabled until its creator configures it."""

    collection_id: UUID
    enabled: bool
    max_generations: int
    is_remixable: bool


class CollectionPublished(CollectionEvent, frozen=True, tag="collection_published.v1"):
    """The collection is public; what was sold no longer changes."""

    collection_id: UUID
    project_id: UUID
    user_id: UUID
    publish_date: str
    """RFC 3339, UTC."""


EVENTS: tuple[type[Event], ...] = (ProjectCreated, CollectionCreated, PreviewCreated, CollectionPublished)
