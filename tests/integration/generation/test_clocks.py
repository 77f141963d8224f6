"""The engine's clock may be set forward by an hour: no attempt is counted as lost that has its time still."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from services.generation.broker import Broker
from services.generation.engine.checkpoints import Checkpoints
from services.generation.engine.dispatcher import Dispatcher
from services.generation.engine.watchdog import Watchdog
from services.generation.handlers import CommandHandlers
from services.generation.stored_files import StoredFiles
from services.generation.upload_grants import GrantSigner
from tests.integration.generation.working import Worker
from tests.support.apps.generation import FOXES, Api, created, grant_key
from tests.support.patience import eventually


def watchdog(api: Api, folder: Path, step_deadline: timedelta) -> Watchdog:
    """One that looks by itself, beside the service's own."""
    handlers = CommandHandlers(api.store, lambda: datetime.now(UTC), uuid4)
    broker = Broker("nats://127.0.0.1:1", "nobody")
    signer = GrantSigner(str(grant_key(folder)), "http://storage.test", "emprops")
    dispatcher = Dispatcher(handlers, broker, signer, Checkpoints(handlers, broker), step_deadline)
    return Watchdog(handlers, broker, dispatcher, StoredFiles(api.store, ""), timedelta(hours=9))


async def test_a_clock_an_hour_ahead_loses_no_attempt(api: Api, collections, credits_, worker_: Worker, tmp_path: Path):
    """The database's clock must agree. When both say that the time is over, it is."""
    worker_.may_work.clear()
    job_id = (await api.generate(await created(collections, FOXES), generations=1)).data["job_id"]

    async def is_open() -> bool:
        async with api.store.reader() as cursor:
            await cursor.execute("select count(*) from open_steps_v1")
            return (await cursor.fetchone()) == (1,)

    await eventually(is_open, "the first step to wait for its result")
    ahead = datetime.now(UTC) + timedelta(hours=1)
    patient = watchdog(api, tmp_path, timedelta(minutes=30))
    await patient.give_up_overdue(ahead)
    assert patient.lost == 0
    strict = watchdog(api, tmp_path, timedelta(0))
    await strict.give_up_overdue(ahead)
    assert strict.lost == 1
    worker_.may_work.set()
    assert (await api.ended(job_id))["status"] == "completed"
