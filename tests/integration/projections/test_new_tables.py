"""A release whose tables are new, of a new version or gone: each is built beside what there is."""

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
    """Version 2 of the tallies' rows: another column."""

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
    async def test_a_new_version(self, store: EventStore, sql: psycopg.Connection) -> None:
        """It is built beside the old one, here with another column, and the old one stays as it was."""
        await some_history(store)
        await projected(store)
        before = rows(sql, "tallies_v1")
        await some_history(store)
        await projected(store, SECOND, *ALL[1:])
        assert rows(sql, "tallies_v2") == await expected(store, SECOND)
        assert indexes(sql, "tallies_v2") == {"tallies_v2_pkey", "tallies_v2_highest"}
        assert rows(sql, "tallies_v1") == before

    async def test_a_new_version_before_the_first_event_was_seen(
        self, store: EventStore, sql: psycopg.Connection
    ) -> None:
        """Events that no version has seen are taken in once."""
        await Projector(store, ALL).prepare()
        await some_history(store)
        await projected(store, SECOND, *ALL[1:])
        assert rows(sql, "tallies_v2") == await expected(store, SECOND)

    async def test_the_old_version_again(self, store: EventStore, sql: psycopg.Connection) -> None:
        """Rolled back to the old version, its table goes on where it was: nothing is built anew."""
        await some_history(store)
        first = await projected(store, TALLIES)
        await some_history(store)
        await projected(store, SECOND)
        assert sql.execute("select position from read_tables where name = 'tallies_v1'").fetchone() == (first,)
        await projected(store, TALLIES)
        assert rows(sql, "tallies_v1") == await expected(store, TALLIES)

    async def test_a_new_table_on_old_history(self, store: EventStore, sql: psycopg.Connection) -> None:
        """It catches up by itself, and goes on with the others."""
        await some_history(store)
        await projected(store, TALLIES)
        await some_history(store)
        await projected(store)
        for projection in ALL:
            assert rows(sql, projection.table) == await expected(store, projection)

    async def test_a_table_less(self, store: EventStore, sql: psycopg.Connection) -> None:
        """A projection that is no longer there keeps its table as it was, and holds nobody back."""
        await some_history(store)
        await projected(store)
        await some_history(store)
        await projected(store, TALLIES)
        assert rows(sql, "tallies_v1") == await expected(store, TALLIES)
        await projected(store)
        for projection in ALL:
            assert rows(sql, projection.table) == await expected(store, projection)


async def test_memory_of_old_rows_is_not_kept(store: EventStore, sql: psycopg.Connection) -> None:
    """A table that a bug had filled wrongly is right after the version with the fix has started."""

    def forgetful(row: TallyRow | None, recorded: RecordedEvent) -> TallyRow | None:
        after = tally(row, recorded)
        return after and msgspec.structs.replace(after, total=0)

    await some_history(store)
    await projected(store, replace(TALLIES, project=forgetful))
    assert rows(sql, "tallies_v1") != await expected(store, TALLIES)
    fixed = replace(TALLIES, version=2)
    await projected(store, fixed)
    assert rows(sql, "tallies_v2") == await expected(store, fixed)
