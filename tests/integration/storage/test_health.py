"""Operators are told what waits: packages, and images without copies; and of what does not get on, in a sentence."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.storage.packaging import builder
from services.storage.scaling import scaler
from services.storage.tables.package_builds import PackageBuilds
from shared.contracts.collections import PackageRequested
from shared.eventstore import Context
from tests.integration.storage.test_scaling_shared import sold, tokens_of
from tests.support.apps.client import ALICE
from tests.support.apps.storage import Api

REQUEST = PackageRequested(uuid4(), uuid4(), uuid4(), ALICE, "Tides", 1, 1, "ab", ["BASE"])


@pytest.fixture(autouse=True)
def at_rest(monkeypatch: pytest.MonkeyPatch):
    """Nothing that waits is done."""
    monkeypatch.setattr(scaler.Scaler, "scale_all", lambda _: asyncio.sleep(0))
    monkeypatch.setattr(builder, "next_builds", lambda *_: [])


async def backlog(api: Api) -> tuple[dict[str, Any], dict[str, int]]:
    """The check, and how much waits."""
    body = (await api.get("/health/ready", None)).body
    waiting = {report["progress"]["name"]: report["progress"].get("waiting", 0) for report in body["followers"]}
    return body["checks"]["backlog"], {name: waiting[name] for name in ("packages", "images without copies")}


async def metric(api: Api, name: str) -> float:
    lines = (await api.get("/metrics", None)).raw.decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


async def changed(api: Api, statement: str) -> None:
    async with api.runtime.store.pool.connection() as connection:
        await connection.execute(statement.encode())


async def test_images_without_copies_are_counted(api: Api):
    """And told as a problem only if one was tried in vain for ten minutes."""
    check, waiting = await backlog(api)
    assert (check["status"], waiting) == ("ok", {"packages": 0, "images without copies": 0})
    collection = await sold(api, ALICE, 3)
    await changed(api, "update unscaled_tokens set added_at = now() - interval '1 hour'")
    check, waiting = await backlog(api)
    assert (check["status"], waiting["images without copies"]) == ("ok", 3), "thousands take an hour"
    assert await metric(api, "storage_images_waiting") == 3
    assert 3600 <= await metric(api, "storage_images_waiting_seconds") < 3700
    tokens = tokens_of(api)
    await tokens.postpone((await tokens.take())[1:2], 3600.0)
    check, _ = await backlog(api)
    assert check["status"] == "degraded"
    assert "images without copies: 3 waiting, for 36" in check["detail"]
    assert f"on token 2 of collection {collection}: tried 1 times" in check["detail"]


async def test_packages_that_wait_are_counted(api: Api):
    """And told as a problem if no replica builds them."""
    await PackageBuilds(api.runtime.store).add(REQUEST, 9, Context(command_id=UUID(int=1), actor="tests"))
    await changed(api, "update package_builds set added_at = now() - interval '2 minutes'")
    check, waiting = await backlog(api)
    assert (check["status"], waiting["packages"]) == ("ok", 1)
    assert await metric(api, "storage_packages_waiting") == 1
    assert 120 <= await metric(api, "storage_packages_waiting_seconds") < 200
    await changed(api, "delete from leases where name = 'package-builds'")
    check, _ = await backlog(api)
    assert check["status"] == "degraded"
    assert "packages: 1 waiting, for 12" in check["detail"]
    assert check["detail"].endswith("s: no replica holds the lease package-builds")
