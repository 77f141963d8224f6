"""R11, one poison event per kind: its own stream waits, others continue, readiness reports it, an operator resolves it.

What can't be made through the API is put where a fault would put it: into the stores by SQL, onto NATS by hand. A table
that refuses one row by a trigger stands for a release whose fold raises for one event; dropping it is the next release.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import nats
import psycopg
import pytest
from nats.aio.client import Client as NatsClient

from infra.demo.client import ApiError
from tests.faults.silent import SERVICES, assert_held
from tests.support.jobs import assert_rebuilds_are_equal, until_settled
from tests.support.load import Load, busy_seconds, load
from tests.support.patience import eventually
from tests.support.running_set import RunningSet, running_set

pytestmark = pytest.mark.faults

FLOWS = 30.0
"""Seconds within which another user's job must pass all services while the poison event is there."""
TOO_LARGE = 9 * 1024 * 1024
"""Bytes: more than any NATS of ours takes."""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningSet]:
    """One per test: what one of them can't heal must not be met by the next."""
    with running_set(tmp_path / "set") as instance:
        yield instance
        assert_rebuilds_are_equal(instance)


@contextlib.asynccontextmanager
async def broker(running: RunningSet) -> AsyncIterator[NatsClient]:
    """As an operator, who may do everything."""
    client = await nats.connect(running.file.nats_url)
    try:
        yield client
    finally:
        await client.close()


def sql(running: RunningSet, service: str, statement: str, *values: object) -> list[tuple]:
    database = running.file.postgres_url.rpartition("/")[0] + f"/{service}"
    with psycopg.connect(database, autocommit=True) as connection:
        cursor = connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


async def others_flow(running: RunningSet, users: Load, *names: str) -> None:
    """Jobs of all users pass every service, and `emprops status` names each poison event."""
    await users.job_ends(within=FLOWS)
    await users.answered_more(within=FLOWS)
    for name in names:
        await asyncio.to_thread(running.until_told, name, 60)


async def jobs_complete(running: RunningSet, users: Load) -> None:
    """By the history: the table of jobs stands still at the event, until an operator skips it."""
    before = set(users.jobs)
    await users.answered_more(("generate",), within=FLOWS)
    query = "select count(*) from events where type like 'job_completed.%%' and stream_id = any(%s)"

    async def one_has() -> bool:
        new = [UUID(job_id) for job_id in set(users.jobs) - before]
        return sql(running, "generation", query, new)[0][0] > 0

    await eventually(one_has, "a job to complete", within=FLOWS + busy_seconds())


def table_of(running: RunningSet, service: str, projection: str) -> str:
    """A read table's name with its version."""
    [(name,)] = sql(
        running, service, "select tablename from pg_tables where tablename ~ ('^' || %s || '(_v[0-9]+)?$')", projection
    )
    return str(name)


@contextlib.contextmanager
def refusing(running: RunningSet, service: str, projection: str, row: str, code: str) -> Iterator[None]:
    """The read table refuses every row of which the condition is true, with this SQLSTATE."""
    table = table_of(running, service, projection)
    name = f"poisoned_{projection}"
    sql(
        running,
        service,
        f"create or replace function {name}() returns trigger language plpgsql as $$ begin "
        f"if {row} then raise exception 'poisoned on purpose' using errcode = '{code}'; end if; return new; end $$",
    )
    sql(
        running,
        service,
        f"create trigger {name} before insert or update on {table} for each row execute function {name}()",
    )
    try:
        yield
    finally:
        sql(running, service, f"drop trigger if exists {name} on {table}")


async def test_a_fold_that_fails_for_one_event(running: RunningSet) -> None:
    """In three tables, also with errors that look as if they would pass: they come again and again, for one event only.

    Each stops its own table; the release that can fold the event goes on where it stood.
    """
    marker, victim = f"poison {uuid4()}", await running.rich_user(5)
    async with load(running, users=2) as users:
        await users.job_ends(within=60)
        with (
            refusing(running, "credits", "grants", f"new.external_id = '{marker}'", "P0001"),
            refusing(running, "collections", "projects", f"new.name = '{marker}'", "40001"),
            refusing(running, "storage", "assets", f"new.name = '{marker}.txt'", "08006"),
        ):
            grant = {"user_id": str(victim), "amount": 5, "source": "test", "external_id": marker}
            async with running.client(victim, "user", "operator") as client:
                # It is recorded; whether it can be shown in time is another matter.
                with contextlib.suppress(ApiError):
                    await client.post("/credits/grants", grant)
                with contextlib.suppress(ApiError):
                    await client.post("/projects", {"name": marker})
                headers = {"X-Filename": f"{marker}.txt", "Content-Type": "text/plain"}
                async with client.session.post(f"{running.url}/assets", data=b"poison", headers=headers) as response:
                    assert response.status in {201, 503}, await response.text()
            await others_flow(running, users, "grants", "projects", "assets")
        await asyncio.to_thread(running.until_in_order, 60)
        async with running.client(victim) as client:
            assert marker in [project["name"] for project in await client.get("/projects")]
    await assert_held(users)


