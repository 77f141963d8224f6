"""Events of one artwork of a series."""

from typing import Any, ClassVar
from uuid import UUID

import msgspec

from shared.contracts.event import Event


class ArtworkEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "artwork"


class ArtworkDrawn(ArtworkEvent, frozen=True, tag="artwork_drawn.v1"):
    """An artwork's variables were drawn. `place` counts from 0 within its series."""

    gid: UUID
    job_id: UUID
    collection_id: UUID
    user_id: UUID
    place: int
    hash: str
    variables: dict[str, Any]
    """Every variable's value, drawn from the hash or set by the request."""


class Trait(msgspec.Struct, frozen=True):
    """A variable's value under its display name; numbers stay numbers."""

    name: str
    value: str | int | float


class ArtworkFile(msgspec.Struct, frozen=True):
    """A stored file of an artwork. `url`: its URL when it was made."""

    asset_id: int
    url: str
    path: str
    mime_type: str
    sha256: str
    size: int


class ArtworkMade(ArtworkEvent, frozen=True, tag="artwork_made.v1"):
    """An artwork is complete. `files` in the order of the steps that made them: the last one is the artwork itself."""

    gid: UUID
    job_id: UUID
    collection_id: UUID
    traits: list[Trait]
    files: list[ArtworkFile]


ARTWORK_EVENTS: tuple[type[ArtworkEvent], ...] = (ArtworkDrawn, ArtworkMade)
