"""Wrong, repeated and unreadable results are refused or parked, and the others are recorded."""

import asyncio
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
import pytest

from shared.contracts.generation import Output
from shared.contracts.problem import Problem
from shared.contracts.work import RESULTS_STREAM, WorkResult
from shared.handling import operator_actions, parking
from tests.integration.generation.conftest import BUCKET
from tests.integration.generation.working import Worker, failed, file_of, finished
from tests.support.apps.generation import FOXES, ONE_STEP, Api, created, generation_service
from tests.support.patience import eventually
from tests.support.silence import SilentProxy


async def test_a_file_outside_the_steps_own_place_is_not_taken(api: Api, collections, credits_, worker_: Worker):
    """A worker can't pass off another's file as its own."""

    def lie(work):
        output = msgspec.structs.replace(file_of(work), path="uploads/somebody/else.png")
        return msgspec.structs.replace(finished(work), outputs=[output])

    worker_.behave = lie
    job = await api.ended((await api.generate(await created(collections, ONE_STEP))).data["job_id"], "failed")
    assert job["error"].startswith("INVALID_RESULT")


async def test_double_and_late_results_change_nothing(api: Api, collections, credits_, worker_: Worker):
    """Also a failure that comes after the success, past the broker's own deduplication."""
    job_id = (await api.generate(await created(collections, FOXES))).data["job_id"]
    await api.ended(job_id)
    before = await api.store.head()
    count = len(worker_.worked) * 2
    for work in worker_.worked:
        await worker_.answer(finished(work), f"again:{work.sid}")
        await worker_.answer(failed(work, retryable=False), f"late:{work.sid}")
    await eventually(lambda: _results_are_settled(worker_), f"{count} more results to be taken in")
    assert await api.store.head() == before


async def _results_are_settled(worker: Worker) -> bool:
    info = await worker.js.consumer_info(RESULTS_STREAM, "generation-results-v1")
    return info.num_pending == 0 and info.num_ack_pending == 0


async def test_malformed_results_are_parked_and_the_others_flow(api: Api, collections, credits_, worker_: Worker):
    """Also one that names a job which does not exist."""
    collection = await created(collections, ONE_STEP)
    await api.ended((await api.generate(collection)).data["job_id"])
    stranger = WorkResult(UUID(int=1), UUID(int=2), UUID(int=3), 1, "completed")
    bodies = [b"", b"{", b"[]", b'{"job_id": "x"}', b"\xff\xfe", b"[" * 3000, msgspec.json.encode(stranger)]
    for body in bodies:
        await worker_.say(worker_.worked[0].job_id, worker_.worked[0].gid, body)
    await api.ended((await api.generate(collection)).data["job_id"])

    async def parked():
        async with api.store.reader() as cursor:
            await cursor.execute("select count(*) from parked where consumer = 'generation-results-v1'")
            return await cursor.fetchone() == (len(bodies),)

    assert await eventually(parked, "the malformed results to be parked")


async def test_a_parked_result_is_retried_as_any_event_is(api: Api, collections, credits_, worker_: Worker):
    """One that was repaired is handled; one that is still malformed fails again, and needs an operator again."""
    collection = await created(collections, ONE_STEP)
    await api.ended((await api.generate(collection)).data["job_id"])
    done = worker_.worked[0]
    for body in (b"{", b"?"):
        await worker_.say(done.job_id, done.gid, body)

    async def parked():
        async with api.store.pool.connection() as connection:
            rows = await operator_actions.list_parked(connection, "generation-results-v1")
        results[:] = rows
        return len(rows) == 2

    results: list[parking.Parked] = []
    await eventually(parked, "both to be parked")
    first, second = results
    async with api.store.pool.connection() as connection:
        await connection.execute(
            "update parked set body = %s where id = %s", (msgspec.json.encode(finished(done)), first.id)
        )
        await operator_actions.retry(connection, first.id, by="olga", reason="repaired by hand")
        await operator_actions.retry(connection, second.id, by="olga")

    async def settled():
        async with api.store.pool.connection() as connection:
            rows = [await operator_actions.inspect(connection, item.id) for item in (first, second)]
        return [[action.action for action in actions] for _, actions in rows] == [
            ["parked", "retry", "handled"],
            ["parked", "retry", "failed"],
        ]

    assert await eventually(settled, "one to be handled, the other to fail again")


