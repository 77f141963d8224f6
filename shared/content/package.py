"""A publish package: a folder of a job's artworks, their metadata on each chain, and a manifest of both.

    artworks/1.png …              the tokens' artworks, numbered as the tokens are
    displays/1.png …              what shows an artwork that is no image itself; often there are none
    metadata/<chain>/…            documents as chains want them, canonical JSON
    manifest.json                 what there is, with each file's CID, sha256 and size; canonical JSON

The same artworks and documents give the same bytes, and so the same root CID.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from shared.content.cid import Cid
from shared.content.files import cid_of
from shared.content.nodes import Node
from shared.content.profile import PROFILE
from shared.content.tree import File, folder
from shared.contracts.collections import PackagedArtwork, PackagedDocument

FORMAT = "emprops-package.v1"
MANIFEST = "manifest.json"
PROVENANCE = (
    "sha256 over the concatenation of the artworks' sha256, each as 64 lower-case hexadecimal digits in ASCII, in the"
    " order of their tokens; written in lower-case hexadecimal"
)


class Contents(msgspec.Struct, frozen=True):
    """What a package is made of. `displays` carry the number of the token whose artwork they show."""

    collection_id: UUID
    job_id: UUID
    title: str
    artworks: Sequence[PackagedArtwork]
    displays: Sequence[PackagedArtwork]
    documents: Sequence[PackagedDocument]


class Plan(msgspec.Struct, frozen=True):
    """A package before its artworks' bytes have been read: all that is known of it without them."""

    root: Node
    texts: Mapping[str, bytes]
    """The files that are made here, by their path: the documents and the manifest."""
    assets: Mapping[str, PackagedArtwork]
    """The files that lie in storage, by their path."""
    provenance: str


def canonical(value: Any) -> bytes:
    """JSON in one form: members sorted by name, no spaces, UTF-8."""
    return msgspec.json.encode(value, order="sorted")


def provenance(sha256s: Iterable[str]) -> str:
    """The provenance hash, as `PROVENANCE` describes it."""
    return hashlib.sha256("".join(sha256s).encode("ascii")).hexdigest()


def manifest(contents: Contents) -> dict[str, Any]:
    """What the package says of itself. Its own CID, and the root's, are not in it: they depend on it."""
    return {
        "format": FORMAT,
        "profile": dict(PROFILE),
        "collection": {"id": str(contents.collection_id), "title": contents.title},
        "job_id": str(contents.job_id),
        "provenance": {
            "algorithm": PROVENANCE,
            "hash": provenance(artwork.sha256 for artwork in contents.artworks),
        },
        "artworks": [_of_token(artwork) for artwork in contents.artworks],
        "displays": [_of_token(artwork) for artwork in contents.displays],
        "metadata": [_of_document(each) for each in sorted(contents.documents, key=lambda each: each.path)],
    }


def _of_token(artwork: PackagedArtwork) -> dict[str, Any]:
    named = ("token", "path", "mime_type", "size", "sha256", "cid", "hash")
    return {name: getattr(artwork, name) for name in named} | {"generation": str(artwork.gid)}


def _of_document(document: PackagedDocument) -> dict[str, Any]:
    text = document.text.encode()
    sha256 = hashlib.sha256(text).hexdigest()
    return {"path": document.path, "size": len(text), "sha256": sha256, "cid": str(cid_of(text))}


def plan(contents: Contents) -> Plan:
    """The whole package. Raises NotACid for an artwork whose CID is none."""
    described = manifest(contents)
    texts = {each.path: each.text.encode() for each in contents.documents} | {MANIFEST: canonical(described)}
    assets = {each.path: each for each in (*contents.artworks, *contents.displays)}
    files = {path: File(cid_of(text), len(text)) for path, text in texts.items()}
    files |= {path: File(Cid.parse(each.cid), each.size) for path, each in assets.items()}
    return Plan(folder(files), texts, assets, described["provenance"]["hash"])
