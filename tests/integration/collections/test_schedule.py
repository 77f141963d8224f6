"""Scheduled publications over HTTP, with a clock that the test sets."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.collections import scheduler
from services.collections.scheduler import Scheduler
from tests.support.apps.client import ALICE, BOB
from tests.support.apps.collections import SELLABLE, Api, collections_service
from tests.support.patience import eventually

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


async def published(api: Api, collection) -> dict:
    async def look() -> dict | None:
        view = (await api.get(f"/collections/{collection['id']}", ALICE)).data
        return view if view["status"] == "published" else None

    return await eventually(look, "the collection to be published")


async def test_a_scheduled_publication_survives_restarts_and_happens_once(database, nats_url, tmp_path):
    """It has the scheduled date, although two replicas run and the service was down when it was due."""
    clock = Clock()
    due = NOON + timedelta(hours=1)
    async with collections_service(database, nats_url, tmp_path, clock=clock) as api:
        collection = await api.create(SELLABLE)
        scheduled = await api.publish(collection, {"publish_date": "2030-01-01T14:00:00+01:00"})
        assert (scheduled.data["status"], scheduled.data["scheduled_for"]) == ("draft", "2030-01-01T13:00:00Z")
        assert (await api.get("/collections", BOB)).data == []
    clock.now = due + timedelta(days=2)
    async with (
        collections_service(database, nats_url, tmp_path, clock=clock) as api,
        collections_service(database, nats_url, tmp_path, clock=clock),
    ):
        view = await published(api, collection)
        assert (view["publish_date"], view["scheduled_for"]) == ("2030-01-01T13:00:00Z", None)

        async def listed() -> list[str]:
            return [item["id"] for item in (await api.get("/collections", BOB)).data]

        # Whichever replica published it: the lists of the other one may be a moment behind.
        assert await eventually(listed, "the collection to be listed") == [collection["id"]]
        recorded = [event.type for event in await api.store.read_all()]
        assert recorded.count("collection_published.v1") == 1


async def test_collections_that_stay_due_do_not_block_others(database, nats_url, tmp_path, monkeypatch):
    """A page of collections that fail is followed by the next page, and then by a pause."""
    clock, refused, tries = Clock(), set[str](), list[str]()
    publish = Scheduler._publish

    async def publish_others(self: Scheduler, collection_id: UUID, when: datetime, now: datetime) -> None:
        tries.append(str(collection_id))
        if str(collection_id) not in refused:
            await publish(self, collection_id, when, now)

    monkeypatch.setattr(scheduler, "MAX_ROWS", 2)
    monkeypatch.setattr(Scheduler, "_publish", publish_others)
    async with collections_service(database, nats_url, tmp_path, clock=clock) as api:
        collections = [await api.create(SELLABLE) for _ in range(3)]
        refused.update(collection["id"] for collection in collections[:2])
        for hour, collection in enumerate(collections, 1):
            body = {"publish_date": (NOON + timedelta(hours=hour)).isoformat()}
            assert (await api.publish(collection, body)).status == 200
        clock.now = NOON + timedelta(hours=4)
        await api.create({"title": "wakes the schedule"})
        await published(api, collections[2])
        assert tries.count(collections[0]["id"]) < 100, "it pauses between two looks"


async def test_a_schedule_is_called_off(database, nats_url, tmp_path):
    async with collections_service(database, nats_url, tmp_path, clock=Clock()) as api:
        collection = await api.create(SELLABLE)
        path = f"/collections/{collection['id']}/publish"
        assert (await api.publish(collection, {"publish_date": "2030-01-02T00:00:00Z"})).status == 200
        assert (await api.send("POST", path, BOB)).code == (404, "NOT_FOUND")
        called_off = await api.send("DELETE", path)
        assert (called_off.data["status"], called_off.data["scheduled_for"]) == ("draft", None)


async def test_invalid_times_are_refused(api: Api):
    collection = await api.create(SELLABLE)
    for date in ("tomorrow", "2030-01-01", "2030-01-01T12:00:00", 5):
        refused = await api.post(f"/collections/{collection['id']}/publish", {"publish_date": date})
        assert refused.code == (400, "VALIDATION_FAILED")
        assert refused.pointers == ["/publish_date"]
