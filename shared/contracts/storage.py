"""Events of the storage service."""

from typing import Any, ClassVar
from uuid import UUID

from shared.contracts.event import Event


class AssetEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "asset"


class AssetStored(AssetEvent, frozen=True, tag="asset_stored.v1"):
    """A file's bytes are in the store, and their size and sha256 are what was checked while they streamed in."""

    asset_id: int
    user_id: UUID
    name: str
    path: str
    mime_type: str
    size: int
    sha256: str
    job_id: UUID | None = None
    gid: UUID | None = None
    sid: UUID | None = None
    collection_id: UUID | None = None
    component_id: int | None = None


class AssetDescribed(AssetEvent, frozen=True, tag="asset_described.v1"):
    """What an asset was made from, and what came out beside it, is known."""

    asset_id: int
    gen_in_data: dict[str, Any]
    gen_out_data: dict[str, Any]


EVENTS: tuple[type[Event], ...] = (AssetStored, AssetDescribed)
