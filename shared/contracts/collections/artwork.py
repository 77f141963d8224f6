"""Events of one artwork of a series."""

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, TypeVar
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


class TypedFile(Protocol):
    """A file with its media type."""

    @property
    def mime_type(self) -> str:
        """Its media type, such as `image/png`."""


F = TypeVar("F", bound=TypedFile)


def artwork_of(files: Sequence[F]) -> F | None:
    """The artwork itself: the last of the files that its steps made."""
    return files[-1] if files else None


def image_of(files: Sequence[F]) -> F | None:
    """The artwork if it is an image, else the last image that its steps made."""
    return next((file for file in reversed(files) if file.mime_type.startswith("image/")), None)


ARTWORK_EVENTS: tuple[type[ArtworkEvent], ...] = (ArtworkDrawn, ArtworkMade)
