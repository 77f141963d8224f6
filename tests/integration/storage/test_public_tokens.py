"""Anybody reads the files of published tokens, and nothing of drafts; the collections service is played."""

from typing import Any
from uuid import UUID, uuid4

import msgspec

from shared.contracts.collections import (
    ChosenSeries,
    CollectionArchived,
    CollectionPublished,
    CollectionRestored,
)
from shared.contracts.generation import GenerationCompleted, Output, StepOutputs
from shared.messaging import ReceivedEvent
from tests.support.apps.client import ALICE, Answer
from tests.support.apps.storage import COLLECTION, JOB, SID, Api, sha256
from tests.support.publishing import Publisher

PICTURE, FILM = b"a picture" * 1000, b"a film" * 5000
PATH = f"/collections/{COLLECTION}/tokens"
PROJECT = UUID(int=20)


async def generation_of(
    api: Api,
    generation: Publisher,
    *files: tuple[bytes, str],
    gid: UUID | None = None,
    user: UUID = ALICE,
    job: UUID = JOB,
) -> UUID:
    """A completed generation of a job with these files, each with its type."""
    gid = gid or uuid4()
    outputs = []
    for number, (content, mime_type) in enumerate(files):
        grant = api.grant(user, job, gid=str(gid), prefix=f"generations/{user}/{job}/{gid}/{SID}/")
        asset = (await api.upload(content, f"{number}.bin", grant, content_type=mime_type)).data
        outputs.append(Output("asset", asset["id"], mime_type=mime_type))
    completed = GenerationCompleted(gid, job, user, 1, [StepOutputs(77, outputs)], {})
    await generation.publish(gid, completed)
    return gid


async def publish(collections: Publisher, *gids: UUID, job: UUID = JOB) -> None:
    series = ChosenSeries(job, list(gids))
    await collections.publish(
        COLLECTION, CollectionPublished(COLLECTION, PROJECT, ALICE, "2026-11-27T12:00:00.000Z", series)
    )


async def read(api: Api, path: str, **headers: str) -> Answer:
    """Anonymously: what is certain is waited for by the service itself."""
    api.is_patient = False
    return await api.get(f"{PATH}/{path}", None, **headers)


async def test_a_published_tokens_image_is_public(api: Api, generation: Publisher, collections: Publisher):
    """At once, in the order of the tokens: no token of a user, and no wait of the client."""
    gids = [await generation_of(api, generation, (PICTURE + bytes([n]), "image/png")) for n in range(3)]
    await publish(collections, gids[2], gids[0])
    first, second = await read(api, "1/image"), await read(api, f"{2:064x}/image")
    assert (first.status, first.raw) == (200, PICTURE + b"\x02")
    assert (second.status, second.raw) == (200, PICTURE + b"\x00")
    assert first.headers["content-type"] == "image/png"
    assert first.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert first.headers["etag"] == f'"{sha256(first.raw)}"'
    assert "sandbox" in first.headers["content-security-policy"]
    assert (await read(api, "1/image", if_none_match=first.headers["etag"])).status == 304
    part = await read(api, "1/image", range="bytes=2-8")
    assert (part.status, part.raw) == (206, b"picture")
    head = await api.send("HEAD", f"{PATH}/1/image", None)
    assert (head.status, head.raw, head.headers["content-length"]) == (200, b"", str(len(first.raw)))
    for missing in ("0/image", "3/image", f"{2**255:064x}/image", "1/animation"):
        assert (await read(api, missing)).code == (404, "NOT_FOUND"), missing
    for wrong in ("-1/image", "one/thumbnail", "0x1/animation"):
        assert (await read(api, wrong)).refusal == (400, "VALIDATION_FAILED", ["path:number"])


