"""Leases: one replica leads, and another one takes over when it can't."""

import asyncio
import contextlib
import time
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from shared.eventstore.lease import Lease
from shared.stopping import stop
from tests.integration.eventstore.leases.leasing import TTL, Start, count, leader
from tests.integration.eventstore.waiting import soon
from tests.support.patience import eventually
from tests.support.silence import SilentProxy


async def test_one_replica_of_many_leads(start: Start) -> None:
    replicas = [start(str(number)).wants("x", "y") for number in range(3)]
    first = await leader(*replicas)
    await leader(*replicas, of="y")
    await asyncio.sleep(3 * TTL)  # renewed meanwhile, again and again
    assert await leader(*replicas) is first
    assert sum(replica.times for replica in replicas) == 2


async def test_two_works_of_one_process_take_turns(start: Start) -> None:
    """The session's own advisory locks would let both in."""
    replica = start("a")
    replica.wants("x", "x")
    await leader(replica)
    await asyncio.sleep(2 * TTL)  # the second work must not begin
    assert (replica.times, replica.leads["x"].token) == (1, 1)


async def test_a_lease_is_free_at_once_when_its_holder_ends(start: Start) -> None:
    """Long before it expires."""
    first = await leader(start("a", ttl=60).wants("x"))
    second = start("b", ttl=60).wants("x")
    began = time.monotonic()
    await first.close()
    await leader(second)
    assert time.monotonic() - began < 10


async def test_a_lease_that_is_given_up_during_a_round_is_released_at_once(
    start: Start, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A renewal is on its way to PostgreSQL then, and the round after it need not wait for the next one."""
    monkeypatch.setattr("shared.eventstore.lease.RENEW_EVERY", 0.1)
    first = await leader(start("a", ttl=4000).wants("x"))
    with sql.transaction():
        sql.execute("lock table leases in access exclusive mode")
        await eventually(lambda: count(sql, "select count(*) from pg_locks where not granted"), "the renewal waits")
        monkeypatch.setattr(first.leases, "_renew_every", 1000.0)
        await stop(first.tasks[1])
    await leader(start("b", ttl=60).wants("x"))


async def test_a_lease_is_free_at_once_when_its_session_ends(start: Start, sql: psycopg.Connection) -> None:
    """The server releases the locks of a killed process when its connection ends."""
    first = await leader(start("a", ttl=60).wants("x"))
    token = first.leads["x"].token
    second = start("b", ttl=60).wants("x")
    await stop(*first.tasks[:1])  # no one keeps its leases any more: as if killed
    sql.execute(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity where pid in (select pid from pg_locks l where"
        " l.locktype = 'advisory') and application_name = 'emprops leases' and pid <> pg_backend_pid()"
    )
    assert (await leader(second)).leads["x"].token == token + 1


async def test_a_new_connection_keeps_the_lease(start: Start, sql: psycopg.Connection) -> None:
    replica = await leader(start("a", ttl=60).wants("x"))
    for _ in range(3):
        sql.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'emprops leases'"
        )
        await eventually(lambda: locked(sql), "it is locked again")
    assert (replica.times, replica.leads["x"].token) == (1, 1)


async def locked(sql: psycopg.Connection) -> bool:
    row = sql.execute("select not lease_is_free('x')").fetchone()
    return bool(row and row[0])


async def test_a_holder_without_answers_is_replaced_and_stops(database: str, start: Start) -> None:
    """Within the TTL; both clocks count from before the last renewal was sent."""
    server = urlsplit(database)
    with SilentProxy((server.hostname, server.port)) as proxy:
        user = server.netloc.rpartition("@")[0]
        behind = urlunsplit(server._replace(netloc=f"{user}@{proxy.address}"))
        first = await leader(start("a", behind).wants("x"))
        token = first.leads["x"].token
        second = start("b").wants("x")
        with proxy.silent():
            began = time.monotonic()
            assert (await leader(second)).leads["x"].token == token + 1
            await eventually(lambda: "x" not in first.leads, "the first has stopped by itself")
            assert time.monotonic() - began < TTL + 4
        await asyncio.sleep(2 * TTL)  # what it had sent into the silence arrives: it must change nothing
        assert await leader(first, second) is second
        assert second.leads["x"].token == token + 1


async def test_a_failed_leader_pauses_before_its_next_try(start: Start) -> None:
    """So another replica acquires the lease."""
    first = start("a")
    first.failure = ConnectionError("NATS is away")
    first.wants("x")
    second = start("b").wants("x")
    assert await leader(first, second) is second
    await second.close()
    first.failure = None
    assert await leader(first) is first


async def test_work_that_loses_a_cancellation_ends_before_the_lease_is_released(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.stopping.PATIENCE", 0.2)
    ended = asyncio.Event()

    async def stubborn(_lease: Lease) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    first = start("a", ttl=60)
    first.tasks.append(asyncio.create_task(first.leases.run_as_leader("x", stubborn)))
    await eventually(lambda: "x" in first.leases._held, "it leads")
    second = start("b", ttl=60).wants("x")
    closing = asyncio.create_task(first.close())
    await leader(second)
    assert ended.is_set()
    await soon(closing)


async def test_standbys_need_one_connection_and_write_nothing(start: Start, sql: psycopg.Connection) -> None:
    """For any number of leases; a leader of all of them renews them over one connection."""
    names = [f"lease-{number}" for number in range(10)]
    first = start("a", ttl=10).wants(*names)
    await eventually(lambda: len(first.leads) == 10, "it leads all")
    start("b", ttl=10).wants(*names)
    connections = "select count(*) from pg_stat_activity where application_name = 'emprops leases'"
    await eventually(lambda: sql.execute(connections).fetchone() == (2,), "both are there")
    # Of this database: the server's own counters also count what other tests do in theirs.
    commits = "select xact_commit from pg_stat_database where datname = current_database()"
    writes = "select n_tup_ins + n_tup_upd + n_tup_del from pg_stat_user_tables where relname = 'leases'"
    began, commits_before, writes_before = time.monotonic(), count(sql, commits), count(sql, writes)
    await asyncio.sleep(6)  # the time in which commits and writes are counted
    committed, writes_after = count(sql, commits) - commits_before, count(sql, writes) - writes_before
    rounds = (time.monotonic() - began) / 2.5 + 1
    assert writes_after <= rounds * len(names)
    looks = (time.monotonic() - began) / 0.5 + 1
    assert committed <= rounds + looks + 10  # 10: this test's own, and autovacuum's
    assert sql.execute(connections).fetchone() == (2,)


async def test_a_process_of_the_previous_release_leads_alone(database: str, start: Start) -> None:
    """It locks the bare name only; both are not active at the same time."""
    old = "select pg_try_advisory_lock(hashtextextended('x', 0))"
    with psycopg.connect(database, autocommit=True) as before:
        assert before.execute(old).fetchone() == (True,)
        replica = start("a").wants("x")
        await asyncio.sleep(2 * TTL)  # it must not lead
        assert not replica.leads
    await leader(replica)
    with psycopg.connect(database, autocommit=True) as before:
        assert before.execute(old).fetchone() == (False,)
        await replica.close()

        async def is_free() -> bool:
            return before.execute(old).fetchone() == (True,)

        # The server ends a session a moment after its client has closed the connection.
        await eventually(is_free, "the lock is free")
