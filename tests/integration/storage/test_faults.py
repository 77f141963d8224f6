"""The file store stops and returns; a process dies between storing a file and recording it."""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psycopg
import pytest
import pytest_asyncio

from services.storage.projections.assets import ASSETS
from shared.projections import pending_rows
from tests.support.apps.client import ALICE, BOB
from tests.support.apps.storage import GID, JOB, SID, Api, storage_service
from tests.support.gate import Gate, gate_to
from tests.support.patience import eventually
from tests.support.servers import Bucket

PATH = f"generations/{ALICE}/{JOB}/{GID}/{SID}/a.png"


class Gated(NamedTuple):
    api: Api
    gate: Gate


@pytest_asyncio.fixture
async def gated(database: str, nats_url: str, bucket: Bucket, tmp_path: Path) -> AsyncIterator[Gated]:
    """The service, with a gate between it and the file store."""
    async with gate_to(urlsplit(bucket.s3.endpoint).port or 80) as gate:
        endpoint = f"http://127.0.0.1:{gate.port}"
        async with storage_service(database, nats_url, bucket, tmp_path, s3_endpoint=endpoint) as api:
            yield Gated(api, gate)


async def ready(api: Api) -> tuple[int, str]:
    answer = await api.ask("GET", "/health/ready", {})
    return answer.status, answer.body["checks"]["file store"]["status"]


async def test_with_the_file_store_down_uploads_and_reads_say_so_and_work_again_later(gated: Gated):
    api, gate = gated
    asset = (await api.upload(b"before", "before.png")).data
    await gate.shut()
    for content in (b"small", b"large" * 3_000_000):
        refused = await api.upload(content)
        assert refused.refusal == (503, "UNAVAILABLE", [])
        assert refused.headers["retry-after"]
    assert (await api.get(f"/assets/{asset['id']}/content")).refusal == (503, "UNAVAILABLE", [])
    assert (await api.get(f"/assets/{asset['id']}")).status == 200, "what is known of a file is known all the same"
    assert await ready(api) == (503, "failing")
    await gate.open()
    assert (await api.upload(b"small")).status == 201
    assert (await api.get(f"/assets/{asset['id']}/content")).body == b"before"
    assert await ready(api) == (200, "ok")


async def test_a_file_store_that_dies_in_the_middle_of_an_upload_leaves_no_asset(gated: Gated):
    api, gate = gated
    reached = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(30):
            if number == 20:
                reached.set()
            yield b"x" * 1_000_000

    upload = asyncio.create_task(api.upload(pieces()))
    await reached.wait()
    await gate.shut()
    assert (await upload).refusal == (503, "UNAVAILABLE", [])
    assert await api.runtime.store.head() == 0
    await gate.open()
    assert (await api.upload(b"again")).status == 201


async def test_a_file_that_was_never_recorded_is_written_again_and_recorded(api: Api):
    """What a process that died between the two leaves behind does not stand in the way of the retry."""
    api.bucket.client().put_object(api.bucket.name, PATH, io.BytesIO(b"half of it"), 10)
    asset = (await api.upload(b"the whole of it")).data
    assert asset["path"] == PATH
    assert (await api.get(f"/assets/{asset['id']}/content")).body == b"the whole of it"


async def test_a_recorded_file_that_is_gone_from_the_store_is_not_there_for_now(api: Api):
    asset = (await api.upload(b"content")).data
    api.bucket.client().remove_object(api.bucket.name, PATH)
    assert (await api.get(f"/assets/{asset['id']}/content")).refusal == (503, "UNAVAILABLE", [])


async def test_the_service_makes_its_bucket_when_there_is_none(database: str, nats_url: str, bucket: Bucket, tmp_path):
    async with storage_service(database, nats_url, bucket, tmp_path, s3_bucket=f"{bucket.name}-new") as api:

        async def is_ready() -> bool:
            return (await ready(api))[0] == 200

        await eventually(is_ready, "the service to be ready")
        assert (await api.upload(b"content")).status == 201
    client = bucket.client()
    client.remove_object(f"{bucket.name}-new", PATH)
    client.remove_bucket(f"{bucket.name}-new")


async def test_a_body_beyond_the_bound_is_refused(database: str, nats_url: str, bucket: Bucket, tmp_path: Path):
    async with storage_service(database, nats_url, bucket, tmp_path, upload_max_bytes=1000) as api:

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b"x" * 500

        assert (await api.upload(b"x" * 1000)).status == 201
        assert (await api.upload(b"x" * 1001, "b.png")).refusal == (413, "PAYLOAD_TOO_LARGE", [])
        assert (await api.upload(pieces(), "c.png")).refusal == (413, "PAYLOAD_TOO_LARGE", [])
        assert list(api.objects()) == [PATH]


async def test_a_client_that_falls_silent_is_not_waited_for(
    database: str, nats_url: str, bucket: Bucket, tmp_path: Path
):
    async with storage_service(database, nats_url, bucket, tmp_path, upload_idle_seconds=0.1) as api:
        silence = asyncio.Event()

        async def pieces() -> AsyncIterator[bytes]:
            yield b"x"
            await silence.wait()

        refused = await api.upload(pieces())
        silence.set()
        assert refused.refusal == (400, "VALIDATION_FAILED", [])
        assert api.objects() == {}


async def change(sql: psycopg.Connection, statement: str) -> None:
    """In a thread: the locks that it waits for are held by tasks of this process."""
    await asyncio.to_thread(sql.execute, statement)


async def test_files_are_read_while_their_table_stands_still(api: Api):
    """At an event that the table can't handle. Steps of running jobs must still be able to read their files."""
    refused = "begin if new.name = 'poison' then raise exception 'on purpose'; end if; return new; end"
    with psycopg.connect(api.runtime.store.dsn, autocommit=True) as sql:
        await change(sql, f"create function refuse() returns trigger language plpgsql as $$ {refused} $$")
        await change(
            sql, f"create trigger refuse before insert on {ASSETS.table} for each row execute function refuse()"
        )
        poison = (await api.upload(b"poison", "poison")).data
        asset = (await api.upload(b"after", "after.png")).data
        assert (await api.get(f"/assets/{asset['id']}/content")).body == b"after"
        assert (await api.get(f"/assets/{poison['id']}/content")).body == b"poison"
        assert (await api.get(f"/assets/{asset['id']}")).data["sha256"] == asset["sha256"]
        assert (await api.get(f"/assets/{asset['id']}/content", BOB)).refusal == (404, "NOT_FOUND", [])
        assert (await api.get("/assets/4711/content")).refusal == (404, "NOT_FOUND", [])
        await change(sql, f"drop trigger refuse on {ASSETS.table}")
        rows = f"select count(*) from {ASSETS.table}"
        await eventually(lambda: sql.execute(rows).fetchone() == (2,), "the table to take in both")


async def test_a_table_that_is_too_far_behind_is_no_404(api: Api, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pending_rows, "MAX_EVENTS", 1)
    monkeypatch.setattr(pending_rows, "PAGE", 1)
    with psycopg.connect(api.runtime.store.dsn, autocommit=True) as sql:
        await change(
            sql, "create function refuse() returns trigger language plpgsql as $$ begin raise exception 'x'; end $$"
        )
        await change(
            sql, f"create trigger refuse before insert on {ASSETS.table} for each row execute function refuse()"
        )
        assert (await api.upload(b"first", "first.png")).status == 201
        second = (await api.upload(b"second", "second.png")).data
        assert (await api.get(f"/assets/{second['id']}/content")).refusal == (503, "UNAVAILABLE", [])
