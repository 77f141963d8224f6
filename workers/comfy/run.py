"""The ComfyUI worker: its composition root."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from importlib.metadata import version
from uuid import uuid4

import aiohttp
import msgspec

from shared.contracts.work import OfferedModel
from workers.comfy.handler import ComfyHandler
from workers.comfy.servers import Address, Servers, parse_urls
from workers.comfy.settings import ComfySettings
from workers.kit import Returned, Step, Worker
from workers.kit.worker import exit_with, settings_or_exit

NAME = "comfy"
WORKFLOW_TYPE, SERVICE = "comfy_workflow", "comfy"


class ComfyWorker:
    """The worker's handler and its servers, from the worker's start to its end."""

    def __init__(self, addresses: list[Address], settings: ComfySettings) -> None:
        self._addresses, self._settings = addresses, settings
        self._handler: ComfyHandler | None = None
        self._servers: Servers | None = None

    @contextlib.asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Polls the servers and keeps their sockets for the length of a block."""
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
            client_id = f"emprops-{uuid4()}"
            self._servers = Servers(self._addresses, http, client_id, wait_seconds=self._settings.comfy_wait_seconds)
            self._handler = ComfyHandler(self._servers, self._settings)
            watching = asyncio.create_task(self._servers.run())
            try:
                yield
            finally:
                watching.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watching

    async def handle(self, step: Step) -> Returned:
        """Runs the graph of a step."""
        assert self._handler is not None, "steps are taken within the lifespan"
        return await self._handler(step)

    async def servers(self) -> str | None:
        """The servers that are away: the worker does what it can without them, so this check never fails."""
        return self._servers.summary() if self._servers is not None else None

    def models(self) -> list[OfferedModel] | None:
        """The models of the servers; None if one does not list them."""
        return self._servers.models() if self._servers is not None else None


def comfy(settings: ComfySettings) -> Worker:
    """The worker, not running yet. Raises ValueError for wrong COMFY_URLS."""
    addresses = parse_urls(settings.comfy_urls, settings.comfy_concurrency)
    lanes = sum(address.slots for address in addresses)
    own = ComfyWorker(addresses, settings)
    worker = Worker(
        NAME,
        version=version("emprops"),
        settings=msgspec.structs.replace(settings, worker_concurrency=lanes),
        lifespan=own.lifespan,
        checks={"comfy": own.servers},
        models=own.models,
    )
    worker.handles(SERVICE, workflow_type=WORKFLOW_TYPE)(own.handle)
    return worker


def main() -> None:
    """Runs until SIGTERM or SIGINT. Exits with 2, and a sentence on stderr, if the environment is wrong."""
    settings = settings_or_exit(ComfySettings, NAME)
    try:
        worker = comfy(settings)
    except ValueError as error:
        exit_with(NAME, error)
    worker.run()
