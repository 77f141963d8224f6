"""`emprops projections`: what an operator sees of read tables, and does about them."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import psycopg
import pytest
from click.testing import CliRunner, Result

from infra.cli.projections import projections
from infra.embedded.set_file import S3Info, ServiceInfo, SetFile, write_private
from infra.embedded.set_lock import hold
from services.credits.app import SERVICE
from shared.contracts.credits import CreditsGranted
from shared.eventstore import Context, EventStore, RecordedEvent, StreamAppend
from shared.projections import Projector, table_usage
from tests.integration.projections.tables import projecting
from tests.support.patience import PATIENCE, eventually

USER = uuid4()


def granted(amount: int) -> CreditsGranted:
    return CreditsGranted(uuid4(), USER, amount, "test", 0, None, None)


@pytest.fixture
def data(database: str, tmp_path: Path) -> Iterator[Path]:
    """The folder of a set of which only the credits' database is there."""
    nowhere = "http://127.0.0.1:1"
    made = SetFile(
        url=nowhere,
        pid=1,
        replicas=1,
        issuer="",
        audience="",
        development_user=USER,
        issuer_key_file="",
        jwks_file="",
        grant_key_file="",
        postgres_url=database,
        nats_url="nats://127.0.0.1:1",
        s3=S3Info(endpoint=nowhere, access_key="", secret_key="", bucket=""),
        services={"credits": ServiceInfo(urls=[nowhere], database_url=database, nats_url="nats://127.0.0.1:1")},
        ports={},
    )
    write_private(tmp_path / "set.json", msgspec.json.encode(made))
    with hold(tmp_path):  # as its supervisor does, while it runs
        yield tmp_path


def call(data: Path, command: str, *arguments: str) -> Result:
    return CliRunner().invoke(
        projections, [command, "--data", str(data), "--service", "credits", *arguments], catch_exceptions=False
    )


def printed(data: Path, command: str, *arguments: str) -> Any:
    done = call(data, command, *arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


async def record(store: EventStore, *amounts: int) -> int:
    """On the stream of one account; the last position."""
    version = len(await store.read_stream(USER))
    context = Context(uuid4(), "user:test")
    return (await store.append([StreamAppend(USER, version, [granted(each) for each in amounts])], context)).position


@contextlib.asynccontextmanager
async def opened(database: str) -> AsyncIterator[EventStore]:
    async with EventStore.open(database, SERVICE.codec()) as store:
        yield store


async def test_tables_are_listed_rebuilt_and_checked(database: str, data: Path) -> None:
    """By their own names, versions and all; a check that finds nothing exits with 0, one that does with 1."""
    async with opened(database) as store, projecting(store, *SERVICE.projections) as projector:
        assert await projector.caught_up(await record(store, 5, 6), PATIENCE)

    listed = await asyncio.to_thread(printed, data, "list")
    assert {each["name"]: (each["status"], each["position"], each["events"]) for each in listed["tables"]} == {
        projection.table: ("live", 2, 0) for projection in SERVICE.projections
    }
    [report] = await asyncio.to_thread(printed, data, "rebuild", "accounts")
    assert (report["name"], report["missing"], report["extra"], report["swapped"]) == ("accounts_v1", 0, 0, True)

    with psycopg.connect(database, autocommit=True) as sql:
        sql.execute("update accounts_v1 set available = 0")
        done = await asyncio.to_thread(call, data, "rebuild", "accounts_v1", "--check", "--json")
        assert done.exit_code == 1
        assert [(each["missing"], each["extra"]) for each in json.loads(done.stdout)] == [(1, 1)]
        sql.execute("alter table accounts_v1 add more text")
        done = await asyncio.to_thread(call, data, "rebuild", "accounts", "--check")
        assert done.exit_code == 1
        assert "not compared" in done.output
        assert "the same" not in done.output


async def test_what_a_table_is_stuck_on_is_shown_and_skipped(database: str, data: Path) -> None:
    """The event, the error, the reason and who gave it; a terminal is told nothing that it would obey."""
    [entries] = [each for each in SERVICE.projections if each.name == "entries"]

    def project(row: Any, recorded: RecordedEvent) -> Any:
        if recorded.position == 2:
            raise ValueError("no ledger \x1b[31mtakes this")
        return entries.project(row, recorded)

    async with opened(database) as store, projecting(store, replace(entries, project=project)) as projector:
        await record(store, 1, 2, 3)

        async def failed() -> bool:
            return [each.status for each in await projector.lag()] == ["failed"]

        await eventually(failed, "it is stuck")
        shown = (await asyncio.to_thread(call, data, "list")).output
        assert "entries_v1" in shown
        assert "failed" in shown
        assert "\x1b" not in shown
        done = await asyncio.to_thread(
            printed, data, "skip", "--table", "entries_v1", "--position", "2", "--reason", "ticket 12"
        )
        assert (done["position"], done["reason"]) == (2, "ticket 12")

        async def went_on() -> bool:
            return [(each.status, each.position) for each in await projector.lag()] == [("live", 3)]

        await eventually(went_on, "it goes on")
    listed = await asyncio.to_thread(printed, data, "list")
    assert [(each["table"], each["reason"]) for each in listed["skipped"]] == [("entries_v1", "ticket 12")]
    refused = await asyncio.to_thread(
        call, data, "skip", "--table", "entries_v1", "--position", "3", "--reason", "too late"
    )
    assert refused.exit_code == 1
    assert "has applied the event at 3" in refused.output


async def test_versions_that_nobody_uses_are_shown_and_dropped(database: str, data: Path) -> None:
    old = replace(SERVICE.projections[0], name="old", version=7)
    async with opened(database) as store:
        await Projector(store, [old, *SERVICE.projections]).prepare()
        await table_usage.record(store, SERVICE.projections, "credits-1", "0.2.0")
    with psycopg.connect(database, autocommit=True) as sql:
        sql.execute("update read_tables set moved_at = moved_at - interval '8 days'")
    shown = await asyncio.to_thread(printed, data, "unused")
    assert (shown["unused"], shown["dropped"]) == (["old_v7"], [])
    assert {each["users"] for each in shown["tables"]} == {"", "0.2.0 (credits-1)"}
    assert (await asyncio.to_thread(printed, data, "unused", "--drop"))["dropped"] == ["old_v7"]
    assert "old_v7" not in (await asyncio.to_thread(call, data, "unused")).output
