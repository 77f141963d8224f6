"""What the IPFS gateway does not serve: drafts, what is archived, damaged bytes; and packages of early releases."""

import asyncio
import io
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any, LiteralString

import aiohttp
import msgspec

from services.storage.deciders import PACKAGE
from services.storage.domain.package import package_stream
from services.storage.processes.list_packages import PackageLister
from services.storage.tables.package_blocks import PackageBlocks
from shared.content.car_frames import CarFrames
from shared.content.cid import RAW as RAW_CODEC
from shared.content.cid import Cid
from shared.content.files import cid_of
from shared.contracts.collections import CollectionArchived, CollectionRestored
from shared.contracts.storage import PackageStored
from tests.integration.packages.published_package import (
    CAR,
    FILES,
    LARGE,
    RAW,
    a_package,
    build,
    file_cid,
    publish,
    read,
)
from tests.integration.packages.test_building import uploaded
from tests.support.apps.storage import Api
from tests.support.publishing import Publisher
from tests.unit.content.contents import MIB, content, pieces
from tests.unit.content.package_file import COLLECTION

COUNT_BLOCKS: LiteralString = "select count(*) from package_blocks"


async def test_nothing_of_a_draft_is_served(storage: Api, asking: Publisher):
    """Not before the publication, nor a draft's package after it; nor while the collection is archived."""
    inputs = await uploaded(storage, [content(1000, 7)])
    draft = await build(storage, asking, inputs, published=False)
    later = await build(storage, asking, msgspec.structs.replace(inputs, title="Sold"))
    for root in (draft.root, later.root, str(inputs.artworks[0].cid)):
        assert (await read(storage, root)).code == (404, "NOT_FOUND")
    await publish(asking)
    assert (await read(storage, f"{later.root}?format=car")).raw == later.car
    assert (await read(storage, inputs.artworks[0].cid)).raw == content(1000, 7)
    for form in ("", "?format=raw", "?format=car", "/manifest.json"):
        assert (await read(storage, draft.root + form)).code == (404, "NOT_FOUND")
    await asking.publish(COLLECTION, CollectionArchived(COLLECTION))
    assert await storage.runtime.history.first_behind(["collections"], 10) is None
    assert (await read(storage, f"{later.root}?format=raw")).code == (404, "NOT_FOUND")
    await asking.publish(COLLECTION, CollectionRestored(COLLECTION))
    assert (await read(storage, f"{later.root}?format=raw")).status == 200


async def test_what_is_not_there_and_what_is_no_cid(storage: Api, asking: Publisher):
    package = await a_package(storage, asking)
    for missing in (
        str(cid_of(b"unknown")),
        f"{package.root}/none",
        f"{package.root}/manifest.json/x",
        "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKmXyc",
    ):
        assert (await read(storage, missing)).code == (404, "NOT_FOUND"), missing
    assert (await read(storage, "nonsense")).refusal == (400, "VALIDATION_FAILED", ["path:cid"])
    assert (await read(storage, f"{package.root}?format=tar")).refusal == (400, "VALIDATION_FAILED", ["?format"])
    assert (await read(storage, f"{package.root}?format=car&entity-bytes=x")).pointers == ["?entity-bytes"]
    assert (await read(storage, f"{package.root}?format=car&dag-scope=some")).pointers == ["?dag-scope"]
    assert (await read(storage, package.root, accept=f"{CAR}; version=2")).code == (406, "NOT_ACCEPTABLE")


async def test_clients_probe_for_a_gateway(storage: Api):
    """https://specs.ipfs.tech/http-gateways/trustless-gateway/#dedicated-probe-paths"""
    raw = await read(storage, "bafkqaaa?format=raw")
    assert (raw.status, raw.raw, raw.headers["content-type"]) == (200, b"", RAW)
    car = await read(storage, "bafkqaaa", accept=CAR)
    assert (car.status, car.raw[1:11]) == (200, b"\xa2\x65roots\x81\xd8\x2a")
    assert (await storage.send("HEAD", "/ipfs/bafkqaaa?format=raw", None)).status == 200


