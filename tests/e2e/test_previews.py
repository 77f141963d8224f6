"""A visitor tries another user's collection out, on the real set."""

from typing import Any
from uuid import uuid4

import pytest

from infra.demo.client import ApiError, Client
from tests.support.jobs import PRICE, STEPS, history, two_steps, until_ended, until_settled
from tests.support.patience import NotYet, eventually
from tests.support.running_set import RunningSet


async def refused(client: Client, path: str, body: Any) -> tuple[int, str]:
    with pytest.raises(ApiError) as refusal:
        await client.post(path, body)
    return refusal.value.status, refusal.value.code


async def test_a_visitor_makes_previews_that_the_owner_pays(running: RunningSet) -> None:
    """The preview is open to the very next request; its files are the visitor's, and the owner sees how many."""
    visitor = uuid4()
    async with running.client(await running.rich_user(10)) as owner, running.client(visitor) as guest:
        collection = await owner.post("/projects/collections", {"title": "Tides", "data": two_steps()})
        path, own_step = f"/collections/{collection['id']}", collection["data"]["steps"][1]["id"]
        assert await refused(guest, f"{path}/generations", {}) == (404, "NOT_FOUND")
        await owner.call("PUT", f"{path}/preview", {"enabled": True, "max_generations": 2, "paid_by": "owner"})
        estimate = await guest.post(f"{path}/generations", {"generations": 2, "dry_run": True})
        assert (estimate["quoted"], estimate["plan"]) == (2 * PRICE, [])
        assert estimate["preview"] == {"max_generations": 2, "left": 2, "paid_by": "owner"}
        accepted = await guest.post(f"{path}/generations", {"generations": 2})
        job = await until_ended(guest, accepted["job_id"])
        assert (job["status"], job["user_id"], job["credits"]["captured"]) == ("completed", str(visitor), 2 * PRICE)
        assert await refused(guest, f"{path}/generations", {}) == (403, "PREVIEW_LIMIT_REACHED")
        assert (await until_settled(owner))["spent"] == 2 * PRICE

        assets = await guest.get(f"/assets?job_id={job['id']}")
        assert len(assets) == 2 * STEPS
        with pytest.raises(ApiError, match="404"):
            await owner.get(f"/assets/{assets[0]['id']}")
        listed = f"{path}/components/{own_step}/assets"
        await eventually(lambda: _are_listed(owner, listed, 2), "the owner's list to have both files")
        await eventually(lambda: _is_described(guest, assets[0]["id"]), "the file's input to be known")
        await eventually(lambda: _is_known_to_collections(guest, assets[0]["id"]), "collections to know it, too")
        with pytest.raises(ApiError, match="not remixable"):
            await guest.post(f"/projects/collections?asset_id={assets[0]['id']}", {})
        assert await refused(guest, f"{path}/remix", {}) == (400, "VALIDATION_FAILED")

        [entry] = await owner.get(f"{path}/previews")
        assert (entry["user_id"], entry["jobs"], entry["generations"]) == (str(visitor), 1, 2)
        events = [event["event"] for event in history(running, "collections", job["id"])]
        assert [event["is_preview"] for event in events] == [True], "it has begun, and never finishes"
        await owner.call("PUT", f"{path}/preview", {"enabled": False})
        await eventually(lambda: _is_closed(guest, f"{path}/generations"), "the preview to be closed")


async def _are_listed(client: Client, path: str, count: int) -> bool:
    """Collections learns of each file from storage."""
    return len(await client.get(path)) == count


async def _is_described(client: Client, asset_id: int) -> bool:
    asset = await client.get(f"/assets/{asset_id}")
    if asset["gen_out_data"] is None:
        raise NotYet(asset)
    assert asset["gen_in_data"] == {}
    return True


async def _is_known_to_collections(client: Client, asset_id: int) -> bool:
    """Storage, which answers `_is_described`, may have read of the generation's end before collections has."""
    return await refused(client, f"/projects/collections?asset_id={asset_id}", {}) != (409, "CONFLICT")


async def _is_closed(client: Client, path: str) -> bool:
    """The generation service refuses a full preview all the time, and learns a moment later that it is closed."""
    return await refused(client, path, {}) == (403, "PREVIEW_DISABLED")
