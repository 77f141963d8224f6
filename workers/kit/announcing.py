"""Announcements: what this worker offers and does, on plain NATS, for operators and the engine."""

import asyncio
import contextlib
import os
import re
import socket
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec
import nats.errors
from nats.aio.client import Client

from shared.contracts.work import ANNOUNCEMENT_SECONDS, Announcement, AttemptInProgress, OfferedModel, OfferedService
from workers.kit.lane import Lane


def instance_name(name: str, configured: str) -> str:
    """A name unique among running processes, which may be part of a NATS subject."""
    unique = configured or f"{name}-{socket.gethostname()}-{os.getpid()}"
    return re.sub(r"[^A-Za-z0-9_-]+", "-", unique)


Models = Callable[[], list[OfferedModel] | None]
"""The models that a worker has now; None if it does not tell."""


def no_models() -> None:
    """The models of a worker that does not list them: None."""


class Announcer:
    """Announces a worker at once, when its lanes change, every ANNOUNCEMENT_SECONDS, and at its end."""

    def __init__(
        self,
        client: Client,
        instance: str,
        name: str,
        version: str,
        lanes: Sequence[Lane],
        in_progress: Callable[[], list[AttemptInProgress]],
        *,
        concurrency: int,
        models: Models = no_models,
    ) -> None:
        self._client, self._lanes, self._in_progress, self._models = client, lanes, in_progress, models
        self._identity = {"instance": instance, "name": name, "version": version}
        self._started_at = datetime.now(UTC).isoformat()
        self._concurrency = concurrency

    def announcement(self, lanes: Sequence[Lane]) -> Announcement:
        """The present state; it offers the kinds of the lanes that have a consumer."""
        kinds = [lane.kind.partition(".") for lane in lanes if lane.bound]
        services = [OfferedService(type=kind, service=service, lanes=self._concurrency) for kind, _, service in kinds]
        return Announcement(
            **self._identity,
            services=services,
            working=self._in_progress(),
            started_at=self._started_at,
            models=self._models(),
        )

    async def run(self) -> None:
        """Announces until cancelled, and then that the worker offers nothing any more."""
        try:
            while True:
                bound = [lane.bound for lane in self._lanes]
                await self._publish(self.announcement(self._lanes))
                for _ in range(round(ANNOUNCEMENT_SECONDS / CHECK_SECONDS)):
                    await asyncio.sleep(CHECK_SECONDS)
                    if bound != [lane.bound for lane in self._lanes]:
                        break
        finally:
            await self._publish(self.announcement([]))

    async def _publish(self, announcement: Announcement) -> None:
        with contextlib.suppress(nats.errors.Error):
            body = msgspec.json.encode(announcement)
            if len(body) > MAX_BYTES:
                body = msgspec.json.encode(msgspec.structs.replace(announcement, models=None))
            await self._client.publish(announcement.subject, body)


MAX_BYTES = 512 * 1024
"""Of an announcement: a longer list of models is left out, since NATS takes 1 MiB, and then none is checked."""
CHECK_SECONDS = 0.5
"""How often the lanes are compared with those last announced."""
