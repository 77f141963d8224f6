"""Events of the storage service."""

from typing import Any, ClassVar
from uuid import UUID

import msgspec

from shared.contracts.collections import PackagedArtwork, PackagedDocument
from shared.contracts.event import Event
from shared.contracts.language import Upcaster


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
    cid: str | None = None
    """CIDv1 under the profile unixfs-v1-2025; None for files of a time when it was not computed."""
    url: str | None = None
    """Where clients found it when it was stored; None for files of a time when that was not told."""


class AssetDescribed(AssetEvent, frozen=True, tag="asset_described.v1"):
    """What an asset was made from, and what came out beside it, is known."""

    asset_id: int
    gen_in_data: dict[str, Any]
    gen_out_data: dict[str, Any]


class PackageEvent(Event, frozen=True):
    """Of one attempt at a package that the collections service asked for."""

    aggregate: ClassVar[str] = "package"


class PackagePartTaken(PackageEvent, frozen=True, tag="package_part_taken.v1"):
    """What a package is made of has come in part: kept here until all of it is there."""

    package_id: UUID
    attempt: int
    number: int
    artworks: list[PackagedArtwork]
    documents: list[PackagedDocument]
    displays: list[PackagedArtwork] = msgspec.field(default_factory=list)


class PackageStored(PackageEvent, frozen=True, tag="package_stored.v1"):
    """One CAR file holds the whole package; `root` is the CID of its directory."""

    package_id: UUID
    attempt: int
    root: str
    asset_id: int
    size: int
    sha256: str
    provenance: str
    """sha256 over the concatenated sha256 hex of the artworks in token order, as they were read."""


class PackageFailed(PackageEvent, frozen=True, tag="package_failed.v1"):
    """The package can't be made of what was asked for; `reason` is a sentence for its owner."""

    package_id: UUID
    attempt: int
    reason: str


ASSET_EVENTS: tuple[type[AssetEvent], ...] = (AssetStored, AssetDescribed)

EVENTS: tuple[type[Event], ...] = (*ASSET_EVENTS, PackagePartTaken, PackageStored, PackageFailed)

UPCASTERS: dict[str, Upcaster] = {}
"""By the tag that it takes: what makes the next version out of a version that is no longer among EVENTS."""
