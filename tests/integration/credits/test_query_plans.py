"""With 100,000 grants and holds: a closed grant or hold is read by its key, and no other rows are."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import pytest_asyncio

from services.credits import closed
from services.credits.app import SERVICE
from shared.eventstore import Codec, EventStore
from shared.projections import Projector
from tests.integration.eventstore.test_query_plans import explained, nodes
from tests.support.servers import Servers

USER, EVENTS = UUID(int=1), 300_000
FILL = f"""
create function id(n bigint) returns uuid language sql immutable return lpad(to_hex(n), 32, '0')::uuid;
insert into events (event_id, stream_id, version, type, data, metadata)
select gen_random_uuid(), id(1 + n % 2), 1 + n / 2, 'hold_declined.v1', '{{}}', '{{}}'
from generate_series(0, {EVENTS - 1}) n;
insert into holds_v3 select id(n), id(n), id(1 + n % 2), 'captured', 5, 5, 0, now(), now()
from generate_series(1, 100000) n;
insert into grants_v2 select id(n), id(1 + n % 2), 5, 0, 0, 5, 0, 0, 'shop', 1, null, null, null, null, now()
from generate_series(1, 100000) n;
insert into reversals_v1 select id(n), id(n), id(1 + n % 2), 5, 0, null, 'x', 'x', now()
from generate_series(1, 100000) n;
insert into read_table_skips (table_name, position, event, error, reason, actor)
select t, n, 'x', 'x', 'x', 'x' from unnest(array['accounts_v2', 'holds_v3']) t, generate_series(1, 5) n;
analyze"""

QUERIES: dict[str, tuple[str, tuple[Any, ...]]] = {
    "a hold": (closed.SELECT_HOLD, (USER, UUID(int=50_000))),
    "an unknown hold": (closed.SELECT_HOLD, (USER, uuid4())),
    "a grant": (closed.SELECT_GRANT, (USER, UUID(int=50_000))),
    "an unknown grant": (closed.SELECT_GRANT, (USER, uuid4())),
    "a reversal": (closed.SELECT_REVERSAL, (USER, UUID(int=50_000))),
    "what a job captured": (closed.SELECT_CAPTURED, (USER, UUID(int=50_000), USER, UUID(int=50_000), USER)),
    "what a job was refunded": (closed.SELECT_REFUNDED, (USER, UUID(int=50_000), USER)),
    "last version in a table, of an account": (closed.SELECT_VERSION_AT, (USER, EVENTS - 20)),
    "last version in a table, of an unknown account": (closed.SELECT_VERSION_AT, (uuid4(), EVENTS)),
}
MAX_ROWS = 30
"""Rows that a query may read: those of its keys, and the account's events after the table's position."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def full(servers: Servers) -> AsyncIterator[psycopg.AsyncConnection]:
    dsn = servers.create_database()
    async with (
        EventStore.open(dsn, Codec(SERVICE.events)) as store,
        await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection,
    ):
        await Projector(store, SERVICE.projections).prepare()
        await connection.execute(FILL.encode())
        yield connection
    servers.drop_database(dsn)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", QUERIES)
async def test_a_closed_grant_or_hold_is_found_by_its_key(full: psycopg.AsyncConnection, name: str) -> None:
    plan = await explained(full, *QUERIES[name])
    for node in nodes(plan):
        small = node.get("Relation Name") in {"read_tables", "read_table_skips"}
        assert node["Node Type"] != "Seq Scan" or small, f"{name}: {plan}"
        read = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        assert read <= MAX_ROWS, f"{name} reads {read} rows: {plan}"
