"""What tests of previews do as a collection's owner and its visitors, and what they wait for."""

from typing import Any
from uuid import UUID

from shared.contracts.collections import (
    Payer,
    PreviewConfigured,
)
from shared.contracts.event import Event
from tests.support.apps.client import BOB, Answer
from tests.support.apps.generation import ANSWERED, ONE_STEP, Api, created
from tests.support.patience import eventually
from tests.support.publishing import Publisher

CAROL = UUID(int=4)


async def publish(collections: Publisher, collection: UUID, event: Event) -> None:
    """The requests that follow state the position, as those at one edge do."""
    ANSWERED[collection] = await collections.publish(collection, event)


async def configure(
    collections: Publisher,
    collection: UUID,
    most: int = 3,
    *,
    enabled: bool = True,
    is_remixable: bool = False,
    paid_by: Payer = "visitor",
) -> None:
    await publish(
        collections,
        collection,
        PreviewConfigured(
            collection, enabled=enabled, max_generations=most, is_remixable=is_remixable, paid_by=paid_by
        ),
    )


async def opened(collections: Publisher, document: Any = ONE_STEP, most: int = 3, **terms: Any) -> UUID:
    """A collection of ALICE's that visitors may generate."""
    collection = await created(collections, document)
    await configure(collections, collection, most, **terms)
    return collection


async def preview(api: Api, collection: UUID, user: UUID = BOB, key: str | None = None, **body: Any) -> Answer:
    headers = {"Emprops-Position": f"collections:1:{ANSWERED[collection]}"}
    if key:
        headers["Idempotency-Key"] = key
    return await api.send("POST", f"/collections/{collection}/generations", user, json=body, headers=headers)


async def resume(api: Api, job_id: str, collection: UUID, **body: Any) -> Answer:
    headers = {"Emprops-Position": f"collections:1:{ANSWERED[collection]}"}
    return await api.send("POST", f"/jobs/{job_id}/resume", BOB, json=body, headers=headers)


async def ended(api: Api, job_id: str, status: str = "completed", user: UUID = BOB) -> Any:
    async def has_ended() -> bool:
        return (await api.get(f"/jobs/{job_id}", user)).data["completed_at"] is not None

    await eventually(has_ended, f"job {job_id} to end")
    job = (await api.get(f"/jobs/{job_id}", user)).data
    assert job["status"] == status, job
    return job


async def left(api: Api, collection: UUID, user: UUID = BOB) -> int:
    """How many generations the visitor may make still."""
    answer = await preview(api, collection, user, dry_run=True)
    return 0 if answer.status == 403 else answer.data["preview"]["left"]


async def until_left(api: Api, collection: UUID, number: int) -> None:
    async def is_left() -> bool:
        return await left(api, collection) == number

    await eventually(is_left, f"{number} generations to be left")
