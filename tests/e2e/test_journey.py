"""The whole journey through the edge, as an API client and as an operator see it."""

import asyncio
from datetime import datetime
from importlib.metadata import version
from uuid import uuid4

import pytest

from infra.demo.client import ApiError, Client, Event
from infra.demo.journey import instructions
from tests.support.jobs import PRICE, balance_of, history, start_job, two_steps, until_ended, until_settled
from tests.support.patience import PATIENCE, eventually
from tests.support.running_set import RunningSet


async def test_the_demo_completes_and_its_json_says_so(running: RunningSet) -> None:
    """The command exits 0 only if the job completed and every file's bytes have their sha256."""
    result = await asyncio.to_thread(running.command, "demo", "--generations", "2")
    assert result["status"] == "completed"
    assert len(result["assets"]) == 4
    for asset in result["assets"]:
        assert {"asset_id", "url", "sha256", "mime_type"} <= set(asset)
        assert asset["intact"]
        assert asset["url"].startswith(running.url)
    assert result["credits"] == {"granted": 5, "captured": 2.5, "available": 2.5}


async def test_a_collection_reads_back_with_component_ids_and_rewritten_references(running: RunningSet) -> None:
    async with running.client(uuid4()) as client:
        collection = await client.post("/projects/collections", {"title": "Read back", "data": two_steps()})
        read = await client.get(f"/collections/{collection['id']}")
        first, second = read["data"]["steps"]
        assert [step["fromId"] for step in (first, second)] == [1, 2]
        assert second["nodePayload"]["image"] == {"$ref": first["id"]}
        assert read["status"] == "draft"


async def test_without_data_the_default_instructions_are_used(running: RunningSet) -> None:
    async with running.client(uuid4()) as client:
        collection = await client.post("/projects/collections", {"title": "Default"})
        assert collection["data"]["version"] == "v2"


async def test_all_collections_without_a_project_share_the_users_default_one(running: RunningSet) -> None:
    async with running.client(uuid4()) as client:
        collections = await asyncio.gather(*(client.post("/projects/collections", {"title": f"{n}"}) for n in range(8)))
        assert len({collection["project_id"] for collection in collections}) == 1
        projects = await client.get("/projects")
        assert [project["is_default"] for project in projects] == [True]


async def test_the_same_idempotency_key_makes_one_collection_and_one_job(running: RunningSet) -> None:
    user = await running.rich_user()
    async with running.client(user) as client:
        body = {"title": "Once", "data": two_steps()}
        first, again = [await client.post("/projects/collections", body, Idempotency_Key="one") for _ in range(2)]
        assert first["id"] == again["id"]
        path = f"/collections/{first['id']}/generations"
        jobs = [await client.post(path, {"generations": 1}, Idempotency_Key="two") for _ in range(2)]
        assert jobs[0]["job_id"] == jobs[1]["job_id"]
        await until_ended(client, jobs[0]["job_id"])
        assert (await until_settled(client))["spent"] == PRICE


async def test_the_same_hash_makes_the_same_picture(running: RunningSet) -> None:
    user = await running.rich_user()
    async with running.client(user) as client:
        collection = await client.post("/projects/collections", {"title": "Again", "data": two_steps()})
        body = {"generations": 2, "hashes": ["ab" * 32, "ab" * 32]}
        accepted = await client.post(f"/collections/{collection['id']}/generations", body)
        job = await until_ended(client, accepted["job_id"])
        files = [
            [(await client.get(f"/assets/{output['asset_id']}"))["sha256"] for output in generation["outputs"]]
            for generation in job["generations"]
        ]
        assert files[0] == files[1]


async def test_a_dry_run_quotes_and_records_nothing(running: RunningSet) -> None:
    user = await running.rich_user()
    async with running.client(user) as client:
        collection = await client.post("/projects/collections", {"title": "Dry", "data": two_steps()})
        quote = await client.post(f"/collections/{collection['id']}/generations", {"generations": 3, "dry_run": True})
        assert 3.75 in _numbers(quote)
        assert await balance_of(client) == {"available": 100, "held": 0, "spent": 0}
        assert await client.get("/jobs") == []


def _numbers(value: object) -> list[float]:
    if isinstance(value, dict):
        return [number for item in value.values() for number in _numbers(item)]
    if isinstance(value, list):
        return [number for item in value for number in _numbers(item)]
    return [value] if isinstance(value, int | float) else []


async def events_of(client: Client, job_id: str) -> list[Event]:
    return [event async for event in client.events(f"/jobs/{job_id}/events")]


async def test_a_jobs_event_stream_has_every_step_and_ends(running: RunningSet) -> None:
    user = await running.rich_user()
    async with running.client(user) as client:
        accepted = await start_job(client, 3)
        events = await asyncio.wait_for(events_of(client, accepted["job_id"]), PATIENCE)
    kinds = [event.event for event in events]
    assert kinds.count("node_completed") == 6
    assert kinds.count("image_generated") == 3, "one per artwork"
    assert kinds[-1] == "job_status"
    assert events[-1].data["status"] == "completed"
    ids = [int(event.id) for event in events if event.id is not None]
    assert ids == sorted(set(ids))


