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
    PackagePinReported,
    PackageRequested,
    PinStatus,
)
from shared.contracts.event import Event

Status = Literal["none", "requested", "cancelling", "cancelled", "stored", "failed"]
"""`cancelling`: its owner has cancelled it, and storage has not stopped it yet. It may be stored nevertheless."""


class Pin(msgspec.Struct, frozen=True):
    """What a pinning service has made of a package, as it was reported last."""

    service: str
    request_id: str
    status: PinStatus
    reason: str | None
    reported_at: str


class PublishedPackage(msgspec.Struct, frozen=True):
    """A package that was made of the collection when it was published, or that an early release made."""

    job_id: UUID
    root: str
    provenance: str
    size: int
    chains: tuple[str, ...] | None
    """None: all, as in `PackageRequested`."""
    revision: int | None = None
    pins: tuple[Pin, ...] = ()
    """One of each pinning service, in the order of their last reports."""


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
            changed = state
        case PackageRequested():
            changed = Package("requested", event, published=state.published)
        case PackageDelivered():
            changed = Package("stored", state.request, event, published=_with(state, event))
        case PackageGivenUp(reason=reason, code=code):
            changed = Package("failed", state.request, reason=reason, code=code, published=state.published)
        case PackageCancelRequested():
            changed = msgspec.structs.replace(state, status="cancelling")
        case PackageCancelled():
            changed = Package("cancelled", state.request, published=state.published)
        case PackagePinReported():
            changed = msgspec.structs.replace(state, published=_with_pin(state, event))
        case _:
            raise AssertionError(f"{event!r} is not an event of a package")
    return changed


def _with(state: Package, event: PackageDelivered) -> tuple[PublishedPackage, ...]:
    """The published packages with the one that was delivered, the newest last; without it if it is of a draft."""
    request = state.request
    if request is None or request.published is False:
        return state.published
    pins = next((package.pins for package in state.published if package.root == event.root), ())
    chains = None if request.chains is None else tuple(request.chains)
    delivered = PublishedPackage(
        request.job_id, event.root, event.provenance, event.size, chains, request.revision, pins
    )
    return (*(package for package in state.published if package.root != event.root), delivered)


def _with_pin(state: Package, event: PackagePinReported) -> tuple[PublishedPackage, ...]:
    pin = Pin(event.service, event.request_id, event.status, event.reason, event.reported_at)

    def pinned(package: PublishedPackage) -> PublishedPackage:
        others = (other for other in package.pins if other.service != event.service)
        return msgspec.structs.replace(package, pins=(*others, pin)) if package.root == event.root else package

    return tuple(pinned(package) for package in state.published)
