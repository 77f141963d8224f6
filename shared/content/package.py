"""A publish package: a folder of a job's artworks, their metadata on each chain, and a manifest of both.

    artworks/1.png …              the tokens' artworks, numbered by token
    displays/1.png …              images that represent the artworks which are not images, if any
    renditions/1.display.webp …   smaller copies of the tokens' images: `display` and `thumbnail`, if they were made
    metadata/<chain>/…            token metadata in the format of a chain, canonical JSON, by several names
    manifest.json                 all other files, with their CID, sha256 and size; canonical JSON

The same artworks and documents give the same bytes, and so the same root CID.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Protocol
from uuid import UUID

import msgspec

from shared.content.cid import Cid
from shared.content.files import cid_of
from shared.content.nodes import Node
from shared.content.profile import PROFILE
from shared.content.tree import File, folder
from shared.contracts.collections import (
    PackagedArtwork,
    PackagedDocument,
    PackagedRendition,
    PackagePartListed,
    PackageRequested,
)
from shared.contracts.storage import PackagePartTaken

FORMAT = "emprops-package.v1"
FORMAT_WITH_RENDITIONS = "emprops-package.v2"
"""With the section `renditions`, which verifiers of early releases do not know."""
MANIFEST = "manifest.json"
PROVENANCE = (
    "sha256 over the concatenation of the artworks' sha256, each as 64 lower-case hexadecimal digits in ASCII, in the"
    " order of their tokens; written in lower-case hexadecimal"
)


class Contents(msgspec.Struct, frozen=True):
    """The parts of a package. A display has the number of the token whose artwork it shows."""

    collection_id: UUID
    job_id: UUID
    title: str
    artworks: Sequence[PackagedArtwork]
    displays: Sequence[PackagedArtwork]
    documents: Sequence[PackagedDocument]
    renditions: Sequence[PackagedRendition] = ()


class Plan(msgspec.Struct, frozen=True):
    """All of a package that can be computed without reading the artworks' bytes."""

    root: Node
    texts: Mapping[str, bytes]
    """The contents of the documents and of the manifest, by path."""
    assets: Mapping[str, PackagedArtwork]
    """The files in storage, by path."""
    provenance: str


def contents_of(request: PackageRequested, parts: Sequence[PackagePartListed | PackagePartTaken]) -> Contents:
    """The contents of a requested package, from all parts of its list, in their order."""
    return Contents(
        collection_id=request.collection_id,
        job_id=request.job_id,
        title=request.title,
        artworks=[artwork for part in parts for artwork in part.artworks],
        displays=[display for part in parts for display in part.displays],
        documents=[document for part in parts for document in part.documents],
        renditions=[rendition for part in parts for rendition in part.renditions],
    )


class PartOfList(Protocol):
    """A part of a package's list of files."""

    @property
    def artworks(self) -> Sequence[PackagedArtwork]:
        """The tokens' artworks."""

    @property
    def displays(self) -> Sequence[PackagedArtwork]:
        """The images that represent artworks of other types."""

    @property
    def documents(self) -> Sequence[PackagedDocument]:
        """The metadata files."""

    @property
    def renditions(self) -> Sequence[PackagedRendition]:
        """The smaller copies of the tokens' images."""


def size_of_files(parts: Sequence[PartOfList]) -> int:
    """Bytes of the files beside the manifest. The package has some more, for the manifest and its folders.

    Equal artworks are counted once, as they are stored once in it.
    """
    artworks = {file.cid: file.size for part in parts for file in (*part.artworks, *part.displays, *part.renditions)}
    documents = (document for part in parts for document in part.documents)
    return sum(artworks.values()) + sum(len(document.text.encode()) for document in documents)


def canonical(value: Any) -> bytes:
    """Canonical JSON: members sorted by their names' code points, no spaces, UTF-8, numbers as msgspec writes them.

    Not RFC 8785: that rejects the artists' integers beyond 2^53, and would change the bytes of packages (1.0 to 1).
    """
    return msgspec.json.encode(value, order="sorted")


def provenance(sha256s: Iterable[str]) -> str:
    """The provenance hash, as `PROVENANCE` describes it."""
    return hashlib.sha256("".join(sha256s).encode("ascii")).hexdigest()


def manifest(contents: Contents) -> dict[str, Any]:
    """The manifest. It has neither its own CID nor the root's, since both depend on it."""
    renditions = [_of_rendition(rendition) for rendition in contents.renditions]
    return {
        "format": FORMAT_WITH_RENDITIONS if renditions else FORMAT,
        "profile": dict(PROFILE),
        "collection": {"id": str(contents.collection_id), "title": contents.title},
        "job_id": str(contents.job_id),
        "provenance": {
            "algorithm": PROVENANCE,
            "hash": provenance(artwork.sha256 for artwork in contents.artworks),
        },
        "artworks": [_of_token(artwork) for artwork in contents.artworks],
        "displays": [_of_token(artwork) for artwork in contents.displays],
        **({"renditions": renditions} if renditions else {}),
        "metadata": sorted(
            (item for document in contents.documents for item in _of_document(document)), key=itemgetter("path")
        ),
    }


def _of_token(artwork: PackagedArtwork) -> dict[str, Any]:
    names = ("token", "path", "mime_type", "size", "sha256", "cid", "hash")
    return {name: getattr(artwork, name) for name in names} | {"generation": str(artwork.gid)}


def _of_rendition(rendition: PackagedRendition) -> dict[str, Any]:
    return _of_token(rendition) | {name: getattr(rendition, name) for name in ("kind", "width", "height")}


def _of_document(document: PackagedDocument) -> list[dict[str, Any]]:
    """A document by each of its names."""
    text = document.text.encode()
    sha256, cid = hashlib.sha256(text).hexdigest(), str(cid_of(text))
    return [
        {"path": path, "size": len(text), "sha256": sha256, "cid": cid} for path in (document.path, *document.names)
    ]


def plan(contents: Contents) -> Plan:
    """The package's folder and files. Raises NotACid for an artwork whose `cid` is malformed."""
    file_list = manifest(contents)
    texts: dict[str, bytes] = {}
    files: dict[str, File] = {}
    for document in contents.documents:
        text = document.text.encode()
        paths = (document.path, *document.names)
        texts |= dict.fromkeys(paths, text)
        files |= dict.fromkeys(paths, File(cid_of(text), len(text)))
    texts[MANIFEST] = canonical(file_list)
    files[MANIFEST] = File(cid_of(texts[MANIFEST]), len(texts[MANIFEST]))
    assets = {asset.path: asset for asset in (*contents.artworks, *contents.displays, *contents.renditions)}
    files |= {path: File(Cid.parse(asset.cid), asset.size) for path, asset in assets.items()}
    return Plan(folder(files), texts, assets, file_list["provenance"]["hash"])
