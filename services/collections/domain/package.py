"""A publish package: a job's artworks and their metadata, asked for here, made by the storage service.

There is one for each collection and job. Asked for again, it stays what it is, unless what it would be made of has
changed since (a draft's title, say), or the last attempt failed: then there is another attempt.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, assert_never
from uuid import UUID, uuid5

import msgspec

from services.collections.domain.chains import CHAINS, collection_metadata, token_metadata
from services.collections.domain.chains.offer import Offer
from services.collections.domain.tokens import Token
from shared.content.package import canonical
from shared.contracts.collections import (
    ArtworkFile,
    PackagedArtwork,
    PackagedDocument,
    PackageDelivered,
    PackageGivenUp,
    PackagePartListed,
    PackageRequested,
)
from shared.contracts.event import Event
from shared.contracts.problem import Problem
from shared.contracts.sizes import MAX_PART, encoded_size
from shared.contracts.storage import PackageFailed, PackageStored

EXTENSIONS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/avif": "avif",
    "image/svg+xml": "svg",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/ogg": "ogg",
    "model/gltf-binary": "glb",
    "application/json": "json",
    "application/pdf": "pdf",
    "text/html": "html",
    "text/plain": "txt",
}


# State


class Package(msgspec.Struct, frozen=True):
    status: Literal["none", "requested", "stored", "failed"] = "none"
    request: PackageRequested | None = None
    delivered: PackageDelivered | None = None
    reason: str | None = None


NOTHING = Package()

# What happens


def evolve(state: Package, event: Event) -> Package:
    match event:
        case PackageRequested():
            return Package("requested", event)
        case PackageDelivered():
            return Package("stored", state.request, event)
        case PackageGivenUp():
            return Package("failed", state.request, reason=event.reason)
        case _:
            return state


# What is asked


class StoredFile(msgspec.Struct, frozen=True):
    """What storage has said of a file. `size` and `cid` are None for one of a time when they were not told."""

    asset_id: int
    path: str
    mime_type: str
    size: int | None
    sha256: str
    cid: str | None


class RequestPackage(msgspec.Struct, frozen=True):
    collection_id: UUID
    job_id: UUID
    user_id: UUID
    title: str
    artworks: Sequence[PackagedArtwork]
    displays: Sequence[PackagedArtwork]
    documents: Sequence[PackagedDocument]


class NoteOutcome(msgspec.Struct, frozen=True):
    """What storage has said of an attempt."""

    outcome: PackageStored | PackageFailed


Command = RequestPackage | NoteOutcome

# What is decided


def decide(command: Command, state: Package) -> list[Event]:
    match command:
        case RequestPackage():
            return _request(command, state)
        case NoteOutcome(outcome):
            attempt = state.request.attempt if state.request else None
            if state.status != "requested" or outcome.attempt != attempt:
                return []
            if isinstance(outcome, PackageFailed):
                return [PackageGivenUp(outcome.package_id, outcome.attempt, outcome.reason)]
            return [PackageDelivered(**{name: getattr(outcome, name) for name in outcome.__struct_fields__})]
        case _ as never:
            assert_never(never)


def package_id(collection_id: UUID, job_id: UUID) -> UUID:
    return uuid5(collection_id, f"package:{job_id}")


def _request(command: RequestPackage, state: Package) -> list[Event]:
    said = {name: getattr(command, name) for name in ("title", "artworks", "displays", "documents")}
    digest = hashlib.sha256(canonical(said)).hexdigest()
    if state.request is not None and state.status != "failed" and state.request.digest == digest:
        return []
    attempt = state.request.attempt + 1 if state.request else 1
    named = package_id(command.collection_id, command.job_id)
    parts = list(_parts(command, named, attempt))
    request = PackageRequested(
        package_id=named,
        collection_id=command.collection_id,
        job_id=command.job_id,
        user_id=command.user_id,
        title=command.title,
        attempt=attempt,
        parts=len(parts),
        digest=digest,
    )
    return [*parts, request]


def _parts(command: RequestPackage, named: UUID, attempt: int) -> Iterator[PackagePartListed]:
    """What the package is made of, in parts that are small enough for a message each."""
    number, part = 0, _Gathered()
    for section in ("artworks", "displays", "documents"):
        for each in getattr(command, section):
            size = encoded_size(each) + 1
            if size > MAX_PART:
                message = f"takes {size} bytes as JSON, more than the {MAX_PART} that a package takes"
                raise Problem("CONFLICT", f"What the package says at {each.path} {message}")
            if part.size + size > MAX_PART:
                yield part.listed(named, attempt, number)
                number, part = number + 1, _Gathered()
            part.sections[section].append(each)
            part.size += size
    yield part.listed(named, attempt, number)


class _Gathered:
    def __init__(self) -> None:
        self.size = 0
        self.sections: dict[str, list[Any]] = {"artworks": [], "displays": [], "documents": []}

    def listed(self, named: UUID, attempt: int, number: int) -> PackagePartListed:
        return PackagePartListed(package_id=named, attempt=attempt, number=number, **self.sections)


# What a package is made of


def documents(offer: Offer, tokens: Sequence[Token]) -> list[PackagedDocument]:
    """What the collection and its tokens say of themselves on each chain, at `metadata/<chain>/`."""
    found = []
    for chain in CHAINS:
        folder = f"metadata/{chain.lower()}"
        said = {"collection": collection_metadata(chain, offer)}
        said |= {str(token.number): token_metadata(chain, offer, token) for token in tokens}
        found += [PackagedDocument(f"{folder}/{name}.json", canonical(each).decode()) for name, each in said.items()]
    return found


def artworks(tokens: Sequence[Token], stored: Mapping[int, StoredFile]) -> list[PackagedArtwork]:
    """The tokens' artworks. Raises CONFLICT for a token without one, UNAVAILABLE for a file not heard of yet."""
    for token in tokens:
        if token.artifact is None:
            raise Problem("CONFLICT", f"Token {token.number} has no artwork: its generation made no file")
    return [_packaged("artworks", token, token.artifact, stored) for token in tokens if token.artifact]


def displays(tokens: Sequence[Token], stored: Mapping[int, StoredFile]) -> list[PackagedArtwork]:
    """The images that show artworks which are none themselves."""
    return [
        _packaged("displays", token, token.image, stored)
        for token in tokens
        if token.image is not None and token.image != token.artifact
    ]


def _packaged(folder: str, token: Token, file: ArtworkFile, stored: Mapping[int, StoredFile]) -> PackagedArtwork:
    known = stored.get(file.asset_id)
    if known is None:
        message = f"Asset {file.asset_id}, of token {token.number}, is not known here yet: try again in a moment"
        raise Problem("UNAVAILABLE", message)
    if known.cid is None or known.size is None or token.gid is None:
        raise Problem("CONFLICT", f"Asset {file.asset_id} was stored when CIDs were not computed: generate it again")
    return PackagedArtwork(
        token=token.number,
        gid=token.gid,
        hash=token.hash,
        path=f"{folder}/{token.number}.{EXTENSIONS.get(known.mime_type, 'bin')}",
        asset_id=known.asset_id,
        source=known.path,
        mime_type=known.mime_type,
        size=known.size,
        sha256=known.sha256,
        cid=known.cid,
    )
