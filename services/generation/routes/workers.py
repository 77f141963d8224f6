"""The connected workers, for operators."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from litestar import get
from litestar.di import NamedDependency

from services.generation.workers.connected_workers import ConnectedWorker, ConnectedWorkers
from shared.contracts.work import OfferedService
from shared.http import Page
from shared.http.positions import WITHOUT_TABLES


class WorkingView(msgspec.Struct, frozen=True):
    """An attempt that a worker is doing. `since`: by the worker's clock."""

    sid: UUID
    attempt: int
    since: datetime


class WorkerView(msgspec.Struct, frozen=True):
    """A connected worker process. `lanes`: steps that it does at once.

    `connected_since` and `last_seen` are by the clock of the service, `started_at` by the worker's. `models`: how many
    models it has told of; null if it tells of none.
    """

    instance: str
    name: str
    version: str
    services: list[OfferedService]
    lanes: int
    working: list[WorkingView]
    models: int | None
    started_at: datetime
    connected_since: datetime
    last_seen: datetime


@get("/workers", summary="The connected workers", opt={"roles": {"operator"}} | WITHOUT_TABLES)
async def list_workers(workers: NamedDependency[ConnectedWorkers]) -> Page[WorkerView]:
    """For operators: who is connected, since when, which work each takes, and what it is doing now.

    As each replica of the service hears it: workers announce themselves every 5 s, and are gone after 15 s of silence.
    """
    now = asyncio.get_running_loop().time()
    wall = datetime.now(UTC)
    return Page([_view(worker, now, wall) for worker in workers.all(now)])


def _view(worker: ConnectedWorker, now: float, wall: datetime) -> WorkerView:
    announcement = worker.announcement
    return WorkerView(
        instance=announcement.instance,
        name=announcement.name,
        version=announcement.version,
        services=announcement.services,
        lanes=worker.lanes,
        working=[
            WorkingView(attempt.sid, attempt.attempt, datetime.fromisoformat(attempt.since))
            for attempt in announcement.working
        ],
        models=None if announcement.models is None else len(announcement.models),
        started_at=datetime.fromisoformat(announcement.started_at),
        connected_since=wall - timedelta(seconds=now - worker.connected_at),
        last_seen=wall - timedelta(seconds=now - worker.seen_at),
    )
