"""Numbered migrations are applied once, without blocking others, also to databases of earlier releases."""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from shared.eventsourcing_adapter.database import SCHEMA as RECORDERS
from shared.eventstore import EventStore, Schema, StreamAppend
from shared.eventstore.migrate import migrate
from shared.runtime import ServiceDefinition
from tests.contracts.catalogue import definitions
from tests.integration.eventstore.locking import faults
from tests.integration.eventstore.tally import CODEC, TALLY, Opened, context, counted
from tests.integration.eventstore.waiting import soon
from tests.support.patience import eventually

RELEASES = Path(__file__).parent / "releases"
COLLECTIONS = definitions()["collections"]

INDEX = """-- transactional: false
drop index concurrently if exists i;
create index concurrently i on events (type);"""

CATALOGUE = """
select 'column', table_name, column_name, concat_ws(' ', data_type, is_nullable, column_default, identity_generation)
from information_schema.columns where table_schema = 'public'
union all select 'index', tablename, indexname, indexdef from pg_indexes where schemaname = 'public'
union all select 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
from pg_constraint where connamespace = 'public'::regnamespace
union all select 'function', proname, '', pg_get_functiondef(oid)
from pg_proc where pronamespace = 'public'::regnamespace
union all select 'view', viewname, '', definition from pg_views where schemaname = 'public'
union all select 'sequence', sequencename, '', concat_ws(' ', data_type, start_value, increment_by, max_value)
from pg_sequences where schemaname = 'public'"""
VERSIONS = """
select 'table', relname, xmin::text from pg_class where relnamespace = 'public'::regnamespace
union all select 'function', proname, xmin::text from pg_proc where pronamespace = 'public'::regnamespace"""


@pytest.fixture
def database(databases: Callable[..., str]) -> str:
    """An empty one."""
    return databases("template1")


@cache
def schemas() -> dict[str, Schema]:
    """Every schema, by name."""
    of_services = [schema for definition in definitions().values() for schema in definition.schemas()]
    return {schema.name: schema for schema in [*of_services, RECORDERS]}


def folder(path: Path, **files: str) -> Schema:
    path.mkdir(exist_ok=True)
    for name, script in files.items():
        (path / f"{name}.sql").write_text(script)
    return Schema("things", path)


def catalogue(dsn: str, definition: ServiceDefinition) -> set[tuple[Any, ...]]:
    """The catalogue of a database without its read tables, which belong to no schema."""
    tables = {projection.name for projection in definition.projections}
    with psycopg.connect(dsn) as connection:
        return {row for row in connection.execute(CATALOGUE).fetchall() if row[1] not in tables}


