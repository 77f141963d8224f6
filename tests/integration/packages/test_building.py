"""Storage makes packages of what it is asked for: on real servers, with the collections service played."""

import asyncio
import io
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import msgspec

from services.storage.deciders import PACKAGE
from services.storage.domain.package import package_stream
from shared.content.package import Contents, plan
from shared.content.verification import verify
from shared.contracts.collections import PackagedArtwork, PackagePartListed, PackageRequested
from shared.contracts.storage import PackageFailed, PackageStored
from tests.support.apps.client import ALICE, BOB
from tests.support.apps.storage import Api
from tests.support.patience import eventually
from tests.support.publishing import Publisher
from tests.unit.content.contents import MIB, content, pieces
from tests.unit.content.package_file import car_file, contents


async def uploaded(api: Api, files: list[bytes]) -> Contents:
    """What a package of these files, stored as artworks, is made of."""
    inputs = contents(files)
    artworks = []
    for artwork, file in zip(inputs.artworks, files, strict=True):
        asset = (await api.upload(file, f"{artwork.token}.png")).data
        assert (asset["size"], asset["sha256"], asset["cid"]) == (artwork.size, artwork.sha256, artwork.cid)
        artworks.append(msgspec.structs.replace(artwork, asset_id=asset["id"], source=asset["path"]))
    return msgspec.structs.replace(inputs, artworks=artworks)


def request(inputs: Contents, *, parts: int = 1, attempt: int = 1, user: UUID = ALICE) -> PackageRequested:
    return PackageRequested(uuid4(), inputs.collection_id, inputs.job_id, user, inputs.title, attempt, parts, "")


