"""The IPFS gateway: what published packages contain, by its CID; the collections service is played."""

import msgspec

from shared.content.car_frames import CarFrames
from shared.content.files import FileImporter
from shared.content.package import canonical
from shared.contracts.collections import PackagedDocument
from tests.integration.packages.published_package import (
    CAR,
    FILES,
    FOREVER,
    LARGE,
    RAW,
    a_package,
    blocks_of,
    build,
    file_cid,
    publish,
    read,
)
from tests.integration.packages.test_building import uploaded
from tests.support.apps.storage import Api
from tests.support.byte_ranges import parts_of
from tests.support.publishing import Publisher
from tests.unit.content.contents import MIB


async def test_a_package_is_its_car_file(storage: Api, asking: Publisher):
    """Byte for byte, since the order of its blocks is the same."""
    package = await a_package(storage, asking)
    answer = await read(storage, f"{package.root}?format=car")
    assert (answer.status, answer.raw) == (200, package.car)
    assert answer.headers["content-type"] == f"{CAR}; version=1; order=dfs; dups=n"
    assert (
        answer.headers["content-disposition"]
        == f"attachment; filename=\"{package.root}.car\"; filename*=UTF-8''{package.root}.car"
    )
    assert (answer.headers["x-ipfs-roots"], answer.headers["x-ipfs-path"]) == (package.root, f"/ipfs/{package.root}")
    assert (answer.headers["cache-control"], answer.headers["vary"]) == (FOREVER, "Accept")
    assert (await read(storage, package.root, accept=f"{CAR}; order=dfs; dups=n")).raw == package.car
    unchanged = await read(storage, f"{package.root}?format=car", if_none_match=answer.headers["etag"])
    assert (unchanged.status, unchanged.raw) == (304, b"")
    head = await storage.send("HEAD", f"/ipfs/{package.root}?format=car", None)
    assert (head.status, head.raw, head.headers["etag"]) == (200, b"", answer.headers["etag"])


async def test_each_block_is_there(storage: Api, asking: Publisher):
    package = await a_package(storage, asking)
    blocks = blocks_of(package.car)
    assert len(blocks) > 20
    for cid, block in blocks.items():
        answer = await read(storage, f"{cid}?format=raw")
        assert (answer.status, answer.raw) == (200, block)
    assert answer.headers["content-type"] == RAW
    assert answer.headers["etag"] == f'"{cid}.raw"'
    assert answer.headers["content-disposition"] == f"attachment; filename=\"{cid}.bin\"; filename*=UTF-8''{cid}.bin"
    assert answer.headers["cache-control"] == FOREVER
    again = await read(storage, cid, accept=RAW, range="bytes=0-1")
    assert (again.status, again.raw) == (206, block[:2])
    head = await storage.send("HEAD", f"/ipfs/{cid}?format=raw", None)
    assert (head.status, head.headers["content-length"]) == (200, str(len(block)))


async def test_files_are_read_by_their_paths_and_by_their_cids(storage: Api, asking: Publisher):
    package = await a_package(storage, asking)
    paths = {artwork.path: file for artwork, file in zip(package.inputs.artworks, FILES, strict=True)}
    paths |= {document.path: document.text.encode() for document in package.inputs.documents}
    for path, file in paths.items():
        answer, cid = await read(storage, f"{package.root}/{path}"), file_cid(file)
        assert (answer.status, answer.raw) == (200, file), path
        assert answer.headers["etag"] == f'"{cid}"'
        assert answer.headers["x-ipfs-path"] == f"/ipfs/{package.root}/{path}"
        roots = answer.headers["x-ipfs-roots"].split(",")
        assert (roots[0], roots[-1], len(roots)) == (package.root, cid, path.count("/") + 2)
        assert answer.headers["cache-control"] == FOREVER
        assert "sandbox" in answer.headers["content-security-policy"]
        assert (await read(storage, cid)).raw == file
    json = await read(storage, f"{package.root}/metadata/base/1.json")
    assert json.headers["content-type"] == "application/json"
    assert (await read(storage, json.headers["etag"].strip('"'))).headers["content-type"] == "application/json"
    saved = await read(storage, f"{file_cid(LARGE)}?filename=a%20b.png&download=true")
    assert saved.headers["content-disposition"] == "attachment; filename=\"a b.png\"; filename*=UTF-8''a%20b.png"
    assert saved.headers["content-type"] == "image/png"


async def test_ranges_of_a_file_of_several_blocks(storage: Api, asking: Publisher):
    """Within a block, over its end, and of all; the ETag is the CID."""
    package = await a_package(storage, asking)
    path, size = f"{package.root}/{package.inputs.artworks[0].path}", len(LARGE)
    for first, last in ((0, 0), (5, 99), (MIB - 1, MIB), (MIB, 2 * MIB + 1), (0, size - 1), (size - 5, size - 1)):
        part = await read(storage, path, range=f"bytes={first}-{last}")
        assert (part.status, part.raw) == (206, LARGE[first : last + 1]), (first, last)
        assert part.headers["content-range"] == f"bytes {first}-{last}/{size}"
    tag = part.headers["etag"]
    assert (await read(storage, path, range="bytes=0-1", if_range='"other"')).raw == LARGE
    assert (await read(storage, path, if_none_match=tag)).status == 304
    several = await read(storage, path, range=f"bytes=-3,0-1,{MIB - 1}-{MIB}")
    spans = [(size - 3, size - 1), (0, 1), (MIB - 1, MIB)]
    assert parts_of(several.raw, several.headers) == [
        (f"bytes {first}-{last}/{size}", LARGE[first : last + 1]) for first, last in spans
    ]
    refused = await read(storage, path, range=f"bytes={size}-")
    assert (refused.code, refused.headers["content-range"]) == ((416, "RANGE_NOT_SATISFIABLE"), f"bytes */{size}")
    head = await storage.send("HEAD", f"/ipfs/{path}", None)
    assert (head.raw, head.headers["content-length"], head.headers["etag"]) == (b"", str(size), tag)


