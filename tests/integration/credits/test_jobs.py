"""A job's credits from its request to its end, by generation's events over NATS."""

import asyncio
from decimal import Decimal
from uuid import UUID, uuid4

from shared.contracts.credits import HoldPlaced
from shared.contracts.generation import JobCompleted, JobFailed, JobPartiallyCompleted, JobRejected
from tests.support.apps.client import ALICE, BOB
from tests.support.apps.credits import Api, requested
from tests.support.patience import eventually
from tests.support.publishing import Publisher

CREDIT = 1_000_000


async def kinds(api: Api, job_id: UUID) -> list[str]:
    """The ledger's entries of a job, oldest first."""
    return [entry["kind"] for entry in reversed((await api.get(f"/credits/entries?job_id={job_id}")).data)]


async def hold_status(api: Api, job_id: UUID) -> str | None:
    async with api.runtime.store.reader() as cursor:
        await cursor.execute("select status from holds_v3 where job_id = %b", (job_id,))
        row = await cursor.fetchone()
    return row[0] if row else None


async def test_a_job_is_held_then_charged_for_what_succeeded_and_the_rest_comes_back(api: Api, generation: Publisher):
    await api.give("10")
    job = uuid4()
    await generation.publish(job, requested(job, 5 * CREDIT))
    await api.settled(("5", "5", "0"))
    await generation.publish(job, JobPartiallyCompleted(job, ALICE, captured=3_750_000, failed=1))
    await api.settled(("6.25", "0", "3.75"))
    assert await kinds(api, job) == ["held", "captured", "released"]
    assert await hold_status(api, job) == "captured"


async def test_a_completed_job_is_charged_whole(api: Api, generation: Publisher):
    await api.give("10")
    job = uuid4()
    await generation.publish(job, requested(job, 10 * CREDIT), JobCompleted(job, ALICE, captured=10 * CREDIT))
    await api.settled(("0", "0", "10"))
    assert await kinds(api, job) == ["held", "captured"]


async def test_a_failed_job_costs_nothing(api: Api, generation: Publisher):
    await api.give("10")
    job = uuid4()
    await generation.publish(job, requested(job, 4 * CREDIT), JobFailed(job, ALICE, "the workers burnt down"))
    await eventually(lambda: _is(hold_status(api, job), "released"), "the hold to be released")
    assert await api.balance() == (10, 0, 0)
    assert await kinds(api, job) == ["held", "released"]


async def test_a_job_beyond_the_balance_is_declined_and_stays_so(api: Api, generation: Publisher):
    """Credits that come later don't revive it, nor does its rejection move any."""
    await api.give("1")
    job = uuid4()
    await generation.publish(job, requested(job, 2 * CREDIT))
    await eventually(lambda: _is(hold_status(api, job), "declined"), "the job to be declined")
    await api.give("10")
    await generation.publish(job, JobRejected(job, "INSUFFICIENT_CREDITS", "1 of 2 credits", ALICE))
    later = uuid4()
    await generation.publish(later, requested(later, CREDIT))
    await api.settled(("10", "1", "0"))
    assert await kinds(api, job) == []


async def test_a_job_that_costs_nothing_needs_no_credits(api: Api, generation: Publisher):
    job = uuid4()
    await generation.publish(job, requested(job, 0))
    await eventually(lambda: _is(hold_status(api, job), "held"), "the job to be held")
    await generation.publish(job, JobCompleted(job, ALICE, captured=0))
    await eventually(lambda: _is(hold_status(api, job), "released"), "the job to be resolved")
    assert await api.balance() == (0, 0, 0)


async def test_many_jobs_at_once_never_spend_a_credit_twice(api: Api, generation: Publisher):
    """Forty jobs of one credit each for ten credits: ten are held, and thirty declined, in any order."""
    await api.give("7.5", priority=2)
    await api.give("2.5", priority=1)
    jobs = [uuid4() for _ in range(40)]
    await asyncio.gather(*(generation.publish(job, requested(job, CREDIT)) for job in jobs))

    async def decided() -> bool:
        return all([await hold_status(api, job) for job in jobs])

    await eventually(decided, "all jobs to be decided")
    statuses = [await hold_status(api, job) for job in jobs]
    assert (statuses.count("held"), statuses.count("declined")) == (10, 30)
    assert await api.balance() == (0, 10, 0)
    await asyncio.gather(
        *(
            generation.publish(job, JobCompleted(job, ALICE, captured=CREDIT))
            for job, status in zip(jobs, statuses, strict=True)
            if status == "held"
        )
    )
    await api.settled(("0", "0", "10"))


