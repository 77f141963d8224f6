"""Failures of a process's reactions: the event is retried or parked, and only its own stream waits."""

import sys
from dataclasses import replace
from uuid import uuid4

import psycopg
import pytest

from shared.eventstore import EventStore, RecordedEvent
from shared.handling import operator_actions
from tests.integration.eventstore.tally import CODEC, context, counted
from tests.integration.processes.reacting import NAME, QUICK, Reaction, caught_up, running
from tests.support.patience import eventually


async def test_a_failed_event_is_retried_while_other_streams_continue(store: EventStore) -> None:
    """Later events of its stream wait."""
    poisoned, reaction, broken = uuid4(), Reaction(), True
    reaction.fail = lambda recorded: broken and recorded.stream_id == poisoned and recorded.version == 1

    async def react(recorded: RecordedEvent) -> None:
        try:
            await reaction(recorded)
        except ValueError as error:
            raise ConnectionError from error  # a server that is away: waited out, however long it takes

    async with running(store, react, retries=replace(QUICK, attempts_while_others_pass=sys.maxsize)) as runner:
        await store.append(counted(poisoned, 0, 1), context())
        await store.append(counted(poisoned, 1, 2), context())
        others = [await store.append(counted(uuid4(), 0, 1), context()) for _ in range(30)]
        await eventually(lambda: len(reaction.events) == 30, "the others are done")
        assert reaction.of(poisoned) == []
        assert list(runner.failing.values()) == ["ConnectionError()"]
        assert await runner.lag() > len(others), "the checkpoint does not pass the failing event"
        broken = False
        await eventually(lambda: reaction.of(poisoned) == [1, 2], "it goes through, and then the one behind it")
        assert runner.failing == {}


async def test_an_event_that_always_fails_is_parked(store: EventStore, sql: psycopg.Connection) -> None:
    """After its attempts, with its stream behind it; once it is retried, all are handled in order."""
    poisoned, reaction, broken = uuid4(), Reaction(), True
    reaction.fail = lambda recorded: broken and recorded.stream_id == poisoned and recorded.version == 1
    async with running(store, reaction) as runner:
        for version in range(3):
            await store.append(counted(poisoned, version, version), context())
        statuses = "select status from parked order by position"
        await eventually(
            lambda: reaction.failures and sql.execute(statuses).fetchall() == [("parked",), ("waiting",), ("waiting",)],
            "it is parked, and the others of its stream wait",
        )
        assert reaction.failures == QUICK.attempts
        await eventually(lambda: caught_up(runner), "its checkpoint is kept")

        broken = False
        async with store.pool.connection() as connection:
            (first, *_) = await operator_actions.list_parked(connection, NAME)
            await operator_actions.retry(connection, first.id, by="operator:ada")
        await eventually(lambda: reaction.of(poisoned) == [1, 2, 3], "they go on in order")


@pytest.mark.parametrize("error", [psycopg.errors.SerializationFailure, psycopg.errors.ConnectionFailure])
async def test_a_repeated_transient_error_of_one_event_parks_it(
    store: EventStore, sql: psycopg.Connection, error: type[psycopg.Error]
) -> None:
    """SQLSTATE 40001 and 08006: other events succeed, so the server is available."""
    poisoned, healthy, reaction = uuid4(), uuid4(), Reaction()

    async def react(recorded: RecordedEvent) -> None:
        if recorded.stream_id == poisoned and recorded.version == 1:
            raise error("so it seems")
        await reaction(recorded)

    retries = replace(QUICK, attempts_while_others_pass=3)
    async with running(store, react, retries=retries) as runner:
        await store.append(counted(poisoned, 0, 1, 2), context())
        statuses = "select status from parked order by position"
        for version in range(1000):
            await store.append(counted(healthy, version, 1), context())
            await eventually(lambda: len(reaction.of(healthy)) == version + 1, "others go on")  # noqa: B023 - awaited within the round
            if len(sql.execute(statuses).fetchall()) == 2:
                break
        assert sql.execute(statuses).fetchall() == [("parked",), ("waiting",)]
        [(message, attempts)] = sql.execute("select error, attempts from parked where status = 'parked'").fetchall()
        assert "so it seems" in message
        assert message.endswith("while other events went through")
        assert attempts == retries.attempts_while_others_pass
        assert reaction.of(poisoned) == []
        await eventually(lambda: caught_up(runner), "its checkpoint passes the parked events")


async def test_an_undecodable_event_stops_only_its_stream(store: EventStore, sql: psycopg.Connection) -> None:
    """It is parked with the reason, by a process that reads it after the damage."""
    poisoned, other, reaction = uuid4(), uuid4(), Reaction()
    await store.append(counted(poisoned, 0, 1), context())
    await store.append(counted(poisoned, 1, 2), context())
    sql.execute("update events set data = '?' where stream_id = %s and version = 2", (poisoned,))
    async with EventStore.open(store.dsn, CODEC) as reader, running(reader, reaction) as runner:
        await reader.append(counted(other, 0, 1), context())
        await eventually(lambda: reaction.of(other) == [1], "the other one is done")

        async def is_parked() -> bool:
            [progress] = await runner.progress()
            return progress.parked == 1 and progress.waiting == 0

        await eventually(is_parked, "it is parked")
    [(error,)] = sql.execute("select error from parked").fetchall()
    assert error.startswith("the body is not a ")
