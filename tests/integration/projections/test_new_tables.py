"""A release with new tables, new versions or fewer tables: each table is built beside the existing ones."""

from dataclasses import replace
from uuid import UUID

import msgspec
import psycopg

from shared.eventstore import EventStore, RecordedEvent
from shared.projections import Projector
from tests.integration.eventstore.tally import Counted, Opened
from tests.integration.projections.histories import indexes, projected, some_history
from tests.integration.projections.tables import ALL, TALLIES, TallyRow, expected, rows, tally


class CountsRow(msgspec.Struct, frozen=True):
    """Version 2 of the tallies' rows, with another column."""

    id: UUID
    name: str
    total: int
    changes: int
    highest: int


def counts(row: CountsRow | None, recorded: RecordedEvent) -> CountsRow | None:
    row = row or CountsRow(recorded.stream_id, "", 0, 0, 0)
    row = msgspec.structs.replace(row, changes=row.changes + 1)
    match recorded.event:
        case Opened(name=name):
            return msgspec.structs.replace(row, name=name)
        case Counted(by=by):
            return msgspec.structs.replace(row, total=row.total + by, highest=max(row.highest, by))
    return None


SECOND = replace(
    TALLIES,
    version=2,
    row=CountsRow,  # type: ignore[arg-type] # rows of the new version
    project=counts,  # type: ignore[arg-type] # likewise
    ddl="""create table {table} (
      id uuid primary key, name text not null, total bigint not null, changes bigint not null, highest bigint not null
    ); create index {table}_highest on {table} (highest)""",
)


class TestAtStart:
    async def test_a_new_version_is_built_beside_the_old_one(self, store: EventStore, sql: psycopg.Connection) -> None:
        """Here with another column; the old one is not changed."""
        await some_history(store)
        await projected(store)
        before = rows(sql, "tallies_v1")
        await some_history(store)
        await projected(store, SECOND, *ALL[1:])
        assert rows(sql, "tallies_v2") == await expected(store, SECOND)
        assert indexes(sql, "tallies_v2") == {"tallies_v2_pkey", "tallies_v2_highest"}
        assert rows(sql, "tallies_v1") == before

    async def test_a_new_version_of_an_empty_table_applies_each_event_once(
        self, store: EventStore, sql: psycopg.Connection
    ) -> None:
        """Events that no version has seen are taken in once."""
        await Projector(store, ALL).prepare()
        await some_history(store)
        await projected(store, SECOND, *ALL[1:])
        assert rows(sql, "tallies_v2") == await expected(store, SECOND)

    async def test_an_old_version_continues_after_a_rollback(self, store: EventStore, sql: psycopg.Connection) -> None:
        """Its table is not built again."""
        await some_history(store)
        first = await projected(store, TALLIES)
        await some_history(store)
        await projected(store, SECOND)
        assert sql.execute("select position from read_tables where name = 'tallies_v1'").fetchone() == (first,)
        await projected(store, TALLIES)
        assert rows(sql, "tallies_v1") == await expected(store, TALLIES)

    async def test_a_new_table_catches_up_and_joins_the_others(
        self, store: EventStore, sql: psycopg.Connection
    ) -> None:
        """It catches up by itself, and goes on with the others."""
        await some_history(store)
        await projected(store, TALLIES)
        await some_history(store)
        await projected(store)
        for projection in ALL:
            assert rows(sql, projection.table) == await expected(store, projection)

    async def test_a_removed_projection_leaves_its_table(self, store: EventStore, sql: psycopg.Connection) -> None:
        """It does not delay the others."""
        await some_history(store)
        await projected(store)
        await some_history(store)
        await projected(store, TALLIES)
        assert rows(sql, "tallies_v1") == await expected(store, TALLIES)
        await projected(store)
        for projection in ALL:
            assert rows(sql, projection.table) == await expected(store, projection)


async def test_a_new_version_does_not_use_old_rows(store: EventStore, sql: psycopg.Connection) -> None:
    """A table that a bug filled wrongly is right in the version with the fix."""

    def forgetful(row: TallyRow | None, recorded: RecordedEvent) -> TallyRow | None:
        after = tally(row, recorded)
        return after and msgspec.structs.replace(after, total=0)

    await some_history(store)
    await projected(store, replace(TALLIES, project=forgetful))
    assert rows(sql, "tallies_v1") != await expected(store, TALLIES)
    fixed = replace(TALLIES, version=2)
    await projected(store, fixed)
    assert rows(sql, "tallies_v2") == await expected(store, fixed)
