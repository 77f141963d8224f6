"""Steps fail, workers are lost, brokers forget, services restart: the job ends as it should, once."""

import asyncio
import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import jwt
import psycopg
import pytest

from shared.contracts.work import RESULTS_STREAM, WORK_STREAM
from shared.projections.rebuild import rebuild
from tests.integration.generation.working import Worker, failed, finished
from tests.support.apps.credits import credits_service
from tests.support.apps.generation import FOXES, ONE_STEP, Api, created, generation_service
from tests.support.patience import PATIENCE, eventually
from tests.support.tokens import TokenIssuer


async def events_of(api: Api, *types: str) -> list[str]:
    return [event.type for event in await api.store.read_all() if event.type in types]


async def test_what_may_pass_is_tried_again(api: Api, collections, credits_, worker_: Worker):
    """The next attempt comes by itself, after its backoff."""
    worker_.behave = lambda work: failed(work, retryable=True) if work.attempt == 1 else finished(work)
    job_id = (await api.generate(await created(collections, ONE_STEP))).data["job_id"]
    job = await api.ended(job_id)
    assert [work.attempt for work in worker_.worked] == [1, 2]
    assert job["credits"]["captured"] == Decimal(1)
    errors = [event.data for event in await api.told(job_id) if event.event == "error"]
    assert [(error["code"], error["retrying"], error["attempt"]) for error in errors] == [("BROKEN", True, 1)]


async def test_a_generation_that_fails_for_good_leaves_the_others(api: Api, collections, credits_, worker_: Worker):
    """Only what succeeded is charged, the rest comes back."""
    collection = await created(collections, FOXES)
    worker_.behave = lambda work: failed(work, retryable=False) if work.context.hash == "b" else finished(work)
    job = await api.ended(
        (await api.generate(collection, hashes=["a", "b", "c"])).data["job_id"], "partially_completed"
    )
    assert [generation["status"] for generation in job["generations"]] == ["completed", "failed", "completed"]
    assert job["generations"][1]["error"] == "BROKEN: it broke"
    expected = {
        "quoted": Decimal("3.75"),
        "held": Decimal("3.75"),
        "captured": Decimal("2.5"),
        "released": Decimal("1.25"),
    }
    assert job["credits"] == expected
    await credits_.settled(("7.5", "0", "2.5"))


async def test_a_job_without_any_success_fails_and_costs_nothing(api: Api, collections, credits_, worker_: Worker):
    """Its error is that of its first failure."""
    worker_.behave = lambda work: failed(work, retryable=False)
    job = await api.ended((await api.generate(await created(collections, FOXES))).data["job_id"], "failed")
    assert (job["error"], job["credits"]["captured"]) == ("BROKEN: it broke", 0)
    await credits_.settled(("10", "0", "0"))


async def test_a_result_that_no_client_can_be_given_is_parked(
    api: Api, collections, credits_, worker_: Worker, nats_url: str
):
    """Its subject is not UTF-8, over which nats-py's read loop ends: it is put aside, and the others flow."""
    server = urlsplit(nats_url)
    lines, wire = await asyncio.open_connection(server.hostname, server.port)
    login = json.dumps({"user": server.username, "pass": server.password, "verbose": False})
    wire.write(f"CONNECT {login}\r\n".encode() + b"PUB results.\xff\xfe 1\r\n?\r\nPING\r\n")
    assert (await lines.readline()).startswith(b"INFO")
    assert await lines.readline() == b"PONG\r\n"
    wire.close()
    await api.ended((await api.generate(await created(collections, ONE_STEP))).data["job_id"])

    async def parked():
        async with api.store.reader() as cursor:
            await cursor.execute("select error from parked where consumer = 'generation-results-v1'")
            return [error for (error,) in await cursor.fetchall()]

    [error] = await eventually(parked, "it is parked")
    assert error.startswith("its subject or headers are not UTF-8")


async def test_with_credits_down_the_job_waits_and_then_goes_on(
    api: Api, collections, worker_: Worker, databases, nats_url: str, tmp_path: Path
):
    """202 pending after a moment; nothing runs before the credits are held."""
    job_id = (await api.generate(await created(collections, ONE_STEP))).data["job_id"]
    job = await api.job(job_id)
    assert (job["status"], job["started_at"]) == ("pending", None)
    assert [generation["status"] for generation in job["generations"]] == ["pending"]
    assert worker_.worked == []
    folder = tmp_path / "late"
    folder.mkdir()
    database = databases()
    async with credits_service(database, nats_url, folder) as credits_:
        # Declined, for there is nothing to hold yet: the verdict comes late, but it comes.
        assert (await api.ended(job_id, "rejected"))["error"].startswith("The job needs 1 credits")
        await credits_.give("1")
        job_id = (await api.generate(await created(collections, ONE_STEP))).data["job_id"]
        await api.ended(job_id)


async def test_the_grant_can_be_verified_with_the_published_key(api: Api, collections, credits_, worker_: Worker):
    """Issuer, audience, role and place; the key set has no private part."""
    await api.ended((await api.generate(await created(collections, ONE_STEP))).data["job_id"])
    [work] = worker_.worked
    answer = await api.get("/.well-known/jwks.json", None)
    [key] = answer.body["keys"]
    assert "d" not in key
    claims = jwt.decode(
        work.context.upload.token,
        jwt.PyJWK(key).key,
        algorithms=["EdDSA"],
        audience="emprops",
        issuer="emprops-generation",
    )
    assert (claims["sub"], claims["roles"]) == (str(work.context.user_id), ["worker"])
    assert claims["grant"] == {
        "prefix": f"generations/{work.context.user_id}/{work.job_id}/{work.gid}/{work.sid}/",
        "job_id": str(work.job_id),
        "gid": str(work.gid),
        "sid": str(work.sid),
        "collection_id": str(work.context.collection_id),
        "component_id": 11,
        "read_job": str(work.job_id),
        "read_files": {},
    }
    for event in await api.store.read_all():
        assert work.context.upload.token.encode() not in event.data


