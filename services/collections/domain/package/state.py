"""A publish package: a job's artworks and their metadata, requested here and built by the storage service."""

from typing import Literal
from uuid import UUID, uuid5

import msgspec

from shared.contracts.collections import PackageDelivered, PackageGivenUp, PackagePartListed, PackageRequested
from shared.contracts.event import Event


class Package(msgspec.Struct, frozen=True):
    """`request` is that of the last attempt."""

    status: Literal["none", "requested", "stored", "failed"] = "none"
    request: PackageRequested | None = None
    delivered: PackageDelivered | None = None
    reason: str | None = None


NOTHING = Package()


def package_id(collection_id: UUID, job_id: UUID) -> UUID:
    return uuid5(collection_id, f"package:{job_id}")


def evolve(state: Package, event: Event) -> Package:
    match event:
        case PackagePartListed():
            return state
        case PackageRequested():
            return Package("requested", event)
        case PackageDelivered():
            return Package("stored", state.request, event)
        case PackageGivenUp():
            return Package("failed", state.request, reason=event.reason)
        case _:
            raise AssertionError(f"{event!r} is not an event of a package")
