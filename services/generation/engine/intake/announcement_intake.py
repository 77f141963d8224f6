"""Takes in what workers announce, over core NATS."""

import asyncio
from datetime import datetime

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.generation.workers.broker import BROKER_ERRORS, Broker
from services.generation.workers.connected_workers import ConnectedWorkers
from shared.backoff import Backoff
from shared.contracts.work import Announcement

SUBJECT = "workers.*"
POLL_SECONDS = 0.5
"""How often it is checked whether there is a connection, and which workers are gone."""

log = structlog.get_logger()

_decode = msgspec.json.Decoder(Announcement).decode


class AnnouncementIntake:
    """Feeds `workers` until cancelled. nats-py subscribes again after it has reconnected."""

    def __init__(self, broker: Broker, workers: ConnectedWorkers) -> None:
        self._broker, self._workers = broker, workers

    async def run(self) -> None:
        backoff = Backoff("announcements of workers", on=BROKER_ERRORS)
        client = await self._broker.client()
        await backoff.call(lambda: self._subscribe(client))
        loop, was_connected = asyncio.get_running_loop(), False
        while True:
            if client.is_connected != was_connected:
                was_connected = client.is_connected
                if was_connected:
                    self._workers.start_listening(loop.time())
                else:
                    self._workers.stop_listening()
            self._workers.drop_silent(loop.time())
            await asyncio.sleep(POLL_SECONDS)

    async def _subscribe(self, client: Client) -> None:
        await client.subscribe(SUBJECT, cb=self._note)

    async def _note(self, message: Msg) -> None:
        try:
            announcement = _decode(message.data)
            _check(announcement, message.subject)
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
            log.warning("announcement_ignored", subject=message.subject, reason=str(error)[:500])
            return
        self._workers.note(announcement, asyncio.get_running_loop().time())


def _check(announcement: Announcement, subject: str) -> None:
    """Raises ValueError if it came on another instance's subject, or has a time that is not one of RFC 3339."""
    if announcement.subject != subject:
        raise ValueError(f"it names the instance {announcement.instance[:100]!r}")
    for text in (announcement.started_at, *(attempt.since for attempt in announcement.working)):
        if datetime.fromisoformat(text).tzinfo is None:
            raise ValueError(f"{text[:40]!r} has no offset from UTC")
