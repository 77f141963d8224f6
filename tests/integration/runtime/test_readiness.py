"""Readiness: in time whatever is silent, named; and the difference between who can't serve and what is not in order."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import aiohttp
import psycopg
import pytest

from services.credits.app import SERVICE, build
from services.credits.settings import CreditsSettings
from shared.contracts.credits import CreditsGranted
from shared.eventstore import Context, StreamAppend
from shared.eventstore.append_statement import APPEND_LOCK
from shared.progress import Progress
from shared.runtime import running
from shared.runtime.serve import Running
from tests.support.patience import NotYet, eventually
from tests.support.serving import serving
from tests.support.silence import SilentProxy

READY_SECONDS = 2.0


def through(url: str, proxy: SilentProxy) -> str:
    parts = urlsplit(url)
    credentials = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{credentials}@{proxy.address}"))


def behind(url: str) -> SilentProxy:
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    return SilentProxy((parts.hostname, parts.port))


class Asked:
    def __init__(self, service: Running, url: str, session: aiohttp.ClientSession) -> None:
        self.service, self.url, self._session = service, url, session

    async def ready(self) -> tuple[int, dict[str, Any]]:
        """In time, always. Python's own pauses on a busy machine are not the service's."""
        began = time.monotonic()
        async with self._session.get(f"{self.url}/health/ready") as response:
            body = await response.json()
        assert time.monotonic() - began < READY_SECONDS + LATE, body
        return response.status, body

    async def until(self, condition) -> dict[str, Any]:
        async def look() -> dict[str, Any]:
            status, body = await self.ready()
            if not condition(status, body):
                raise NotYet(status, body)
            return body

        return await eventually(look, "readiness to be as wanted", every=0.1)


LATE = 2.0
"""Seconds that a busy machine may take to let a test's client read what was answered."""


@contextlib.asynccontextmanager
async def credits_service(database: str, nats_url: str) -> AsyncIterator[Asked]:
    settings = CreditsSettings(database_url=database, nats_url=nats_url, auth_jwks_url="file:///none")
    async with (
        running(SERVICE, settings, build) as service,
        serving(service.app) as url,
        aiohttp.ClientSession() as session,
    ):
        client = Asked(service, url, session)
        await client.until(lambda status, body: (status, body["status"]) == (200, "ok"))
        yield client


@pytest.mark.parametrize("silent", ["postgresql", "nats"])
async def test_what_is_silent_is_named_in_time(database: str, nats_url: str, silent: str) -> None:
    """A server that accepts connections and does not answer; when it answers again, readiness recovers."""
    with behind(database) as postgresql, behind(nats_url) as nats:
        proxies = {"postgresql": postgresql, "nats": nats}
        async with credits_service(through(database, postgresql), through(nats_url, nats)) as client:
            with proxies[silent].silent():
                body = await client.until(lambda status, _: status == 503)
                assert body["checks"][silent]["status"] == "failing"
                assert "answer" in body["checks"][silent]["detail"]
                other = ({"postgresql", "nats"} - {silent}).pop()
                assert body["checks"][other]["status"] == "ok", "only what is silent is named"
            await client.until(lambda status, body: (status, body["status"]) == (200, "ok"))


async def test_a_writer_that_hangs_shows(database: str, nats_url: str) -> None:
    """Another session holds the lock of appends: PostgreSQL answers, reads work, and no command comes through."""
    async with credits_service(database, nats_url) as client:
        async with await psycopg.AsyncConnection.connect(database, autocommit=True) as holder:
            await holder.execute("select pg_advisory_lock(%s)", (APPEND_LOCK,))
            writing = asyncio.create_task(_append(client))
            body = await client.until(lambda status, _: status == 503)
            assert body["checks"]["postgresql"]["status"] == "ok"
            assert "a batch of appends has been waiting for PostgreSQL" in body["checks"]["writer"]["detail"]
        await client.until(lambda status, _: status == 200)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)