async def ask(
    asking: Publisher, package_request: PackageRequested, inputs: Contents, command_id: UUID | None = None
) -> None:
    """As the collections service does: all parts, then the request."""
    share = max(1, -(-len(inputs.documents) // package_request.parts))
    parts = [
        PackagePartListed(
            package_request.package_id,
            package_request.attempt,
            number,
            list(inputs.artworks) if number == 0 else [],
            list(inputs.documents[number * share : (number + 1) * share]),
        )
        for number in range(package_request.parts)
    ]
    await asking.publish(package_request.package_id, *parts, package_request, command_id=command_id)


async def outcome(api: Api, package_request: PackageRequested) -> PackageStored | PackageFailed:
    stream = package_stream(package_request.package_id, package_request.attempt)

    async def look() -> PackageStored | PackageFailed | None:
        return (await api.runtime.store.load(PACKAGE, stream)).state.outcome

    return await eventually(look, "the attempt to end")


async def built(api: Api, asking: Publisher, inputs: Contents, **more: Any) -> PackageStored:
    package_request = request(inputs, **more)
    await ask(asking, package_request, inputs)
    event = await outcome(api, package_request)
    assert isinstance(event, PackageStored), event
    return event


async def refused(api: Api, asking: Publisher, inputs: Contents, **more: Any) -> str:
    """The sentence for the owner; and nothing was left in the store."""
    before = [path for path in api.objects() if path.startswith("packages/")]
    package_request = request(inputs, **more)
    await ask(asking, package_request, inputs)
    event = await outcome(api, package_request)
    assert isinstance(event, PackageFailed), event
    assert [path for path in api.objects() if path.startswith("packages/")] == before
    return event.reason


async def test_a_package_is_the_file_that_the_format_says(storage: Api, asking: Publisher):
    """Byte by byte; with artworks of several chunks, an empty one, the same one twice, and one that is a chunk."""
    files = [content(2 * MIB + 5, 1), b"", content(777, 2), content(777, 2), content(MIB, 1), content(3 * MIB, 9)]
    inputs = await uploaded(storage, files)
    stored = await built(storage, asking, inputs, parts=3)
    downloaded = (await storage.get(f"/assets/{stored.asset_id}/content")).body
    assert downloaded == car_file(files, plan(inputs))
    verified = verify(io.BytesIO(downloaded), len(downloaded))
    assert (verified.root, verified.provenance, verified.size) == (stored.root, stored.provenance, stored.size)
    asset = (await storage.get(f"/assets/{stored.asset_id}")).data
    assert asset["mime_type"] == "application/vnd.ipld.car"
    assert asset["path"].startswith(f"packages/{ALICE}/")


async def test_the_same_input_gives_the_same_bytes(storage: Api, asking: Publisher):
    inputs = await uploaded(storage, [content(1000, 1), content(2 * MIB, 2)])
    first, again = await built(storage, asking, inputs), await built(storage, asking, inputs, parts=2)
    assert (first.root, first.sha256) == (again.root, again.sha256)
    assert first.asset_id != again.asset_id


async def test_a_package_that_is_asked_for_twice_is_built_once(storage: Api, asking: Publisher):
    """A message that comes again, as after a crash before it was acknowledged, changes nothing."""
    inputs = await uploaded(storage, [content(1000, 1)])
    package_request = request(inputs)
    await ask(asking, package_request, inputs)
    first = await outcome(storage, package_request)
    await ask(asking, package_request, inputs)
    marker = request(inputs)
    await ask(asking, marker, inputs)
    await outcome(storage, marker)
    history = await storage.runtime.store.read_stream(package_stream(package_request.package_id, 1))
    assert [recorded.type for recorded in history] == ["package_part_taken.v1", "package_stored.v1"]
    assert history[-1].event == first


async def test_what_can_not_be_packaged_is_told_in_a_sentence(storage: Api, asking: Publisher):
    inputs = await uploaded(storage, [content(1000, 1), content(2 * MIB, 2)])
    first, second = inputs.artworks

    def with_second(**changes: Any) -> Contents:
        changed: PackagedArtwork = msgspec.structs.replace(second, **changes)
        return msgspec.structs.replace(inputs, artworks=[first, changed])

    assert "of token 2, is not in storage" in await refused(storage, asking, with_second(source="generations/none"))
    assert "is not in storage" in await refused(storage, asking, inputs, user=BOB), "somebody else's artworks"
    assert "differs from the file in storage" in await refused(storage, asking, with_second(sha256="0" * 64))
    assert "differs from the file in storage" in await refused(storage, asking, with_second(cid=first.cid))
    assert "CID is not valid" in await refused(storage, asking, with_second(cid="Qm"))


async def test_after_a_transfer_the_new_owner_packages_what_was_made_before_it(storage: Api, asking: Publisher):
    """The files of a collection's jobs stay those of the user for whom they were made."""
    inputs = await uploaded(storage, [content(1000, 1)])
    grant = storage.grant(ALICE, inputs.job_id, collection_id=str(inputs.collection_id))
    asset = (await storage.upload(content(1000, 1), "1.png", grant)).data
    artwork = msgspec.structs.replace(inputs.artworks[0], asset_id=asset["id"], source=asset["path"])
    transferred = msgspec.structs.replace(inputs, artworks=[artwork])
    stored = await built(storage, asking, transferred, user=BOB)
    assert (await storage.get(f"/assets/{stored.asset_id}", BOB)).data["path"].startswith(f"packages/{BOB}/")
    elsewhere = msgspec.structs.replace(transferred, collection_id=uuid4())
    assert "is not in storage" in await refused(storage, asking, elsewhere, user=BOB)


async def test_bytes_that_have_changed_in_the_store_are_not_packaged(storage: Api, asking: Publisher):
    inputs = await uploaded(storage, [content(1000, 1), content(2 * MIB, 2)])
    client, bucket = storage.bucket.client(), storage.bucket.name
    for artwork in inputs.artworks:
        other = bytes(artwork.size)
        await asyncio.to_thread(client.put_object, bucket, artwork.source, io.BytesIO(other), len(other))
        assert "do not match the digest recorded" in await refused(storage, asking, inputs)
    for artwork in inputs.artworks:
        await asyncio.to_thread(client.remove_object, bucket, artwork.source)
    assert "are not in the file store" in await refused(storage, asking, inputs)


async def test_no_artwork_is_held_whole(storage: Api, asking: Publisher):
    """An artwork of 96 MiB passes through with the memory of an upload's parts."""

    async def body() -> AsyncIterator[bytes]:
        for piece in pieces(96 * MIB, 5):
            yield piece

    asset = (await storage.upload(body(), "large.png")).data
    inputs = contents([b"x"])
    (artwork,) = inputs.artworks
    large = msgspec.structs.replace(
        artwork,
        asset_id=asset["id"],
        source=asset["path"],
        **{name: asset[name] for name in ("size", "sha256", "cid")},
    )
    tracemalloc.start()
    try:
        stored = await built(storage, asking, msgspec.structs.replace(inputs, artworks=[large]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert stored.size > 96 * MIB
    assert peak < 64 * MIB
