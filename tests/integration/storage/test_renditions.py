"""The smaller copies of published tokens' images are made by storage, told once, and public as thumbnails."""

import asyncio
import io
from uuid import UUID

import pytest
from PIL import Image

from services.storage.deciders import ASSET
from services.storage.domain.asset import asset_stream
from services.storage.scaling import image_scaler, scaler
from shared.contracts.collections import ChosenSeries, CollectionPublished, DocumentRules
from shared.contracts.storage import ImageScaled
from tests.integration.storage.test_public_tokens import FILM, PROJECT, generation_of, read
from tests.support.apps.client import ALICE
from tests.support.apps.storage import COLLECTION, JOB, Api, sha256
from tests.support.patience import eventually
from tests.support.publishing import Publisher

WITH_COPIES = DocumentRules(3, {})


def png(width: int, height: int, colour: str = "teal") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


async def publish(
    collections: Publisher,
    *gids: UUID,
    documents: DocumentRules | None = WITH_COPIES,
    collection: UUID = COLLECTION,
    job: UUID = JOB,
) -> None:
    series = ChosenSeries(job, list(gids))
    event = CollectionPublished(collection, PROJECT, ALICE, "2026-11-27T12:00:00.000Z", series, 1, documents)
    await collections.publish(collection, event)


async def scaled_of(api: Api, asset_id: int) -> ImageScaled:
    """What storage has recorded of an image, once it has."""
    path = (await api.get(f"/assets/{asset_id}")).data["path"]

    async def recorded() -> ImageScaled | None:
        state = (await api.runtime.store.load(ASSET, asset_stream(path))).state
        assert state is not None
        return state.scaled

    return await eventually(recorded, what="the copies are recorded")


async def image_of(api: Api) -> int:
    """The asset id of the image that was stored last."""
    return (await api.get("/assets?limit=1")).data[0]["id"]


async def waiting_numbers(api: Api) -> list[int]:
    """The numbers of the tokens that are to be scaled."""
    rows = await api.runtime.store.pool.rows("select number from unscaled_tokens order by number", ())
    return [number for (number,) in rows]


async def test_a_published_image_gets_a_display_and_a_thumbnail(
    api: Api, generation: Publisher, collections: Publisher
):
    """The public thumbnail is the file that is told, which metadata and packages name."""
    picture = png(1600, 800)
    gid = await generation_of(api, generation, (picture, "image/png"))
    asset_id = await image_of(api)
    await publish(collections, gid)
    scaled = await scaled_of(api, asset_id)
    assert (scaled.asset_id, scaled.width, scaled.height) == (asset_id, 1600, 800)
    sizes = {rendition.kind: (rendition.width, rendition.height) for rendition in scaled.renditions}
    assert sizes == {"display": (1000, 500), "thumbnail": (350, 175)}
    thumbnail = next(rendition for rendition in scaled.renditions if rendition.kind == "thumbnail")

    async def is_public() -> bool:
        return (await read(api, "1/thumbnail")).headers["etag"] == f'"{thumbnail.sha256}"'

    await eventually(is_public, what="the thumbnail is public")
    answer = await read(api, "1/thumbnail")
    assert (answer.headers["content-type"], sha256(answer.raw)) == ("image/webp", thumbnail.sha256)
    assert "immutable" in answer.headers["cache-control"]
    assert (await read(api, "1/image")).raw == picture
    listed = (await api.get("/assets")).data
    assert [asset["id"] for asset in listed] == [asset_id], "copies are not listed among the user's files"


async def test_what_is_no_image_that_can_be_decoded_has_no_copies(
    api: Api, generation: Publisher, collections: Publisher
):
    """The image itself stays its thumbnail; and an image after it gets its copies all the same."""
    damaged = png(40, 40)[:60]
    first = await generation_of(api, generation, (damaged, "image/png"))
    damaged_id = await image_of(api)
    second = await generation_of(api, generation, (png(40, 40), "image/png"), (FILM, "video/mp4"))
    await publish(collections, first, second)
    assert (await scaled_of(api, damaged_id)) == ImageScaled(damaged_id)
    assert (await read(api, "1/thumbnail")).raw == damaged

    async def is_scaled() -> bool:
        return (await read(api, "2/thumbnail")).headers["content-type"] == "image/webp"

    await eventually(is_scaled, what="the image of the film is scaled")

    async def is_nothing_left() -> bool:
        return await waiting_numbers(api) == []

    await eventually(is_nothing_left, what="both are done")


async def test_an_image_in_place_of_its_thumbnail_is_not_cached_for_ever(
    api: Api, generation: Publisher, collections: Publisher, monkeypatch: pytest.MonkeyPatch
):
    """The thumbnail takes its place within seconds."""
    monkeypatch.setattr(scaler.Scaler, "scale_all", lambda _: asyncio.sleep(0))
    picture = png(800, 400)
    gid = await generation_of(api, generation, (picture, "image/png"))
    await publish(collections, gid)
    answer = await read(api, "1/thumbnail")
    assert (answer.raw, answer.headers["cache-control"]) == (picture, "public, max-age=60")
    assert "immutable" in (await read(api, "1/image")).headers["cache-control"]


async def test_what_an_early_release_published_keeps_its_thumbnail(
    api: Api, generation: Publisher, collections: Publisher
):
    picture = png(800, 400)
    gid = await generation_of(api, generation, (picture, "image/png"))
    await publish(collections, gid, documents=None)
    assert (await read(api, "1/thumbnail")).raw == picture
    assert await waiting_numbers(api) == []


async def test_a_fault_at_one_image_stops_no_other(
    api: Api, generation: Publisher, collections: Publisher, monkeypatch: pytest.MonkeyPatch
):
    """Nor the service, which ends if a loop of it does; and the image is tried again."""
    poison, picture = png(60, 40, "red"), png(50, 40)
    decode, is_mended = image_scaler._decoded, asyncio.Event()

    def fail(content: bytes):
        if content == poison and not is_mended.is_set():
            raise AssertionError("a fault of ours")
        return decode(content)

    monkeypatch.setattr(image_scaler, "_decoded", fail)
    first = await generation_of(api, generation, (poison, "image/png"))
    poison_id = await image_of(api)
    second = await generation_of(api, generation, (picture, "image/png"))
    second_id = await image_of(api)
    await publish(collections, first, second)
    assert (await scaled_of(api, second_id)).width == 50
    is_mended.set()
    assert (await scaled_of(api, poison_id)).width == 60
