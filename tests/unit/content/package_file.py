"""A small publish package as a file, made here without a store: what storage makes is compared with it."""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

import msgspec

from shared.content import car
from shared.content.cid import Cid
from shared.content.files import Leaf, balanced, cid_of
from shared.content.media import extension
from shared.content.nodes import Node
from shared.content.package import MANIFEST, Contents, Plan, canonical, manifest, plan
from shared.content.tree import File, Step, blocks_of, folder, steps
from shared.contracts.collections import PackagedArtwork, PackagedDocument
from tests.unit.content.contents import MIB

COLLECTION, JOB = UUID(int=3), UUID(int=4)
ANY_BYTES = "application/octet-stream"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png(size: int) -> bytes:
    """Bytes that begin as a PNG file does."""
    return PNG_SIGNATURE + bytes(number % 251 for number in range(size))


def packaged(token: int, content: bytes, mime_type: str = "image/png") -> PackagedArtwork:
    return PackagedArtwork(
        token=token,
        gid=UUID(int=1000 + token),
        hash=f"{token:064x}",
        path=f"artworks/{token}.{extension(mime_type)}",
        asset_id=token,
        source=f"generations/{token}.png",
        mime_type=mime_type,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        cid=str(cid_of(content)),
    )


def early_contents(artworks: Iterable[bytes]) -> Contents:
    """Never to be changed: a golden test makes a package of it. It has no document of the collection."""
    listed = [packaged(token, content) for token, content in enumerate(artworks, start=1)]
    documents = [
        PackagedDocument(
            f"metadata/{chain}/{item.token}.json",
            canonical({"name": f"Token {item.token}", "image": f"ipfs://{item.cid}"}).decode(),
        )
        for chain in ("base", "ethereum", "tezos")
        for item in listed
    ]
    return Contents(COLLECTION, JOB, "Tides", listed, [], documents)


def documents_of(item: PackagedArtwork) -> dict[str, dict[str, Any]]:
    """A token's documents, by their paths without `.json`."""
    name, uri = f"Tides #{item.token}", f"ipfs://{item.cid}"
    tezos = {"decimals": 0, "name": name, "artifactUri": uri}
    formats = [
        {"uri": uri, "mimeType": item.mime_type, "fileSize": item.size, "hash": f"sha256:{item.sha256}"},
    ]
    return {
        f"metadata/base/{item.token}": {"name": name, "image": uri},
        f"metadata/ethereum/{item.token}": {"name": name, "image": uri},
        f"metadata/tezos/{item.token}": tezos | {"formats": formats},
    }


def contents(artworks: Iterable[bytes], mime_type: str = ANY_BYTES) -> Contents:
    """A valid package: its artworks have any bytes unless they are of a type that is known by its bytes."""
    listed = [packaged(token, content, mime_type) for token, content in enumerate(artworks, start=1)]
    documents = {f"metadata/{chain}/collection": {"name": "Tides"} for chain in ("base", "ethereum")}
    documents["metadata/tezos/collection"] = {"name": "Tides", "interfaces": ["TZIP-012"]}
    for item in listed:
        documents |= documents_of(item)
    texts = [PackagedDocument(f"{path}.json", canonical(document).decode()) for path, document in documents.items()]
    return Contents(COLLECTION, JOB, "Tides", listed, [], texts)


def car_file(artworks: list[bytes], planned: Plan | None = None) -> bytes:
    """The package's file, with all its content in memory."""
    planned = planned or plan(contents(artworks))
    files = dict(planned.texts)
    files |= {path: artworks[item.token - 1] for path, item in planned.assets.items()}
    return car_of(planned.root, files)


def repackaged(
    package_contents: Contents,
    files: dict[str, bytes],
    change_manifest: Callable[[dict[str, Any]], None] = lambda _manifest: None,
) -> bytes:
    """A CAR file that is sound in itself, of any contents: `files` are those beside the documents and the manifest."""
    file_list = manifest(package_contents)
    change_manifest(file_list)
    texts = {document.path: document.text.encode() for document in package_contents.documents}
    everything = files | texts | {MANIFEST: canonical(file_list)}
    return car_of(folder({path: File(cid_of(data), len(data)) for path, data in everything.items()}), everything)


def with_document(package_contents: Contents, path: str, text: bytes | str | dict[str, Any] | None) -> Contents:
    """The contents with another document at `path`, or none."""
    text = canonical(text).decode() if isinstance(text, dict) else text
    text = text.decode() if isinstance(text, bytes) else text
    others = [document for document in package_contents.documents if document.path != path]
    added = [] if text is None else [PackagedDocument(path, text)]
    return msgspec.structs.replace(package_contents, documents=[*others, *added])


def car_of(root: Node, files: dict[str, bytes]) -> bytes:
    """The CAR file of a folder, with the bytes of its files by path."""
    output, cids = bytearray(car.header(root.cid)), set[Cid]()
    for step in steps(root):
        for cid, block in [(step.cid, step.block)] if step.block is not None else _blocks(step, files[step.path]):
            if cid not in cids:
                output += car.frame(cid, len(block)) + block
            cids.add(cid)
    return bytes(output)


def _blocks(step: Step, content: bytes) -> list[tuple[Cid, bytes]]:
    chunks = [content[at : at + MIB] for at in range(0, max(1, len(content)), MIB)]
    file = balanced([Leaf.of(chunk) for chunk in chunks])
    way = list(blocks_of(file, step.path)) if isinstance(file, Node) else [step]
    below = iter(chunks)
    return [(item.cid, next(below) if item.block is None else item.block) for item in way]