@pytest.fixture
def quick() -> dict[str, float]:
    """A watchdog that does not wait long."""
    return {"missing_after": 1.0, "attempt_lost_after": 4.0}


async def test_a_step_without_a_result_is_lost_and_tried_again(
    database: str, nats_url: str, tmp_path: Path, collections, credits_, worker_: Worker, quick
):
    """A worker announced it and then no longer does: after a while the next attempt runs."""
    async with generation_service(database, nats_url, tmp_path, TokenIssuer(), **quick | {"missing_after": 60}) as api:
        worker_.behave = lambda work: None if work.attempt == 1 else finished(work)
        await api.ended((await api.generate(await created(collections, ONE_STEP))).data["job_id"])
        attempts = [work.attempt for work in worker_.worked]
        assert len(attempts) > 1
        # One more each time that the machine, too, took longer than the deadline.
        assert attempts == list(range(1, len(attempts) + 1))
        assert await events_of(api, "step_failed.v1") == ["step_failed.v1"] * (len(attempts) - 1)


async def test_work_that_the_broker_lost_is_sent_again(
    database: str, nats_url: str, tmp_path: Path, collections, credits_, worker_: Worker, quick
):
    """With both its streams gone: the same attempt runs, none is counted as failed."""
    settings = quick | {"attempt_lost_after": 60}
    async with generation_service(database, nats_url, tmp_path, TokenIssuer(), **settings) as api:
        await worker_.pause()
        job_id = (await api.generate(await created(collections, FOXES))).data["job_id"]
        await eventually(lambda: _queued(worker_, 2), "the work to be queued")
        await worker_.js.delete_stream(WORK_STREAM)
        await worker_.js.delete_stream(RESULTS_STREAM)
        await eventually(lambda: _queued(worker_, 2), "the work to be queued again")
        worker_.may_work.set()
        await api.ended(job_id)
        assert {work.attempt for work in worker_.worked} == {1}
        assert await events_of(api, "step_failed.v1") == []


async def _queued(worker: Worker, count: int) -> bool:
    try:
        return (await worker.js.stream_info(WORK_STREAM)).state.messages == count
    except Exception:  # noqa: BLE001 - the stream is not there, which is an answer
        return False


async def test_a_restart_in_the_middle_runs_nothing_twice(
    database: str, nats_url: str, tmp_path: Path, collections, credits_, worker_: Worker
):
    """The service goes away while work is queued, and comes back: each step ran once, everything is charged once."""
    issuer = TokenIssuer()
    async with generation_service(database, nats_url, tmp_path, issuer) as api:
        await worker_.pause()
        job_id = (await api.generate(await created(collections, FOXES), generations=5)).data["job_id"]
        await eventually(lambda: _queued(worker_, 5), "the work to be queued")
    worker_.may_work.set()
    await eventually(lambda: _has_worked(worker_, 5), "the first steps to run")
    async with generation_service(database, nats_url, tmp_path, issuer) as api:
        await api.ended(job_id)
        assert set(Counter((work.sid, work.attempt) for work in worker_.worked).values()) == {1}
        assert len(await events_of(api, "step_completed.v1")) == 10
        await credits_.settled(("3.75", "0", "6.25"))


async def _has_worked(worker: Worker, count: int) -> bool:
    return len(worker.worked) >= count


async def test_two_replicas_share_the_work(
    database: str, nats_url: str, tmp_path: Path, collections, credits_, worker_: Worker
):
    """A job requested at one is followed at the other, and everything happens once."""
    issuer = TokenIssuer()
    async with (
        generation_service(database, nats_url, tmp_path, issuer, service_instance="a") as one,
        generation_service(database, nats_url, tmp_path, issuer, service_instance="b") as other,
    ):
        job_id = (await one.generate(await created(collections, FOXES), generations=4)).data["job_id"]
        events = await other.told(job_id)
        assert events[-1].data["status"] == "completed"
        assert (await other.job(job_id))["status"] == "completed"
        assert len(await events_of(one, "step_completed.v1")) == 8
        assert len(worker_.worked) == 8
        assert len(await events_of(one, "workflow_registered.v1")) == 3


async def test_rebuilt_tables_equal_the_live_ones(api: Api, collections, credits_, worker_: Worker):
    """Row by row, after jobs that completed, failed in part, were retried and rejected."""
    collection = await created(collections, FOXES)
    worker_.behave = lambda work: failed(work, retryable=False) if work.context.hash == "b" else finished(work)
    await api.ended((await api.generate(collection, hashes=["a", "b"])).data["job_id"], "partially_completed")
    worker_.behave = lambda work: failed(work, retryable=True) if work.attempt == 1 else finished(work)
    await api.ended((await api.generate(collection, generations=1)).data["job_id"])
    assert (await api.generate(collection, generations=100)).status == 402
    await api.service.runtime.projector.caught_up(await api.store.head(), PATIENCE)
    for projection in api.service.runtime.definition.projections:
        rebuilt = await rebuild(api.store, projection, swap=False)
        assert (rebuilt.missing, rebuilt.extra) == (0, 0), projection.name
    async with await psycopg.AsyncConnection.connect(api.store.dsn) as connection:
        assert await (await connection.execute("select count(*) from open_steps_v3")).fetchone() == (0,)
