"""A publish package: a job's artworks and their metadata, asked for here, made by the storage service.

There is one for each collection and job. Asked for again, it stays what it is, unless what it would be made of has
changed since (a draft's title, say), or the last attempt failed: then there is another attempt.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal, assert_never
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


class Part(msgspec.Struct, frozen=True):
    """Some of what a package is made of."""

    artworks: list[PackagedArtwork] = []
    displays: list[PackagedArtwork] = []
    documents: list[PackagedDocument] = []


class RequestPackage(msgspec.Struct, frozen=True):
    """`parts` list what it is made of, and `digest` stands for it: `requested` makes both, which may be much work."""

    collection_id: UUID
    job_id: UUID
    user_id: UUID
    title: str
    digest: str
    parts: Sequence[Part]


def requested(
    collection_id: UUID,
    job_id: UUID,
    user_id: UUID,
    title: str,
    artworks: Sequence[PackagedArtwork],
    displays: Sequence[PackagedArtwork],
    documents: Sequence[PackagedDocument],
) -> RequestPackage:
    """Raises CONFLICT for a document that is larger than a package takes."""
    content = {"title": title, "artworks": artworks, "displays": displays, "documents": documents}
    digest = hashlib.sha256(canonical(content)).hexdigest()
    parts: list[Part] = [Part()]
    left = MAX_PART
    for section, things in (("artworks", artworks), ("displays", displays), ("documents", documents)):
        for item in things:
            size = encoded_size(item) + 1
            if size > MAX_PART:
                message = f"takes {size} bytes as JSON, more than the {MAX_PART} that a package takes"
                raise Problem("CONFLICT", f"The package's entry {item.path} {message}")
            if size > left:
                parts.append(Part())
                left = MAX_PART
            getattr(parts[-1], section).append(item)
            left -= size
    return RequestPackage(collection_id, job_id, user_id, title, digest, parts)


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
    if state.request is not None and state.status != "failed" and state.request.digest == command.digest:
        return []
    attempt = state.request.attempt + 1 if state.request else 1
    stream_id = package_id(command.collection_id, command.job_id)
    listed = [
        PackagePartListed(
            package_id=stream_id,
            attempt=attempt,
            number=number,
            artworks=part.artworks,
            documents=part.documents,
            displays=part.displays,
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
        parts=len(listed),
        digest=command.digest,
    )
    return [*listed, request]


# What a package is made of


def documents(offer: Offer, tokens: Sequence[Token], stored: Mapping[int, StoredFile]) -> list[PackagedDocument]:
    """What the collection and its tokens say of themselves on each chain, at `metadata/<chain>/`.

    They name files by the CIDs in `stored`, as the package does: the tokens may have been read before those were known.
    """
    cids = {asset_id: file.cid for asset_id, file in stored.items() if file.cid}
    tokens = [msgspec.structs.replace(token, cids=cids) for token in tokens]
    documents = []
    for chain in CHAINS:
        folder = f"metadata/{chain.lower()}"
        metadata = {"collection": collection_metadata(chain, offer)}
        metadata |= {str(token.number): token_metadata(chain, offer, token) for token in tokens}
        documents += [
            PackagedDocument(f"{folder}/{name}.json", canonical(document).decode())
            for name, document in metadata.items()
        ]
    return documents


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
