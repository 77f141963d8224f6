"""Archives a collection, and restores it."""

from typing import assert_never
from uuid import UUID

import msgspec

from services.collections.domain.collection.state import Collection, owned
from shared.contracts import collections as events
from shared.contracts.event import Event


class ArchiveCollection(msgspec.Struct, frozen=True):
    user_id: UUID


class RestoreCollection(msgspec.Struct, frozen=True):
    user_id: UUID


Command = ArchiveCollection | RestoreCollection


def decide(command: Command, state: Collection) -> list[Event]:
    """Idempotent: no events if the state already matches. Raises NOT_FOUND for a collection that is not the user's."""
    collection_id = owned(state, command.user_id)
    match command:
        case ArchiveCollection():
            return [] if state.archived else [events.CollectionArchived(collection_id)]
        case RestoreCollection():
            return [events.CollectionRestored(collection_id)] if state.archived else []
        case _ as never:
            assert_never(never)
