"""Commands on pins: record what a remote pinning service has made of a published package."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from services.collections.deciders import COLLECTION, PACKAGE
from services.collections.domain.collection.state import owned
from services.collections.domain.package import pins
from services.collections.domain.package.state import Pin, package_id
from services.collections.queries.token import TokenQueries
from shared.contracts.collections import PinStatus
from shared.contracts.problem import Problem, not_found
from shared.eventstore import Context, EventStore


@dataclass(frozen=True)
class PinHandlers:
    store: EventStore
    token_queries: TokenQueries
    clock: Callable[[], datetime]

    async def report(
        self,
        owner: UUID | None,
        collection_id: UUID,
        cid: str,
        service: str,
        request_id: str,
        status: PinStatus,
        reason: str | None,
        context: Context,
    ) -> Pin:
        """Records what the service reported last of a package. `owner` None: for an operator. Idempotent.

        Raises NOT_FOUND, CONFLICT for a collection that is not published, and as `pins.decide`.
        """
        state = (await self.store.load(COLLECTION, collection_id)).state
        if state.collection_id is None:
            raise not_found("The collection")
        if owner is not None:
            owned(state, owner)
        series = await self.token_queries.series(state) if state.status == "published" else None
        if series is None:
            raise Problem("CONFLICT", "The collection is not published: it has no packages that everybody may read")
        stream_id, now = package_id(collection_id, series.job_id), self.clock().isoformat()
        command = pins.ReportPin(stream_id, cid, service, request_id, status, reason, now)
        handled = await self.store.handle(PACKAGE, stream_id, partial(pins.decide, command), context)
        [package] = [package for package in handled.state.published if package.root == cid]
        return next(pin for pin in package.pins if pin.service == service)
