"""Which artworks are sold over HTTP: chosen by the request or the draft, never guessed, and frozen by publishing."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.collections.queries import series as series_queries
from shared.contracts.collections import CollectionPublished, SeriesBegun
from shared.contracts.generation import (
    JobCompleted,
)
from shared.eventstore import Context, StreamAppend
from tests.integration.collections.test_metadata import run_job, until_finished
from tests.support.apps.client import ALICE, BOB
from tests.support.apps.collections import SELLABLE, Api, two_steps
from tests.support.patience import eventually
from tests.support.publishing import Publisher


async def draft(api: Api, **fields: Any) -> tuple[Any, str]:
    collection = await api.create({"title": "Birds", "description": "Seen", "data": two_steps(), **SELLABLE, **fields})
    return collection, f"/collections/{collection['id']}"


async def pictures(api: Api, path: str, user: UUID | None = ALICE) -> list[str]:
    return [token["image"] for token in (await api.get(f"{path}/tokens", user)).data]


async def until_known(api: Api, job_id: UUID) -> None:
    async def is_known() -> bool:
        async with api.store.reader() as cursor:
            await cursor.execute(b"select count(*) from series_v3 where job_id = %s", (job_id,))
            return await cursor.fetchone() == (1,)

    await eventually(is_known, "the job to be known")


async def test_a_job_whose_end_is_on_the_way_is_waited_for(api: Api, engine: Publisher):
    """And frozen: an earlier and a later trial change nothing."""
    collection, path = await draft(api)
    await run_job(engine, collection, ["noir"], 100)
    job = await run_job(engine, collection, ["noir"], 200, ended=False)
    await until_known(api, job)
    publishing = asyncio.create_task(api.post(f"{path}/publish", {"job_id": str(job)}))
    await engine.publish(job, JobCompleted(job, ALICE, 1))
    published = (await publishing).data
    await run_job(engine, collection, ["noir"], 300)
    await until_finished(api, collection["id"], 3)
    assert published["series"]["job_id"] == str(job)
    assert [picture["image"] for picture in published["series"]["pictures"]] == ["https://cdn.example/200.png"]
    assert await pictures(api, path, None) == ["https://cdn.example/200.png"]
    token = await api.get(f"{path}/tokens/1/metadata", None)
    assert token.data["image"] == "https://cdn.example/200.png"


async def test_without_a_choice_exactly_one_finished_job_is_published(api: Api):
    """With several, the refusal names them; a dry run says the same."""
    collection, path = await draft(api)
    refused = await api.post(f"{path}/publish")
    assert refused.refusal == (400, "VALIDATION_FAILED", ["/job_id"])
    first, _ = await api.make_artworks(collection)
    checked = (await api.post(f"{path}/publish", {"dry_run": True})).data
    assert (checked["valid"], checked["series"]["job_id"], checked["series"]["tokens"]) == (True, str(first), 1)
    second, _ = await api.make_artworks(collection)
    refused = await api.post(f"{path}/publish")
    assert refused.refusal == (400, "VALIDATION_FAILED", ["/job_id"] * 3)
    candidates = [detail["message"] for detail in refused.body["details"][1:]]
    assert [str(second) in candidates[0], str(first) in candidates[1]] == [True, True]
    checked = (await api.post(f"{path}/publish", {"dry_run": True})).data
    assert (checked["valid"], checked["series"]) == (False, None)
    assert checked["faults"] == refused.body["details"]
    published = (await api.post(f"{path}/publish", {"job_id": str(first)})).data
    assert published["series"]["job_id"] == str(first)
    assert (await api.post(f"{path}/publish")).data == published
    assert (await api.post(f"{path}/publish", {"job_id": str(second)})).code == (409, "CONFLICT")


async def test_a_job_that_still_runs_may_be_the_one_that_is_meant(
    api: Api, engine: Publisher, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(series_queries, "WAIT_SECONDS", 0.3)
    collection, path = await draft(api)
    await api.make_artworks(collection)
    await until_known(api, await run_job(engine, collection, [None], 100, ended=False))
    refused = await api.post(f"{path}/publish")
    assert refused.refusal == (400, "VALIDATION_FAILED", ["/job_id"] * 3)


async def test_generations_of_several_jobs_are_no_series(api: Api):
    collection, path = await draft(api, editions=2)
    (first, (one,)), (_, (two,)) = [await api.make_artworks(collection) for _ in range(2)]
    both = [str(one), str(two)]
    refused = await api.post(f"{path}/publish", {"generations": both})
    assert refused.refusal == (400, "VALIDATION_FAILED", ["/generations"])
    assert "several jobs" in refused.body["details"][0]["message"]
    for method, at in ((api.post, f"{path}/publish"), (api.put, f"{path}/series")):
        refused = await method(at, {"job_id": str(first), "generations": both})
        assert refused.refusal == (400, "VALIDATION_FAILED", ["/generations/1"])


async def test_unknown_jobs_and_generations_are_refused(api: Api, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(series_queries, "WAIT_SECONDS", 0.3)
    collection, path = await draft(api)
    other, _ = await draft(api)
    job, (gid,) = await api.make_artworks(collection)
    strange, (strange_gid,) = await api.make_artworks(other)
    for body, pointers in (
        ({"job_id": str(uuid4())}, ["/job_id"] * 2),
        ({"job_id": str(strange)}, ["/job_id"] * 2),
        ({"generations": [str(strange_gid)]}, ["/generations"]),
        ({"job_id": str(job), "generations": []}, ["/generations"]),
        ({"job_id": str(job), "generations": [str(gid), str(gid)]}, ["/generations/1"]),
        ({"job_id": str(job), "generations": [str(strange_gid), str(gid)]}, ["/generations/0"]),
        ({"job_id": 5}, ["/job_id"]),
        ({"generations": ["x"]}, ["/generations/0"]),
    ):
        refused = await api.post(f"{path}/publish", body)
        assert refused.refusal == (400, "VALIDATION_FAILED", pointers), body
    assert (await api.get(path)).data["status"] == "draft"


async def test_a_draft_s_series_is_curated_and_published(api: Api):
    """Left out and ordered; read back, listed, and sold without another choice."""
    collection, path = await draft(api, editions=2)
    job, gids = await api.make_artworks(collection, 3)
    await api.make_artworks(collection)
    assert (await api.get(f"{path}/series")).code == (404, "NOT_FOUND")
    body = {"job_id": str(job), "generations": [str(gids[2]), str(gids[0])]}
    chosen = await api.put(f"{path}/series", body)
    assert (chosen.data, chosen.headers["etag"]) == (body, '"3"')
    assert (await api.put(f"{path}/series", body)).headers["etag"] == '"3"'
    assert (await api.get(f"{path}/series")).data == body
    images = [f"https://cdn.example/{gid}.png" for gid in (gids[2], gids[0])]
    assert await pictures(api, path) == images
    published = (await api.post(f"{path}/publish")).data
    assert [picture["image"] for picture in published["series"]["pictures"]] == images
    assert await pictures(api, path, None) == images
    assert (await api.put(f"{path}/series", {"job_id": str(job)})).code == (409, "CONFLICT")
    assert (await api.get(f"{path}/series", BOB)).code == (404, "NOT_FOUND")
    assert (await api.put(f"{path}/series", body, BOB)).code == (404, "NOT_FOUND")


async def test_editions_are_as_many_as_artworks(api: Api):
    collection, path = await draft(api, editions=3)
    job, gids = await api.make_artworks(collection, 2)
    for generations in (None, [str(gids[0])]):
        refused = await api.post(f"{path}/publish", {"job_id": str(job), "generations": generations})
        assert refused.refusal == (400, "VALIDATION_FAILED", ["/editions"])
    await api.put(f"/projects/{collection['project_id']}/collections/{collection['id']}", {"editions": 2})
    assert (await api.post(f"{path}/publish", {"job_id": str(job)})).status == 200


async def test_the_list_of_tokens_is_paged_and_counted(api: Api):
    collection, path = await draft(api, editions=3)
    assert (await api.get(f"{path}/tokens")).body == {
        "data": [],
        "count": 0,
        "job_id": None,
        "next_cursor": None,
        "error": None,
    }
    job, gids = await api.make_artworks(collection, 3)
    assert (await api.get(f"{path}/tokens", None)).code == (404, "NOT_FOUND")
    await api.post(f"{path}/publish", {"job_id": str(job)})
    first = await api.get(f"{path}/tokens?limit=2", None)
    assert (first.body["count"], first.body["job_id"]) == (3, str(job))
    second = await api.get(f"{path}/tokens?limit=2&cursor={first.body['next_cursor']}", None)
    assert [item["gid"] for item in first.data + second.data] == [str(gid) for gid in gids]
    assert [item["token"] for item in first.data + second.data] == [1, 2, 3]
    assert second.body["next_cursor"] is None


async def test_a_scheduled_publication_keeps_its_series(api: Api):
    """Whatever finishes until it is due, and although another job was chosen before."""
    collection, path = await draft(api)
    first, _ = await api.make_artworks(collection)
    second, _ = await api.make_artworks(collection)
    await api.put(f"{path}/series", {"job_id": str(first)})
    body = {"job_id": str(second), "publish_date": "2999-01-01T00:00:00Z"}
    scheduled = (await api.post(f"{path}/publish", body)).data
    assert (scheduled["status"], scheduled["series"]["job_id"]) == ("draft", str(second))
    assert (await api.get(f"{path}/series")).data["job_id"] == str(second)
    published = (await api.post(f"{path}/publish")).data
    assert (published["status"], published["series"]["job_id"]) == ("published", str(second))
    texts = [entry["text"] for entry in (await api.get(f"{path}/history")).data]
    assert f"published it with 1 artwork of job {second} as of" in texts[-1]


async def test_texts_are_no_tokens(api: Api):
    collection, path = await draft(api)
    job, (gid,) = await api.make_artworks(collection, mime_type="text/plain")
    refused = await api.post(f"{path}/publish", {"job_id": str(job)})
    assert refused.refusal == (400, "VALIDATION_FAILED", ["/generations/0"])
    assert str(gid) in refused.body["details"][0]["message"]


async def test_what_a_visitor_tries_out_is_not_waited_for(api: Api, engine: Publisher):
    """A preview's series begins and never finishes; the owner's only job is published."""
    collection, path = await draft(api)
    job, _ = await api.make_artworks(collection)
    preview = uuid4()
    event = SeriesBegun(preview, UUID(collection["id"]), BOB, [uuid4()])
    await api.store.append([StreamAppend(preview, 0, [event])], Context(uuid4(), "test"))
    await until_known(api, preview)
    assert (await api.post(f"{path}/publish")).data["series"]["job_id"] == str(job)


async def test_a_collection_that_an_early_release_published_keeps_its_tokens(api: Api):
    """Its publication has no series: they are those of the last job that had finished by then, up to its editions."""
    collection, path = await draft(api)
    await api.make_artworks(collection)
    sold, gids = await api.make_artworks(collection, 2)
    published = CollectionPublished(
        UUID(collection["id"]),
        UUID(collection["project_id"]),
        ALICE,
        datetime.now(UTC).isoformat().replace("+00:00", "Z"),
    )
    await api.store.append(
        [StreamAppend(UUID(collection["id"]), collection["version"], [published])], Context(uuid4(), "test")
    )
    await api.make_artworks(collection)
    await until_finished(api, collection["id"], 3)
    listed = await api.get(f"{path}/tokens", None)
    assert (listed.body["count"], listed.body["job_id"]) == (1, str(sold))
    assert [token["gid"] for token in listed.data] == [str(gids[0])]
    assert (await api.get(f"{path}/tokens/2/metadata", None)).code == (404, "NOT_FOUND")
    assert (await api.post(f"{path}/publish")).data["series"]["job_id"] == str(sold)
