"""A hold for a job that does not exist is released, whatever placed it."""

from datetime import timedelta
from uuid import UUID, uuid4

from services.credits.domain.decisions import PlaceHold
from services.credits.engine.overdue_holds import OverdueHolds
from services.credits.handlers import CommandHandlers
from shared.contracts.credits import HoldExtended, HoldQuestioned
from shared.contracts.generation import JobDisowned
from shared.eventstore import Context
from tests.integration.generation.working import Worker
from tests.support.apps.client import ALICE
from tests.support.apps.credits import Api as CreditsApi
from tests.support.apps.generation import FOXES, Api, created
from tests.support.patience import eventually

CREDIT = 1_000_000


async def hold(credits_: CreditsApi, job_id: UUID, user: UUID) -> None:
    """As a `job_requested` has it placed that no relay of generation's sent."""
    handlers = CommandHandlers(credits_.runtime.store, credits_.runtime.clock)
    context = Context(command_id=uuid4(), actor="test")
    await handlers.handle(PlaceHold(user, job_id, 5 * CREDIT, credits_.runtime.clock()), context)


async def test_a_hold_without_a_job_is_released(api: Api, credits_: CreditsApi):
    """Generation publishes `job_disowned`, and the user's credits are available again."""
    job_id = uuid4()
    await hold(credits_, job_id, ALICE)
    await eventually(lambda: _is_disowned(api, job_id), "the job to be disowned")
    await credits_.settled(("10", "0", "0"))
    assert (await api.get(f"/jobs/{job_id}")).status == 404


async def test_a_hold_in_the_name_of_a_real_job_does_not_disturb_it(
    api: Api, collections, credits_: CreditsApi, worker_: Worker
):
    """Another user's hold is given back; the job goes on with its own."""
    await worker_.pause()
    job_id = (await api.generate(await created(collections, FOXES), generations=1)).data["job_id"]
    stranger = uuid4()
    await credits_.give("10", user=stranger)
    await hold(credits_, UUID(job_id), stranger)
    await eventually(lambda: _is_disowned(api, UUID(job_id)), "the stranger's hold to be disowned")
    worker_.may_work.set()
    await api.ended(job_id)
    assert await eventually(lambda: _has_all(credits_, stranger), "the stranger's credits to come back")


async def test_an_overdue_hold_of_a_running_job_is_extended_and_the_job_is_charged(
    api: Api, collections, credits_: CreditsApi, worker_: Worker
):
    await worker_.pause()
    job_id = (await api.generate(await created(collections, FOXES), generations=1)).data["job_id"]
    store, clock = credits_.runtime.store, credits_.runtime.clock
    handlers = CommandHandlers(store, lambda: clock() + timedelta(days=3))
    watchdog = OverdueHolds(handlers, store, timedelta(days=2), timedelta(hours=1))

    async def is_asked_about() -> bool:
        await watchdog.ask()
        return await _has(credits_, HoldQuestioned)

    assert await eventually(is_asked_about, "the hold to be asked about")
    await eventually(lambda: _has(credits_, HoldExtended), "the hold to be extended")
    worker_.may_work.set()
    await api.ended(job_id)
    assert await eventually(lambda: _is_charged(credits_), "the job to be charged")


async def _has(credits_: CreditsApi, kind: type[HoldQuestioned | HoldExtended]) -> bool:
    return any(isinstance(item.event, kind) for item in await credits_.runtime.store.read_stream(ALICE))


async def _is_charged(credits_: CreditsApi) -> bool:
    balance = await credits_.balance()
    return balance[1] == 0 and balance[2] > 0


async def _is_disowned(api: Api, job_id: UUID) -> bool:
    return any(isinstance(item.event, JobDisowned) for item in await api.store.read_stream(job_id))


async def _has_all(credits_: CreditsApi, user: UUID) -> bool:
    return (await credits_.balance(user))[:2] == (10, 0)
