"""The ledger on a real PostgreSQL: replicas at once, snapshots, grants that expire, tables that rebuild the same."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial, reduce
from uuid import UUID, uuid4

import pytest

from services.credits.app import SERVICE
from services.credits.domain.decisions import CaptureHold, GrantCredits, PlaceHold, ReleaseHold
from services.credits.handlers import ACCOUNT, CommandHandlers
from services.credits.queries import Queries
from services.credits.settings import CreditsSettings
from shared.contracts.credits import HoldPlaced
from shared.contracts.problem import Problem
from shared.eventstore import Context
from shared.projections import rebuild
from shared.runtime import Runtime, opened
from shared.stopping import stop
from tests.support.apps.client import ALICE, BOB
from tests.support.apps.credits import Api
from tests.support.patience import PATIENCE, until_done
from tests.unit.credits import full_ledger

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@contextlib.asynccontextmanager
async def replica(database: str, *, projecting: bool = False) -> AsyncIterator[Runtime]:
    settings = CreditsSettings(database_url=database, nats_url="nats://unused", auth_jwks_url="file:///unused")
    async with opened(SERVICE, settings) as runtime:
        projector = asyncio.create_task(runtime.projector.run() if projecting else asyncio.Event().wait())
        try:
            yield runtime
        finally:
            await stop(projector)


def context() -> Context:
    return Context(command_id=uuid4(), actor="test")


def give(amount: int, user: UUID = ALICE, priority: int = 0, expires: datetime | None = None) -> GrantCredits:
    return GrantCredits(uuid4(), user, amount, "test", priority, expires, None, NOW)


async def books(runtime: Runtime) -> full_ledger.Account:
    """Alice's account with all that it ever had."""
    history = await runtime.store.read_stream(ALICE)
    return reduce(full_ledger.evolve, (recorded.event for recorded in history), full_ledger.Account())


async def test_two_replicas_never_spend_the_same_credit(database: str):
    """Each decides on what it has seen; the account's version lets only one of two decisions be recorded."""
    async with replica(database) as one, replica(database) as two:
        handlers = [CommandHandlers(item.store, lambda: NOW) for item in (one, two)]
        await handlers[0].handle(give(10), context())
        jobs = [uuid4() for _ in range(30)]
        holds = (
            partial(handlers[number % 2].handle, PlaceHold(ALICE, job, 3, NOW), context())
            for number, job in enumerate(jobs)
        )
        await asyncio.gather(*map(until_done, holds))
        account = (await one.store.load(ACCOUNT, ALICE)).state
        statuses = [(await books(one)).holds[job].status for job in jobs]
        assert (statuses.count("held"), statuses.count("declined")) == (3, 27)
        assert account.available(NOW) == 1


async def test_two_replicas_place_one_hold_for_one_job(database: str):
    async with replica(database) as one, replica(database) as two:
        handlers = [CommandHandlers(item.store, lambda: NOW) for item in (one, two)]
        await handlers[0].handle(give(10), context())
        job = uuid4()
        holds = (partial(handlers[number % 2].handle, PlaceHold(ALICE, job, 3, NOW), context()) for number in range(20))
        await asyncio.gather(*map(until_done, holds))
        history = await one.store.read_stream(ALICE)
        assert sum(isinstance(recorded.event, HoldPlaced) for recorded in history) == 1


async def test_an_account_comes_back_from_its_snapshot(database: str):
    """After hundreds of jobs, a process that starts reads the snapshot and the few events after it."""
    async with replica(database) as runtime:
        handlers = CommandHandlers(runtime.store, lambda: NOW)
        await handlers.handle(give(2000), context())
        version = 0
        while not version:  # one that can't be stored in time is left out, until the next is due
            for _ in range(ACCOUNT.snapshot_every or 0):
                job = uuid4()
                await handlers.handle(PlaceHold(ALICE, job, 2, NOW), context())
                await handlers.handle(CaptureHold(ALICE, job, 1, NOW), context())
            version = await _newest_snapshot(runtime)
        before = await runtime.store.load(ACCOUNT, ALICE)
        assert before.version - version < 3 * (ACCOUNT.snapshot_every or 0), "a snapshot was taken on the way"
    async with replica(database) as runtime:
        assert await runtime.store.load(ACCOUNT, ALICE) == before


async def _newest_snapshot(runtime: Runtime) -> int:
    """Its version; 0 if there is none."""
    async with runtime.store.reader() as cursor:
        await cursor.execute("select coalesce(max(version), 0) from snapshots where stream_id = %b", (ALICE,))
        row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def test_what_expired_is_not_in_the_balance_even_before_the_ledger_records_it(database: str):
    async with replica(database, projecting=True) as runtime:
        handlers = CommandHandlers(runtime.store, lambda: NOW)
        await handlers.handle(give(10, expires=NOW + timedelta(hours=1)), context())
        handled = await handlers.handle(give(5), context())
        assert await runtime.projector.caught_up(handled.position)
        later = NOW + timedelta(hours=1)
        assert (await Queries(runtime.store).balance(ALICE, NOW)).available * 1_000_000 == 15
        assert (await Queries(runtime.store).balance(ALICE, later)).available * 1_000_000 == 5
        handled = await handlers.handle(PlaceHold(ALICE, uuid4(), 1, later), context())
        assert await runtime.projector.caught_up(handled.position)
        balance = await Queries(runtime.store).balance(ALICE, later)
        assert (balance.available * 1_000_000, balance.held * 1_000_000) == (4, 1)


