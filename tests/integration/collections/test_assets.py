"""Files reported by storage: linked to their components, and used to create collections."""

from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest_asyncio

from services.collections.projections.component_assets import COMPONENT_ASSETS
from services.collections.queries.component_asset import PAGE_BYTES
from shared.contracts.storage import EVENTS, AssetDescribed, AssetStored
from shared.projections import rebuild
from tests.support.apps.client import ALICE, BOB
from tests.support.apps.collections import Api, two_steps
from tests.support.patience import eventually
from tests.support.publishing import Publisher, publisher


@pytest_asyncio.fixture
async def storage(databases: Callable[..., str], nats_url: str) -> AsyncIterator[Publisher]:
    async with publisher("storage", EVENTS, databases(), nats_url) as started:
        yield started


def stored(collection, asset_id: int, user: UUID = ALICE) -> AssetStored:
    return AssetStored(
        asset_id=asset_id,
        user_id=user,
        name=f"{asset_id}.png",
        path=f"generations/{asset_id}.png",
        mime_type="image/png",
        size=4,
        sha256="0" * 64,
        job_id=uuid4(),
        gid=uuid4(),
        collection_id=UUID(collection["id"]),
        component_id=collection["data"]["steps"][1]["id"],
    )


async def listed(api: Api, collection, is_met) -> list:
    """The assets of the collection's second step, once `is_met` is true of them."""
    path = f"/collections/{collection['id']}/components/{collection['data']['steps'][1]['id']}/assets"

    async def look() -> list | None:
        page = (await api.get(path)).data
        return [page] if is_met(page) else None

    [assets] = await eventually(look, f"{path} to be as wanted")
    return assets


async def test_the_assets_of_a_component_are_listed(api: Api, storage: Publisher):
    """Newest first, with input and output once the generation has ended; for the collection's owner only."""
    collection = await api.create({"data": two_steps()})
    for asset_id in (71, 72):
        await storage.publish(UUID(int=asset_id), stored(collection, asset_id))
    assert {item["id"] for item in await listed(api, collection, lambda page: len(page) == 2)} == {71, 72}
    await storage.publish(UUID(int=71), AssetDescribed(71, collection["data"], {"status": "completed"}))
    assets = await listed(api, collection, lambda page: any(item["gen_in_data"] for item in page))
    (described,) = [item for item in assets if item["id"] == 71]
    assert described["gen_in_data"] == collection["data"]
    assert described["gen_out_data"] == {"status": "completed"}
    path = f"/collections/{collection['id']}/components/{described['component_id']}/assets"
    assert (await api.get(path, BOB)).code == (404, "NOT_FOUND")
    first = await api.get(f"{path}?limit=1")
    second = await api.get(f"{path}?limit=1&cursor={first.body['next_cursor']}")
    assert [item["id"] for item in (first.data + second.data)] == [item["id"] for item in assets]
    assert second.body["next_cursor"] is None
    rebuilt = await rebuild(api.store, COMPONENT_ASSETS, swap=False)
    assert (rebuilt.missing, rebuilt.extra) == (0, 0)


async def test_a_page_of_assets_is_bounded_in_bytes(api: Api, storage: Publisher):
    """A page ends before it gets too large, and has at least one asset; the cursor continues after it."""
    collection = await api.create({"data": two_steps()})
    made_from = {"prompt": "x" * (PAGE_BYTES // 5)}
    for asset_id in range(71, 81):
        described = AssetDescribed(asset_id, made_from, {})
        await storage.publish(UUID(int=asset_id), stored(collection, asset_id), described)
    path = f"/collections/{collection['id']}/components/{collection['data']['steps'][1]['id']}/assets"

    async def all_pages() -> list[list[dict[str, Any]]] | None:
        """None until the events of all assets, which may come in any order, are handled."""
        pages, cursor = list[list[dict[str, Any]]](), ""
        while True:
            answer = await api.get(path + cursor)
            pages.append(answer.data)
            if answer.body["next_cursor"] is None:
                break
            cursor = f"?cursor={answer.body['next_cursor']}"
        assets = [asset for page in pages for asset in page]
        return pages if len(assets) == 10 and all(asset["gen_in_data"] for asset in assets) else None

    pages = await eventually(all_pages, "all assets to be listed")
    assert sorted(asset["id"] for page in pages for asset in page) == list(range(71, 81))
    assert [len(page) for page in pages] == [4, 4, 2]


async def test_a_collection_is_created_from_the_input_of_an_asset(api: Api, storage: Publisher):
    """The asset's input has precedence over `data`; its steps get new components."""
    first = await api.create({"data": two_steps()})
    await storage.publish(UUID(int=71), stored(first, 71), AssetDescribed(71, first["data"], {}))
    await listed(api, first, lambda page: any(item["gen_in_data"] for item in page))
    collection = await api.create({"title": "Again", "data": {"version": "none"}}, query="?asset_id=71")
    assert collection["title"] == "Again"
    assert [step["fromId"] for step in collection["data"]["steps"]] == [step["id"] for step in first["data"]["steps"]]
    assert collection["data"]["variables"] == first["data"]["variables"]


async def test_a_creation_from_another_users_or_an_undescribed_asset_is_refused(api: Api, storage: Publisher):
    collection = await api.create({"data": two_steps()})
    await storage.publish(UUID(int=71), stored(collection, 71))
    await listed(api, collection, bool)
    head = await api.store.head()
    path = "/projects/collections?asset_id"
    assert (await api.post(f"{path}=71")).code == (409, "CONFLICT")
    assert (await api.post(f"{path}=71", user=BOB)).code == (404, "NOT_FOUND")
    assert (await api.post(f"{path}=72")).code == (404, "NOT_FOUND")
    for wrong in ("x", "0", str(2**63)):
        assert (await api.post(f"{path}={wrong}")).code == (400, "VALIDATION_FAILED")
    assert await api.store.head() == head


async def test_a_preview_of_a_collection_that_is_not_remixable_is_no_way_to_remix_it(api: Api, storage: Publisher):
    """Its file has no input; the collection's owner sees the file, in the list of what the component has made."""
    collection = await api.create({"data": two_steps()})
    described = AssetDescribed(71, {}, {"status": "completed"})
    await storage.publish(UUID(int=71), stored(collection, 71, BOB), described)
    await listed(api, collection, lambda page: [asset["gen_in_data"] for asset in page] == [{}])
    refused = await api.post("/projects/collections?asset_id=71", user=BOB)
    assert refused.refusal == (400, "VALIDATION_FAILED", ["?asset_id"])
    assert (await api.post(f"/collections/{collection['id']}/remix", user=BOB)).code == (404, "NOT_FOUND")
