"""An event that one read table can't apply stops that table only; it is reported, and can be skipped for good."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from shared.contracts.problem import Problem
from shared.eventstore import EventStore, RecordedEvent
from shared.projections import Key, Projection, Projector, Stuck, rebuild, skips
from shared.projections.skips import skip
from tests.integration.eventstore.tally import Counted, context, counted
from tests.integration.projections.tables import STEPS, SUMS, TALLIES, TallyRow, expected, projecting, rows, tally
from tests.support.patience import PATIENCE, eventually

POISON = 666


class Bug:
    """A bug of a projection, until it is fixed."""

    def __init__(self) -> None:
        self.is_there = True

    def meets(self, recorded: RecordedEvent) -> bool:
        return self.is_there and recorded.event == Counted(POISON)

    def in_fold(self) -> Projection[Any]:
        def project(row: TallyRow | None, recorded: RecordedEvent) -> TallyRow | None:
            if self.meets(recorded):
                raise ValueError("this fold has a bug")
            return tally(row, recorded)

        return replace(TALLIES, project=project)

    def in_keys(self) -> Projection[Any]:
        def keys(recorded: RecordedEvent) -> list[Key]:
            if self.meets(recorded):
                raise KeyError("these keys have a bug")
            return [(recorded.stream_id,)]

        return replace(TALLIES, keys=keys)

    def in_row(self) -> Projection[Any]:
        """The error for a row that PostgreSQL rejects: a number beyond bigint."""

        def project(row: TallyRow | None, recorded: RecordedEvent) -> TallyRow | None:
            after = tally(row, recorded)
            return replace_total(after, 2**70) if after and self.meets(recorded) else after

        return replace(TALLIES, project=project)


def replace_total(row: TallyRow, total: int) -> TallyRow:
    return TallyRow(row.id, row.name, total, row.changes, row.changed_at)


@pytest.fixture(params=["in_fold", "in_keys", "in_row"])
def bug(request: pytest.FixtureRequest) -> tuple[Bug, Projection[Any]]:
    instance = Bug()
    return instance, getattr(instance, request.param)()


async def failed(projector: Projector) -> bool:
    return any(lag.status == "failed" for lag in await projector.lag())


async def healed(projector: Projector, position: int) -> bool:
    return all((lag.status, lag.position) == ("live", position) for lag in await projector.lag())


async def test_a_stuck_table_does_not_stop_the_others(
    store: EventStore, sql: psycopg.Connection, bug: tuple[Bug, Projection[Any]]
) -> None:
    """It has all events before the one that fails; event and error are reported.

    Once the bug is fixed it continues, and no event counts twice.
    """
    fixable, broken = bug
    stream = uuid4()
    async with projecting(store, broken, SUMS, STEPS) as projector:
        before = await store.append(counted(stream, 0, *range(1, 20)), context())
        poison = await store.append(counted(stream, 19, POISON), context())
        after = await store.append(counted(stream, 20, 2, 3), context())
        assert await projector.caught_up(after.position, PATIENCE, [SUMS.table, STEPS.table])
        for projection in (SUMS, STEPS):
            assert rows(sql, projection.table) == await expected(store, projection)
        await eventually(lambda: failed(projector), "the failure is recorded")

        assert sql.execute("select changes from tallies_v1").fetchall() == [(19,)]
        lag = {table.name: table for table in await projector.lag()}
        assert (lag["tallies_v1"].position, lag["tallies_v1"].events) == (before.position, 3)
        assert f"at {poison.position}" in str(lag["tallies_v1"].event)
        assert lag["tallies_v1"].error
        assert [lag[table.table].status for table in (SUMS, STEPS)] == ["live", "live"]
        progress = {table.name: table for table in await projector.progress()}
        assert str(lag["tallies_v1"].event) in str(progress["projection tallies_v1"].stuck(patience=0))
        assert progress["projection sums_v1"].stuck(patience=0) is None

        fixable.is_there = False
        last = await store.append(counted(stream, 22, 4), context())
        await eventually(lambda: healed(projector, last.position), "it heals")
    assert rows(sql, "tallies_v1") == await expected(store, TALLIES)


async def test_reads_do_not_wait_for_a_failed_table(store: EventStore) -> None:
    """A write is answered once the others show it, and soon with the information that not all tables do."""
    broken = Bug().in_fold()
    async with projecting(store, broken, STEPS) as projector:
        poison = await store.append(counted(uuid4(), 0, POISON), context())
        await eventually(lambda: failed(projector), "the failure is recorded")
        assert await projector.caught_up(poison.position, PATIENCE, [STEPS.table])
        assert not await projector.caught_up(poison.position, timeout=3600)
        assert await projector.caught_up(poison.position, timeout=3600, despite_failed=True), "reads of others go on"


async def test_a_skipped_event_stays_skipped(store: EventStore, sql: psycopg.Connection) -> None:
    """The reason is stored; the table and each rebuild continue without the event."""
    broken = Bug().in_fold()
    stream = uuid4()
    async with projecting(store, broken, STEPS) as projector:
        await store.append(counted(stream, 0, 1), context())
        poison = await store.append(counted(stream, 1, POISON), context())
        after = await store.append(counted(stream, 2, 2), context())
        await eventually(lambda: failed(projector), "the failure is recorded")
        skipped = await skip(store, "tallies_v1", poison.position, reason="ticket 12", actor="operator:me")
        assert (skipped.position, skipped.reason, skipped.actor) == (poison.position, "ticket 12", "operator:me")
        assert "this fold has a bug" in skipped.error
        await eventually(lambda: healed(projector, after.position), "it goes on")
        assert [(lag.name, lag.status, lag.skipped) for lag in await projector.lag()] == [
            ("steps_v1", "live", 0), ("tallies_v1", "live", 1),
        ]  # fmt: skip
        assert sql.execute("select total, changes from tallies_v1").fetchall() == [(3, 2)]
        assert len(rows(sql, "steps_v1")) == 3, "other tables have the event"
        rebuilt = await rebuild(store, broken)
        assert rebuilt.same
        assert await skips.list_skips(store, ["tallies_v1"]) == [skipped]
    assert sql.execute("select total, changes from tallies_v1").fetchall() == [(3, 2)]


@pytest.mark.parametrize("code", ["40001", "08006"])
async def test_a_repeated_transient_error_of_one_event_stops_its_table(
    store: EventStore, sql: psycopg.Connection, code: str
) -> None:
    """As any other error of one event: it stops its own table, is reported, and can be skipped.

    PostgreSQL reports a serialization failure or a lost connection for one row repeatedly, and accepts the others.
    """
    poisoned, healthy = uuid4(), uuid4()
    async with projecting(store, TALLIES, SUMS, STEPS) as projector:
        # In a thread: the locks that it waits for are held by tasks of this loop.
        await asyncio.to_thread(
            sql.execute,
            "create function refuse() returns trigger language plpgsql as $$ begin"
            f" if new.total >= {POISON} then raise exception 'refused' using errcode = '{code}'; end if;"
            " return new; end $$",
        )
        await asyncio.to_thread(
            sql.execute,
            f"create trigger refuses before insert or update on {TALLIES.table} for each row execute function refuse()",
        )
        before = await store.append(counted(poisoned, 0, 1), context())
        poison = await store.append(counted(poisoned, 1, POISON), context())
        after = await store.append(counted(healthy, 0, 2, 3), context())
        assert await projector.caught_up(after.position, PATIENCE, [SUMS.table, STEPS.table])
        await eventually(lambda: failed(projector), "the failure is recorded")
        lag = {table.name: table for table in await projector.lag()}
        assert [lag[table.table].status for table in (TALLIES, SUMS, STEPS)] == ["failed", "live", "live"]
        assert lag[TALLIES.table].position == before.position
        assert f"at {poison.position}" in str(lag[TALLIES.table].event)
        assert "refused" in str(lag[TALLIES.table].error)
        progress = {table.name: table for table in await projector.progress()}
        assert f"at {poison.position}: " in str(progress[f"projection {TALLIES.table}"].stuck(patience=0))

        await skip(store, TALLIES.table, poison.position, reason="ticket 13", actor="operator:me")
        await eventually(lambda: healed(projector, after.position), "it goes on")
    assert dict(sql.execute(f"select id, total from {TALLIES.table}").fetchall()) == {poisoned: 1, healthy: 5}  # type: ignore[call-overload]  # psycopg wants a literal statement


async def test_only_the_event_that_is_next_can_be_skipped(store: EventStore) -> None:
    """Not one that is applied, does not exist, is another table's, or is skipped already."""
    async with projecting(store, STEPS) as projector:
        appended = await store.append(counted(uuid4(), 0, 1), context())
        assert await projector.caught_up(appended.position, PATIENCE)

        async def refused(table: str, position: int) -> str:
            with pytest.raises(Problem) as refusal:
                await skip(store, table, position, reason="r", actor="a")
            return refusal.value.code

        assert await refused("steps_v1", appended.position) == "CONFLICT"
        assert await refused("steps_v1", appended.position + 1) == "NOT_FOUND"
        assert await refused("nothing_v1", appended.position) == "NOT_FOUND"
    appended = await store.append(counted(uuid4(), 0, 1), context())
    await skip(store, "steps_v1", appended.position, reason="r", actor="a")
    assert await refused("steps_v1", appended.position) == "CONFLICT"


