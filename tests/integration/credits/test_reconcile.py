"""`emprops credits reconcile` finds each kind of damage: in each read table, and between holds and jobs."""

import asyncio
import json
from datetime import timedelta
from typing import Any, LiteralString
from uuid import UUID, uuid4

import psycopg
import pytest
from click.testing import CliRunner

from infra.cli import credits as command
from infra.cli import jobs_and_holds
from infra.cli.jobs_and_holds import NO_HOLDS, Holds, Job, difference
from services.credits.domain.decisions import CaptureHold, PlaceHold
from services.credits.domain.reversals import ReverseGrant
from services.credits.handlers import CommandHandlers
from services.generation.app import SERVICE as GENERATION
from shared.eventstore import EventStore
from shared.projections import Projector
from tests.integration.credits.test_ledger import NOW, context, give, replica
from tests.support.apps.client import ALICE

DAMAGE: dict[str, tuple[LiteralString, str]] = {
    "an account's sum": ("update accounts_v2 set available = available + 1", "accounts_v2"),
    "a lost account": ("delete from accounts_v2", "accounts_v2"),
    "a grant": ("update grants_v2 set spent = spent + 1, available = available - 1", "grants_v2"),
    "a hold": ("update holds_v3 set status = 'released' where status = 'captured'", "holds_v3"),
    "a lost hold": ("delete from holds_v3 where status = 'captured'", "holds_v3"),
    "an entry": ("update entries_v2 set change = change + 1 where kind = 'granted'", "entries_v2"),
    "a lost entry": ("delete from entries_v2 where kind = 'held'", "entries_v2"),
    "a made-up entry": (
        "insert into entries_v2 values (0, gen_random_uuid(), 'held', 1, 1, null, null, null, null, 'x', now())",
        "entries_v2",
    ),
    "a reversal": ("update reversals_v1 set amount = amount + 1", "reversals_v1"),
}


async def reconciled(monkeypatch: pytest.MonkeyPatch, credits_: str, generation: str) -> tuple[int, list[Any]]:
    """The exit code and the differences."""
    databases = {"credits": credits_, "generation": generation}
    monkeypatch.setattr(jobs_and_holds, "PATIENCE", 0.0)
    monkeypatch.setattr(
        command, "opened_store", lambda _, name: EventStore.open(databases[name], command.definition_of(name).codec())
    )
    arguments = ["reconcile", "--data", ".", "--json"]
    result = await asyncio.to_thread(CliRunner().invoke, command.credits, arguments, catch_exceptions=False)
    return result.exit_code, json.loads(result.stdout)["differences"]


async def ledger(database: str) -> UUID:
    """A ledger with a row of each kind; returns the id of its job."""
    job = uuid4()
    async with replica(database, projecting=True) as runtime:
        handlers, grant = CommandHandlers(runtime.store, lambda: NOW), give(10)
        await handlers.handle(grant, context())
        await handlers.handle(PlaceHold(ALICE, job, 4, NOW, deadline=NOW + timedelta(days=2)), context())
        await handlers.handle(CaptureHold(ALICE, job, 3, NOW), context())
        reversal = ReverseGrant(uuid4(), grant.grant_id, ALICE, 2, "x", "y", NOW)
        handled = await handlers.handle(reversal, context())
        assert await runtime.projector.caught_up(handled.position)
    return job


async def with_jobs(database: str) -> None:
    async with EventStore.open(database, GENERATION.codec()) as store:
        await Projector(store, GENERATION.projections).prepare()


async def test_each_damaged_row_is_reported(database: str, databases: Any, monkeypatch: pytest.MonkeyPatch):
    generation = databases()
    await with_jobs(generation)
    job = await ledger(database)
    code, lines = await reconciled(monkeypatch, database, generation)
    assert code == 1
    assert lines == [
        {"job": str(job), "difference": "credits captured 0.000003 for it, and generation has no such job"}
    ]
    for what, (statement, table) in DAMAGE.items():
        name = table.encode()
        with psycopg.connect(database, autocommit=True) as sql:
            sql.execute(b"create table kept as table " + name)
            sql.execute(statement)
        code, lines = await reconciled(monkeypatch, database, generation)
        assert code == 1, what
        assert {line["table"] for line in lines if "table" in line} == {table}, what
        assert all(line["key"] for line in lines if "table" in line), what
        with psycopg.connect(database, autocommit=True) as sql:
            sql.execute(b"delete from " + name)
            sql.execute(b"insert into " + name + b" table kept")
            sql.execute("drop table kept")


async def test_an_empty_ledger_has_no_difference(database: str, databases: Any, monkeypatch: pytest.MonkeyPatch):
    generation = databases()
    await with_jobs(generation)
    async with replica(database) as runtime:
        await CommandHandlers(runtime.store, lambda: NOW).handle(give(1), context())
    async with replica(database, projecting=True) as runtime:
        assert await runtime.projector.caught_up(await runtime.store.head())
    assert await reconciled(monkeypatch, database, generation) == (0, [])


@pytest.mark.parametrize(
    ("job", "holds", "part"),
    [
        (None, NO_HOLDS, None),
        (None, Holds(1, 5, 0), "no such job"),
        (None, Holds(0, 0, 5), "no such job"),
        (Job("pending", 0, 0), NO_HOLDS, None),
        (Job("pending", 0, 0), Holds(1, 5, 0), None),
        (Job("processing", 5, 0), Holds(1, 5, 0), None),
        (Job("processing", 5, 0), Holds(1, 4, 0), "generation says 0.000005"),
        (Job("processing", 5, 0), NO_HOLDS, "holds nothing"),
        (Job("completed", 0, 5), Holds(0, 0, 5), None),
        (Job("completed", 0, 5), Holds(0, 0, 4), "captured 0.000004"),
        (Job("failed", 0, 0), Holds(1, 5, 0), "it is failed"),
    ],
)
def test_a_job_and_its_holds(job: Job | None, holds: Holds, part: str | None):
    sentence = difference(job, holds)
    assert (sentence is None) == (part is None)
    assert part is None or part in (sentence or "")
