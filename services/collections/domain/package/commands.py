"""Requests a package, and records whether storage built it.

Idempotent: a second request makes another attempt only if the contents have changed (a draft's title, or the chains),
if the collection has been published since, or if the last attempt failed or was cancelled.

Storage decides whether a cancellation came in time: an attempt is `cancelling` until it has reported an outcome.
"""

from collections.abc import Sequence
from typing import assert_never
from uuid import UUID

import msgspec

from services.collections.domain.chains import CHAINS, Chain
from services.collections.domain.package import contents
from services.collections.domain.package.contents import Part
from services.collections.domain.package.state import Package, package_id
from shared.contracts.collections import (
    PackageCancelled,
    PackageCancelRequested,
    PackagedArtwork,
    PackagedDocument,
    PackageDelivered,
    PackagedRendition,
    PackageGivenUp,
    PackagePartListed,
    PackageRequested,
)
from shared.contracts.event import Event
from shared.contracts.problem import Problem
from shared.contracts.storage import PackageFailed, PackageStopped, PackageStored

Outcome = PackageStored | PackageFailed | PackageStopped


class RequestPackage(msgspec.Struct, frozen=True):
    """`parts` list what it is made of; `digest` is their sha256. `package_request` computes both.

    `published`: whether the collection is published, so that the package's root is public; then `revision` is the one
    of what is public.
    """

    collection_id: UUID
    job_id: UUID
    user_id: UUID
    title: str
    digest: str
    parts: Sequence[Part]
    chains: Sequence[Chain] = CHAINS
    published: bool = False
    revision: int | None = None


def package_request(
    collection_id: UUID,
    job_id: UUID,
    user_id: UUID,
    title: str,
    artworks: Sequence[PackagedArtwork],
    displays: Sequence[PackagedArtwork],
    documents: Sequence[PackagedDocument],
    *,
    renditions: Sequence[PackagedRendition] = (),
    chains: Sequence[Chain] = CHAINS,
    published: bool = False,
    revision: int | None = None,
) -> RequestPackage:
    """Raises CONFLICT for an entry that is larger than a part of a package may be."""
    digest = contents.digest(title, artworks, displays, documents, renditions)
    parts = contents.split(artworks, displays, documents, renditions)
    return RequestPackage(collection_id, job_id, user_id, title, digest, parts, chains, published, revision)


class RecordOutcome(msgspec.Struct, frozen=True):
    """Storage's event on an attempt."""

    outcome: Outcome


class CancelPackage(msgspec.Struct, frozen=True):
    """Stop the attempt that is being built."""


Command = RequestPackage | CancelPackage | RecordOutcome


def decide(command: Command, state: Package) -> list[Event]:
    """Idempotent. Outcomes of earlier attempts are ignored. Raises CONFLICT if nothing is left to cancel."""
    match command:
        case RequestPackage():
            return _request(command, state)
        case CancelPackage():
            return _cancel(state)
        case RecordOutcome(outcome):
            return _record(outcome, state)
        case _ as never:
            assert_never(never)


def _request(command: RequestPackage, state: Package) -> list[Event]:
    if state.status in {"requested", "stored"} and _is_same(command, state.request):
        return []
    attempt = state.request.attempt + 1 if state.request else 1
    stream_id = package_id(command.collection_id, command.job_id)
    parts = [
        PackagePartListed(
            package_id=stream_id,
            attempt=attempt,
            number=number,
            artworks=part.artworks,
            documents=part.documents,
            displays=part.displays,
            renditions=part.renditions,
        )
        for number, part in enumerate(command.parts)
    ]
    request = PackageRequested(
        package_id=stream_id,
        collection_id=command.collection_id,
        job_id=command.job_id,
        user_id=command.user_id,
        title=command.title,
        attempt=attempt,
        parts=len(parts),
        digest=command.digest,
        chains=list(command.chains),
        published=command.published,
        revision=command.revision,
    )
    return [*parts, request]


def _is_same(command: RequestPackage, earlier: PackageRequested | None) -> bool:
    """Whether an earlier request was for the same package, and not for that of the draft which is published now."""
    if earlier is None or earlier.digest != command.digest:
        return False
    return earlier.published is not False or not command.published


def _cancel(state: Package) -> list[Event]:
    request = state.request
    if request is None or state.status in {"cancelling", "cancelled"}:
        return []
    if state.status != "requested":
        how = "is stored" if state.status == "stored" else "has failed"
        raise Problem("CONFLICT", f"The package {how}: nothing is left to cancel")
    return [PackageCancelRequested(request.package_id, request.attempt)]


def _record(outcome: Outcome, state: Package) -> list[Event]:
    attempt = state.request.attempt if state.request else None
    if state.status not in {"requested", "cancelling"} or outcome.attempt != attempt:
        return []
    match outcome:
        case PackageFailed():
            return [PackageGivenUp(outcome.package_id, outcome.attempt, outcome.reason, outcome.code)]
        case PackageStopped():
            return [PackageCancelled(outcome.package_id, outcome.attempt)]
        case PackageStored():
            return [
                PackageDelivered(
                    package_id=outcome.package_id,
                    attempt=outcome.attempt,
                    root=outcome.root,
                    asset_id=outcome.asset_id,
                    size=outcome.size,
                    sha256=outcome.sha256,
                    provenance=outcome.provenance,
                )
            ]
        case _ as never:
            assert_never(never)