async def test_an_undecodable_event_stops_the_tables_of_its_type(store: EventStore, sql: psycopg.Connection) -> None:
    """Other tables continue; those of its type can skip it."""
    uncounted = replace(STEPS, name="uncounted", events=tuple(e for e in STEPS.events if e is not Counted))
    async with projecting(store, STEPS, uncounted) as projector:
        poison = await store.append(counted(uuid4(), 0, 1), context())
        assert await projector.caught_up(poison.position, PATIENCE)
        sql.execute(
            "insert into events (event_id, stream_id, version, type, data, metadata)"
            " select gen_random_uuid(), gen_random_uuid(), 1, type, 'no json', metadata from events limit 1"
        )
        after = await store.append(counted(uuid4(), 0, 1), context())
        assert await projector.caught_up(after.position, PATIENCE, [uncounted.table])
        await eventually(lambda: failed(projector), "the failure is recorded")
        await skip(store, STEPS.table, after.position - 1, reason="no event", actor="operator:me")
        await eventually(lambda: healed(projector, after.position), "it goes on")
    assert sql.execute("select position from steps_v1 order by 1").fetchall() == [
        (poison.position,), (after.position,),
    ]  # fmt: skip
    assert (await rebuild(store, STEPS)).same


async def test_a_rebuild_stops_at_the_event_too(store: EventStore, sql: psycopg.Connection) -> None:
    """It names the event, and continues from there once the projection is fixed."""
    stream = uuid4()
    async with projecting(store, TALLIES) as projector:
        await store.append(counted(stream, 0, 1, 2, 3), context())
        poison = await store.append(counted(stream, 3, POISON), context())
        assert await projector.caught_up(poison.position, PATIENCE)
    bug = Bug()
    broken = bug.in_fold()
    before = rows(sql, "tallies_v1")
    with pytest.raises(Stuck, match=f"at {poison.position}: ValueError: this fold has a bug"):
        await rebuild(store, broken)
    assert rows(sql, "tallies_v1") == before
    bug.is_there = False
    rebuilt = await rebuild(store, broken)
    assert rebuilt.same
    assert rebuilt.resumed_at == poison.position - 1