def restore(dsn: str, dump: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute((RELEASES / dump).read_bytes())


def assert_applied_once(dsn: str, *every: Schema) -> None:
    """Each file of these schemas is in its version table once, and nothing else is."""
    with psycopg.connect(dsn) as sql:
        for schema in every:
            table = psycopg.sql.Identifier(schema.version_table)
            applied = sql.execute(psycopg.sql.SQL("select migration_id from {} order by 1").format(table)).fetchall()
            assert [name for (name,) in applied] == sorted(file.stem for file in schema.folder.glob("*.sql"))


@pytest.mark.parametrize("name", sorted(schemas()))
def test_files_are_numbered(name: str) -> None:
    """The names determine the order, and identify migrations in the version table."""
    names = sorted(file.name for file in schemas()[name].folder.glob("*.sql"))
    assert all(re.fullmatch(r"[0-9]{4}_[a-z0-9_]+\.sql", file_name) for file_name in names)
    assert [int(file_name[:4]) for file_name in names] == list(range(1, len(names) + 1))


class TestApplying:
    async def test_migrations_are_applied_once(self, database: str) -> None:
        """Another start creates no table or function again."""
        every = COLLECTIONS.schemas()
        await migrate(database, *every)
        with psycopg.connect(database, autocommit=True) as sql:
            applied = sql.execute(VERSIONS).fetchall()
            await migrate(database, *every)
            assert sql.execute(VERSIONS).fetchall() == applied
        assert_applied_once(database, *every)

    async def test_new_migrations_are_applied_in_order(self, database: str, tmp_path: Path) -> None:
        """After those that an earlier release applied."""
        await migrate(database, folder(tmp_path, **{"0001_things": "create table things (id bigint)"}))
        newer = {
            "0003_index": "create index things_name on things (name)",
            "0002_name": "alter table things add name text",
        }
        await migrate(database, folder(tmp_path, **newer))
        with psycopg.connect(database) as sql:
            assert sql.execute("select id, name from things").fetchall() == []

    async def test_concurrent_starts_apply_each_migration_once(self, database: str) -> None:
        await soon(asyncio.gather(*(migrate(database, *COLLECTIONS.schemas()) for _ in range(6))))
        assert_applied_once(database, *COLLECTIONS.schemas())
        async with EventStore.open(database, CODEC) as store:
            appended = await store.append(counted(uuid4(), 0, 1), context())
            assert await store.head() == appended.position

    async def test_a_failed_migration_is_rolled_back(self, database: str, tmp_path: Path) -> None:
        """It is tried again at the next start."""
        schema = folder(tmp_path, **{"0001_things": "create table things (id bigint); create table things (id bigint)"})
        with pytest.raises(psycopg.errors.DuplicateTable):
            await migrate(database, schema)
        repaired = folder(tmp_path, **{"0001_things": "create table things (id bigint)"})
        await migrate(database, repaired)
        assert_applied_once(database, repaired)

    async def test_special_characters_in_paths_are_literal(self, database: str, tmp_path: Path) -> None:
        """The folder's path is not a pattern."""
        await migrate(database, folder(tmp_path / "[a] ü'*", **{"0001_things": "create table things (id bigint)"}))
        with psycopg.connect(database) as sql:
            assert sql.execute("select count(*) from things").fetchone() == (0,)

    async def test_a_killed_migration_leaves_no_lock_and_no_change(self, database: str, tmp_path: Path) -> None:
        """kill -9 leaves neither a lock nor half a migration behind."""
        slow = folder(
            tmp_path, **{"0001_things": "create table things (id bigint); do 'begin perform pg_sleep(3600); end'"}
        )
        program = (
            "import pathlib, sys; from shared.eventstore.migrate import *;"
            "apply_migrations(sys.argv[1], [Schema('things', pathlib.Path(sys.argv[2]))])"
        )
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, database, str(slow.folder))
        try:
            with psycopg.connect(database, autocommit=True) as sql:
                active = (
                    "select 1 from pg_stat_activity where query like '%pg_sleep(3600)%' and pid <> pg_backend_pid()"
                )
                await eventually(asynchronous(lambda: sql.execute(active).fetchone()), "it is in the middle")
        finally:
            process.kill()
            await process.wait()
        whole = folder(tmp_path, **{"0001_things": "create table things (name text)"})
        await soon(migrate(database, whole))
        assert_applied_once(database, whole)
        with psycopg.connect(database) as sql:
            assert sql.execute("select name from things").fetchall() == []


def asynchronous(ask: Callable[[], object]) -> Callable[[], Awaitable[object]]:
    async def answer() -> object:
        return ask()

    return answer


