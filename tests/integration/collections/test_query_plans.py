"""With 100,000 collections, every list reads the rows of its page by an index, and few others."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

import psycopg
import pytest
import pytest_asyncio

from services.collections import scheduler
from services.collections.app import SERVICE
from services.collections.queries import component_asset, lists, metadata, revision, series, token
from services.collections.queries.lists import FIRST, LAST

ROWS = 100_000
OWNER, PROJECT = UUID(int=1), UUID(int=1)
MIDDLE = (datetime(2026, 1, 1, 12, tzinfo=UTC), UUID(int=50_000))
PAGE = 21

# `id(n)` stands for the UUID with the number n, as UUID(int=n) does here.
FILL = """
create function id(n bigint) returns uuid language sql immutable return lpad(to_hex(n), 32, '0')::uuid;
create function moment(n bigint) returns timestamptz language sql immutable
  return '2026-01-01T00:00:00Z'::timestamptz + n * interval '1 second';

insert into projects_v1 select id(n), id(1 + n % 2000), 'P' || n, false, null, moment(n)
from generate_series(1, 20000) n;

insert into projects_v1 select id(20000 + n), id(1), 'Untitled ' || n, false, null, moment(n)
from generate_series(1, 10) n;

insert into collections_v8
select id(n), id(1 + n % 20), id(1 + n % 2000), 'Birds ' || n, 'Many',
  case n % 4 when 0 then 'published' else 'draft' end, n % 11 = 10, false,
  (array['ETHEREUM', 'BASE', 'TEZOS'])[1 + n % 3], 10, '0.05', false, null, false, null, '[]',
  null, '[]', null, null, null, null, null, null,
  case when n % 1000 = 1 then moment(n) end, case n % 4 when 0 then moment(n) end,
  case n % 4 when 0 then 1 end, '[]', null,
  n % 5 = 0, 3, n % 7 = 0, 'visitor', null, null, null, moment(n), moment(n), 3
from generate_series(1, 100000) n;

insert into instructions_v1 select id, '{"version":"v2","steps":[],"variables":[]}' from collections_v8;

insert into component_assets_v4
  (asset_id, user_id, collection_id, component_id, name, path, mime_type, sha256, created_at)
select n, id(1 + n % 2000), id(1 + n % 100), 1 + n % 200, 'a', 'a/' || n, 'image/png', 'ab', moment(n)
from generate_series(0, 100000) n;

insert into series_v3 select id(n), id(1 + n % 5000), id(1), 5, moment(n), null from generate_series(1, 20000) n;

insert into revisions_v1 select id(n / 5), 1 + n % 5, n, moment(n), '[]' from generate_series(1, 100000) n;

insert into artworks_v1 select id(n), id(1 + n / 5), id(1), n % 5, 'ab', '{}', '[]', '[]', moment(n)
from generate_series(1, 100000) n;

analyze"""

QUERIES: dict[str, tuple[str, tuple[Any, ...]]] = {
    "projects of a user": (lists.SELECT_PROJECTS_OF_USER, (OWNER, *FIRST, PAGE)),
    "untitled projects of a user": (lists.COUNT_UNTITLED_PROJECTS, (OWNER,)),
    "my project": (lists.SELECT_COLLECTIONS_OF_PROJECT, (PROJECT, False, *LAST, PAGE)),
    "my project, a page further on": (lists.SELECT_COLLECTIONS_OF_PROJECT, (PROJECT, False, *MIDDLE, PAGE)),
    "my project's archive": (lists.SELECT_COLLECTIONS_OF_PROJECT, (PROJECT, True, *LAST, PAGE)),
    "my project's drafts": (
        lists.SELECT_COLLECTIONS_OF_PROJECT_IN_STATUS,
        (UUID(int=2), False, "draft", *MIDDLE, PAGE),
    ),
    "published": (lists.SELECT_PUBLISHED, (*LAST, PAGE)),
    "published, a page further on": (lists.SELECT_PUBLISHED, (*MIDDLE, PAGE)),
    "published on a chain": (lists.SELECT_PUBLISHED_ON_CHAIN, ("BASE", *MIDDLE, PAGE)),
    "feed": (lists.SELECT_FEED, (*LAST, PAGE)),
    "feed, a page further on": (lists.SELECT_FEED, (*MIDDLE, PAGE)),
    "assets of a component": (
        component_asset.SELECT_ASSETS_OF_COMPONENT,
        (UUID(int=1), 1, LAST.time, 2**63 - 1, PAGE, 2**30),
    ),
    "what is due": (scheduler.SELECT_DUE_COLLECTIONS, (LAST.time, *scheduler.FIRST, 100)),
    "what is due next": (scheduler.SELECT_NEXT_SCHEDULED_TIME, ()),
    "a draft's job": (token.SELECT_SERIES_OF_DRAFT, (UUID(int=5),)),
    "a published collection's job": (token.SELECT_SERIES_BEFORE, (UUID(int=5), LAST.time)),
    "revisions": (revision.SELECT_REVISIONS, (UUID(int=5), revision.BEYOND, PAGE)),
    "the version of a revision": (metadata.SELECT_VERSION_OF_REVISION, (UUID(int=5), 2)),
    "jobs that could be sold": (series.SELECT_JOBS, (UUID(int=5), OWNER, 21, UUID(int=5), 21)),
    "jobs of generations": (series.SELECT_JOBS_OF_GENERATIONS, (UUID(int=1), [UUID(int=5), UUID(int=6)])),
    "artworks of a series": (token.SELECT_ARTWORKS, (UUID(int=5), [UUID(int=21), UUID(int=22)])),
    "tokens of a job": (token.SELECT_ARTWORKS_OF_JOB, (UUID(int=5), 0, 100)),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def full(servers) -> AsyncIterator[psycopg.AsyncConnection]:
    """The read tables with many rows."""
    dsn = servers.create_database("template1")
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        for projection in SERVICE.projections:
            await connection.execute(projection.ddl.replace("{table}", projection.table).encode())
        await connection.execute(FILL.encode())
        yield connection
    servers.drop_database(dsn)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", QUERIES)
async def test_no_list_scans_a_table(full: psycopg.AsyncConnection, name: str):
    """No sequential scan, and the rows read are in proportion to the page."""
    query, values = QUERIES[name]
    cursor = await full.execute(f"explain (analyze, format json) {query}".encode(), values)
    ((explained,),) = await cursor.fetchall()
    for node in nodes(explained[0]["Plan"]):
        assert node["Node Type"] != "Seq Scan", f"{name} scans {node.get('Relation Name')}: {explained}"
        read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        assert read * node["Actual Loops"] <= 10 * PAGE, f"{name} reads {read} rows: {explained}"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("projection", SERVICE.projections, ids=attrgetter("table"))
async def test_tables_have_the_columns_of_their_rows_in_this_order(full: psycopg.AsyncConnection, projection):
    """So a query may select `*`, and make rows of it."""
    cursor = await full.execute(f"select * from {projection.table} limit 0".encode())
    assert tuple(column.name for column in cursor.description or ()) == projection.columns


@pytest.mark.asyncio(loop_scope="module")
async def test_the_queries_return_rows_of_a_large_table(full: psycopg.AsyncConnection):
    """Plans over empty tables would prove nothing."""
    cursor = await full.execute("select count(*) from collections_v8")
    assert await cursor.fetchone() == (ROWS,)
    for query, values in QUERIES.values():
        assert await (await full.execute(query.encode(), values)).fetchall(), query
