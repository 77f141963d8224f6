"""A published package has the smaller copies of its tokens' images, as storage has told of them."""

from typing import Any
from uuid import uuid4

import msgspec

from services.collections.handlers.package import _is_scaling
from shared.content.files import cid_of
from shared.contracts.storage import ImageScaled, Rendition
from tests.integration.packages.test_asking import a_finished_job, asked, listed
from tests.support.apps.collections import Api
from tests.support.publishing import Publisher


def copies(asset_id: int) -> ImageScaled:
    renditions = [
        Rendition(
            kind=kind,
            asset_id=1000 + asset_id,
            path=f"renditions/{asset_id}/{kind}.webp",
            mime_type="image/webp",
            width=side,
            height=side // 2,
            size=9,
            sha256="ab" * 32,
            cid=str(cid_of(f"{kind} {asset_id}".encode())),
        )
        for kind, side in (("display", 1000), ("thumbnail", 350))
    ]
    return ImageScaled(asset_id, 1600, 800, renditions)


async def publish(api: Api, collection: dict[str, Any]) -> None:
    path = f"/collections/{collection['id']}"
    fields = {"blockchain": "TEZOS", "editions": 2, "price": "0"}
    await api.put(f"/projects/{collection['project_id']}{path}", fields)
    assert (await api.post(f"{path}/publish")).status == 200


async def test_a_published_package_has_display_and_thumbnail_of_each_token(
    collections: Api, generating: Publisher, storing: Publisher
):
    """And its documents name them, with their sizes; names differ by token. A draft's package has none."""
    collection, job = await a_finished_job(collections, generating, storing, copies)
    draft, _ = await listed(collections, (await asked(collections, collection, job)).data["id"])
    assert [part.renditions for part in draft] == [[]]
    await publish(collections, collection)
    answer = await asked(collections, collection, job)
    (part,), _ = await listed(collections, answer.data["id"])
    assert [(rendition.path, rendition.source) for rendition in part.renditions] == [
        ("renditions/1.display.webp", "renditions/101/display.webp"),
        ("renditions/1.thumbnail.webp", "renditions/101/thumbnail.webp"),
        ("renditions/2.display.webp", "renditions/102/display.webp"),
        ("renditions/2.thumbnail.webp", "renditions/102/thumbnail.webp"),
    ]
    texts = {document.path: document.text for document in part.documents}
    document = msgspec.json.decode(texts["metadata/tezos/2.json"])
    display, thumbnail = (f"ipfs://{rendition.cid}" for rendition in part.renditions[2:])
    assert (document["displayUri"], document["thumbnailUri"]) == (display, thumbnail)
    assert [(item["fileName"], item["dimensions"]["value"]) for item in document["formats"]] == [
        ("2.png", "1600x800"),
        ("2.display.webp", "1000x500"),
        ("2.thumbnail.webp", "350x175"),
    ]
    answer = (await collections.get(f"/collections/{collection['id']}/tokens/2/metadata", None)).data
    assert answer == document, "what anybody reads is what the package has"


async def test_a_package_waits_for_the_copies_of_its_images(
    collections: Api, generating: Publisher, storing: Publisher
):
    """Until storage has told of each: it is refused as something to repeat, not made without them."""
    collection, job = await a_finished_job(collections, generating, storing, lambda _: None)
    await asked(collections, collection, job)
    await publish(collections, collection)
    path = f"/collections/{collection['id']}/packages"
    answer = await collections.post(path, {"job_id": str(job)})
    assert answer.refusal == (503, "UNAVAILABLE", [])
    assert "thumbnail of 2 of 2 tokens are still being made" in answer.body["detail"]
    assert "again in 1 s" in answer.body["detail"]
    assert answer.headers["Retry-After"] == "1"
    await storing.publish(uuid4(), copies(101), copies(102))
    assert (await asked(collections, collection, job)).status == 202


def test_with_many_images_it_says_how_long_it_takes_about():
    """20 a second, and a minute at most: then the client learns how many are left."""
    problems = [_is_scaling(missing, 10_000) for missing in (1, 21, 400, 10_000)]
    assert [problem.retry_after for problem in problems] == [1, 2, 20, 60]
    assert "400 of 10000 tokens" in problems[2].detail
    assert "again in 20 s" in problems[2].detail