class TestBlocksNoOther:
    async def test_a_migration_gives_way_to_a_long_reader(
        self, store: EventStore, sql: psycopg.Connection, tmp_path: Path
    ) -> None:
        """It gives up and retries, so commands continue; it is applied when the reader has ended."""
        stream = uuid4()
        await store.append([StreamAppend(stream, 0, [Opened("sheep")])], context())
        sql.execute("begin")
        sql.execute("select count(*) from events")
        task = asyncio.create_task(migrate(store.dsn, folder(tmp_path, **{"0001_x": "alter table events add x text"})))
        for version in range(1, 20):
            await soon(store.append(counted(stream, version, 1), context()))
            await asyncio.sleep(0.1)  # together longer than the migration waits for its lock
        assert not task.done()
        sql.execute("rollback")
        await soon(task)
        assert (await store.load(TALLY, stream)).version == 20

    @pytest.mark.parametrize("name", sorted(schemas()))
    async def test_no_migration_blocks_writers_for_long(self, name: str, database: str) -> None:
        """Each file of each schema, applied to tables with rows."""
        every = {schema.name: schema for schema in [*COLLECTIONS.schemas(), RECORDERS, schemas()[name]]}
        faults_of = {}
        for schema in every.values():
            for file in sorted(schema.folder.glob("*.sql")):
                if faults_of_file := faults(database, file):
                    faults_of[f"{schema.name}/{file.name}"] = faults_of_file
                fill(database)
        assert faults_of == {}

    @pytest.mark.parametrize(
        ("script", "fault"),
        [
            ("create index slow on events (type)", "reads 300 rows of events while writes to it are blocked"),
            ("alter table events add x uuid not null default gen_random_uuid()", "rewrites events"),
            ("drop view history; alter table events alter version type numeric", "rewrites events"),
            ("alter table events add check (version > 0)", "reads 300 rows of events while writes to it are blocked"),
            ("lock events; update events set type = 'x'", "reads 300 rows of events while writes to it are blocked"),
            ("-- transactional: false\ncreate index concurrently slow on events (type);", "outside of a transaction"),
        ],
    )
    async def test_a_blocking_migration_is_rejected(
        self, store: EventStore, tmp_path: Path, script: str, fault: str
    ) -> None:
        fill(store.dsn)
        (tmp_path / "0002_slow.sql").write_text(script)
        assert any(fault in found_fault for found_fault in faults(store.dsn, tmp_path / "0002_slow.sql"))

    @pytest.mark.parametrize(
        "script",
        [
            "alter table events add x text; alter table events add y integer not null default 7",
            "alter table events add constraint positive check (version > 0) not valid",
            "create table more (id bigint primary key); create index more_id on more (id)",
            INDEX,
        ],
    )
    async def test_a_non_blocking_migration_is_accepted(self, store: EventStore, tmp_path: Path, script: str) -> None:
        fill(store.dsn)
        (tmp_path / "0002_quick.sql").write_text(script)
        assert faults(store.dsn, tmp_path / "0002_quick.sql") == []
        appended = await store.append(counted(uuid4(), 0, 1), context())
        assert await store.head() == appended.position

    async def test_an_index_is_created_outside_of_a_transaction(self, store: EventStore, tmp_path: Path) -> None:
        """As its file states; also again after it was interrupted."""
        await migrate(store.dsn, folder(tmp_path, **{"0001_index": INDEX}))
        with psycopg.connect(store.dsn) as sql:
            assert sql.execute("select indisvalid from pg_index where indexrelid = 'i'::regclass").fetchone() == (True,)


def fill(dsn: str) -> None:
    """Inserts rows into the existing tables that grow."""
    fillings = {
        "events": "insert into events (event_id, stream_id, version, type, data, metadata)"
        " select gen_random_uuid(), gen_random_uuid(), 1, 'x.v1', '{}', '{}' from generate_series(1, 300)",
        "snapshots": "insert into snapshots (stream_id, state, schema, version, position, data)"
        " select gen_random_uuid(), 'x', 1, 1, 1, '{}' from generate_series(1, 300)",
        "parked": "insert into parked (consumer, message_id, subject, headers, body, status)"
        " select 'x', gen_random_uuid(), 'x', '{}', '', 'parked' from generate_series(1, 300)",
    }
    with psycopg.connect(dsn, autocommit=True) as connection:
        for table, statement in fillings.items():
            if connection.execute("select to_regclass(%s)", (table,)).fetchone() != (None,):
                connection.execute(statement.encode())


class TestEarlierReleases:
    """A set of release 5a72a2e, which had no version tables."""

    async def test_the_database_of_an_earlier_release_is_migrated_in_place(self, databases: Callable[..., str]) -> None:
        """It has the schema of a new one, and keeps its history."""
        old, new = databases("template1"), databases("template1")
        restore(old, "5a72a2e.sql")
        for dsn in (old, new):
            await migrate(dsn, *COLLECTIONS.schemas(), RECORDERS)
        assert catalogue(old, COLLECTIONS) == catalogue(new, COLLECTIONS)
        async with EventStore.open(old, COLLECTIONS.codec()) as store:
            history = await store.read_all()
            assert [recorded.stored_type for recorded in history] == ["project_created.v1"] * 3
            for recorded in history:
                assert (await store.load(COLLECTIONS.deciders[0], recorded.stream_id)).version == 1

    async def test_a_replica_of_an_earlier_release_may_start_after_the_migration(
        self, databases: Callable[..., str]
    ) -> None:
        """It applies its own scripts, which revert nothing."""
        old = databases("template1")
        restore(old, "5a72a2e.sql")
        await migrate(old, *COLLECTIONS.schemas(), RECORDERS)
        before = catalogue(old, COLLECTIONS)
        restore(old, "5a72a2e.start.sql")
        assert catalogue(old, COLLECTIONS) == before
        async with EventStore.open(old, CODEC) as store:
            appended = await store.append(counted(uuid4(), 0, 1), context())
            assert await store.head() == appended.position
