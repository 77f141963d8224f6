"""Metadata of collections and tokens over HTTP, and the faults that prevent publishing."""

from collections.abc import AsyncIterator, Callable
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from services.collections.app import SERVICE
from shared.contracts.generation import (
    PREVIEW_JOB_TYPE,
    GenerationCompleted,
    GenerationStarted,
    JobCompleted,
    JobPartiallyCompleted,
    JobRequested,
    Output,
    RequestedGeneration,
    StepOutputs,
)
from shared.contracts.storage import EVENTS, AssetStored
from shared.projections import rebuild
from tests.support.apps.client import ALICE, BOB, Answer
from tests.support.apps.collections import SELLABLE, Api, two_steps
from tests.support.patience import eventually
from tests.support.publishing import Publisher, publisher

EVM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
TEZOS = "tz1VSUr8wwNhLAzempoch5d6hLRiTh8Cjcjb"
CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"


@pytest_asyncio.fixture
async def storage(databases: Callable[..., str], nats_url: str) -> AsyncIterator[Publisher]:
    async with publisher("storage", EVENTS, databases(), nats_url) as started:
        yield started


async def run_job(
    engine: Publisher,
    collection,
    moods: list[str | None],
    first_asset: int,
    job_id: UUID | None = None,
    *,
    ended: bool = True,
    job_type: str = "collection_generation",
) -> UUID:
    """A job whose n-th artwork shows the n-th mood and is file `first_asset` + n; None stands for one that failed.

    The last artwork is made first: what counts is the job's order, not who is quicker.
    """
    job_id, collection_id, data = job_id or uuid4(), UUID(collection["id"]), collection["data"]
    gids = [uuid4() for _ in moods]
    await engine.publish(
        job_id,
        JobRequested(
            job_id=job_id,
            name="Collection Generation",
            job_type=job_type,
            user_id=ALICE,
            collection_id=collection_id,
            project_id=UUID(collection["project_id"]),
            data=data,
            workflow_versions={},
            variables={},
            generations=[RequestedGeneration(gid, f"{place:064x}", 1) for place, gid in enumerate(gids)],
            quoted=len(gids),
        ),
    )
    for place, (gid, mood) in reversed(list(enumerate(zip(gids, moods, strict=True)))):
        members = {"gid": gid, "job_id": job_id, "user_id": ALICE, "cost": 1}
        variables = {"style": mood or "noir"}
        started = GenerationStarted(
            **members, collection_id=collection_id, hash=f"{place:064x}", variables=variables, steps=[]
        )
        if mood is None:
            await engine.publish(gid, started)
            continue
        asset = first_asset + place
        output = Output(
            kind="asset",
            asset_id=asset,
            url=f"https://cdn.example/{asset}.png",
            path=f"generations/{asset}.png",
            mime_type="image/png",
            sha256=f"{asset:064x}",
            size=10,
        )
        outputs = [StepOutputs(data["steps"][1]["id"], [Output(kind="text", text="x"), output])]
        await engine.publish(gid, started, GenerationCompleted(**members, outputs=outputs, gen_in_data=data))
    if not ended:
        return job_id
    failed = moods.count(None)
    end = JobPartiallyCompleted(job_id, ALICE, 1, failed) if failed else JobCompleted(job_id, ALICE, 1)
    await engine.publish(job_id, end)
    return job_id


async def until(api: Api, path: str, is_met: Callable[[Answer], bool], user: UUID | None = ALICE) -> Answer:
    async def look() -> Answer | None:
        answer = await api.get(path, user)
        return answer if is_met(answer) else None

    return await eventually(look, f"{path} to be answered as wanted")


async def test_a_visitors_preview_never_becomes_a_token(api: Api, engine: Publisher):
    """Neither by itself, although it ends last, nor by choice: the owner's job is the only one that can be sold."""
    collection = await api.create({"title": "Birds", "data": two_steps(), **SELLABLE, "editions": 2})
    path = f"/collections/{collection['id']}"
    preview_id = await run_job(engine, collection, ["pop", "pop"], 80, job_type=PREVIEW_JOB_TYPE)
    owners_id = await run_job(engine, collection, ["noir", "noir"], 90)
    await run_job(engine, collection, ["pop"], 100, job_type=PREVIEW_JOB_TYPE, ended=False)
    await until(api, f"{path}/tokens/2/metadata", lambda answer: answer.status == 200)
    chosen = {"job_id": str(preview_id)}
    refused = await api.put(f"{path}/series", chosen)
    assert (refused.code, set(refused.pointers)) == ((400, "VALIDATION_FAILED"), {"/job_id"})
    assert (await api.post(f"{path}/packages", chosen)).code == (404, "NOT_FOUND")
    assert (await api.post(f"{path}/publish", {})).data["series"]["job_id"] == str(owners_id)
    assert [event.type for event in await api.store.read_stream(preview_id)] == ["series_begun.v1"]
    assert not [event for event in await api.store.read_all(0) if b"80.png" in event.data], "no artwork of a preview"