async def test_a_film_is_the_animation_and_its_last_picture_the_image(
    api: Api, generation: Publisher, collections: Publisher
):
    film = await generation_of(api, generation, (b"early", "image/png"), (PICTURE, "image/webp"), (FILM, "video/mp4"))
    sound = await generation_of(api, generation, (FILM, "video/mp4"))
    await publish(collections, film, sound)
    kinds: dict[str, Any] = {kind: await read(api, f"1/{kind}") for kind in ("image", "thumbnail", "animation")}
    assert {kind: answer.raw for kind, answer in kinds.items()} == {
        "image": PICTURE,
        "thumbnail": PICTURE,
        "animation": FILM,
    }
    assert kinds["animation"].headers["content-type"] == "video/mp4"
    assert (await read(api, "2/animation")).raw == FILM
    assert (await read(api, "2/image")).code == (404, "NOT_FOUND")


async def test_nothing_of_a_draft_is_public(api: Api, generation: Publisher, collections: Publisher):
    """Nor what was left out of the series, or is archived; restored, it is public again."""
    sold = await generation_of(api, generation, (PICTURE, "image/png"))
    await generation_of(api, generation, (FILM, "image/png"))
    await collections.publish(COLLECTION, CollectionArchived(COLLECTION), CollectionRestored(COLLECTION))
    assert (await read(api, "1/image")).code == (404, "NOT_FOUND")
    await publish(collections, sold)
    assert (await read(api, "1/image")).status == 200
    assert (await read(api, "2/image")).code == (404, "NOT_FOUND")
    await collections.publish(COLLECTION, CollectionArchived(COLLECTION))
    await until_handled(api)
    assert (await read(api, "1/image")).code == (404, "NOT_FOUND")
    await collections.publish(COLLECTION, CollectionRestored(COLLECTION))
    assert (await read(api, "1/image")).raw == PICTURE


async def until_handled(api: Api) -> None:
    """Until the service has handled all that collections has published."""
    assert await api.runtime.history.first_behind(["collections"], 10) is None


async def test_a_file_that_the_generation_did_not_make_is_not_public(
    api: Api, generation: Publisher, collections: Publisher
):
    """Workers report what they have made: one that names another generation's file makes nothing public."""
    secret = await generation_of(api, generation, (b"a draft's", "image/png"))
    [asset] = (await api.get(f"/assets?job_id={JOB}")).data
    gid = uuid4()
    grant = api.grant(gid=str(gid), prefix=f"generations/{ALICE}/{JOB}/{gid}/{SID}/")
    own = (await api.upload(b"own", "own.png", grant)).data
    outputs = [Output("asset", item, mime_type="image/png") for item in (own["id"], asset["id"])]
    await generation.publish(gid, GenerationCompleted(gid, JOB, ALICE, 1, [StepOutputs(77, outputs)], {}))
    await publish(collections, gid)
    assert (await read(api, "1/image")).code == (404, "NOT_FOUND")
    assert secret != gid


async def test_an_event_that_comes_again_changes_nothing(api: Api, generation: Publisher, collections: Publisher):
    """Also after later ones: what is archived stays hidden."""
    gid = await generation_of(api, generation, (PICTURE, "image/png"))
    await publish(collections, gid)
    await collections.publish(COLLECTION, CollectionArchived(COLLECTION))
    await until_handled(api)
    [consumer] = [consumer for consumer in api.consumers if consumer.name == "storage-collections-v1"]
    for recorded in await collections.store.read_stream(COLLECTION):
        if recorded.type != "collection_created.v1":
            await consumer.handle(ReceivedEvent(*msgspec.structs.astuple(recorded)))
    assert (await read(api, "1/image")).code == (404, "NOT_FOUND")


async def test_a_publication_of_an_early_release_has_no_public_files(api: Api, collections: Publisher):
    event = CollectionPublished(COLLECTION, PROJECT, ALICE, "2026-01-01T12:00:00.000Z")
    await collections.publish(COLLECTION, event)
    assert (await read(api, "1/image")).code == (404, "NOT_FOUND")
