"""Cancelling a job: what has completed is kept and charged, the rest stops and is released."""

from decimal import Decimal
from uuid import UUID

import msgspec
from nats.aio.msg import Msg

from shared.contracts.work import WORK_STREAM, CancelRequest, WorkMessage
from shared.messaging.connection import connected
from tests.integration.generation.working import Worker, finished
from tests.support.apps.client import BOB
from tests.support.apps.generation import FOXES, ONE_STEP, Api, created
from tests.support.patience import eventually
from tests.support.subscribing import listen


def only(*services: str):
    """Answers work of these services, and takes the other without an answer."""

    def behave(work: WorkMessage):
        return finished(work) if work.service_required in services else None

    return behave


async def cancel(api: Api, job_id: str, user: UUID | None = None, **headers: str):
    arguments = () if user is None else (user,)
    return await api.send("POST", f"/jobs/{job_id}/cancel", *arguments, json={}, headers=headers)


async def in_work(worker_: Worker, count: int) -> None:
    await eventually(lambda: _has_worked(worker_, count), f"{count} messages of work")


async def _has_worked(worker_: Worker, count: int) -> bool:
    return len(worker_.worked) >= count


async def test_an_operator_cancels_a_users_job(api: Api, collections, credits_, worker_: Worker):
    """Another user may not."""
    worker_.behave = only("sketch")
    job_id = (await api.generate(await created(collections, FOXES))).data["job_id"]
    await in_work(worker_, 4)
    assert (await cancel(api, job_id, BOB)).code == (404, "NOT_FOUND")
    answer = await api.send("POST", f"/jobs/{job_id}/cancel", BOB, "operator", json={})
    assert (answer.data["status"], answer.data["cancelled"]) == ("cancelled", 2)
    await credits_.settled(("8", "0", "2"))


async def test_a_running_job_is_cancelled(api: Api, collections, credits_, worker_: Worker):
    """Both sketches are done, no frame: the sketches are charged, the frames released."""
    worker_.behave = only("sketch")
    job_id = (await api.generate(await created(collections, FOXES))).data["job_id"]
    await in_work(worker_, 4)
    answer = await cancel(api, job_id)
    assert answer.status == 200, answer.body
    assert answer.data == {
        "job_id": job_id,
        "status": "cancelled",
        "completed": 0,
        "cancelled": 2,
        "captured": Decimal(2),
        "released": Decimal("0.5"),
    }
    job = await api.ended(job_id, "cancelled")
    assert job["credits"] == {
        "quoted": Decimal("2.5"),
        "held": Decimal("2.5"),
        "captured": Decimal(2),
        "released": Decimal("0.5"),
    }
    assert job["generation_counts"] == {"pending": 0, "processing": 0, "completed": 0, "failed": 0, "cancelled": 2}
    assert [(generation["status"], len(generation["outputs"])) for generation in job["generations"]] == [
        ("cancelled", 1)
    ] * 2
    await credits_.settled(("8", "0", "2"))
    assert (await cancel(api, job_id)).data == answer.data


async def test_waiting_messages_are_deleted_and_workers_asked_to_stop(
    api: Api, collections, credits_, worker_: Worker, nats_url: str
):
    """One request for each attempt, since a later attempt of the same step may be of a round that goes on."""
    requests: list[CancelRequest] = []

    async def note(message: Msg) -> None:
        requests.append(msgspec.json.decode(message.data, type=CancelRequest))

    async with connected(nats_url, "test") as client:
        await listen(client, "cancel.direct_job.sketch", note)
        await worker_.pause()
        job_id = (await api.generate(await created(collections, FOXES))).data["job_id"]
        await eventually(lambda: _queued(worker_, 2), "both sketches to be queued")
        other = (await api.generate(await created(collections, ONE_STEP))).data["job_id"]
        await eventually(lambda: _queued(worker_, 3), "the other job's sketch to be queued")
        assert (await cancel(api, job_id)).status == 200
        await eventually(lambda: _queued(worker_, 1), "the cancelled job's messages to be deleted")
        await eventually(lambda: len({request.sid for request in requests}) == 2, "a request to stop for each sketch")
        assert {(request.job_id, request.attempt) for request in requests} == {(UUID(job_id), 1)}
        worker_.may_work.set()
        await api.ended(other)
    assert {str(work.job_id) for work in worker_.worked} == {other}


async def _queued(worker_: Worker, count: int) -> bool:
    return bool((await worker_.js.stream_info(WORK_STREAM)).state.messages == count)
