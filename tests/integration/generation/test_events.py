"""Following a job: recorded events with their ids, in order, each once; progress without."""

import asyncio
from uuid import UUID

from services.generation.event_stream.hub import JobEventHub
from services.generation.event_stream.sse import stream
from services.generation.workers.broker import Broker
from tests.integration.generation.working import Worker
from tests.support.apps.client import ALICE
from tests.support.apps.generation import FOXES, Api, created


async def test_a_follower_is_told_everything_in_order(api: Api, collections, credits_, worker_: Worker):
    """From the request to the end, after which the stream ends by itself."""
    job_id = (await api.generate(await created(collections, FOXES), generations=1)).data["job_id"]
    events = await api.told(job_id)
    recorded = [item for item in events if item.id is not None]
    assert [item.event for item in recorded] == [
        "job_status",
        "job_status",
        "node_started",
        "node_completed",
        "node_started",
        "node_completed",
        "image_generated",
        "job_status",
        "job_status",
    ]
    assert [item.id for item in recorded] == sorted({item.id for item in recorded})
    statuses = [(item.data["status"], item.data["progress"]) for item in recorded if item.event == "job_status"]
    assert statuses == [("pending", 0), ("processing", 0), ("processing", 1), ("completed", 1)]
    started = [item.data["step_id"] for item in recorded if item.event == "node_started"]
    assert started == [11, 12]
    [image] = [item.data for item in recorded if item.event == "image_generated"]
    job = await api.job(job_id)
    assert image["url"] == job["generations"][0]["outputs"][1]["url"]
    assert {item.data["job_id"] for item in events} == {job_id}


async def test_progress_comes_while_it_is_made_and_has_no_id(api: Api, collections, credits_, worker_: Worker):
    """It is not recorded, so it is not replayed."""
    await worker_.pause()
    job_id = (await api.generate(await created(collections, FOXES), generations=1)).data["job_id"]
    history = []
    async with api.follow(job_id) as events:
        async for event in events:
            history.append(event)
            if event.event == "node_started":
                worker_.may_work.set()
    progress = [item for item in history if item.event == "node_progress"]
    assert [(item.id, item.data["step_id"], item.data["progress"]) for item in progress] == [
        (None, 11, 0.5),
        (None, 12, 0.5),
    ]
    assert not [item for item in await api.told(job_id) if item.event == "node_progress"]


async def test_what_was_missed_is_replayed_once_and_in_order(api: Api, collections, credits_, worker_: Worker):
    """From any id on, exactly what came after it."""
    job_id = (await api.generate(await created(collections, FOXES), generations=2)).data["job_id"]
    await api.ended(job_id)
    everything = await api.told(job_id)
    for cut in range(len(everything) - 1):
        assert await api.told(job_id, everything[cut].id) == everything[cut + 1 :]


async def test_a_follower_that_comes_back_in_the_middle_misses_nothing(
    api: Api, collections, credits_, worker_: Worker
):
    """Cut off after every event, it comes again with the last id that it saw."""
    job_id = (await api.generate(await created(collections, FOXES), generations=2)).data["job_id"]
    history, after = [], None
    while not history or history[-1].data.get("status") != "completed":
        async with api.follow(job_id, after) as events:
            async for event in events:
                if event.id is not None:
                    history.append(event)
                    after = event.id
                    break
    assert history == await api.told(job_id)


async def test_who_has_seen_the_end_is_told_to_stop(api: Api, collections, credits_, worker_: Worker):
    """204 keeps an EventSource from coming again."""
    job_id = (await api.generate(await created(collections, FOXES), generations=1)).data["job_id"]
    last = (await api.told(job_id))[-1].id
    headers = {"Last-Event-ID": str(last)}
    assert (await api.send("GET", f"/jobs/{job_id}/events", ALICE, headers=headers)).status == 204


async def test_an_id_that_is_none_of_ours_is_refused(api: Api, collections, credits_, worker_: Worker):
    """With the header's name for its pointer."""
    job_id = (await api.generate(await created(collections, FOXES), generations=1)).data["job_id"]
    for wrong in ("x", "-1", "9" * 30, "1.5"):
        answer = await api.send("GET", f"/jobs/{job_id}/events", ALICE, headers={"Last-Event-ID": wrong})
        assert answer.refusal == (400, "VALIDATION_FAILED", ["header:Last-Event-ID"])


async def test_an_id_of_another_stream_hides_nothing(api: Api, collections, credits_, worker_: Worker):
    """The client learns that it has seen another history; then all events follow, to the end."""
    job_id = (await api.generate(await created(collections, FOXES), generations=1)).data["job_id"]
    events = await api.told(job_id, after=999_999_999)
    assert (events[0].id, events[0].event, events[0].data) == (None, "gap", {"after": 999_999_999})
    assert (events[1].data["status"], events[-1].data["status"]) == ("pending", "completed")
    again = await api.told(job_id, after=999_999_999)
    assert [item.id for item in again if item.id] == [item.id for item in events if item.id]


async def test_silence_is_filled_with_comments(api: Api, collections, credits_, worker_: Worker):
    """A comment, which clients ignore, so that no proxy closes the connection as idle."""
    await worker_.pause()
    job_id = (await api.generate(await created(collections, FOXES), generations=1)).data["job_id"]
    hub = JobEventHub(api.store, Broker("nats://nobody", "unused"))
    lines = stream(hub, UUID(job_id), 0, heartbeat=0.05)
    frames = [await anext(lines) for _ in range(3)]
    assert frames[0] == b"retry: 1000\n\n"
    assert frames[1].startswith(b"id: ")
    assert frames[2] == b": still here\n\n"
    await lines.aclose()
    assert not hub.followed


async def test_many_followers_of_one_job_are_all_told_everything(api: Api, collections, credits_, worker_: Worker):
    """Forty at once, from before its first step."""
    await worker_.pause()
    job_id = (await api.generate(await created(collections, FOXES), generations=3)).data["job_id"]
    followers = [asyncio.create_task(api.told(job_id)) for _ in range(40)]
    worker_.may_work.set()
    histories = await asyncio.gather(*followers)
    recorded = [[event for event in events if event.id is not None] for events in histories]
    assert all(events == recorded[0] for events in recorded)
    assert recorded[0][-1].data["status"] == "completed"
