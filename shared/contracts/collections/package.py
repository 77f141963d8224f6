"""Events of a package: a job's artworks and their metadata as one file."""

from typing import ClassVar, Literal
from uuid import UUID

import msgspec

from shared.contracts.event import Event


class PackageEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "package"


class PackagedArtwork(msgspec.Struct, frozen=True):
    """A token's artwork: the file at `source` in storage, and its `path` in the package."""

    token: int
    gid: UUID
    hash: str
    path: str
    """In the package, such as `artworks/1.png`."""
    asset_id: int
    source: str
    mime_type: str
    size: int
    sha256: str
    cid: str


class PackagedRendition(PackagedArtwork, frozen=True):
    """A smaller copy of the image that shows a token. `kind`: `display` or `thumbnail`; the size is in pixels."""

    kind: str
    width: int
    height: int


class PackagedDocument(msgspec.Struct, frozen=True):
    """A metadata file; `text` is its content, canonical JSON (sorted keys, no spaces, UTF-8)."""

    path: str
    text: str
    names: list[str] = msgspec.field(default_factory=list)
    """Other paths at which the package has the same file."""


class PackagePartListed(PackageEvent, frozen=True, tag="package_part_listed.v1"):
    """A part of a package's list of files. Parts are numbered from 0, and recorded before the request."""

    package_id: UUID
    attempt: int
    number: int
    artworks: list[PackagedArtwork]
    documents: list[PackagedDocument]
    displays: list[PackagedArtwork] = msgspec.field(default_factory=list)
    """Images that represent the artworks which are not images."""
    renditions: list[PackagedRendition] = msgspec.field(default_factory=list)


class PackageRequested(PackageEvent, frozen=True, tag="package_requested.v1"):
    """A package of a job's artworks and their metadata was requested: the files of all `parts`, in order."""

    package_id: UUID
    collection_id: UUID
    job_id: UUID
    user_id: UUID
    title: str
    attempt: int
    parts: int
    digest: str
    """sha256 of the listed files: makes the request idempotent."""
    chains: list[str] | None = None
    """The chains that it has metadata for; None: all three, as early releases made it."""
    published: bool | None = None
    """Whether the collection was published; None if an early release requested it, which did not record that."""
    revision: int | None = None
    """Of what is public of the collection; None if it was a draft, or if an early release requested it."""


class PackageDelivered(PackageEvent, frozen=True, tag="package_delivered.v1"):
    """The package is in storage."""

    package_id: UUID
    attempt: int
    root: str
    asset_id: int
    size: int
    sha256: str
    provenance: str


class PackageGivenUp(PackageEvent, frozen=True, tag="package_given_up.v1"):
    """The package can't be built; `reason` is a sentence for its owner."""

    package_id: UUID
    attempt: int
    reason: str
    code: str | None = None
    """An error code for programs, as storage reported it; None if it reported none."""


class PackageCancelRequested(PackageEvent, frozen=True, tag="package_cancel_requested.v1"):
    """Its owner wants an attempt to be stopped. Storage stops it, unless it is stored or has failed by then."""

    package_id: UUID
    attempt: int


class PackageCancelled(PackageEvent, frozen=True, tag="package_cancelled.v1"):
    """Storage has stopped an attempt: nothing of it is stored."""

    package_id: UUID
    attempt: int


PinStatus = Literal["pinned", "failed"]


class PackagePinReported(PackageEvent, frozen=True, tag="package_pin_reported.v1"):
    """A remote pinning service keeps a published package, or could not get it; so its owner or an operator said."""

    package_id: UUID
    root: str
    service: str
    """The address of the service's API, without credentials."""
    request_id: str
    """The service's id of the request."""
    status: PinStatus
    reported_at: str
    reason: str | None = None
    """Why it failed, in the service's words."""


PACKAGE_EVENTS: tuple[type[PackageEvent], ...] = (
    PackagePartListed,
    PackageRequested,
    PackageDelivered,
    PackageGivenUp,
    PackageCancelRequested,
    PackageCancelled,
    PackagePinReported,
)