async def test_bytes_that_have_changed_in_the_store_are_never_served(storage: Api, asking: Publisher):
    package = await a_package(storage, asking)
    asset = (await storage.get(f"/assets/{package.stored.asset_id}")).data
    frame = next(frame for frame in CarFrames().update(package.car) if str(frame.cid) == file_cid(FILES[2]))
    damaged = bytearray(package.car)
    damaged[frame.place] ^= 1
    client, bucket = storage.bucket.client(), storage.bucket.name
    await asyncio.to_thread(client.put_object, bucket, asset["path"], io.BytesIO(bytes(damaged)), len(damaged))
    for form in ("", "?format=raw", "?format=car"):
        answer = await read_or_broken(storage, f"{frame.cid}{form}")
        assert answer is None or answer.code == (503, "UNAVAILABLE"), form
    assert (await read(storage, f"{package.root}/{package.inputs.artworks[0].path}")).raw == LARGE
    await asyncio.to_thread(client.remove_object, bucket, asset["path"])
    assert (await read(storage, package.root)).code == (503, "UNAVAILABLE")


async def test_a_file_with_a_damaged_block_is_broken_off_there(storage: Api, asking: Publisher):
    """What comes before is right, and never looks complete; ranges of its other blocks are served."""
    package = await a_package(storage, asking)
    asset = (await storage.get(f"/assets/{package.stored.asset_id}")).data
    second = str(Cid.of(RAW_CODEC, LARGE[MIB : 2 * MIB]))
    frame = next(frame for frame in CarFrames().update(package.car) if str(frame.cid) == second)
    damaged = bytearray(package.car)
    damaged[frame.place + 7] ^= 1
    client, bucket = storage.bucket.client(), storage.bucket.name
    await asyncio.to_thread(client.put_object, bucket, asset["path"], io.BytesIO(bytes(damaged)), len(damaged))
    cid = file_cid(LARGE)
    for form in ("", "?format=car"):
        assert await read_or_broken(storage, cid + form) is None, form
    assert (await read(storage, cid, range=f"bytes=5-{MIB - 1}")).raw == LARGE[5:MIB]
    assert (await read(storage, cid, range=f"bytes={2 * MIB}-")).raw == LARGE[2 * MIB :]
    assert await read_or_broken(storage, f"{cid}?format=car&entity-bytes={MIB}:{MIB}") is None


async def read_or_broken(api: Api, path: str) -> Any:
    """The answer; None if the connection was broken off, so that a part of a response never looks complete."""
    try:
        return await read(api, path)
    except aiohttp.ClientError:
        return None


async def test_a_package_of_an_early_release_is_listed_from_its_file(storage: Api, asking: Publisher):
    """Once: what this release has built is listed already, a draft's package as one without public blocks."""
    await publish(asking)
    inputs = await uploaded(storage, FILES)
    package = await build(storage, asking, inputs)
    draft = await build(storage, asking, msgspec.structs.replace(inputs, title="Draft"), published=False)
    store = storage.runtime.store
    lister = PackageLister(storage.part("queries"), storage.part("objects"), PackageBlocks(store))
    before = await store.pool.rows(COUNT_BLOCKS, ())
    async with store.pool.connection() as connection:
        await connection.execute("delete from package_blocks where asset_id = %s", (package.stored.asset_id,))
        await connection.execute("delete from packages where asset_id = %s", (package.stored.asset_id,))
    assert (await read(storage, package.root)).code == (404, "NOT_FOUND")
    for stored in (package.stored, draft.stored):
        assert (await store.load(PACKAGE, package_stream(stored.package_id, 1))).state.outcome == stored
        [recorded] = [
            recorded
            for recorded in await store.read_stream(package_stream(stored.package_id, 1))
            if isinstance(recorded.event, PackageStored)
        ]
        await lister.list_blocks(recorded)
    assert await store.pool.rows(COUNT_BLOCKS, ()) == before
    assert (await read(storage, f"{package.root}?format=car")).raw == package.car
    assert (await read(storage, draft.root)).code == (404, "NOT_FOUND")


async def test_no_file_is_held_whole(storage: Api, asking: Publisher):
    """Neither a plain file nor a CAR file of 64 MiB: a few blocks of 1 MiB are in memory at a time."""

    async def body() -> AsyncIterator[bytes]:
        for piece in pieces(64 * MIB, 5):
            yield piece

    await publish(asking)
    asset = (await storage.upload(body(), "large.png")).data
    inputs = await uploaded(storage, [b"x"])
    large = msgspec.structs.replace(
        inputs.artworks[0],
        asset_id=asset["id"],
        source=asset["path"],
        **{name: asset[name] for name in ("size", "sha256", "cid")},
    )
    await build(storage, asking, msgspec.structs.replace(inputs, artworks=[large]))
    for form in ("", "?format=car"):
        tracemalloc.start()
        try:
            async with storage.session.get(f"{storage.url}/ipfs/{large.cid}{form}") as response:
                size = sum([len(chunk) async for chunk in response.content.iter_chunked(MIB)])
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert size >= 64 * MIB
        assert peak < 24 * MIB, form
