"""64 spenders at once on one account, on two replicas and a real PostgreSQL: the sums are exact when all have ended."""

import asyncio
import random
from functools import partial
from uuid import UUID, uuid4

from services.credits.domain.decisions import CaptureHold, PlaceHold, ReleaseHold
from services.credits.domain.refunds import RefundJob
from services.credits.domain.reversals import ReverseGrant
from services.credits.handlers import ACCOUNT, CommandHandlers
from services.credits.queries import Queries
from shared.contracts.problem import Problem
from tests.integration.credits.test_ledger import NOW, books, context, give, replica
from tests.support.apps.client import ALICE
from tests.support.patience import until_done

SPENDERS = 64
GRANTS = 40
AMOUNT = 10


async def spend(handlers: CommandHandlers, number: int) -> None:
    """A job: it holds some, captures a part or nothing, and some of them are refunded."""
    draw, job = random.Random(number), UUID(int=5000 + number)
    amount = draw.randint(1, 12)
    await handlers.handle(PlaceHold(ALICE, job, amount, NOW), context())
    captured = draw.randint(0, amount)
    try:
        if captured:
            await handlers.handle(CaptureHold(ALICE, job, captured, NOW), context())
        else:
            await handlers.handle(ReleaseHold(ALICE, job, NOW), context())
        if captured and number % 4 == 0:
            await handlers.handle(
                RefundJob(UUID(int=6000 + number), ALICE, job, captured, "x", str(number), NOW), context()
            )
    except Problem as problem:  # its hold was declined
        if problem.code not in {"HOLD_NOT_FOUND", "NOT_FOUND"}:
            raise


async def test_64_concurrent_spenders_end_exact(database: str) -> None:
    async with replica(database, projecting=True) as one, replica(database) as two:
        replicas = [CommandHandlers(item.store, lambda: NOW) for item in (one, two)]
        grants = [give(AMOUNT, priority=number % 3) for number in range(GRANTS)]
        for grant in grants:
            await replicas[0].handle(grant, context())
        works = [partial(spend, replicas[number % 2], number) for number in range(SPENDERS)]
        for grant in grants[:4]:
            reversal = ReverseGrant(uuid4(), grant.grant_id, ALICE, None, "x", str(grant.grant_id), NOW)
            works.append(partial(replicas[1].handle, reversal, context()))  # type: ignore[arg-type]  # the result is not read
        await asyncio.gather(*map(until_done, works))

        account, ledger = await one.store.load(ACCOUNT, ALICE), await books(one)
        captured = sum(hold.captured for hold in ledger.holds.values())
        refunded = sum(grant.amount for grant in ledger.grants.values() if grant.job_id)
        reversed_ = sum(reversal.amount for reversal in ledger.reversals.values())
        expected = GRANTS * AMOUNT + refunded - captured - reversed_
        assert len(ledger.holds) == SPENDERS
        assert all(hold.status != "held" for hold in ledger.holds.values())
        assert ledger.available(NOW) == account.state.available(NOW) == expected >= 0
        assert (account.state.spent, account.state.reversed) == (captured, reversed_)
        assert captured > 0
        assert refunded > 0
        assert await one.projector.caught_up(account.position)
        balance = await Queries(one.store).balance(ALICE, NOW)
        assert [int(amount * 1_000_000) for amount in (balance.available, balance.held, balance.spent)] == [
            expected,
            0,
            captured,
        ]
