"""Queries of single collections, answered from their state.

So a client reads its own writes even while the read tables are behind.
"""

from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from uuid import UUID

from services.collections.deciders import COLLECTION, PROJECT
from services.collections.domain.collection.state import Collection
from services.collections.domain.project import NOTHING, Project, owned
from services.collections.views.collection import CollectionView, collection_view
from services.collections.views.history import HistoryEntry, history_entry
from services.collections.views.public import PublicCollection, public_collection
from shared.contracts.problem import not_found
from shared.eventstore import EventStore, Handled, Loaded
from shared.http import Page, cursor_number, next_cursor


@dataclass(frozen=True)
class Queries:
    store: EventStore

    async def collection(self, collection_id: UUID) -> CollectionView | None:
        """A collection in full, without access checks, or None."""
        cached = self.store.cached(COLLECTION, collection_id)
        if cached is None or cached.state.project_id is None:
            loaded = await self.store.load(COLLECTION, collection_id)
            return _view(loaded, await self._project_of(loaded)) if loaded.version else None
        loaded, project = await self.store.load_both(COLLECTION, collection_id, PROJECT, cached.state.project_id)
        if project.state.project_id != loaded.state.project_id:  # its custody was transferred meanwhile
            project = await self._project_of(loaded)
        return _view(loaded, project)

    async def after(self, handled: Handled[Collection]) -> CollectionView:
        """The collection after a command."""
        loaded = Loaded(
            handled.state, handled.version, handled.position, handled.recorded_at, began_at=handled.began_at
        )
        is_new = len(handled.events) == handled.version
        return _view(loaded, Loaded(NOTHING, 0) if is_new else await self._project_of(loaded))

    async def _project_of(self, loaded: Loaded[Collection]) -> Loaded[Project]:
        assert loaded.state.project_id is not None, "a collection is created in a project"
        return await self.store.load(PROJECT, loaded.state.project_id)

    async def collection_for(self, reader: UUID, collection_id: UUID) -> CollectionView | PublicCollection:
        """A collection as `reader` may see it: in full for its owner, and for others if it is public.

        Raises NOT_FOUND otherwise.
        """
        collection = await self.collection(collection_id)
        if collection is not None and collection.user_id == reader:
            return collection
        return _public(collection)

    async def collection_as_of(self, user_id: UUID, collection_id: UUID, as_of: int | datetime) -> CollectionView:
        """The user's collection at a past version or time. Raises NOT_FOUND, also for a time before it existed."""
        now = await self.owned_collection(user_id, collection_id)
        then = await self.store.load(COLLECTION, collection_id, as_of=as_of)
        if then.recorded_at is None:
            raise not_found("The collection at that version or time")
        return collection_view(then.state, then.version, created_at=now.created_at, updated_at=then.recorded_at)

    async def history(self, user_id: UUID, collection_id: UUID, limit: int, cursor: str | None) -> Page[HistoryEntry]:
        """The history of the user's collection, oldest first. Raises NOT_FOUND."""
        await self.owned_collection(user_id, collection_id)
        after = cursor_number(cursor, 0)
        recorded = await self.store.read_stream(collection_id, after=after, limit=limit + 1)
        more = next_cursor(recorded, limit, attrgetter("version"))
        return Page([history_entry(event) for event in recorded[:limit]], more)

    async def owned_collection(self, user_id: UUID, collection_id: UUID) -> CollectionView:
        """A collection of the user's. Raises NOT_FOUND."""
        collection = await self.collection(collection_id)
        if collection is None or collection.user_id != user_id:
            raise not_found("The collection")
        return collection

    async def public_collection(self, collection_id: UUID) -> PublicCollection:
        """A collection that is published or has an open preview. Raises NOT_FOUND otherwise."""
        return _public(await self.collection(collection_id))

    async def current_collection(self, user_id: UUID, project_id: UUID) -> CollectionView:
        """The current collection of the user's project. Raises NOT_FOUND, also if none is chosen."""
        project = (await self.store.load(PROJECT, project_id)).state
        owned(project, user_id)
        if project.current_collection_id is None:
            raise not_found("A current collection of this project")
        return await self.owned_collection(user_id, project.current_collection_id)


def _view(loaded: Loaded[Collection], project: Loaded[Project]) -> CollectionView:
    assert loaded.began_at is not None, "a collection that was written has events"
    assert loaded.recorded_at is not None, "a collection that was written has events"
    is_current = loaded.state.collection_id == project.state.current_collection_id
    return collection_view(
        loaded.state,
        loaded.version,
        created_at=loaded.began_at,
        updated_at=loaded.recorded_at,
        is_current=is_current,
    )


def _public(collection: CollectionView | None) -> PublicCollection:
    """Raises NOT_FOUND for one that is not public."""
    if (
        collection is None
        or collection.archived
        or not (collection.status == "published" or collection.preview.enabled)
    ):
        raise not_found("The collection")
    return public_collection(collection)
