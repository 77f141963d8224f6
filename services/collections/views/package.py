"""Publish packages in the API."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from services.collections.domain.package.state import Pin
from shared.contracts.collections import PinStatus
from shared.contracts.storage import BuildPhase


class Provenance(msgspec.Struct, frozen=True):
    hash: str
    algorithm: str


class PinView(msgspec.Struct, frozen=True, kw_only=True):
    """A pinning service that keeps the package, or could not get it. `service`: the address of its API."""

    service: str
    status: PinStatus
    reported_at: datetime


def pin_view(pin: Pin) -> PinView:
    return PinView(service=pin.service, status=pin.status, reported_at=datetime.fromisoformat(pin.reported_at))


class PublishedPackageView(msgspec.Struct, frozen=True, kw_only=True):
    """A package of a published collection. `root`: its address on IPFS. `size`: bytes of its CAR file.

    `revision`: of what was public when it was requested; null if an early release made it.
    """

    root: str
    provenance: Provenance
    job_id: UUID
    chains: Sequence[str]
    revision: int | None
    size: int
    pins: list[PinView]


class ProgressView(msgspec.Struct, frozen=True):
    """How far a phase of the build has come: `files` of `of` are done, and `bytes` of `size`.

    `checking`: artworks of several chunks are read, and compared with their CIDs. `writing`: the file is written.
    """

    phase: BuildPhase
    files: int
    of: int
    bytes: int
    size: int


class PackageView(msgspec.Struct, frozen=True, kw_only=True):
    """A publish package. `root` to `manifest` are null until it is stored.

    `reason` is why it failed, `code` the same for programs, such as `PACKAGE_TOO_LARGE`; null if there is none.
    """

    id: UUID
    collection_id: UUID
    job_id: UUID
    status: Literal["requested", "cancelling", "cancelled", "stored", "failed"]
    """`cancelling`: it will be `cancelled`, unless it is stored already when storage hears of it."""
    chains: Sequence[str]
    """The chains that it has metadata for."""
    revision: int | None
    """Of what was public when it was requested; null if it was made of a draft, or by an early release."""
    attempt: int
    reason: str | None
    code: str | None
    progress: ProgressView | None
    """Of one that is being built for some seconds; null while it waits, and when it has ended."""
    root: str | None
    """CIDv1 of the package's folder: its address on IPFS, and the root of the CAR file."""
    asset_id: int | None
    url: str | None
    """Of the CAR file."""
    size: int | None
    sha256: str | None
    provenance: Provenance | None
    manifest: dict[str, Any] | None
