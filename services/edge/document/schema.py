"""The public OpenAPI document: fetched from the services, merged, cached, and refreshed by the next request for it."""

import asyncio
import time
from collections.abc import Mapping

import aiohttp
import msgspec

from services.edge.document.openapi import Document, merge
from services.edge.forwarding.replicas import Replicas
from services.edge.routing import RoutingTable, Upstream
from shared.contracts.problem import Problem
from shared.telemetry import get_logger

log = get_logger("schema")

REFRESH_AFTER = 30.0
"""Seconds for which a merged document is served before the services are asked again."""
FETCH_TIMEOUT = aiohttp.ClientTimeout(total=5.0)


class PublicSchema:
    """While a service is down, its part of the document is the last one fetched; none before the first."""

    def __init__(
        self, session: aiohttp.ClientSession, replicas: Mapping[Upstream, Replicas], table: RoutingTable, version: str
    ) -> None:
        self._session, self._replicas, self._table, self._version = session, replicas, table, version
        self._documents: dict[str, Document] = {}
        self._merged: bytes | None = None
        self._refreshed_at = float("-inf")
        self._lock = asyncio.Lock()

    async def document(self) -> bytes:
        """The merged document as JSON. Raises UNAVAILABLE if no service has answered yet."""
        async with self._lock:
            complete = len(self._documents) == len(self._replicas)
            if time.monotonic() - self._refreshed_at > (REFRESH_AFTER if complete else 1.0):
                await self._refresh()
        if self._merged is None:
            raise Problem("UNAVAILABLE", "No service has returned its part of the document yet; try again in a moment")
        return self._merged

    async def _refresh(self) -> None:
        fetched = await asyncio.gather(*(self._fetch(replicas) for replicas in self._replicas.values()))
        for name, document in zip(self._replicas, fetched, strict=True):
            if document is not None:
                self._documents[name.value] = document
        if self._documents:
            ordered = {name.value: self._documents[name] for name in self._replicas if name in self._documents}
            merged = merge(ordered, self._table, title="EmProps collections", version=self._version)
            self._merged = msgspec.json.encode(merged)
        self._refreshed_at = time.monotonic()

    async def _fetch(self, replicas: Replicas) -> Document | None:
        for url in replicas.by_preference():
            try:
                async with self._session.get(f"{url}/schema/openapi.json", timeout=FETCH_TIMEOUT) as response:
                    response.raise_for_status()
                    return msgspec.json.decode(await response.read(), type=Document)
            except (aiohttp.ClientError, OSError, msgspec.MsgspecError) as error:
                log.warning("a service's document can't be fetched", upstream=replicas.name, error=repr(error))
        return None