@pytest.mark.parametrize("projection", SERVICE.projections, ids=lambda projection: projection.name)
async def test_a_rebuilt_table_equals_the_live_one(database: str, projection):
    """After a life with everything in it: priorities, expiry, partial capture, release, a declined hold."""
    async with replica(database, projecting=True) as runtime:
        handlers = CommandHandlers(runtime.store, lambda: NOW)
        position = 0
        for user in (ALICE, BOB):
            jobs = [uuid4() for _ in range(5)]
            later = NOW + timedelta(days=2)
            for command in [
                give(5, user, priority=2),
                give(5, user, priority=1, expires=NOW + timedelta(days=1)),
                PlaceHold(user, jobs[0], 7, NOW),
                PlaceHold(user, jobs[1], 2, NOW),
                PlaceHold(user, jobs[2], 100, NOW),
                PlaceHold(user, jobs[3], 0, NOW),
                CaptureHold(user, jobs[0], 3, later),
                ReleaseHold(user, jobs[1], later),
                CaptureHold(user, jobs[3], 0, later),
                PlaceHold(user, jobs[4], 1, later),
            ]:
                position = (await handlers.handle(command, context())).position
        assert await runtime.projector.caught_up(position)
        rebuilt = await rebuild(runtime.store, projection, swap=False)
        assert (rebuilt.missing, rebuilt.extra) == (0, 0)
        assert rebuilt.events > 0


async def test_read_tables_say_what_the_account_itself_says(database: str):
    async with replica(database, projecting=True) as runtime:
        handlers = CommandHandlers(runtime.store, lambda: NOW)
        job = uuid4()
        await handlers.handle(give(5, priority=1), context())
        await handlers.handle(give(5, priority=0, expires=NOW + timedelta(days=1)), context())
        await handlers.handle(PlaceHold(ALICE, job, 7, NOW), context())
        handled = await handlers.handle(CaptureHold(ALICE, job, 3, NOW + timedelta(days=1)), context())
        assert await runtime.projector.caught_up(handled.position)
        async with runtime.store.reader() as cursor:
            await cursor.execute("select grant_id, amount, available, held, spent, expired from grants_v2")
            grants = {row[0]: tuple(row[1:]) for row in await cursor.fetchall()}
            await cursor.execute("select available, held, spent, expired from accounts_v2 where user_id = %b", (ALICE,))
            account = await cursor.fetchone()
        assert grants == {
            grant.grant_id: (grant.amount, grant.available, grant.held, grant.spent, grant.expired)
            for grant in (await books(runtime)).grants.values()
        }
        assert {grant.grant_id: (grant.available, grant.held) for grant in handled.state.grants} == {
            grant_id: (available, held) for grant_id, (_, available, held, *_) in grants.items() if available or held
        }
        assert account == tuple(sum(row[column] for row in grants.values()) for column in (1, 2, 3, 4))


@pytest.mark.parametrize("behind", ["accounts_v2", "grants_v2"])
async def test_a_balance_of_tables_at_different_positions_is_refused(database: str, behind: str):
    """Both are summed up: while one of them lacks events that the other has, the sum was never true."""
    async with replica(database, projecting=True) as runtime:
        handled = await CommandHandlers(runtime.store, lambda: NOW).handle(give(10), context())
        assert await runtime.projector.caught_up(handled.position)
    async with replica(database) as runtime:
        assert (await Queries(runtime.store).balance(ALICE, NOW)).available * 1_000_000 == 10
        await stands_behind(runtime, behind)
        for user in (ALICE, BOB):
            with pytest.raises(Problem, match="at different positions") as refused:
                await Queries(runtime.store).balance(user, NOW)
            assert refused.value.code == "UNAVAILABLE"


@pytest.mark.parametrize("behind", ["accounts_v2", "entries_v2"])
async def test_entries_of_tables_at_different_positions_are_refused(database: str, behind: str):
    """Also a page without entries: that a user has none can't be known then."""
    async with replica(database, projecting=True) as runtime:
        handled = await CommandHandlers(runtime.store, lambda: NOW).handle(give(10), context())
        assert await runtime.projector.caught_up(handled.position)
    async with replica(database) as runtime:
        [entry] = await Queries(runtime.store).entries(ALICE, before=2**62, limit=10)
        assert entry.balance_after * 1_000_000 == 10
        assert await Queries(runtime.store).entries(BOB, before=2**62, limit=10) == []
        await stands_behind(runtime, behind)
        for user in (ALICE, BOB):
            with pytest.raises(Problem, match="at different positions") as refused:
                await Queries(runtime.store).entries(user, before=2**62, limit=10)
            assert refused.value.code == "UNAVAILABLE"


async def test_while_tables_are_at_different_positions_clients_get_503(api: Api):
    """Of the balance and of the ledger, and they may try again: it is over when the table has caught up."""
    await api.give("10")
    await api.runtime.projector.caught_up(await api.runtime.store.head(), PATIENCE)
    for table, path in (("accounts_v2", "/credits"), ("entries_v2", "/credits/entries")):
        await stands_behind(api.runtime, table)
        for user in (ALICE, BOB):
            refused = await api.get(path, user)
            assert (refused.status, refused.body["code"]) == (503, "UNAVAILABLE")
            assert int(refused.headers["Retry-After"]) > 0
        await stands_behind(api.runtime, table, by=-1)
        assert (await api.get(path)).status == 200


async def stands_behind(runtime: Runtime, table: str, by: int = 1) -> None:
    """As a table does that could not take the last event in."""
    async with runtime.store.pool.connection() as connection:
        await connection.execute("update read_tables set position = position - %b where name = %b", (by, table))
