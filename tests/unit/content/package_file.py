"""A small publish package as a file, made here without a store: what storage makes is compared with it."""

import hashlib
from collections.abc import Iterable
from uuid import UUID

from shared.content import car
from shared.content.cid import Cid
from shared.content.files import Leaf, balanced, cid_of
from shared.content.nodes import Node
from shared.content.package import Contents, Plan, canonical, plan
from shared.content.tree import Step, blocks_of, steps
from shared.contracts.collections import PackagedArtwork, PackagedDocument
from tests.unit.content.contents import MIB

COLLECTION, JOB = UUID(int=3), UUID(int=4)


def packaged(token: int, content: bytes) -> PackagedArtwork:
    return PackagedArtwork(
        token=token,
        gid=UUID(int=1000 + token),
        hash=f"{token:064x}",
        path=f"artworks/{token}.png",
        asset_id=token,
        source=f"generations/{token}.png",
        mime_type="image/png",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        cid=str(cid_of(content)),
    )


def contents(artworks: Iterable[bytes]) -> Contents:
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


def car_file(artworks: list[bytes], planned: Plan | None = None) -> bytes:
    """The package's file, with all its content in memory."""
    planned = planned or plan(contents(artworks))
    files = dict(planned.texts)
    files |= {path: artworks[item.token - 1] for path, item in planned.assets.items()}
    output, cids = bytearray(car.header(planned.root.cid)), set[Cid]()
    for step in steps(planned.root):
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