async def _append(client: Asked) -> None:
    event = CreditsGranted(
        user_id=uuid4(), grant_id=uuid4(), amount=1, source="test", priority=0, expires_at=None, external_id=None
    )
    context = Context(command_id=uuid4(), actor="test")
    await client.service.runtime.store.append([StreamAppend(event.user_id, 0, (event,))], context)


class Stuck:
    """A follower that one event holds up."""

    async def progress(self) -> list[Progress]:
        return [
            Progress(name="projection fine"),
            Progress(
                name="projection broken_v3", waiting=12, waiting_seconds=61.0, event="x.v1 at 7", error="KeyError('a')"
            ),
        ]


class Parked:
    async def progress(self) -> list[Progress]:
        return [Progress(name="consumer c-v1", parked=3)]


class Broken:
    async def progress(self) -> list[Progress]:
        raise ConnectionError("postgresql://u:hunter2@h refused")


class Hanging:
    async def progress(self) -> list[Progress]:
        await asyncio.Event().wait()
        return []


@pytest.mark.parametrize(
    ("follower", "detail"),
    [
        (Stuck(), "projection broken_v3: 12 waiting, for 61 s on x.v1 at 7: KeyError('a')"),
        (Parked(), "consumer c-v1: 3 parked: see emprops parked list"),
        (Broken(), "ConnectionError"),
        (Hanging(), "no answer for "),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
async def test_a_follower_that_does_not_get_on_is_told_and_takes_no_replica_away(
    database: str, nats_url: str, follower: Any, detail: str
) -> None:
    """It is every replica's trouble: without all of them, reads would fail too."""
    async with credits_service(database, nats_url) as client:
        client.service.runtime.readiness.followers["it"] = follower
        status, body = await client.ready()
        assert (status, body["status"]) == (200, "degraded")
        assert body["checks"]["it"]["status"] == "degraded"
        assert body["checks"]["it"]["detail"].startswith(detail)
        assert body["checks"]["postgresql"]["status"] == "ok"


async def test_each_follower_tells_its_progress(database: str, nats_url: str) -> None:
    """Read tables, relay, consumers: by name, with what waits, in readiness and metrics alike."""
    async with credits_service(database, nats_url) as client:
        await _append(client)
        body = await client.until(
            lambda _, body: (
                body["status"] == "ok" and all(not follower["progress"]["waiting"] for follower in body["followers"])
            )
        )
        names = {follower["progress"]["name"] for follower in body["followers"]}
        assert "relay" in names
        assert any(name.startswith("projection ") for name in names)
        assert sum(name.startswith("consumer ") for name in names) == len(client.service.parts.consumers)
        async with aiohttp.ClientSession() as session, session.get(f"{client.url}/metrics") as response:
            metrics = await response.text()
        for name in names:
            assert f'follower_waiting_events{{follower="{name}"}} 0.0' in metrics


async def test_a_check_that_hangs_is_begun_once(database: str, nats_url: str) -> None:
    """However often readiness is asked: what hangs must not pile up."""
    async with credits_service(database, nats_url) as client:
        calls = 0

        async def hangs() -> str | None:
            nonlocal calls
            calls += 1
            await asyncio.Event().wait()
            return None

        client.service.runtime.checks["it"] = hangs
        answers = await asyncio.gather(*(client.ready() for _ in range(5)))
        answers.append(await client.ready())
        assert {status for status, _ in answers} == {503}
        assert calls == 1


async def test_a_clock_that_differs_from_postgresqls_is_told(
    database: str, nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By how much, and which way; requests are served."""
    async with credits_service(database, nats_url) as client:
        real = time.time
        monkeypatch.setattr("shared.runtime.health.time.time", lambda: real() + 3600)
        body = await client.until(lambda status, body: (status, body["status"]) == (200, "degraded"))
        assert body["checks"]["clock"]["detail"].startswith("this clock is 3600.")
        assert body["checks"]["clock"]["detail"].endswith("s ahead of PostgreSQL's")
