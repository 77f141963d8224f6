"""A publish package: a job's artworks and their metadata, requested here and built by the storage service."""

from typing import Literal
from uuid import UUID, uuid5

import msgspec

from shared.contracts.collections import (
    PackageCancelled,
    PackageCancelRequested,
    PackageDelivered,
    PackageGivenUp,
    PackagePartListed,
    PackageRequested,
)
from shared.contracts.event import Event

Status = Literal["none", "requested", "cancelling", "cancelled", "stored", "failed"]
"""`cancelling`: its owner has cancelled it, and storage has not stopped it yet. It may be stored nevertheless."""


class PublishedPackage(msgspec.Struct, frozen=True):
    """A package that was made of the collection when it was published, or that an early release made."""

    job_id: UUID
    root: str
    provenance: str
    size: int
    chains: tuple[str, ...] | None
    """None: all, as in `PackageRequested`."""
    revision: int | None = None


class Package(msgspec.Struct, frozen=True):
    """`request` is that of the last attempt. `published`: those of all attempts, oldest first, each root once."""

    status: Status = "none"
    request: PackageRequested | None = None
    delivered: PackageDelivered | None = None
    reason: str | None = None
    code: str | None = None
    published: tuple[PublishedPackage, ...] = ()


NOTHING = Package()


def package_id(collection_id: UUID, job_id: UUID) -> UUID:
    return uuid5(collection_id, f"package:{job_id}")


def evolve(state: Package, event: Event) -> Package:
    match event:
        case PackagePartListed():
            return state
        case PackageRequested():
            return Package("requested", event, published=state.published)
        case PackageDelivered():
            return Package("stored", state.request, event, published=_with(state, event))
        case PackageGivenUp():
            return Package("failed", state.request, reason=event.reason, code=event.code, published=state.published)
        case PackageCancelRequested():
            return msgspec.structs.replace(state, status="cancelling")
        case PackageCancelled():
            return Package("cancelled", state.request, published=state.published)
        case _:
            raise AssertionError(f"{event!r} is not an event of a package")


def _with(state: Package, event: PackageDelivered) -> tuple[PublishedPackage, ...]:
    """The published packages with the one that was delivered, the newest last; without it if it is of a draft."""
    request = state.request
    if request is None or request.published is False:
        return state.published
    chains = None if request.chains is None else tuple(request.chains)
    delivered = PublishedPackage(request.job_id, event.root, event.provenance, event.size, chains, request.revision)
    return (*(package for package in state.published if package.root != event.root), delivered)
