"""The table of closed holds and grants keeps them permanently, independent of the read tables."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, LiteralString
from uuid import UUID

import msgspec
import pytest

from services.credits.domain.decisions import (
    CaptureHold,
    Command,
    GrantCredits,
    PlaceHold,
    ReleaseHold,
    ReleaseOpenHold,
)
from services.credits.domain.refunds import RefundJob
from services.credits.domain.reversals import ReverseGrant
from services.credits.handlers import ACCOUNT, CommandHandlers
from shared.contracts.problem import Problem
from shared.runtime import Runtime
from tests.integration.credits.test_ledger import NOW, context, give, replica
from tests.support.apps.client import ALICE, BOB

GIVEN = GrantCredits(UUID(int=7), ALICE, 5, "shop", 3, NOW + timedelta(days=1), "order 7", NOW)
CAPTURED, RELEASED, DECLINED, FREE = (UUID(int=70 + number) for number in range(4))
LIFE: list[Command] = [
    GIVEN,
    PlaceHold(ALICE, CAPTURED, 4, NOW),
    PlaceHold(ALICE, RELEASED, 1, NOW),
    PlaceHold(ALICE, DECLINED, 9, NOW),
    PlaceHold(ALICE, FREE, 0, NOW),
    CaptureHold(ALICE, CAPTURED, 4, NOW),
    ReleaseHold(ALICE, RELEASED, NOW),
    CaptureHold(ALICE, FREE, 0, NOW),
    PlaceHold(ALICE, UUID(int=80), 1, NOW),
    CaptureHold(ALICE, UUID(int=80), 1, NOW),
    ReverseGrant(UUID(int=90), GIVEN.grant_id, ALICE, 3, "returned", "reversal 1", NOW),
    RefundJob(UUID(int=91), ALICE, CAPTURED, 3, "no good", "refund 1", NOW),
    ReverseGrant(UUID(int=92), UUID(int=91), ALICE, None, "by mistake", "reversal 2", NOW),
]
"""After it everything is spent or resolved."""
SAID_AGAIN = [*LIFE, ReleaseHold(ALICE, DECLINED, NOW), ReleaseOpenHold(ALICE, CAPTURED, NOW)]
REFUSED: list[tuple[Command, str]] = [
    (msgspec.structs.replace(GIVEN, amount=6), "IDEMPOTENCY_KEY_REUSED"),
    (msgspec.structs.replace(GIVEN, priority=4), "IDEMPOTENCY_KEY_REUSED"),
    (PlaceHold(ALICE, CAPTURED, 5, NOW), "HOLD_AMOUNT_DIFFERS"),
    (PlaceHold(ALICE, RELEASED, 2, NOW), "HOLD_AMOUNT_DIFFERS"),
    (PlaceHold(ALICE, DECLINED, 8, NOW), "HOLD_AMOUNT_DIFFERS"),
    (CaptureHold(ALICE, CAPTURED, 3, NOW), "HOLD_RESOLVED"),
    (ReleaseHold(ALICE, CAPTURED, NOW), "HOLD_RESOLVED"),
    (CaptureHold(ALICE, RELEASED, 1, NOW), "HOLD_RESOLVED"),
    (CaptureHold(ALICE, FREE, 1, NOW), "HOLD_RESOLVED"),
    (CaptureHold(ALICE, DECLINED, 9, NOW), "HOLD_NOT_FOUND"),
    (CaptureHold(ALICE, UUID(int=99), 1, NOW), "HOLD_NOT_FOUND"),
    (ReverseGrant(UUID(int=90), GIVEN.grant_id, ALICE, 2, "", "", NOW), "IDEMPOTENCY_KEY_REUSED"),
    (ReverseGrant(UUID(int=92), GIVEN.grant_id, ALICE, None, "", "", NOW), "IDEMPOTENCY_KEY_REUSED"),
    (ReverseGrant(UUID(int=93), UUID(int=99), ALICE, None, "", "", NOW), "NOT_FOUND"),
    (ReverseGrant(UUID(int=94), GIVEN.grant_id, ALICE, 6, "", "", NOW), "VALIDATION_FAILED"),
    (RefundJob(UUID(int=91), ALICE, CAPTURED, 2, "", "", NOW), "IDEMPOTENCY_KEY_REUSED"),
    (RefundJob(UUID(int=91), ALICE, UUID(int=80), 3, "", "", NOW), "IDEMPOTENCY_KEY_REUSED"),
    (RefundJob(UUID(int=95), ALICE, CAPTURED, 2, "", "", NOW), "REFUND_EXCEEDS_CAPTURE"),
    (RefundJob(UUID(int=96), ALICE, RELEASED, 1, "", "", NOW), "NOT_FOUND"),
]


async def lived(runtime: Runtime, upto: int | None = None) -> int:
    handlers, position = CommandHandlers(runtime.store, lambda: NOW), 0
    for command in LIFE[:upto]:
        position = (await handlers.handle(command, context())).position
    return position


async def assert_known(runtime: Runtime) -> None:
    """Each command again changes nothing, and another one for the same grant or job is refused."""
    handlers = CommandHandlers(runtime.store, lambda: NOW)
    account = await runtime.store.load(ACCOUNT, ALICE)
    assert (len(account.state.grants), len(account.state.holds)) == (0, 0), "the account has let go of all"
    for command in SAID_AGAIN:
        handled = await handlers.handle(command, context())
        assert (handled.events, handled.version) == ((), account.version), command
    for command, code in REFUSED:
        with pytest.raises(Problem) as refused:
            await handlers.handle(command, context())
        assert refused.value.code == code, command


async def test_known_from_tables_that_have_seen_all(database: str):
    async with replica(database, projecting=True) as runtime:
        assert await runtime.projector.caught_up(await lived(runtime))
        await assert_known(runtime)


async def test_known_without_anything_in_the_tables(database: str):
    """As when no projector has run for long, or the tables are built anew."""
    async with replica(database) as runtime:
        await lived(runtime)
        await assert_known(runtime)


@pytest.mark.parametrize("count", range(1, len(LIFE)))
async def test_known_from_tables_that_have_seen_a_part(database: str, count: int):
    """Wherever the projector stopped: a hold is held in its table, and resolved in the account's last events."""
    async with replica(database, projecting=True) as runtime:
        assert await runtime.projector.caught_up(await lived(runtime, count))
    async with replica(database) as runtime:
        handlers = CommandHandlers(runtime.store, lambda: NOW)
        for command in LIFE[count:]:
            await handlers.handle(command, context())
        await assert_known(runtime)


