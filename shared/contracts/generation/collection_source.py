"""Events of generation's copy of a collection."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from shared.contracts.event import Event


class CollectionSourceEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "collection_source"


class CollectionAdopted(CollectionSourceEvent, frozen=True, tag="collection_adopted.v1"):
    """Generation's copy of a collection was updated from the collections service's events."""

    collection_id: UUID
    project_id: UUID
    user_id: UUID
    title: str
    data: dict[str, Any]
    encryption_enabled: bool
    source_version: int
    """Version of the collection's stream in the collections service, in `source_epoch` of its store."""
    source_epoch: int = 1
    source_recorded_at: datetime | None = None
    """When the event of that version was recorded there."""
    is_archived: bool = False