LEAVES_OF_RANGES = {
    "0:*": [0, 1, 2],
    "0:0": [0],
    f"{MIB - 1}:{MIB}": [0, 1],
    "-5:*": [2],
    f"{2 * MIB}:999999999": [2],
    f"1:-{MIB + 5}": [0, 1],
    "999999999:*": [],
    "7:6": [],
}


async def test_a_range_as_a_car_file_has_only_the_blocks_that_prove_it(storage: Api, asking: Publisher):
    """The file's node, the chunks that have the bytes, and the directories that lead to it."""
    package = await a_package(storage, asking)
    importer = FileImporter()
    importer.update(LARGE)
    root = str(importer.finish().cid)
    chunks = [str(leaf.cid) for leaf in importer.leaves]
    path = f"{package.root}/{package.inputs.artworks[0].path}"
    tags = {(await read(storage, f"{root}?format=car")).headers["etag"]}
    for bytes_, leaves in LEAVES_OF_RANGES.items():
        answer = await read(storage, f"{root}?format=car&entity-bytes={bytes_}")
        assert list(blocks_of(answer.raw)) == [root, *(chunks[leaf] for leaf in leaves)], bytes_
        by_path = await read(storage, f"{path}?format=car&entity-bytes={bytes_}")
        names = by_path.headers["x-ipfs-roots"].split(",")
        assert list(blocks_of(by_path.raw)) == [*names, *(chunks[leaf] for leaf in leaves)], bytes_
        tags |= {answer.headers["etag"], by_path.headers["etag"]}
    assert len(tags) == 1 + 2 * len(LEAVES_OF_RANGES), "each has an ETag of its own"


async def test_scopes_and_repetitions_of_a_car_file(storage: Api, asking: Publisher):
    package = await a_package(storage, asking)
    folder = f"{package.root}/artworks"
    scopes = {
        scope: list(blocks_of((await read(storage, f"{folder}?format=car&dag-scope={scope}")).raw))
        for scope in ("block", "entity", "all")
    }
    assert len(scopes["block"]) == 2, "the root, and the folder"
    assert scopes["entity"] == scopes["block"], "a folder of one block lists its entries"
    assert scopes["all"][:2] == scopes["block"]
    assert file_cid(FILES[2]) in scopes["all"]
    assert (await read(storage, f"{folder}?format=car&entity-bytes=0:0")).raw == (
        await read(storage, f"{folder}?format=car&dag-scope=entity")
    ).raw, "a range of a folder is the folder"
    twice = await read(storage, f"{folder}?format=car&car-dups=y")
    assert twice.headers["content-type"] == f"{CAR}; version=1; order=dfs; dups=y"
    frames = [str(frame.cid) for frame in CarFrames().update(twice.raw)]
    assert frames.count(file_cid(FILES[2])) == 2
    assert list(dict.fromkeys(frames)) == scopes["all"]


async def test_a_directory_is_a_page_that_lists_it(storage: Api, asking: Publisher):
    package = await a_package(storage, asking)
    page = await read(storage, f"{package.root}/artworks")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for artwork in package.inputs.artworks:
        assert f'href="/ipfs/{package.root}/{artwork.path}"' in page.text
        assert artwork.cid in page.text
    assert "immutable" not in page.headers["cache-control"]


async def test_a_large_directory(storage: Api, asking: Publisher):
    """Of several blocks (a HAMT): its entries are found, listed, and proved by the blocks that lead to them."""
    await publish(asking)
    inputs = await uploaded(storage, [b"one"])
    texts = {f"metadata/base/{n}.json": canonical({"name": f"Token {n}"}).decode() for n in range(6_000)}
    documents = [PackagedDocument(path, text) for path, text in texts.items()]
    package = await build(storage, asking, msgspec.structs.replace(inputs, documents=documents), parts=2)
    root = f"{package.root}/metadata/base"
    listing = blocks_of((await read(storage, f"{root}?format=car&dag-scope=entity")).raw)
    assert len(listing) > 50
    for number in (0, 77, 5_999):
        path = f"{root}/{number}.json"
        assert (await read(storage, path)).body == {"name": f"Token {number}"}
        proof = list(blocks_of((await read(storage, f"{path}?format=car")).raw))
        assert 4 < len(proof) < 10
        assert set(proof[:-1]) < set(listing)
    page = await read(storage, root)
    assert page.text.count("<tr>") == 6_000
    for missing in ("6000.json", "0", "00", "0.json/x"):
        assert (await read(storage, f"{root}/{missing}")).code == (404, "NOT_FOUND"), missing
