"""A leader ends when one of its tasks is cancelled alone, and its successor does all of the work."""

from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from shared.eventstore import EventStore
from shared.projections import catch_up
from tests.integration.projections.histories import projected, some_history
from tests.integration.projections.tables import ALL, TALLIES, expected, projecting, rows
from tests.support.patience import PATIENCE, eventually
from tests.support.tasks import cancel_alone, running


async def test_the_successor_claims_tables_of_another_release(store: EventStore) -> None:
    """Without an event that would wake it."""
    await some_history(store)
    await projected(store, TALLIES)
    await some_history(store)
    with capture_logs() as logs:
        async with projecting(store, *ALL) as projector:
            assert await projector.caught_up(await store.head(), PATIENCE)
            before = leases_taken(logs)
            cancel_alone("Leader._claim_missing")
            await eventually(lambda: [entry for entry in logs if entry["event"] == "lease_work_failed"], "it ends")
            await eventually(lambda: leases_taken(logs) > before, "it leads again")


async def test_the_successor_lets_a_table_catch_up(
    store: EventStore, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catch_up, "BATCH", 5)
    await some_history(store, streams=300)
    await projected(store, *ALL[1:])
    async with projecting(store, *ALL):
        await eventually(lambda: running("Leader._catch_up"), "the table is behind", every=0)
        cancel_alone("Leader._catch_up")
        head = await store.head()
        position = "select position from read_tables where name = 'tallies_v1'"
        await eventually(lambda: sql.execute(position).fetchone() == (head,), "it has caught up")
    assert rows(sql, "tallies_v1") == await expected(store, TALLIES)


def leases_taken(logs: list[Any]) -> int:
    return sum(entry["event"] == "lease_taken" and "projector" in entry["lease"] for entry in logs)
