"""Jobs of steps that take no time, on the shared set, requested and awaited through the public API."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import uvloop

from benchmarks.accounting import database_url
from infra.demo.client import Client
from infra.demo.journey import ENDED
from services.generation.handlers.commands import CommandHandlers
from shared.contracts.generation import EVENTS, UPCASTERS
from shared.eventstore import Codec, Context, EventStore
from tests.support.running_set import RunningSet

SERVICE, TELLING = "bench-noop", "bench-telling"
"""Two kinds of steps, for workers without and with progress reports."""
CREDITS = 1_000_000
LOOK_SECONDS = 0.1
ENDS_WITHIN = 400.0


def definition(service: str) -> dict[str, Any]:
    """A workflow with one field, as the folders of services/generation/workflows hold it."""
    return {
        "form": {
            "config": {"maxNumberOfGenerations": 10_000},
            "fields": [{"id": "prompt", "name": "Prompt", "type": "prompt_editor", "required": True}],
        },
        "inputs": [{"id": "prompt", "pathJq": ".prompt", "is_required": True}],
        "job": {"service_required": service, "payload": {}, "response_type": "text", "output_field": "text"},
        "cost": {"expression": "0.01"},
    }


def chain(workflow: str, steps: int) -> dict[str, Any]:
    """A collection's data: `steps` steps, each of which waits for the one before it."""
    return {
        "version": "v2",
        "steps": [
            {
                "id": number,
                "nodeName": workflow,
                "nodePayload": {"prompt": {"$ref": number - 1} if number > 1 else "go"},
            }
            for number in range(1, steps + 1)
        ],
    }


@dataclass(frozen=True)
class Ended:
    """A job, and when its request was sent, answered and seen to be completed, in seconds of the monotonic clock."""

    id: str
    user: UUID
    sent: float
    answered: float
    seen: float

    @property
    def seconds(self) -> float:
        return self.seen - self.sent


@dataclass
class Workshop:
    running: RunningSet
    large: Ended | None = None
    """The largest job so far, for rows that look at one."""
    users: list[UUID] = field(default_factory=list)

    def __post_init__(self) -> None:
        uvloop.run(self._register())

    async def _register(self) -> None:
        codec = Codec(EVENTS, upcasters=UPCASTERS)
        async with EventStore.open(database_url(self.running, "generation"), codec) as store:
            handlers = CommandHandlers(store, lambda: datetime.now(UTC), uuid4)
            for name in (SERVICE, TELLING):
                await handlers.register_workflow(name, definition(name), Context(uuid4(), "bench"))

    @property
    def nats_url(self) -> str:
        return self.running.file.nats_url

    async def user(self) -> UUID:
        return await self.running.rich_user(CREDITS)

    def client(self, user: UUID) -> Client:
        return Client(self.running.url, self.running.token(user, ttl=24 * 3600))

    async def collection(self, client: Client, workflow: str, steps: int) -> str:
        collection = await client.post("/projects/collections", {"title": "Work", "data": chain(workflow, steps)})
        # Waits until generation has adopted it, so that the time of a job does not include that.
        await client.post(f"/collections/{collection['id']}/generations", {"generations": 1, "dry_run": True})
        return str(collection["id"])

    async def submit(self, client: Client, collection: str, generations: int) -> tuple[str, float, float]:
        """The job's id, and when its request was sent and answered."""
        sent = time.monotonic()
        job = await client.post(f"/collections/{collection}/generations", {"generations": generations})
        return str(job["job_id"]), sent, time.monotonic()

    async def run(self, user: UUID, collection: str, generations: int) -> Ended:
        """A job from its request until a list of jobs shows that it is completed."""
        async with self.client(user) as client:
            job, sent, answer_time = await self.submit(client, collection, generations)
            await self.until_completed(client, job)
            return Ended(job, user, sent, answer_time, time.monotonic())

    async def run_and_follow(self, user: UUID, collection: str) -> Ended:
        """A job of one generation, from its request until its end arrives on its stream of events."""
        async with self.client(user) as client:
            job, sent, answer_time = await self.submit(client, collection, 1)
            async with asyncio.timeout(ENDS_WITHIN):
                async for event in client.events(f"/jobs/{job}/events"):
                    if event.event == "job_status" and event.data["status"] in ENDED:
                        check_completed(job, event.data["status"])
                        break
            return Ended(job, user, sent, answer_time, time.monotonic())

    async def until_completed(self, client: Client, job: str) -> None:
        async with asyncio.timeout(ENDS_WITHIN):
            while True:
                newest: Sequence[dict[str, Any]] = await client.get("/jobs?limit=20")
                for listed in newest:
                    if listed["id"] == job and listed["status"] in ENDED:
                        check_completed(job, listed["status"])
                        return
                await asyncio.sleep(LOOK_SECONDS)


def check_completed(job: str, status: str) -> None:
    if status != "completed":
        raise RuntimeError(f"job {job} ended as {status}")
