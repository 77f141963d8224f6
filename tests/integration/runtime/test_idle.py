"""A service that has nothing to do does nothing: what it sends to PostgreSQL is counted, not timed."""

import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from services.collections.app import SERVICE as COLLECTIONS
from services.collections.app import build as build_collections
from services.collections.settings import CollectionsSettings
from services.generation.app import SERVICE as GENERATION
from services.generation.app import build as build_generation
from services.generation.settings import GenerationSettings
from shared.eventstore.lease import KEEP_LEASES
from shared.eventstore.watermarks import CHANNEL, HERE
from shared.runtime import Build, ServiceDefinition, ServiceSettings, running
from shared.runtime.serve import Running
from tests.support.apps.generation import grant_key
from tests.support.patience import eventually

QUIET_ROUNDS = 3
RARE = (
    f"listen {CHANNEL}",
    f"notify {CHANNEL}, '{HERE}'",
    "select epoch, first_position",
    "select position, event_id from events where position = any",
)
"""Sent every 15 and every 30 seconds."""
CONNECTIONS = 6
"""Leases, notifications, writer, projector, and two of readers: one that is kept and one on the way out."""


class Statements:
    """What this process sends, by rounds: each renewal of the leases begins one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rounds: list[Counter[str]] = [Counter()]
        execute = psycopg.AsyncCursor.execute

        async def counted(cursor: Any, query: Any, *arguments: Any, **options: Any) -> Any:
            if query == KEEP_LEASES:
                self.rounds.append(Counter())
            self.rounds[-1][" ".join(str(query).split())] += 1
            return await execute(cursor, query, *arguments, **options)

        monkeypatch.setattr(psycopg.AsyncCursor, "execute", counted)

    def quiet(self) -> bool:
        """Whether the last full rounds had nothing in them but the renewal."""
        last = self.rounds[-QUIET_ROUNDS - 1 : -1]
        return len(last) == QUIET_ROUNDS and not any(self.busy(item) for item in last)

    @staticmethod
    def busy(a_round: Counter[str]) -> Counter[str]:
        renewal = " ".join(KEEP_LEASES.split())
        return Counter({item: n for item, n in a_round.items() if item != renewal and not item.startswith(RARE)})


@contextlib.asynccontextmanager
async def service(name: str, database: str, nats_url: str, folder: Path) -> AsyncIterator[Running]:
    common: dict[str, Any] = {"database_url": database, "nats_url": nats_url}
    common["auth_jwks_url"] = (folder / "none.json").as_uri()
    parts: tuple[ServiceDefinition, ServiceSettings, Build]
    if name == "generation":
        key = str(grant_key(folder))
        settings = GenerationSettings(**common, grant_key_file=key, storage_url="http://storage.test")
        parts = GENERATION, settings, build_generation
    else:
        parts = COLLECTIONS, CollectionsSettings(**common), build_collections
    async with running(*parts) as running_one:
        yield running_one


@pytest.mark.parametrize("name", ["generation", "collections"])
async def test_an_idle_service_only_renews_its_leases(
    name: str, database: str, nats_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One statement, and one commit, for all of them; nothing polls beside it."""
    statements = Statements(monkeypatch)
    async with service(name, database, nats_url, tmp_path) as running_one:
        leases = len(running_one.loops) - len(running_one.parts.background)
        assert leases > 3, "the one statement is for more than one lease"
        await eventually(statements.quiet, f"{QUIET_ROUNDS} rounds with nothing but renewals", every=0.2)


@pytest.mark.parametrize("name", ["generation", "collections"])
async def test_an_idle_service_keeps_few_connections(
    name: str, database: str, nats_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that its start needed beside them are closed again."""
    monkeypatch.setattr("shared.eventstore.pool.IDLE_SECONDS", 1.0)
    count = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    with psycopg.connect(database, autocommit=True) as sql:
        async with service(name, database, nats_url, tmp_path):

            def are_few() -> bool:
                row = sql.execute(count).fetchone()
                return row is not None and row[0] <= CONNECTIONS

            await eventually(are_few, f"at most {CONNECTIONS} connections", every=0.2)
