"""Events of the storage service."""

from typing import Any, ClassVar, Literal
from uuid import UUID

import msgspec

from shared.contracts.collections import PackagedArtwork, PackagedDocument, PackagedRendition
from shared.contracts.event import Event
from shared.contracts.language import Upcaster


class AssetEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "asset"


class AssetStored(AssetEvent, frozen=True, tag="asset_stored.v1"):
    """A file is stored; its size and sha256 were computed while its bytes were received."""

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
    """CIDv1 under the profile unixfs-v1-2025; None for files stored before CIDs were recorded."""
    url: str | None = None
    """Its URL for clients when it was stored; None for files stored before URLs were recorded."""


class AssetDescribed(AssetEvent, frozen=True, tag="asset_described.v1"):
    """The inputs and outputs of the generation that made an asset are known."""

    asset_id: int
    gen_in_data: dict[str, Any]
    gen_out_data: dict[str, Any]


RenditionKind = Literal["display", "thumbnail"]
"""A smaller copy of an image: `display` fits into 1000 by 1000 pixels, `thumbnail` into 350 by 350."""


class Rendition(msgspec.Struct, frozen=True):
    """A smaller copy of an image, stored as a file of its own. `width` and `height` in pixels."""

    kind: RenditionKind
    asset_id: int
    path: str
    mime_type: str
    width: int
    height: int
    size: int
    sha256: str
    cid: str


class ImageScaled(AssetEvent, frozen=True, tag="image_scaled.v1"):
    """Smaller copies of an image were made, once and for all; none if it is not of a format that is decoded."""

    asset_id: int
    width: int | None = None
    """Of the image, in pixels as it is shown; None if it was not decoded."""
    height: int | None = None
    renditions: list[Rendition] = msgspec.field(default_factory=list)


class PackageEvent(Event, frozen=True):
    """An event of one attempt to build a package that the collections service requested."""

    aggregate: ClassVar[str] = "package"


class PackagePartTaken(PackageEvent, frozen=True, tag="package_part_taken.v1"):
    """One part of a package's list of files was received; kept until all parts are there."""

    package_id: UUID
    attempt: int
    number: int
    artworks: list[PackagedArtwork]
    documents: list[PackagedDocument]
    displays: list[PackagedArtwork] = msgspec.field(default_factory=list)
    renditions: list[PackagedRendition] = msgspec.field(default_factory=list)


class PackageStored(PackageEvent, frozen=True, tag="package_stored.v1"):
    """The package is stored as one CAR file; `root` is the CID of its directory."""

    package_id: UUID
    attempt: int
    root: str
    asset_id: int
    size: int
    sha256: str
    provenance: str
    """sha256 over the concatenated sha256 hex of the artworks in token order, computed from their bytes."""


class PackageFailed(PackageEvent, frozen=True, tag="package_failed.v1"):
    """The package can't be built from the requested files; `reason` is a sentence for its owner."""

    package_id: UUID
    attempt: int
    reason: str
    code: str | None = None
    """An error code for programs; None if there is none, or if an early release recorded it."""


BuildPhase = Literal["checking", "writing"]
"""`checking`: artworks are looked up, and those of several chunks are read. `writing`: the CAR file is written."""


class PackageProgressed(PackageEvent, frozen=True, tag="package_progressed.v1"):
    """How far a build has come in its phase: `files` of `of` are done, and `bytes` of `size`.

    Recorded for builds of several seconds only, at most 200 times per phase and start. It begins again when another
    replica continues the build.
    """

    package_id: UUID
    attempt: int
    phase: BuildPhase
    files: int
    of: int
    bytes: int
    size: int


class PackageStopped(PackageEvent, frozen=True, tag="package_stopped.v1"):
    """The attempt was cancelled, or a later one was requested, before it was stored: nothing of it is stored."""

    package_id: UUID
    attempt: int


ASSET_EVENTS: tuple[type[AssetEvent], ...] = (AssetStored, AssetDescribed, ImageScaled)

EVENTS: tuple[type[Event], ...] = (
    *ASSET_EVENTS,
    PackagePartTaken,
    PackageProgressed,
    PackageStored,
    PackageFailed,
    PackageStopped,
)

UPCASTERS: dict[str, Upcaster] = {}
"""Upcasters to the next version, by the tag that they take: for versions that are no longer in EVENTS."""
