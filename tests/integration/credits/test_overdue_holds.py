"""Past its deadline, a hold is asked about by an event; only generation's answer extends or releases it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from services.credits.engine.overdue_holds import OverdueHolds
from services.credits.handlers import CommandHandlers
from shared.contracts.credits import HoldExtended, HoldPlaced, HoldQuestioned
from shared.contracts.generation import JobCompleted, JobDisowned, JobHoldConfirmed
from tests.support.apps.client import ALICE
from tests.support.apps.credits import Api, requested
from tests.support.patience import eventually
from tests.support.publishing import Publisher

CREDIT = 1_000_000
DAYS = timedelta(days=3)


def watchdog(api: Api, later: timedelta = DAYS) -> OverdueHolds:
    """At a later time than that of the service."""
    clock: Callable[[], datetime] = lambda: api.runtime.clock() + later  # noqa: E731 - typed
    store = api.runtime.store
    return OverdueHolds(CommandHandlers(store, clock), store, timedelta(days=2), timedelta(hours=1))


async def events(api: Api, kind: type[HoldQuestioned | HoldExtended | HoldPlaced]) -> list[HoldQuestioned]:
    history = await api.runtime.store.read_stream(ALICE)
    return [recorded.event for recorded in history if isinstance(recorded.event, kind)]  # type: ignore[misc]  # by `kind`


async def held(api: Api, generation: Publisher) -> UUID:
    await api.give("10")
    job = uuid4()
    await generation.publish(job, requested(job, 5 * CREDIT))
    await api.settled(("5", "5", "0"))
    return job


async def in_tables(api: Api) -> None:
    assert await api.runtime.projector.caught_up(await api.runtime.store.head())


async def test_a_hold_has_a_deadline_and_is_asked_about_once_when_it_has_passed(api: Api, generation: Publisher):
    job = await held(api, generation)
    [placed] = await events(api, HoldPlaced)
    assert placed.deadline is not None
    await watchdog(api, timedelta(days=1)).ask()
    assert await events(api, HoldQuestioned) == []
    for _ in range(3):
        await watchdog(api).ask()
        await in_tables(api)
    [overdue] = await events(api, HoldQuestioned)
    assert (overdue.job_id, overdue.user_id, overdue.hold_id) == (job, ALICE, None)
    await watchdog(api, DAYS + timedelta(hours=2)).ask()
    assert len(await events(api, HoldQuestioned)) == 2, "asked again, since generation did not answer"
    assert await api.balance() == (5, 5, 0), "it is still held"


async def test_an_unanswered_question_is_in_readiness_until_it_is_answered(api: Api, generation: Publisher):
    job = await held(api, generation)
    [none] = await watchdog(api).progress()
    assert none.waiting == 0
    await watchdog(api).ask()
    await in_tables(api)
    [progress] = await watchdog(api).progress()
    assert (progress.waiting, progress.event) == (1, f"job {job}")
    assert progress.stuck() is not None
    await generation.publish(job, JobHoldConfirmed(job, ALICE))
    await eventually(lambda: _is_answered(api), "the hold to be extended")
    assert len(await events(api, HoldExtended)) == 1
    assert await api.balance() == (5, 5, 0)


async def _is_answered(api: Api) -> bool:
    [progress] = await watchdog(api).progress()
    return progress.waiting == 0


async def test_a_hold_whose_job_is_gone_comes_back(api: Api, generation: Publisher):
    job = await held(api, generation)
    await watchdog(api).ask()
    await generation.publish(job, JobDisowned(job, ALICE))
    await api.settled(("10", "0", "0"))


async def test_the_end_of_a_job_is_charged_although_an_answer_follows_it(api: Api, generation: Publisher):
    """Generation publishes a job's events in order, and credits handles them so."""
    job = await held(api, generation)
    await watchdog(api).ask()
    await generation.publish(job, JobCompleted(job, ALICE, captured=5 * CREDIT), JobDisowned(job, ALICE))
    await api.settled(("5", "0", "5"))
    other = uuid4()
    await generation.publish(other, requested(other, CREDIT))
    await api.settled(("4", "1", "5"))
