"""A job is made of the collection as its owner last saved it: by the position that a client sends, or by a version."""

import asyncio
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from shared.contracts.collections import (
    EVENTS_OF_CREATION,
    CollectionPriced,
    CollectionRetitled,
    InstructionsRevised,
    PreviewConfigured,
)
from tests.support.apps.client import BOB, Answer
from tests.support.apps.generation import FOXES, ONE_STEP, Api, created
from tests.support.patience import eventually
from tests.support.publishing import Publisher

TWO_STEPS, ONE = Decimal("2.5"), Decimal(1)
"""What jobs of FOXES and of ONE_STEP cost."""
CREATED = len(EVENTS_OF_CREATION)
"""The version of a collection that was just created."""


async def generate(api: Api, collection: UUID, *, if_match: str | None = None, **body: Any) -> Answer:
    """As a client that sends no positions."""
    headers = {} if if_match is None else {"If-Match": if_match}
    return await api.send("POST", f"/collections/{collection}/generations", json=body, headers=headers)


async def quoted(api: Api, answer: Answer) -> Decimal:
    amount: Decimal = (await api.job(answer.data["job_id"]))["credits"]["quoted"]
    return amount


async def settled(api: Api, collection: UUID, version: int) -> None:
    """Waits until this version has arrived."""
    await eventually(lambda: _is_accepted(api, collection, version), f"version {version} to arrive")


async def _is_accepted(api: Api, collection: UUID, version: int) -> bool:
    return (await generate(api, collection, collection_version=version, dry_run=True)).status == 200


async def revise(collections: Publisher, collection: UUID) -> int:
    return await collections.publish(collection, InstructionsRevised(collection, ONE_STEP))


@pytest.mark.parametrize("in_header", [True, False])
async def test_a_request_waits_for_the_version_that_it_states(
    api: Api, collections: Publisher, credits_: Any, *, in_header: bool
) -> None:
    """The event of the version comes after the request; the instructions before it are never run."""
    collection = await created(collections, FOXES)
    await settled(api, collection, CREATED)
    stated: Any = {"if_match": f'"{CREATED + 1}"'} if in_header else {"collection_version": CREATED + 1}
    request = asyncio.create_task(generate(api, collection, **stated))
    await settled(api, collection, CREATED)  # other requests are answered meanwhile
    assert not request.done()
    await revise(collections, collection)
    assert await quoted(api, await request) == ONE


async def test_a_request_waits_for_the_position_that_it_states(api: Api, collections: Publisher, credits_: Any) -> None:
    """As the edge's requests do, and those of clients that send what they were answered."""
    collection = await created(collections, FOXES)
    position = await revise(collections, collection)
    headers = {"Emprops-Position": f"collections:1:{position}"}
    answer = await api.send("POST", f"/collections/{collection}/generations", json={}, headers=headers)
    assert await quoted(api, answer) == ONE


async def test_other_changes_do_not_count(api: Api, collections: Publisher, credits_: Any) -> None:
    """A price, or who may generate it, is not part of a job: the versions before and after are the same to it."""
    collection = await created(collections, FOXES)
    await collections.publish(collection, CollectionPriced(collection, "1.5"))
    preview = PreviewConfigured(collection, enabled=True, max_generations=3, is_remixable=False)
    await collections.publish(collection, preview)
    await settled(api, collection, CREATED + 2)
    for version in range(1, CREATED + 3):
        assert await quoted(api, await generate(api, collection, if_match=f'"{version}"')) == TWO_STEPS


async def test_a_creation_writes_no_version(api: Api, collections: Publisher, credits_: Any) -> None:
    """One commit for the copy is enough: only an event that does not change the copy needs a row."""
    await settled(api, await created(collections, FOXES), CREATED)
    priced = await created(collections, FOXES)
    await collections.publish(priced, CollectionPriced(priced, "1.5"))
    await settled(api, priced, CREATED + 1)
    rows = await api.store.pool.rows("select collection_id from collection_versions", ())
    assert rows == [(priced,)]


async def test_a_version_that_has_changed_is_refused(api: Api, collections: Publisher, credits_: Any) -> None:
    """412 for the header, 409 for the member, at its place; nothing is recorded."""
    collection = await created(collections, FOXES)
    await collections.publish(collection, CollectionRetitled(collection, "Wolves"))
    await settled(api, collection, CREATED + 1)
    refused = await generate(api, collection, if_match=f'"{CREATED}-public"')
    assert refused.refusal == (412, "VERSION_CONFLICT", ["header:If-Match"])
    for is_dry in (False, True):
        refused = await generate(api, collection, collection_version=CREATED, dry_run=is_dry)
        assert refused.refusal == (409, "VERSION_CONFLICT", ["/collection_version"])
    assert (await generate(api, collection, if_match='"x"')).code == (412, "VERSION_CONFLICT")
    assert (await api.get("/jobs")).data == []


async def test_a_version_that_is_not_known_is_refused(api: Api, collections: Publisher, credits_: Any) -> None:
    """After a bounded wait; to another user there is no collection, whatever the version."""
    collection = await created(collections, FOXES)
    await settled(api, collection, CREATED)
    refused = await generate(api, collection, collection_version=9)
    assert refused.refusal == (409, "VERSION_CONFLICT", ["/collection_version"])
    assert f"the newest version that is known here is {CREATED}" in refused.body["detail"]
    path, body = f"/collections/{collection}/generations", {"collection_version": 9}
    assert (await api.send("POST", path, BOB, json=body)).code == (404, "NOT_FOUND")


async def test_equal_requests_on_one_version_are_two_jobs(api: Api, collections: Publisher, credits_: Any) -> None:
    """A job leaves the version of its collection as it is: only an Idempotency-Key makes a request a repetition."""
    collection = await created(collections, ONE_STEP)
    await settled(api, collection, CREATED)
    jobs = [(await generate(api, collection, if_match=f'"{CREATED}"')).data["job_id"] for _ in range(2)]
    assert len(set(jobs)) == 2
    repeated = [
        (await api.generate(collection, key="once", collection_version=CREATED)).data["job_id"] for _ in range(2)
    ]
    assert len(set(repeated)) == 1
