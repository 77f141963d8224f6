"""What operators see of the workers that are connected, and what jobs wait for when none is."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import msgspec
from nats.aio.client import Client

from shared.contracts.work import Announcement, AttemptInProgress, OfferedService
from shared.messaging.connection import connected
from tests.support.apps.client import ALICE
from tests.support.apps.generation import Api
from tests.support.patience import eventually

NOW = "2026-11-27T00:00:00+00:00"


@contextlib.asynccontextmanager
async def announcing(nats_url: str) -> AsyncIterator[Client]:
    async with connected(nats_url, "announcer") as client:
        yield client


async def announce(client: Client, instance: str, *services: str, working: tuple[UUID, ...] = ()) -> None:
    offered = [OfferedService("direct_job", service, 2) for service in services]
    attempts = [AttemptInProgress(sid, 1, NOW) for sid in working]
    announcement = Announcement(instance, "studio", "1.0", offered, attempts, NOW)
    await client.publish(announcement.subject, msgspec.json.encode(announcement))


async def workers_of(api: Api) -> list[dict[str, Any]]:
    answer = await api.send("GET", "/workers", ALICE, "operator")
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.body["data"]
    return found


async def test_operators_see_who_is_connected_and_does_what(api: Api, nats_url: str) -> None:
    sid = uuid4()
    async with announcing(nats_url) as client:

        async def shown() -> list[dict[str, Any]]:
            await announce(client, "studio-1", "sketch", "frame", working=(sid,))
            return await workers_of(api)

        [worker] = await eventually(shown, "the worker to be shown", every=0.2)
        assert (worker["instance"], worker["name"], worker["version"]) == ("studio-1", "studio", "1.0")
        assert [offered["service"] for offered in worker["services"]] == ["sketch", "frame"]
        assert (worker["lanes"], [attempt["sid"] for attempt in worker["working"]]) == (2, [str(sid)])
        await client.publish("workers.studio-2", b'{"instance": "studio-1"}')
        await client.publish("workers.studio-1", b"{}")
        await announce(client, "studio-1")
        await eventually(lambda: _none(api), "the worker to be gone")
    assert (await api.get("/workers")).status == 403, "for operators only"


async def _none(api: Api) -> bool:
    return await workers_of(api) == []