async def test_events_that_cannot_be_read_or_sent(running: RunningSet) -> None:
    """Of a type that no release knows, of a form that does not decode, too large for the broker: each in one store."""
    unknown, undecodable, large = uuid4(), uuid4(), uuid4()
    async with load(running, users=2) as users:
        await users.job_ends(within=60)
        put_event(running, "collections", unknown, "collection_haunted.v1", b'{"type":"collection_haunted.v1"}')
        put_event(
            running, "generation", undecodable, "job_requested.v1", b'{"type":"job_requested.v1","quoted":"much"}'
        )
        event = {"type": "credits_granted.v1", "user_id": str(large), "external_id": "n" * TOO_LARGE}
        put_event(running, "credits", large, event["type"], json.dumps(like(running, "credits", event)).encode())
        await jobs_complete(running, users)
        await users.answered_more(within=FLOWS)
        for words in ("collections-1: relay: 1 parked", "job_requested.v1", "credits-1: relay: 1 parked"):
            await asyncio.to_thread(running.until_told, words, 60)
        await asyncio.to_thread(heal, running, unknown, undecodable, large)
        await asyncio.to_thread(running.until_in_order, 60)
    await assert_held(users)


def like(running: RunningSet, service: str, event: dict[str, Any]) -> dict[str, Any]:
    """The first event of that type, with other values in some of its fields."""
    [(data,)] = sql(running, service, "select data from events where type = %s limit 1", event["type"])
    return json.loads(data) | event


def put_event(running: RunningSet, service: str, stream: UUID, tag: str, data: bytes) -> None:
    """Appends as the writer does: under the append lock, with a context."""
    metadata = json.dumps({"command_id": str(uuid4()), "actor": "test"}).encode()
    sql(
        running,
        service,
        "with locked as materialized (select pg_advisory_xact_lock(28549302371446899))"
        " insert into events (event_id, stream_id, version, type, data, metadata)"
        " select %s, %s, 1, %s, %s, %s from locked",
        *(uuid4(), stream, tag, data, metadata),
    )


def heal(running: RunningSet, unknown: UUID, undecodable: UUID, large: UUID) -> None:
    """The operator's way out: what is parked of these streams is given up, tables skip the event, with a reason."""
    [(position,)] = sql(running, "generation", "select position from events where stream_id = %s", undecodable)
    for table in ("jobs_v5", "generations_v4", "job_events_v3", "job_history_v3"):
        where = ("--service", "generation", "--table", table, "--position", str(position))
        running.say("projections", "skip", *where, "--reason", "a test's poison")
    ids = {
        service: {row.get("stream_id"): row["id"] for row in running.command("parked", "list", "--service", service)}
        for service in SERVICES
    }
    assert str(unknown) in ids["collections"]
    assert str(large) in ids["credits"]
    assert str(undecodable) in ids["credits"].keys() & ids["collections"].keys()
    discard_all(running)


def discard_all(running: RunningSet) -> None:
    for service in SERVICES:
        for row in running.command("parked", "list", "--service", service):
            discard(running, service, row["id"])


def discard(running: RunningSet, service: str, number: int) -> None:
    running.say("parked", "discard", "--service", service, str(number), "--reason", "a test's poison")


async def test_messages_that_nobody_of_ours_sent(running: RunningSet) -> None:
    """Consumers park malformed ones; forged ids do not move a relay; a forged job holds no credits."""
    async with load(running, users=2) as users, broker(running) as client:
        await users.job_ends(within=60)
        user, stray = await running.rich_user(100), uuid4()
        js = client.jetstream()
        subject = f"events.collections.collection.{stray}.collection_created.v1"
        await js.publish(subject, b"\xff{", headers={"Nats-Msg-Id": f"stray:{stray}"})
        for service in SERVICES:
            for forged in (f"{service}:999999999", f"{service}:1:999999999"):
                subject = f"events.{service}.forged.{uuid4()}.forged.v1"
                await js.publish(subject, b"{}", headers={"Nats-Msg-Id": forged})
        subject, body, headers = forged_job(running, user)
        await js.publish(subject, body, headers=headers)
        for body in (b"\x00\xff", b"{}", b'{"job_id":"x"}', b"[" * 100_000):
            await js.publish(f"results.{uuid4()}", body)
        await others_flow(running, users, "parked")
        async with running.client(user) as owner:
            assert (await until_settled(owner))["available"] == 100
        await asyncio.to_thread(discard_all, running)
        await asyncio.to_thread(running.until_in_order, 60)
    await assert_held(users)


def forged_job(running: RunningSet, user: UUID) -> tuple[str, bytes, dict[str, str]]:
    """Subject, body and headers of a well-formed `job_requested` that says it comes from generation."""
    job_id = str(uuid4())
    [(tag,)] = sql(running, "generation", "select type from events where type like 'job_requested.%%' limit 1")
    event = like(running, "generation", {"type": tag, "job_id": job_id, "user_id": str(user)})
    headers = {
        "Nats-Msg-Id": "generation:1:888888888",
        "ce-specversion": "1.0",
        "ce-id": str(uuid4()),
        "ce-source": "/emprops/generation",
        "ce-type": tag,
        "ce-subject": job_id,
        "ce-time": datetime.now(UTC).isoformat(),
        "content-type": "application/json",
        "ce-position": "888888888",
        "ce-streamversion": "1",
        "ce-actor": "user:forger",
        "ce-commandid": str(uuid4()),
    }
    return f"events.generation.job.{job_id}.{tag}", json.dumps(event).encode(), headers
