"""Events of generation's copy of a collection."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import msgspec

from shared.contracts.collections import Payer
from shared.contracts.event import Event


class CollectionSourceEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "collection_source"


class PreviewTerms(msgspec.Struct, frozen=True):
    """What visitors of a collection may do: see `preview_configured` of collections."""

    enabled: bool
    max_generations: int
    is_remixable: bool
    paid_by: Payer = "visitor"


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
    preview: PreviewTerms | None = None
    """None: disabled, as it was created."""
    was_public: bool = False
    """Whether others than its owner could ever see it: it was published, or its preview was open."""
    content_version: int = 0
    """The version in which what a job is made of last changed; 0: `source_version`, as in events of early releases."""