async def test_tokens_are_the_artworks_of_the_finished_job_in_its_order(api: Api, engine: Publisher):
    """Failed generations get no number; traits have display names."""
    collection = await api.create({"title": "Birds", "data": two_steps(), **SELLABLE})
    path = f"/collections/{collection['id']}/tokens"
    assert (await api.get(f"{path}/1/metadata")).code == (404, "NOT_FOUND")
    await run_job(engine, collection, ["noir", None, "pop"], 70)
    first = await until(api, f"{path}/1/metadata", lambda answer: answer.status == 200)
    assert first.data["name"] == "Birds #1"
    assert first.data["image"] == "https://cdn.example/70.png"
    assert first.data["attributes"] == [{"trait_type": "style", "value": "Noir"}]
    second = (await api.get(f"{path}/2/metadata?chain=TEZOS")).data
    assert second["artifactUri"] == "https://cdn.example/72.png"
    assert second["attributes"] == [{"name": "style", "value": "pop"}]
    assert (await api.get(f"{path}/3/metadata")).code == (404, "NOT_FOUND")
    as_erc_1155 = await api.get(f"{path}/{2:064x}/metadata?raw=true")
    assert as_erc_1155.body["image"] == second["artifactUri"]
    for wrong in ("0x2", "-1", "one", "1.0"):
        assert (await api.get(f"{path}/{wrong}/metadata")).pointers == ["path:number"]
    assert (await api.get(f"{path}/0/metadata")).code == (404, "NOT_FOUND")
    for projection in SERVICE.projections:
        rebuilt = await rebuild(api.store, projection, swap=False)
        assert (rebuilt.missing, rebuilt.extra) == (0, 0), projection.name


async def test_later_jobs_do_not_change_the_numbers_of_sold_tokens(api: Api, engine: Publisher):
    """A draft's tokens are those of the last job until another one is chosen."""
    collection = await api.create({"data": two_steps(), **SELLABLE})
    path = f"/collections/{collection['id']}/tokens/1/metadata"
    for first_asset in (100, 200):
        job = await run_job(engine, collection, ["noir"], first_asset)
        link = f"https://cdn.example/{first_asset}.png"
        await until(api, path, lambda answer, link=link: answer.status == 200 and answer.data["image"] == link)
    assert (await api.post(f"/collections/{collection['id']}/publish", {"job_id": str(job)})).status == 200
    await run_job(engine, collection, ["pop"], 300)
    other = await api.create({"data": two_steps(), **SELLABLE})
    await run_job(engine, other, ["pop"], 400)
    await until(api, f"/collections/{other['id']}/tokens/1/metadata", lambda answer: answer.status == 200)
    await until_finished(api, collection["id"], 3)
    assert (await api.get(path, None)).data["image"] == "https://cdn.example/200.png"


async def until_finished(api: Api, collection_id: str, jobs: int) -> None:
    query = b"select count(*) from series_v3 where collection_id = %s and finished_at is not null"

    async def are_finished() -> bool:
        async with api.store.reader() as cursor:
            await cursor.execute(query, (collection_id,))
            return await cursor.fetchone() == (jobs,)

    await eventually(are_finished, f"{jobs} series to be finished")


async def test_a_file_with_a_cid_has_an_ipfs_uri_over_http(api: Api, engine: Publisher, storage: Publisher):
    collection = await api.create({"data": two_steps(), **SELLABLE})
    stored = AssetStored(
        asset_id=70,
        user_id=ALICE,
        name="70.png",
        path="generations/70.png",
        mime_type="image/png",
        size=10,
        sha256=f"{70:064x}",
        collection_id=UUID(collection["id"]),
        component_id=collection["data"]["steps"][1]["id"],
        cid=CID,
    )
    await storage.publish(UUID(int=70), stored)
    await run_job(engine, collection, ["noir"], 70)
    path = f"/collections/{collection['id']}/tokens/1/metadata"
    metadata = await until(api, path, lambda answer: answer.status == 200 and answer.data["image"].startswith("ipfs"))
    assert metadata.data["image"] == f"ipfs://{CID}"