async def test_users_do_not_see_each_others_ledgers(api: Api, generation: Publisher):
    await api.give("10")
    await api.give("10", user=BOB)
    job = uuid4()
    await generation.publish(job, requested(job, CREDIT, BOB))
    await api.settled(("9", "1", "0"), BOB)
    assert await api.balance() == (10, 0, 0)
    assert (await api.get(f"/credits/entries?job_id={job}", ALICE)).data == []
    assert len((await api.get(f"/credits/entries?job_id={job}", BOB)).data) == 1


async def test_an_event_delivered_again_changes_nothing(api: Api, generation: Publisher):
    """Redelivery, by calling the service's own consumer once more with the very same event."""
    await api.give("10")
    job = uuid4()
    await generation.publish(job, requested(job, CREDIT))
    await api.settled(("9", "1", "0"))
    head = await api.runtime.store.head()
    [first] = await generation.store.read_stream(job)
    consumer, _ = api.consumers
    await consumer.handle(first)
    await consumer.handle(first)
    assert await api.runtime.store.head() == head


async def test_a_hold_names_the_event_that_caused_it(api: Api, generation: Publisher):
    await api.give("10")
    job = uuid4()
    await generation.publish(job, requested(job, CREDIT))
    await api.settled(("9", "1", "0"))
    [cause] = await generation.store.read_stream(job)
    held = next(item for item in await api.runtime.store.read_stream(ALICE) if isinstance(item.event, HoldPlaced))
    assert held.context.causation_id == cause.event_id
    assert held.context.correlation_id == cause.context.command_id
    assert held.context.actor == "credits-jobs-v2"


async def test_a_charge_beyond_the_hold_is_parked_and_others_go_on(api: Api, generation: Publisher):
    """Impossible captures are parked for operators; other accounts are not affected."""
    await api.give("10")
    wrong, right = uuid4(), uuid4()
    await generation.publish(wrong, requested(wrong, CREDIT), JobCompleted(wrong, ALICE, captured=2 * CREDIT))
    await generation.publish(right, requested(right, CREDIT), JobCompleted(right, ALICE, captured=CREDIT))
    await api.settled(("8", "1", "1"))
    assert await hold_status(api, wrong) == "held"


async def test_the_ledger_explains_every_balance(api: Api, generation: Publisher):
    await api.give("3", external_id="a")
    job = uuid4()
    await generation.publish(
        job, requested(job, 2 * CREDIT), JobPartiallyCompleted(job, ALICE, captured=500_000, failed=3)
    )
    await api.settled(("2.5", "0", "0.5"))
    entries = [
        (entry["kind"], entry["amount"], entry["balance_after"], entry["job_id"])
        for entry in (await api.get("/credits/entries")).data
    ]
    assert entries == [
        ("released", Decimal("1.5"), Decimal("2.5"), str(job)),
        ("captured", Decimal("0.5"), 1, str(job)),
        ("held", 2, 1, str(job)),
        ("granted", 3, 3, None),
    ]


async def test_the_ledger_is_read_page_by_page(api: Api):
    for number in range(1, 8):
        await api.give(str(number))
    pages, query = [], "?limit=3"
    while query:
        body = (await api.get(f"/credits/entries{query}")).body
        pages.append([(entry["amount"], entry["balance_after"]) for entry in body["data"]])
        query = f"?limit=3&cursor={body['next_cursor']}" if body["next_cursor"] else ""
    assert pages == [[(7, 28), (6, 21), (5, 15)], [(4, 10), (3, 6), (2, 3)], [(1, 1)]]


async def test_a_wrong_page_is_refused_with_its_parameter(api: Api):
    for query, pointer in [
        ("limit=0", "?limit"),
        ("limit=101", "?limit"),
        ("limit=x", "?limit"),
        ("cursor=x", "?cursor"),
        ("job_id=x", "?job_id"),
    ]:
        assert (await api.get(f"/credits/entries?{query}")).refusal == (400, "VALIDATION_FAILED", [pointer])


async def _is(question, expected) -> bool:
    return await question == expected