async def test_a_discarded_result_is_taken_in_no_more(api: Api, collections, credits_, worker_: Worker):
    """Not even where its body is good by now. It waits for no operator any more; another one can be tried again."""
    await api.ended((await api.generate(await created(collections, ONE_STEP))).data["job_id"])
    done, intake = worker_.worked[0], api.service.runtime.readiness.followers["results"]
    for body in (b"{", b"?"):
        await worker_.say(done.job_id, done.gid, body)

    async def both() -> bool:
        [progress] = await intake.progress()
        return progress.parked == 2

    await eventually(both, "both to be parked")
    async with api.store.pool.connection() as connection:
        first, second = await operator_actions.list_parked(connection, "generation-results-v1")
        await connection.execute(
            "update parked set body = %s where id = %s", (msgspec.json.encode(finished(done)), first.id)
        )
        await operator_actions.discard(connection, first.id, by="olga", reason="a worker's test")
        with pytest.raises(Problem, match="is discarded already"):
            await operator_actions.retry(connection, first.id, by="olga")
        await operator_actions.retry(connection, second.id, by="olga")

    async def tried() -> bool:
        async with api.store.pool.connection() as connection:
            _, actions = await operator_actions.inspect(connection, second.id)
        return [action.action for action in actions] == ["parked", "retry", "failed"]

    await eventually(tried, "the other one to be tried")
    async with api.store.pool.connection() as connection:
        row, actions = await operator_actions.inspect(connection, first.id)
    assert (row.status, row.resolved_by, row.reason) == ("discarded", "olga", "a worker's test")
    assert [action.action for action in actions] == ["parked", "discarded"]
    [progress] = await intake.progress()
    assert progress.parked == 1


async def test_a_text_that_can_not_be_kept_fails_its_step(api: Api, collections, credits_, worker_: Worker):
    """U+0000 has no place in PostgreSQL's text: the projector must never meet it."""
    nul = Output(kind="text", text="a\0b")
    worker_.behave = lambda work: msgspec.structs.replace(finished(work), outputs=[nul])
    job = await api.ended((await api.generate(await created(collections, ONE_STEP))).data["job_id"], "failed")
    assert "U+0000" in job["error"]


async def test_a_replica_without_its_store_leaves_results_to_the_others(
    database: str, nats_url: str, tmp_path, issuer, collections, credits_, worker_: Worker
):
    """Until the store answers again; then it takes them as before."""
    address = urlsplit(database)
    with SilentProxy((address.hostname or "", address.port or 0)) as proxy:
        behind = address._replace(netloc=address.netloc.replace(f":{address.port}", f":{proxy.port}")).geturl()
        async with generation_service(behind, nats_url, tmp_path, issuer, adoption_wait=1.0, s3_bucket=BUCKET) as api:
            worker_.behave = lambda work: None
            job_id = (await api.generate(await created(collections, ONE_STEP))).data["job_id"]
            await eventually(lambda: worker_.worked, "the step to be taken")
            with proxy.silent():
                await worker_.answer(failed(worker_.worked[0], retryable=False), "first")
                await eventually(lambda: _nobody_pulls(worker_), "the replica to pull no more")
            await api.ended(job_id, "failed")


async def _nobody_pulls(worker: Worker) -> bool:
    """Whether the result is left in the queue, for as long as a replica would need to pull it again."""
    for _ in range(20):
        info = await worker.js.consumer_info(RESULTS_STREAM, "generation-results-v1")
        if info.num_waiting or not (info.num_pending or info.num_ack_pending or info.num_redelivered):
            return False
        await asyncio.sleep(0.05)
    return True