async def test_known_though_an_operator_left_an_event_out_of_the_tables(database: str):
    async with replica(database, projecting=True) as runtime:
        assert await runtime.projector.caught_up(await lived(runtime))
        async with runtime.store.pool.connection() as connection:
            await connection.execute("delete from holds_v3")
            await connection.execute("delete from grants_v2")
            await connection.execute("delete from reversals_v1")
            await connection.execute(
                "insert into read_table_skips (table_name, position, event, error, reason, actor) "
                "select t, 1, 'x', 'x', 'a test', 'x' from unnest(array['holds_v3', 'grants_v2', 'reversals_v1']) t"
            )
        await assert_known(runtime)


async def test_another_users_hold_for_the_same_job_is_no_hold_of_this_user(database: str):
    """Its row is the one of its job; who reads it sees whose it is, and looks into the account's own history."""
    async with replica(database, projecting=True) as runtime:
        await lived(runtime)
        handlers = CommandHandlers(runtime.store, lambda: NOW)
        await handlers.handle(give(9, BOB), context())
        handled = await handlers.handle(PlaceHold(BOB, CAPTURED, 8, NOW), context())
        assert await runtime.projector.caught_up(handled.position)
        await assert_known(runtime)


async def test_an_account_that_has_let_go_of_nothing_is_asked_for_nothing_more(database: str, monkeypatch: Any):
    """And one that has costs one query more, for a job that it does not know, whatever it went through before."""
    async with replica(database, projecting=True) as runtime:
        handlers, queries, rows = CommandHandlers(runtime.store, lambda: NOW), list[str](), runtime.store.pool.rows
        asking = asyncio.current_task()

        async def counted(query: LiteralString, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
            if asyncio.current_task() is asking:
                queries.append(query)
            return await rows(query, parameters)

        async def cost(command: Command) -> int:
            queries.clear()
            handled = await handlers.handle(command, context())
            count = len(queries)
            assert await runtime.projector.caught_up(handled.position)
            return count

        await handlers.handle(give(9), context())
        monkeypatch.setattr(runtime.store.pool, "rows", counted)
        first = await cost(PlaceHold(ALICE, CAPTURED, 1, NOW))
        assert await cost(CaptureHold(ALICE, CAPTURED, 1, NOW)) == first
        for number in range(20):
            job = UUID(int=200 + number)
            assert await cost(PlaceHold(ALICE, job, 0, NOW)) == first + 1
            assert await cost(ReleaseHold(ALICE, job, NOW)) == first
