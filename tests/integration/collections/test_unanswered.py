"""Commands that PostgreSQL does not answer: the 503 says whether the command may have been done."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from tests.integration.eventstore.waiting import take_append_lock, writers_waiting
from tests.support.apps.client import Answer
from tests.support.apps.collections import Api, collections_service
from tests.support.patience import eventually
from tests.support.silence import SilentProxy

KEY = {"Idempotency-Key": "tides"}


def create(api: Api) -> "asyncio.Task[Answer]":
    return asyncio.create_task(api.post("/projects/collections", {"title": "Tides"}, headers=KEY))


async def made_again(api: Api) -> Answer | None:
    answer = await create(api)
    return answer if answer.status == 201 else None


async def test_an_append_that_did_not_get_its_lock_was_not_done(database: str, nats_url: str, tmp_path: Path) -> None:
    """Another session holds the lock of appends, so PostgreSQL reports a lock timeout."""
    async with collections_service(database, nats_url, tmp_path) as api:
        api.is_patient = False
        head = await api.store.head()
        with psycopg.connect(database) as other:
            take_append_lock(other)
            refused = await create(api)
        assert refused.code == (503, "UNAVAILABLE")
        assert "nothing was done: try again in a moment" in refused.body["detail"]
        assert refused.headers["Retry-After"]
        assert await api.store.head() == head


async def test_an_append_without_an_answer_may_have_been_done(database: str, nats_url: str, tmp_path: Path) -> None:
    """The answer to the append is lost. A retry with the same Idempotency-Key returns the recorded result."""
    address = urlsplit(database)
    with SilentProxy((address.hostname or "", address.port or 0)) as proxy:
        netloc = f"{address.netloc.rpartition('@')[0]}@{proxy.address}"
        async with collections_service(urlunsplit(address._replace(netloc=netloc)), nats_url, tmp_path) as api:
            api.is_patient = False
            with psycopg.connect(database) as other, psycopg.connect(database, autocommit=True) as sql:
                take_append_lock(other)
                command = create(api)
                await eventually(lambda: writers_waiting(sql) == 1, "the append is sent")
                with proxy.silent():
                    other.rollback()
                    refused = await command
                assert refused.code == (503, "UNAVAILABLE")
                assert "it may have been done or not" in refused.body["detail"]
                assert "under the same Idempotency-Key" in refused.body["detail"]
                assert refused.headers["Retry-After"]
                answer = await eventually(lambda: made_again(api), "the repeated command to be answered")
                events = sql.execute("select distinct stream_id from events where type like 'collection_created%'")
                assert [str(stream) for (stream,) in events] == [answer.data["id"]]
