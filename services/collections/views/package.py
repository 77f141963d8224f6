"""Publish packages in the API."""

from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

import msgspec


class Provenance(msgspec.Struct, frozen=True):
    hash: str
    algorithm: str


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


class PackageView(msgspec.Struct, frozen=True, kw_only=True):
    """A publish package. `root` to `manifest` are null until it is stored; `reason` is why it failed."""

    id: UUID
    collection_id: UUID
    job_id: UUID
    status: Literal["requested", "stored", "failed"]
    chains: Sequence[str]
    """The chains that it has metadata for."""
    revision: int | None
    """Of what was public when it was requested; null if it was made of a draft, or by an early release."""
    attempt: int
    reason: str | None
    root: str | None
    """CIDv1 of the package's folder: its address on IPFS, and the root of the CAR file."""
    asset_id: int | None
    url: str | None
    """Of the CAR file."""
    size: int | None
    sha256: str | None
    provenance: Provenance | None
    manifest: dict[str, Any] | None
