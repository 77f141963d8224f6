"""`emprops projections`: what operators see of read tables, and what they can do."""

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
    """The folder of a set with only the credits' database."""
    nowhere = "http://127.0.0.1:1"
    set_file = SetFile(
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
    write_private(tmp_path / "set.json", msgspec.json.encode(set_file))
    with hold(tmp_path):  # as its supervisor does, while it runs
        yield tmp_path


def call(data: Path, command: str, *arguments: str) -> Result:
    return CliRunner().invoke(
        projections, [command, "--data", str(data), "--service", "credits", *arguments], catch_exceptions=False
    )


def printed(data: Path, command: str, *arguments: str) -> Any:
    result = call(data, command, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


async def record(store: EventStore, *amounts: int) -> int:
    """Records events of one account; returns the last position."""
    version = len(await store.read_stream(USER))
    context = Context(uuid4(), "user:test")
    return (
        await store.append([StreamAppend(USER, version, [granted(amount) for amount in amounts])], context)
    ).position


@contextlib.asynccontextmanager
async def opened(database: str) -> AsyncIterator[EventStore]:
    async with EventStore.open(database, SERVICE.codec()) as store:
        yield store


async def test_tables_are_listed_rebuilt_and_checked(database: str, data: Path) -> None:
    """By their names with versions; a check exits with 0 if the tables are equal, with 1 if not."""
    async with opened(database) as store, projecting(store, *SERVICE.projections) as projector:
        assert await projector.caught_up(await record(store, 5, 6), PATIENCE)

    listed = await asyncio.to_thread(printed, data, "list")
    assert {row["name"]: (row["status"], row["position"], row["events"]) for row in listed["tables"]} == {
        projection.table: ("live", 2, 0) for projection in SERVICE.projections
    }
    [report] = await asyncio.to_thread(printed, data, "rebuild", "accounts")
    assert (report["name"], report["missing"], report["extra"], report["swapped"]) == ("accounts_v2", 0, 0, True)

    with psycopg.connect(database, autocommit=True) as sql:
        sql.execute("update accounts_v2 set available = 0")
        result = await asyncio.to_thread(call, data, "rebuild", "accounts_v2", "--check", "--json")
        assert result.exit_code == 1
        assert [(row["missing"], row["extra"]) for row in json.loads(result.stdout)] == [(1, 1)]
        sql.execute("alter table accounts_v2 add more text")
        result = await asyncio.to_thread(call, data, "rebuild", "accounts", "--check")
        assert result.exit_code == 1
        assert "not compared" in result.output
        assert "the same" not in result.output


async def test_a_stuck_table_shows_its_event_which_can_be_skipped(database: str, data: Path) -> None:
    """With error, reason and actor; control characters are escaped for terminals."""
    [entries] = [table for table in SERVICE.projections if table.name == "entries"]

    def project(row: Any, recorded: RecordedEvent) -> Any:
        if recorded.position == 2:
            raise ValueError("no ledger \x1b[31mtakes this")
        return entries.project(row, recorded)

    async with opened(database) as store, projecting(store, replace(entries, project=project)) as projector:
        await record(store, 1, 2, 3)

        async def failed() -> bool:
            return [table.status for table in await projector.lag()] == ["failed"]

        await eventually(failed, "it is stuck")
        output = (await asyncio.to_thread(call, data, "list")).output
        assert "entries_v2" in output
        assert "failed" in output
        assert "\x1b" not in output
        result = await asyncio.to_thread(
            printed, data, "skip", "--table", "entries_v2", "--position", "2", "--reason", "ticket 12"
        )
        assert (result["position"], result["reason"]) == (2, "ticket 12")

        async def went_on() -> bool:
            return [(table.status, table.position) for table in await projector.lag()] == [("live", 3)]

        await eventually(went_on, "it goes on")
    listed = await asyncio.to_thread(printed, data, "list")
    assert [(table["table"], table["reason"]) for table in listed["skipped"]] == [("entries_v2", "ticket 12")]
    refused = await asyncio.to_thread(
        call, data, "skip", "--table", "entries_v2", "--position", "3", "--reason", "too late"
    )
    assert refused.exit_code == 1
    assert "has applied the event at 3" in refused.output


async def test_unused_versions_are_listed_and_dropped(database: str, data: Path) -> None:
    old = replace(SERVICE.projections[0], name="old", version=7)
    async with opened(database) as store:
        await Projector(store, [old, *SERVICE.projections]).prepare()
        await table_usage.record(store, SERVICE.projections, "credits-1", "0.2.0")
    with psycopg.connect(database, autocommit=True) as sql:
        sql.execute("update read_tables set moved_at = moved_at - interval '8 days'")
    output = await asyncio.to_thread(printed, data, "unused")
    assert (output["unused"], output["dropped"]) == (["old_v7"], [])
    assert {table["users"] for table in output["tables"]} == {"", "0.2.0 (credits-1)"}
    assert (await asyncio.to_thread(printed, data, "unused", "--drop"))["dropped"] == ["old_v7"]
    assert "old_v7" not in (await asyncio.to_thread(call, data, "unused")).output
