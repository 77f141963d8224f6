"""CIDs as an independent implementation makes them: `vectors.json` says which one, and how."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.content import car
from shared.content.cid import RAW, Cid
from shared.content.directories import BLOCK_LIMIT, hash_of
from shared.content.files import FileImporter, Leaf, balanced, cid_of, dag_size
from shared.content.nodes import DIRECTORY, HAMT, Node, decode
from shared.content.tree import File, blocks_of, folder, steps
from tests.unit.content.contents import MIB, chunk, content, pieces

VECTORS = msgspec.json.decode((Path(__file__).parent / "vectors.json").read_bytes())


def named(spec: dict[str, list[int]]) -> Node:
    return folder({path: File(cid_of(content(*item)), item[0]) for path, item in spec.items()})


@pytest.mark.parametrize("vector", VECTORS["files"], ids=lambda vector: str(vector["size"]))
def test_a_file_has_the_cid_that_others_give_it(vector: dict[str, Any]) -> None:
    """Of every size about the limits of a chunk and of a node, up to three levels of nodes."""

    @cache  # a file of this formula has but 256 different chunks
    def leaf(first: int, length: int) -> Leaf:
        return Leaf.of(chunk(first, vector["seed"], length))

    size = vector["size"]
    lengths = [min(MIB, size - at) for at in range(0, size, MIB)] or [0]
    root = balanced([leaf(number % 256, length) for number, length in enumerate(lengths)])
    assert str(root.cid) == vector["cid"]
    assert root.size == dag_size(size) == vector["dag_size"]
    assert Cid.parse(vector["cid"]) == root.cid


@pytest.mark.parametrize("vector", [file for file in VECTORS["files"] if file["size"] < 16 * MIB], ids=str)
@pytest.mark.parametrize("step", [MIB, 100_003])
def test_a_files_cid_does_not_depend_on_how_its_bytes_come(vector: dict[str, Any], step: int) -> None:
    whole = content(vector["size"], vector["seed"])
    importer = FileImporter()
    for at in range(0, len(whole), step):
        importer.update(whole[at : at + step])
    assert str(importer.finish().cid) == vector["cid"]


@pytest.mark.parametrize("vector", VECTORS["directories"], ids=lambda vector: vector["name"])
def test_a_directory_has_the_cid_that_others_give_it(vector: dict[str, Any]) -> None:
    root = named(vector["files"])
    assert (str(root.cid), root.size) == (vector["cid"], vector["dag_size"])


@pytest.mark.parametrize("vector", VECTORS["numbered"], ids=lambda vector: str(vector["count"]))
def test_a_directory_of_thousands_is_sharded_as_others_shard_it(vector: dict[str, Any]) -> None:
    root = named({f"{number}.json": [number % 300, number % 251] for number in range(1, vector["count"] + 1)})
    assert (str(root.cid), root.size) == (vector["cid"], vector["dag_size"])
    assert root.content.kind == (HAMT if vector["count"] == 10_000 else DIRECTORY)


@pytest.mark.parametrize("vector", VECTORS["threshold"], ids=lambda vector: str(vector["count"]))
def test_a_directory_is_sharded_as_soon_as_its_block_has_more_than_256_kib(vector: dict[str, Any]) -> None:
    root = named({f"{number:012}": [1, 9] for number in range(vector["count"])})
    assert (str(root.cid), root.size) == (vector["cid"], vector["dag_size"])
    assert (root.content.kind == DIRECTORY) == (4 + 56 * vector["count"] <= BLOCK_LIMIT)


@pytest.mark.parametrize("vector", VECTORS["murmur"], ids=lambda vector: vector["text"])
def test_names_are_hashed_as_others_hash_them(vector: dict[str, str]) -> None:
    assert hash_of(vector["text"]).hex() == vector["first_8_bytes"]


def test_a_car_file_is_the_one_that_others_write() -> None:
    """Header and blocks, depth-first from the root, each block once."""
    spec = VECTORS["car"]["files"]
    root = named(spec)
    output, cids = car.header(root.cid), set[Cid]()
    for step in steps(root):
        if step.block is not None:
            blocks = [(step.cid, step.block)]
        else:
            chunks = list(pieces(*spec[step.path]))
            file = balanced([Leaf.of(item) for item in chunks])
            way = list(blocks_of(file, step.path)) if isinstance(file, Node) else [step]
            below = iter(chunks)
            blocks = [(item.cid, next(below) if item.block is None else item.block) for item in way]
        for cid, block in blocks:
            if cid not in cids:
                output += car.frame(cid, len(block)) + block
            cids.add(cid)
    assert str(root.cid) == VECTORS["car"]["root"]
    assert len(output) == VECTORS["car"]["size"]
    assert hashlib.sha256(output).hexdigest() == VECTORS["car"]["sha256"]
    assert car.root_of(output[: car.HEADER_LENGTH]) == root.cid


def test_nodes_are_read_back_as_they_were_written() -> None:
    spec = {f"{number}/{number}.json": [number, 1] for number in range(300)} | {"big": [3 * MIB, 3]}
    root = named(spec)
    for step in steps(root):
        if step.block is not None:
            assert Cid.of(step.cid.codec, step.block) == step.cid
            assert decode(step.block).kind == DIRECTORY
    file = balanced([Leaf(Cid(RAW, bytes(32)), MIB)] * 3)
    assert isinstance(file, Node)
    assert decode(file.block) == file.content
