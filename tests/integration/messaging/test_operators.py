"""Operators retry and discard parked events; those that wait behind them continue, and all actions are recorded."""

from uuid import uuid4

import pytest

from shared.contracts.problem import Problem
from shared.eventstore import EventStore
from shared.handling import operator_actions
from shared.messaging import RetrySettings, connected
from tests.integration.messaging.parked import Picky, all_parked, connect, parked
from tests.integration.messaging.support import (
    OWNER,
    Broker,
    background,
    count,
    forget,
    relay,
    runner,
)
from tests.support.patience import PATIENCE, eventually


async def test_a_retried_event_releases_its_stream_in_order(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """Before newer events of the stream."""
    picky, stream = Picky(2), uuid4()
    async with background(relay(owner, nats_url).run, runner(service, nats_url, picky).run):
        await count(owner, stream, 1, 2, 3, 4)
        first, second, _ = await eventually(lambda: all_parked(service, 3), "parked")
        picky.poison.clear()
        async with await connect(service) as connection:
            with pytest.raises(Problem, match="waits behind"):
                await operator_actions.retry(connection, second.id, by="olga")
            await operator_actions.retry(connection, first.id, by="olga", reason="the fix is out")
            await count(owner, stream, 5)
            await eventually(lambda: picky.numbers[stream] == [1, 2, 3, 4, 5], "all handled in order")
            await eventually(lambda: _none(service), "resolved")
            row, actions = await operator_actions.inspect(connection, first.id)
            with pytest.raises(Problem, match="handled already"):
                await operator_actions.retry(connection, first.id, by="olga")
    assert (row.status, row.resolved_by) == ("handled", "tests-v1")
    assert [(action.action, action.actor, action.detail) for action in actions] == [
        ("parked", "tests-v1", 'ValueError("2 can\'t be counted")'),
        ("retry", "olga", "the fix is out"),
        ("handled", "tests-v1", None),
    ]


async def test_a_retry_is_notified(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """The consumer's next poll would come after the test's end."""
    picky, stream = Picky(1), uuid4()
    retries = RetrySettings(attempts=2, first_pause=0.01, look_at_parked_every=10 * PATIENCE)
    async with background(relay(owner, nats_url).run, runner(service, nats_url, picky, retries=retries).run):
        await count(owner, stream, 1, 2)
        first, _ = await eventually(lambda: all_parked(service, 2), "parked")
        picky.poison.clear()
        async with await connect(service) as connection:
            await operator_actions.retry(connection, first.id, by="olga")
        await eventually(lambda: picky.numbers[stream] == [1, 2], "all handled in order")


async def _none(store: EventStore) -> bool:
    return not await parked(store)


async def test_a_failed_retry_parks_the_event_again(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """Later events of its stream still wait, and the attempt is recorded."""
    picky, stream = Picky(2), uuid4()
    async with background(relay(owner, nats_url).run, runner(service, nats_url, picky).run):
        await count(owner, stream, 1, 2, 3, 4)
        first, *_ = await eventually(lambda: all_parked(service, 3), "parked")
        async with await connect(service) as connection:
            await operator_actions.retry(connection, first.id, by="olga")

            async def failed() -> bool:
                row, actions = await operator_actions.inspect(connection, first.id)
                return row.status == "parked" and [action.action for action in actions] == ["parked", "retry", "failed"]

            await eventually(failed, "parked again")
            row, _ = await operator_actions.inspect(connection, first.id)
    assert row.attempts == 6
    assert picky.numbers[stream] == [1]


async def test_a_discarded_event_stays_discarded(owner: EventStore, service: EventStore, broker: Broker) -> None:
    """Its stream continues; also when the broker delivers everything again."""
    picky, stream = Picky(2), uuid4()
    async with background(relay(owner, broker.url).run):
        async with background(runner(service, broker.url, picky).run):
            await count(owner, stream, 1, 2, 3, 4)
            first, *_ = await eventually(lambda: all_parked(service, 3), "parked")
            async with await connect(service) as connection:
                with pytest.raises(Problem, match="a reason is needed"):
                    await operator_actions.discard(connection, first.id, by="olga", reason=" ")
                await operator_actions.discard(connection, first.id, by="olga", reason="a test of the owner's")
            await eventually(lambda: picky.numbers[stream] == [1, 3, 4], "the rest is handled")
        picky.poison.clear()
        await forget(service)
        broker.kill()
        broker.wipe()
        broker.start()
        async with background(runner(service, broker.url, picky).run):
            await count(owner, stream, 5)
            await eventually(lambda: picky.numbers[stream][-1] == 5, "refilled")
    assert 2 not in picky.numbers[stream]
    [row] = await parked(service, "discarded")
    assert (row.resolved_by, row.reason) == ("olga", "a test of the owner's")


async def test_discarding_the_only_parked_event_releases_its_stream(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """The next event of the stream is handled, not parked."""
    picky, stream = Picky(1), uuid4()
    async with background(relay(owner, nats_url).run, runner(service, nats_url, picky).run):
        await count(owner, stream, 1)
        [row] = await eventually(lambda: parked(service), "parked")
        async with await connect(service) as connection:
            await operator_actions.discard(connection, row.id, by="olga", reason="not needed")
        await count(owner, stream, 2)
        await eventually(lambda: picky.numbers[stream] == [2], "handled")
    assert await parked(service) == []


async def test_a_malformed_message_without_a_stream_can_be_retried_or_discarded(
    service: EventStore, owner: EventStore, nats_url: str
) -> None:
    """No event waits for it."""
    picky = Picky()
    async with background(relay(owner, nats_url).run, runner(service, nats_url, picky).run):
        await count(owner, uuid4(), 1)
        await eventually(lambda: picky.calls, "running")
        async with connected(nats_url, "rogue") as rogue:
            await rogue.jetstream().publish(f"events.{OWNER}.counter.x.counted.v1", b"?")
        [row] = await eventually(lambda: parked(service), "parked")
        async with await connect(service) as connection:
            await operator_actions.retry(connection, row.id, by="olga")

            async def is_parked_again() -> bool:
                return len((await operator_actions.inspect(connection, row.id))[1]) == 3

            await eventually(is_parked_again, "tried and parked again")
            await operator_actions.discard(connection, row.id, by="olga", reason="garbage")
            with pytest.raises(Problem, match="discarded already"):
                await operator_actions.retry(connection, row.id, by="olga")
            with pytest.raises(Problem, match="does not exist"):
                await operator_actions.inspect(connection, row.id + 1)
    assert await parked(service) == []