async def test_published_metadata_needs_no_token_and_a_drafts_is_its_owners(api: Api):
    """The metadata of drafts and archived collections is visible to their owners only."""
    collection = await api.create({"title": "Birds", "data": two_steps(), **SELLABLE})
    receivers = [{"address": EVM, "value": "2.5", "purpose": "royalty"}]
    await api.post(
        f"/projects/{collection['project_id']}/collections/{collection['id']}/receivers", {"receivers": receivers}
    )
    path = f"/collections/{collection['id']}/metadata"
    assert (await api.get(path)).data["name"] == "Birds"
    assert (await api.get(path, BOB)).code == (await api.get(path, None)).code == (404, "NOT_FOUND")
    wrong = await api.get(path, None, headers={"Authorization": "Bearer nonsense"})
    assert wrong.code == (401, "UNAUTHENTICATED")
    await api.publish(collection)
    view = await api.get(path, None)
    assert view.data["royalties"] == [{"receiver": EVM, "basis_points": 250}]
    assert view.data == (await api.get(f"{path}?raw=true", None)).body == (await api.get(path, BOB)).data
    assert "interfaces" in (await api.get(f"{path}?chain=TEZOS", None)).data
    assert (await api.get(f"{path}?chain=SOLANA", None)).status == 400
    await api.post(f"/collections/{collection['id']}/archive")
    assert (await api.get(path, None)).code == (404, "NOT_FOUND")


async def test_metadata_without_a_chain_is_refused(api: Api):
    collection = await api.create({"title": "Birds"})
    assert (await api.get(f"/collections/{collection['id']}/metadata")).pointers == ["?chain"]
    assert (await api.get(f"/collections/{collection['id']}/metadata?chain=BASE")).data["name"] == "Birds"


async def test_a_refused_publication_has_all_faults(api: Api):
    """One entry per fault, each with its pointer in the collection; nothing is recorded."""
    collection = await api.create({"title": " "})
    refused = await api.post(f"/collections/{collection['id']}/publish")
    assert refused.code == (400, "VALIDATION_FAILED")
    assert refused.pointers == ["/title", "/editions", "/price", "/blockchain", "/job_id"]
    assert (await api.get(f"/collections/{collection['id']}")).data["version"] == collection["version"]


@pytest.mark.parametrize("date", ["2026-01-01T00:00:00", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])
async def test_a_dry_run_has_the_faults_of_publishing(api: Api, date: str):
    """A time without a UTC offset, or one that does not exist in UTC."""
    collection = await api.create({"title": "Birds", **SELLABLE})
    await api.make_artworks(collection)
    refused = await api.post(f"/collections/{collection['id']}/publish", {"publish_date": date})
    assert (refused.code, refused.pointers) == ((400, "VALIDATION_FAILED"), ["/publish_date"])
    report = (await api.post(f"/collections/{collection['id']}/publish", {"publish_date": date, "dry_run": True})).data
    assert (report["valid"], [fault["pointer"] for fault in report["faults"]]) == (False, ["/publish_date"])


async def test_a_dry_run_has_faults_and_metadata_on_all_chains_and_records_nothing(api: Api):
    body = {"title": "Birds", "data": two_steps(), "editions": 1, "price": "0.0000001", "blockchain": "TEZOS"}
    collection = await api.create(body)
    receivers = [{"address": TEZOS, "value": "7.5", "purpose": "royalty", "role": "creator"}]
    await api.post(
        f"/projects/{collection['project_id']}/collections/{collection['id']}/receivers", {"receivers": receivers}
    )
    await api.make_artworks(collection)
    head, path = await api.store.head(), f"/collections/{collection['id']}/publish"
    view = (await api.post(f"{path}?dry_run=true")).data
    assert view == (await api.post(path, {"dry_run": True})).data
    assert (view["dry_run"], view["valid"], view["blockchain"]) == (True, False, "TEZOS")
    assert [fault["pointer"] for fault in view["faults"]] == ["/price"]
    pointers = {chain: [fault["pointer"] for fault in item["faults"]] for chain, item in view["chains"].items()}
    assert pointers == {"ETHEREUM": ["/receivers/0/address"], "BASE": ["/receivers/0/address"], "TEZOS": ["/price"]}
    assert view["chains"]["TEZOS"]["token"]["royalties"] == {"decimals": 4, "shares": {TEZOS: 750}}
    assert view["chains"]["BASE"]["token"]["image"] == view["series"]["pictures"][0]["image"]
    assert await api.store.head() == head
    assert (await api.post(f"{path}?dry_run=true", user=BOB)).code == (404, "NOT_FOUND")
    await api.put(f"/projects/{collection['project_id']}/collections/{collection['id']}", {"price": "1"})
    assert (await api.post(f"{path}?dry_run=true")).data["valid"] is True
    assert (await api.post(path)).data["status"] == "published"
