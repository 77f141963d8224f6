"""The contents of a package: the tokens' artworks, images that represent them, and metadata on its chains."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from services.collections.domain.artwork.tokens import Token, rendition_name
from services.collections.domain.chains import CHAINS, Chain, collection_metadata, token_metadata
from services.collections.domain.chains.offer import Offer
from shared.content.document_names import COLLECTION, EXTENSION, FOLDER, other_names
from shared.content.media import extension
from shared.content.package import canonical
from shared.contracts.collections import (
    ArtworkFile,
    PackagedArtwork,
    PackagedDocument,
    PackagedRendition,
)
from shared.contracts.problem import Problem
from shared.contracts.sizes import MAX_PART, encoded_size


class StoredFile(msgspec.Struct, frozen=True):
    """A file as storage reported it. `size` and `cid` are None for files stored before these were recorded."""

    asset_id: int
    path: str
    mime_type: str
    size: int | None
    sha256: str
    cid: str | None


class Part(msgspec.Struct, frozen=True):
    """A part of a package's list of files, small enough for one event."""

    artworks: list[PackagedArtwork] = []
    displays: list[PackagedArtwork] = []
    documents: list[PackagedDocument] = []
    renditions: list[PackagedRendition] = []


def artworks(tokens: Sequence[Token], stored: Mapping[int, StoredFile]) -> list[PackagedArtwork]:
    """The tokens' artworks. Raises CONFLICT for a token without one, UNAVAILABLE for a file not reported yet."""
    for token in tokens:
        if token.artifact is None:
            raise Problem("CONFLICT", f"Token {token.number} has no artwork: its generation made no file")
    return [_packaged("artworks", token, token.artifact, stored) for token in tokens if token.artifact]


def displays(tokens: Sequence[Token], stored: Mapping[int, StoredFile]) -> list[PackagedArtwork]:
    """The images that represent artworks of other types. Raises as `artworks`."""
    return [
        _packaged("displays", token, token.image, stored)
        for token in tokens
        if token.image is not None and token.image != token.artifact
    ]


def renditions(tokens: Sequence[Token]) -> list[PackagedRendition]:
    """The smaller copies of the tokens' images that there are."""
    return [
        PackagedRendition(
            token=token.number,
            gid=token.gid,
            hash=token.hash,
            path=f"renditions/{rendition_name(token.number, rendition)}",
            asset_id=rendition.asset_id,
            source=rendition.path,
            mime_type=rendition.mime_type,
            size=rendition.size,
            sha256=rendition.sha256,
            cid=rendition.cid,
            kind=rendition.kind,
            width=rendition.width,
            height=rendition.height,
        )
        for token in tokens
        if token.scaled is not None and token.gid is not None
        for rendition in token.scaled.renditions
    ]


def chains_of(chains: Sequence[Chain] | None, blockchain: str | None) -> list[Chain]:
    """The chains of a package: those that a request names, else the collection's own, else all."""
    selection = [blockchain] if chains is None and blockchain in CHAINS else chains or CHAINS
    return [chain for chain in CHAINS if chain in selection]


def documents(
    offer: Offer, tokens: Sequence[Token], stored: Mapping[int, StoredFile], chains: Sequence[Chain] = CHAINS
) -> list[PackagedDocument]:
    """The metadata of the collection and its tokens, at `metadata/<chain>/`; a token's by each of its names.

    Files are named by the CIDs in `stored`, as in the rest of the package: `tokens` may be older than these.
    """
    cids = {asset_id: file.cid for asset_id, file in stored.items() if file.cid}
    tokens = [msgspec.structs.replace(token, cids=cids) for token in tokens]
    offer = offer.covered(tokens)
    documents = []
    for chain in chains:
        folder = f"{FOLDER}/{chain.lower()}"
        text = canonical(collection_metadata(chain, offer)).decode()
        documents.append(PackagedDocument(f"{folder}/{COLLECTION}", text))
        for token in tokens:
            text = canonical(token_metadata(chain, offer, token)).decode()
            names = [f"{folder}/{name}" for name in other_names(chain.lower(), token.number)]
            documents.append(PackagedDocument(f"{folder}/{token.number}{EXTENSION}", text, names))
    return documents


def split(
    artworks: Sequence[PackagedArtwork],
    displays: Sequence[PackagedArtwork],
    documents: Sequence[PackagedDocument],
    renditions: Sequence[PackagedRendition] = (),
) -> list[Part]:
    """Parts of at most MAX_PART bytes, at least one. Raises CONFLICT for an entry that is larger."""
    parts = [Part()]
    free = MAX_PART
    sections: tuple[tuple[str, Sequence[PackagedArtwork | PackagedDocument]], ...] = (
        ("artworks", artworks),
        ("displays", displays),
        ("documents", documents),
        ("renditions", renditions),
    )
    for section, entries in sections:
        for entry in entries:
            size = encoded_size(entry) + 1
            if size > MAX_PART:
                message = f"takes {size} bytes as JSON, more than the {MAX_PART} that a package takes"
                raise Problem("CONFLICT", f"The package's entry {entry.path} {message}")
            if size > free:
                parts.append(Part())
                free = MAX_PART
            getattr(parts[-1], section).append(entry)
            free -= size
    return parts


def digest(
    title: str,
    artworks: Sequence[PackagedArtwork],
    displays: Sequence[PackagedArtwork],
    documents: Sequence[PackagedDocument],
    renditions: Sequence[PackagedRendition] = (),
) -> str:
    """sha256 of a package's title and entries, in hex. Without renditions, as early releases computed it."""
    contents: dict[str, Any] = {"title": title, "artworks": artworks, "displays": displays, "documents": documents}
    if renditions:
        contents["renditions"] = renditions
    return hashlib.sha256(canonical(contents)).hexdigest()


def _packaged(folder: str, token: Token, file: ArtworkFile, stored: Mapping[int, StoredFile]) -> PackagedArtwork:
    stored_file = stored.get(file.asset_id)
    if stored_file is None:
        message = f"Storage has not reported asset {file.asset_id}, of token {token.number}, yet: try again in a moment"
        raise Problem("UNAVAILABLE", message)
    if stored_file.cid is None or stored_file.size is None or token.gid is None:
        raise Problem("CONFLICT", f"Asset {file.asset_id} was stored when CIDs were not computed: generate it again")
    return PackagedArtwork(
        token=token.number,
        gid=token.gid,
        hash=token.hash,
        path=f"{folder}/{token.number}.{extension(stored_file.mime_type)}",
        asset_id=stored_file.asset_id,
        source=stored_file.path,
        mime_type=stored_file.mime_type,
        size=stored_file.size,
        sha256=stored_file.sha256,
        cid=stored_file.cid,
    )
