"""The collection that a request is about, as its owner last saved it.

Requests read generation's copy, and wait for it: for a collection that was just created, and for the version that the
client states. Clients that send the position of their last write need neither: see `shared.http.positions`.
"""

import asyncio
from uuid import UUID

import msgspec

from services.generation.deciders import SOURCE
from services.generation.domain.collection_source import CollectionSource
from services.generation.domain.preview_access import preview_terms
from services.generation.tables.collection_versions import CollectionVersions
from shared.contracts.problem import Detail, Problem, not_found
from shared.eventstore import EventStore
from shared.eventstore.watermarks import HEAD_WATERMARK
from shared.http.positions import History, not_yet_handled

COLLECTIONS = "collections"
"""The service that owns collections."""
POLL_SECONDS = 0.02
"""Least time between two queries for what another replica may have recorded."""


class RequiredVersion(msgspec.Struct, frozen=True):
    """The version of the collection that a request is based on; `pointer`: where the request states it."""

    version: int
    pointer: str


class CollectionSources:
    """`wait`: seconds for which a request waits for a collection, or for a version of it."""

    def __init__(self, store: EventStore, versions: CollectionVersions, history: History, wait: float) -> None:
        self._store, self._versions, self._history, self._wait = store, versions, history, wait

    async def get(
        self, collection_id: UUID, user_id: UUID, required: RequiredVersion | None = None
    ) -> CollectionSource:
        """The collection, if it is the user's or open to visitors.

        With a required version, what a job is made of (title, instructions, encryption and owner) is as in that
        version. Raises CONFLICT if it is archived, VERSION_CONFLICT if it was changed after that version, or has no
        such version yet, NOT_FOUND, PREVIEW_DISABLED, and UNAVAILABLE while events of collections that are published
        have not been consumed.
        """
        source = await self._accessible(collection_id, user_id)
        if required is not None and required.version > source.source.version:
            # Either a later event has changed something else, or it has not arrived yet.
            await self._wait_for_version(collection_id, required)
            source = await self._accessible(collection_id, user_id)
        if required is not None and required.version < source.content_version:
            message = f"is {required.version}, and the collection was changed in version {source.content_version}"
            raise _version_conflict(required, message)
        if source.is_archived:
            raise archived_problem()
        return source

    async def _wait_for_version(self, collection_id: UUID, required: RequiredVersion) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._wait
        while await self._versions.newest(collection_id) < required.version:
            if loop.time() >= until:
                await self._refuse_unknown(collection_id, required)
                return
            await asyncio.sleep(POLL_SECONDS)

    async def _refuse_unknown(self, collection_id: UUID, required: RequiredVersion) -> None:
        """Unless the version is known after all that collections have published by now."""
        if await self._history.first_behind({COLLECTIONS}, self._wait):
            raise not_yet_handled(COLLECTIONS)
        newest = await self._versions.newest(collection_id)
        if newest < required.version:
            message = f"is {required.version}, and the newest version that is known here is {newest}"
            raise _version_conflict(required, message)

    async def settled(self, collection_id: UUID) -> CollectionSource:
        """The collection after all that collections have published by now, such as who pays for previews.

        Raises UNAVAILABLE while that has not been consumed, and NOT_FOUND.
        """
        if await self._history.first_behind({COLLECTIONS}, self._wait) == COLLECTIONS:
            raise not_yet_handled(COLLECTIONS)
        source = await self._adopted(collection_id)
        if source is None:
            raise not_found("The collection")
        return source

    async def _accessible(self, collection_id: UUID, user_id: UUID) -> CollectionSource:
        """Raises NOT_FOUND, PREVIEW_DISABLED and UNAVAILABLE."""
        source = await self._known(collection_id)
        if source.user_id == user_id:
            return source
        source = await self.settled(collection_id)
        if source.user_id != user_id:
            preview_terms(source)
        return source

    async def _known(self, collection_id: UUID) -> CollectionSource:
        """Waits for a collection that was just created, as not all clients send the position that they have seen.

        Raises NOT_FOUND only when all events that collections had published have been consumed, else UNAVAILABLE.
        """
        source = await self._adopted(collection_id) or await self._just_adopted(collection_id)
        if source is None:
            if await self._history.first_behind({COLLECTIONS}, self._wait):
                raise not_yet_handled(COLLECTIONS)
            source = await self._adopted(collection_id)
        if source is None:
            raise not_found("The collection")
        return source

    async def _adopted(self, collection_id: UUID) -> CollectionSource | None:
        loaded = await self._store.load(SOURCE, collection_id)
        return loaded.state if loaded.version else None

    async def _just_adopted(self, collection_id: UUID) -> CollectionSource | None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._wait
        while (remaining := until - loop.time()) > 0:
            head = self._store.watermarks.value(HEAD_WATERMARK)
            if source := await self._adopted(collection_id):
                return source
            await asyncio.sleep(min(POLL_SECONDS, remaining))
            await self._store.watermarks.wait_beyond(HEAD_WATERMARK, head, max(until - loop.time(), 0))
        return None


def archived_problem() -> Problem:
    """The refusal of whatever would run the steps of an archived collection."""
    return Problem("CONFLICT", "The collection is archived: restore it first")


def _version_conflict(required: RequiredVersion, message: str) -> Problem:
    detail = f"The required version {message}: read the collection again, and decide on its new version"
    return Problem("VERSION_CONFLICT", detail, Detail(required.pointer, message))
