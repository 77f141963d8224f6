"""What visitors and owners see of previews, and which artworks a visitor can make."""

from uuid import UUID

import pytest

from shared.contracts.collections import (
    CustodyTransferred,
    InstructionsRevised,
)
from shared.contracts.generation import (
    GenerationCompleted,
)
from tests.integration.generation.previewing import CAROL, ended, opened, preview, publish
from tests.integration.generation.working import Worker
from tests.support.apps.client import ALICE, BOB
from tests.support.apps.credits import Api as CreditsApi
from tests.support.apps.generation import FOXES, ONE_STEP, Api, data
from tests.support.patience import eventually
from tests.support.publishing import Publisher


async def test_a_preview_is_its_visitors_only(
    api: Api, collections: Publisher, rich: CreditsApi, worker_: Worker
) -> None:
    """Other visitors, and the collection's owner, can't read or change it; its files are stored as the visitor's."""
    collection = await opened(collections, paid_by="owner")
    job_id = (await preview(api, collection)).data["job_id"]
    await ended(api, job_id)
    for user in (ALICE, CAROL):
        for part in ("", "/generations", "/history", "/events"):
            assert (await api.get(f"/jobs/{job_id}{part}", user)).code == (404, "NOT_FOUND")
        for verb in ("cancel", "resume"):
            assert (await api.send("POST", f"/jobs/{job_id}/{verb}", user, json={})).code == (404, "NOT_FOUND")
        assert (await api.get("/jobs", user)).data == []
    assert worker_.worked[0].context.user_id == BOB


async def test_the_owner_sees_who_has_made_how_many(
    api: Api, collections: Publisher, rich: CreditsApi, worker_: Worker
) -> None:
    await rich.give("10", CAROL)
    collection = await opened(collections, most=5)
    for user, number in ((BOB, 2), (CAROL, 1), (BOB, 1)):
        await ended(api, (await preview(api, collection, user, generations=number)).data["job_id"], user=user)
    path = f"/collections/{collection}/previews"

    async def is_settled() -> bool:
        return (await api.get(path)).body["totals"]["open_jobs"] == 0

    await eventually(is_settled, "all jobs to be settled")
    page = (await api.get(f"{path}?limit=1")).body
    [bob], totals = page["data"], page["totals"]
    assert (bob["user_id"], bob["jobs"], bob["open_jobs"], bob["generations"]) == (str(BOB), 2, 0, 3)
    assert totals == {"visitors": 2, "jobs": 3, "open_jobs": 0, "generations": 4}
    last = (await api.get(f"{path}?limit=1&cursor={page['next_cursor']}")).body
    assert ([carol["user_id"] for carol in last["data"]], last["next_cursor"]) == ([str(CAROL)], None)
    assert (await api.get(path, BOB)).code == (404, "NOT_FOUND")
    assert (await api.send("GET", path, BOB, "operator")).body["totals"] == totals


@pytest.mark.parametrize("is_remixable", [True, False])
async def test_instructions_are_shown_to_those_who_may_remix(
    api: Api, collections: Publisher, rich: CreditsApi, worker_: Worker, *, is_remixable: bool
) -> None:
    """In dry runs, in refusals, and with the files: a collection that is made of a file's input is a remix."""
    collection = await opened(collections, is_remixable=is_remixable)
    estimate = (await preview(api, collection, dry_run=True)).data
    assert (bool(estimate["plan"]), bool(estimate["breakdown"])) == (is_remixable, is_remixable)
    assert (estimate["quoted"], estimate["total"]) == (1, 1)
    assert estimate["preview"] == {"max_generations": 3, "left": 3, "paid_by": "visitor"}
    expected = estimate["generations"][0]["hash"]
    job_id = (await preview(api, collection, dry_run_token=estimate["dry_run_token"])).data["job_id"]
    [generation] = (await ended(api, job_id))["generations"]
    assert generation["hash"] == expected, "the job draws what the dry run showed"
    [completed] = [
        event
        for event in await api.store.read_stream(UUID(generation["gid"]))
        if isinstance(event.event, GenerationCompleted)
    ]
    assert bool(completed.event.gen_in_data) == is_remixable
    broken = data({**ONE_STEP["steps"][0], "nodePayload": {"prompt": "a fox", "width": "a secret"}})
    await publish(collections, collection, InstructionsRevised(collection, broken))
    refused = await preview(api, collection)
    assert refused.code == (400, "VALIDATION_FAILED")
    assert any(pointer.startswith("/data/steps") for pointer in refused.pointers) == is_remixable


async def test_a_visitor_makes_no_artwork_of_the_tokens(
    api: Api, collections: Publisher, rich: CreditsApi, worker_: Worker
) -> None:
    """Neither with hashes that the request states, nor with those of the collection."""
    own = data(
        *ONE_STEP["steps"],
        variables=ONE_STEP["variables"],
        generations={"generations": 1, "hashes": ["ab"], "use_custom_hashes": True},
    )
    collection = await opened(collections, own)
    assert (await preview(api, collection, hashes=["ab"])).refusal == (400, "VALIDATION_FAILED", ["/hashes"])
    estimate = (await preview(api, collection, dry_run=True)).data
    assert [generation["hash"] for generation in estimate["generations"]] != ["ab"]
    assert [
        generation["hash"] for generation in (await api.generate(collection, dry_run=True)).data["generations"]
    ] == ["ab"]


async def test_a_former_owner_is_a_visitor(api: Api, collections: Publisher, rich: CreditsApi, worker_: Worker) -> None:
    """And the new one pays, if the setting says that the owner does."""
    collection = await opened(collections, FOXES, paid_by="owner")
    await publish(collections, collection, CustodyTransferred(collection, CAROL, UUID(int=52)))
    await rich.give("10", CAROL)
    await ended(api, (await preview(api, collection, ALICE)).data["job_id"], user=ALICE)
    await rich.settled(("8.75", "0", "1.25"), CAROL)
    await rich.settled(("10", "0", "0"), ALICE)
    owners = await preview(api, collection, CAROL, generations=4)
    assert owners.status == 202, "their own jobs have no limit"