async def test_last_event_id_replays_what_was_missed_in_order_and_nothing_twice(running: RunningSet) -> None:
    user = await running.rich_user()
    async with running.client(user) as client:
        accepted = await start_job(client, 2)
        whole = await asyncio.wait_for(events_of(client, accepted["job_id"]), PATIENCE)
        recorded = [event for event in whole if event.id is not None]
        for place in (0, len(recorded) // 2, len(recorded) - 2):
            after = recorded[place].id
            headers = {"Last-Event-ID": after, "Accept": "text/event-stream"}
            path = f"{running.url}/jobs/{accepted['job_id']}/events"
            async with client.session.get(path, headers=headers) as response:
                text = (await response.read()).decode()
            ids = [line.removeprefix("id:").strip() for line in text.splitlines() if line.startswith("id:")]
            assert ids == [event.id for event in recorded[place + 1 :]]


async def test_a_jobs_history_is_in_order(running: RunningSet) -> None:
    user = await running.rich_user()
    async with running.client(user) as client:
        accepted = await start_job(client, 1)
        await until_ended(client, accepted["job_id"])
        entries = await client.get(f"/jobs/{accepted['job_id']}/history")
        statuses = list(dict.fromkeys(entry["status"] for entry in entries))
        assert statuses == ["pending", "processing", "completed"]
        assert all({"status", "message", "data", "created_at"} <= set(entry) for entry in entries)


async def test_an_asset_knows_what_it_was_made_from_and_can_be_read_in_ranges(running: RunningSet) -> None:
    user = await running.rich_user()
    async with running.client(user) as client:
        accepted = await start_job(client, 1)
        job = await until_ended(client, accepted["job_id"])
        output = job["generations"][0]["outputs"][-1]
        asset = await _described(client, output["asset_id"])
        assert asset["gen_in_data"]["steps"]
        async with client.session.get(asset["url"], headers={"Range": "bytes=0-7"}) as response:
            assert response.status == 206
            assert (await response.read()) == b"\x89PNG\r\n\x1a\n"


async def _described(client: Client, asset_id: int) -> dict:
    async def look() -> dict:
        asset = await client.get(f"/assets/{asset_id}")
        return asset if asset["gen_in_data"] else {}

    return await eventually(look, f"asset {asset_id} to be described")


async def test_operators_see_history_and_state_as_it_was(running: RunningSet) -> None:
    user = await running.rich_user()
    async with running.client(user) as client:
        accepted = await start_job(client, 1)
        await until_ended(client, accepted["job_id"])
    events = history(running, "generation", accepted["job_id"])
    assert [event["version"] for event in events] == list(range(1, len(events) + 1))
    assert [events[0]["type"], events[1]["type"], events[-1]["type"]] == [
        "job_requested.v1",
        "job_authorized.v1",
        "job_completed.v1",
    ]
    arguments = ("state", "--service", "generation", accepted["job_id"])
    now, then = running.command(*arguments), running.command(*arguments, "--as-of", "1")
    assert now["state"] != then["state"]
    assert then["version"] == 1
    moment = datetime.fromisoformat(events[0]["recorded_at"]).isoformat()
    assert running.command(*arguments, "--as-of", moment)["state"] == then["state"]
    account = running.command("state", "--service", "credits", str(user))["state"]
    assert account["granted"] == account["spent"] + sum(grant["available"] for grant in account["grants"])


async def test_status_says_that_everything_is_ready(running: RunningSet) -> None:
    report = running.command("status")
    assert report["ready"]
    assert {process["name"] for process in report["processes"]} >= {
        *(f"{name}-1" for name in ("collections", "generation", "credits", "storage", "edge", "worker")),
        *("postgres", "nats", "seaweedfs"),
    }


async def test_one_openapi_document_has_all_public_operations(running: RunningSet) -> None:
    async with running.client(uuid4()) as client, client.session.get(f"{running.url}/schema/openapi.json") as response:
        document = await response.json()
    assert document["info"]["version"] == version("emprops")
    operations = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert operations >= {
        ("POST", "/projects/collections"),
        ("GET", "/collections/{collection_id}"),
        ("POST", "/collections/{collection_id}/generations"),
        ("GET", "/jobs/{job_id}"),
        ("GET", "/jobs/{job_id}/events"),
        ("GET", "/credits"),
        ("POST", "/credits/grants"),
        ("GET", "/assets/{asset_id}/content"),
    }
    assert not any("health" in path or "uploads" in path for path in document["paths"])


async def test_another_user_sees_none_of_it(running: RunningSet) -> None:
    user = await running.rich_user()
    async with running.client(user) as owner, running.client(uuid4()) as stranger:
        collection = await owner.post("/projects/collections", {"title": "Mine", "data": instructions()})
        accepted = await start_job(owner, 1)
        job = await until_ended(owner, accepted["job_id"])
        asset = job["generations"][0]["outputs"][0]["asset_id"]
        for path in (
            f"/collections/{collection['id']}",
            f"/projects/{collection['project_id']}/collections",
            *(f"/jobs/{job['id']}{rest}" for rest in ("", "/history", "/events")),
            *(f"/assets/{asset}{rest}" for rest in ("", "/content")),
        ):
            with pytest.raises(ApiError) as refused:
                await stranger.get(path)
            assert refused.value.status in {403, 404}, path
        with pytest.raises(ApiError) as refused:
            await stranger.post(f"/collections/{collection['id']}/generations", {"generations": 1})
        assert refused.value.status in {403, 404}
        assert await stranger.get("/jobs") == []
        assert await stranger.get("/assets") == []
