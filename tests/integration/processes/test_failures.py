"""What fails at a process manager: it is tried again or parked, and its own stream alone waits for it."""

import sys
from dataclasses import replace
from uuid import uuid4

import psycopg
import pytest

from shared.eventstore import EventStore, RecordedEvent
from shared.handling import operator_actions
from tests.integration.eventstore.tally import context, counted
from tests.integration.processes.reacting import NAME, QUICK, Seen, caught_up, running
from tests.support.patience import eventually


async def test_a_failure_is_tried_again_while_others_flow(store: EventStore) -> None:
    """The failing event's stream waits for it, in order; all others go on meanwhile, however many come."""
    ill, seen, broken = uuid4(), Seen(), True
    seen.fail = lambda recorded: broken and recorded.stream_id == ill and recorded.version == 1

    async def react(recorded: RecordedEvent) -> None:
        try:
            await seen(recorded)
        except ValueError as error:
            raise ConnectionError from error  # a server that is away: waited out, however long it takes

    async with running(store, react, retries=replace(QUICK, attempts_while_others_pass=sys.maxsize)) as runner:
        await store.append(counted(ill, 0, 1), context())
        await store.append(counted(ill, 1, 2), context())
        others = [await store.append(counted(uuid4(), 0, 1), context()) for _ in range(30)]
        await eventually(lambda: len(seen.events) == 30, "the others are done")
        assert seen.of(ill) == []
        assert list(runner.failing.values()) == ["ConnectionError()"]
        assert await runner.lag() > len(others), "the checkpoint does not pass the failing event"
        broken = False
        await eventually(lambda: seen.of(ill) == [1, 2], "it goes through, and then the one behind it")
        assert runner.failing == {}


async def test_what_never_goes_through_is_parked(store: EventStore, sql: psycopg.Connection) -> None:
    """After its attempts it waits for an operator, with its stream behind it; retried, all of them go on in order."""
    ill, seen, broken = uuid4(), Seen(), True
    seen.fail = lambda recorded: broken and recorded.stream_id == ill and recorded.version == 1
    async with running(store, seen) as runner:
        for version in range(3):
            await store.append(counted(ill, version, version), context())
        statuses = "select status from parked order by position"
        await eventually(
            lambda: seen.failures and sql.execute(statuses).fetchall() == [("parked",), ("waiting",), ("waiting",)],
            "it is parked, and the others of its stream wait",
        )
        assert seen.failures == QUICK.attempts
        await eventually(lambda: caught_up(runner), "its checkpoint is kept")

        broken = False
        async with store.pool.connection() as connection:
            (first, *_) = await operator_actions.list_parked(connection, NAME)
            await operator_actions.retry(connection, first.id, by="operator:ada")
        await eventually(lambda: seen.of(ill) == [1, 2, 3], "they go on in order")


@pytest.mark.parametrize("error", [psycopg.errors.SerializationFailure, psycopg.errors.ConnectionFailure])
async def test_an_error_that_looks_transient_but_repeats_for_one_event(
    store: EventStore, sql: psycopg.Connection, error: type[psycopg.Error]
) -> None:
    """SQLSTATE 40001, 08006: while other events go through, no server is away. It is parked, its stream behind it."""
    ill, well, seen = uuid4(), uuid4(), Seen()

    async def react(recorded: RecordedEvent) -> None:
        if recorded.stream_id == ill and recorded.version == 1:
            raise error("so it seems")
        await seen(recorded)

    retries = replace(QUICK, attempts_while_others_pass=3)
    async with running(store, react, retries=retries) as runner:
        await store.append(counted(ill, 0, 1, 2), context())
        statuses = "select status from parked order by position"
        for version in range(1000):
            await store.append(counted(well, version, 1), context())
            await eventually(lambda: len(seen.of(well)) == version + 1, "others go on")  # noqa: B023
            if len(sql.execute(statuses).fetchall()) == 2:
                break
        assert sql.execute(statuses).fetchall() == [("parked",), ("waiting",)]
        [(told, attempts)] = sql.execute("select error, attempts from parked where status = 'parked'").fetchall()
        assert "so it seems" in told
        assert told.endswith("while other events went through")
        assert attempts == retries.attempts_while_others_pass
        assert seen.of(ill) == []
        await eventually(lambda: caught_up(runner), "its checkpoint passes the parked events")


async def test_what_cannot_be_read_holds_up_its_own_stream_only(store: EventStore, sql: psycopg.Connection) -> None:
    """Bytes that are no event of that type are parked, with why; all other streams flow."""
    ill, seen = uuid4(), Seen()
    async with running(store, seen) as runner:
        await store.append(counted(ill, 0, 1), context())
        await store.append(counted(ill, 1, 2), context())
        sql.execute("update events set data = '?' where stream_id = %s and version = 2", (ill,))
        sql.execute("update checkpoints set position = 0")
    seen.events.clear()
    async with running(store, seen) as runner:
        other = uuid4()
        await store.append(counted(other, 0, 1), context())
        await eventually(lambda: seen.of(other) == [1], "the other one is done")

        async def told() -> bool:
            [progress] = await runner.progress()
            return progress.parked == 1 and progress.waiting == 0

        await eventually(told, "it is parked")
    [(error,)] = sql.execute("select error from parked").fetchall()
    assert error.startswith("the body is not a ")
