"""With 200,000 published tokens, the loop that scales images reads what is left to do, and nothing else."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
import pytest_asyncio

from services.storage.app import SERVICE
from services.storage.tables import unscaled_tokens
from services.storage.tables.unscaled_tokens import BATCH, CLAIM_SECONDS, FIRST_USER
from shared.eventstore import EventStore
from shared.eventstore.migrate import migrate
from shared.projections import Projector
from tests.integration.eventstore.test_query_plans import explained, nodes
from tests.support.servers import Servers

TOKENS = 200_000
LEFT = 20_000
"""Of them, those that are to be scaled: half of one user, the others of 500; two fifths wait or are taken."""
FILL = f"""
create function id(n bigint) returns uuid language sql immutable return lpad(to_hex(n), 32, '0')::uuid;
insert into published_collections
  (collection_id, job_id, tokens, is_archived, epoch, version, has_renditions)
select id(n), id(n), 10000, false, 1, 1, true from generate_series(1, {TOKENS // 10_000}) n;
insert into published_tokens select id(1 + n / 10000), 1 + n % 10000, id(n) from generate_series(0, {TOKENS - 1}) n;
insert into generation_files_v1 select id(n), id(1 + n / 10000), n, n from generate_series(0, {TOKENS - 1}) n;
insert into assets_v3 (asset_id, user_id, name, path, mime_type, size, sha256, job_id, gid, created_at)
select n, id(1), 'a', 'a/' || n, 'image/png', 9, 'ab', id(1 + n / 10000), id(n), now()
from generate_series(0, {TOKENS - 1}) n;
insert into renditions_v1 select n, n from generate_series({LEFT}, {TOKENS - 1}) n;
insert into unscaled_tokens (collection_id, number, gid, job_id, user_id, not_before)
select collection_id, number, gid, collection_id,
  case when n % 2 = 0 then id(500) else id(1 + n % 1000) end,
  case when n % 10 >= 6 then now() + interval '1 hour' when n % 1000 = 5 then now() - interval '1 s' end
from (select *, row_number() over () as n from published_tokens where collection_id <= id({LEFT // 10_000})) t;
analyze"""


def taking(after: UUID) -> dict[str, Any]:
    return {"after": after, "first": FIRST_USER, "batch": BATCH, "seconds": CLAIM_SECONDS}


KEYS = ([UUID(int=1)] * BATCH, list(range(1, BATCH + 1)), [UUID(int=n) for n in range(BATCH)])
STATEMENTS: dict[str, tuple[str, Any]] = {
    "take the first": (unscaled_tokens.TAKE_TOKENS, taking(FIRST_USER)),
    "take those of the next users": (unscaled_tokens.TAKE_TOKENS, taking(UUID(int=500))),
    "when the next may be taken": (unscaled_tokens.SELECT_SECONDS, ()),
    "what is done": (unscaled_tokens.DELETE_TOKENS, KEYS),
    "what waits": (unscaled_tokens.POSTPONE_TOKENS, (3600.0, 0.5, *KEYS)),
}
MAX_ROWS = 4 * BATCH


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def full(servers: Servers) -> AsyncIterator[psycopg.AsyncConnection]:
    dsn = servers.create_database()
    await migrate(dsn, *SERVICE.schemas())
    async with (
        EventStore.open(dsn, SERVICE.codec()) as store,
        await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection,
    ):
        await Projector(store, SERVICE.projections).prepare()
        await connection.execute(FILL.encode())
        yield connection
    servers.drop_database(dsn)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", STATEMENTS)
async def test_what_is_scaled_next_costs_no_more_when_much_is_published(full: psycopg.AsyncConnection, name: str):
    """No table is scanned, and few rows are read besides those of the batch."""
    plan = await explained(full, *STATEMENTS[name])
    for node in nodes(plan):
        assert node["Node Type"] != "Seq Scan", f"{name} scans {node.get('Relation Name')}: {plan}"
        read = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        assert read <= MAX_ROWS, f"{name} reads {read} rows: {plan}"


@pytest.mark.asyncio(loop_scope="module")
async def test_tokens_become_free_by_the_index_of_their_time(full: psycopg.AsyncConnection):
    """As many as are due, which are 20."""
    plan = await explained(full, unscaled_tokens.RELEASE_TOKENS, ())
    for node in nodes(plan):
        assert node["Node Type"] != "Seq Scan", plan
        assert (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"] <= 20, plan
