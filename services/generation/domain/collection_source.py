"""A collection as generation knows it: its owner, its title and its data, taken from the collections service."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from shared.contracts.event import Event
from shared.contracts.generation import CollectionAdopted


class CollectionSource(msgspec.Struct, frozen=True):
    """State. `source_version` is the collection's version in its own service; 0: not adopted."""

    user_id: UUID | None = None
    project_id: UUID | None = None
    title: str = ""
    data: dict[str, Any] = {}
    encryption_enabled: bool = False
    source_version: int = 0


def evolve(state: CollectionSource, event: Event) -> CollectionSource:
    if isinstance(event, CollectionAdopted):
        return CollectionSource(
            user_id=event.user_id,
            project_id=event.project_id,
            title=event.title,
            data=event.data,
            encryption_enabled=event.encryption_enabled,
            source_version=event.source_version,
        )
    return state


class Adopt(msgspec.Struct, frozen=True):
    collection_id: UUID
    project_id: UUID
    user_id: UUID
    title: str
    data: dict[str, Any]
    encryption_enabled: bool
    source_version: int


class Revise(msgspec.Struct, frozen=True):
    """What changed of a collection that was adopted before; None: as it was."""

    collection_id: UUID
    source_version: int
    title: str | None = None
    data: dict[str, Any] | None = None
    encryption_enabled: bool | None = None
    user_id: UUID | None = None
    project_id: UUID | None = None


def decide(command: Adopt | Revise, state: CollectionSource) -> Sequence[Event]:
    """Nothing for what is known already, or older than what is known.

    But for a new owner: the consumer did not always listen for that, so later revisions may be known already.
    A revision of a collection that was never adopted raises LookupError: its creation must have come before.
    """
    if command.source_version <= state.source_version and not _hands_over(command, state):
        return []
    if isinstance(command, Revise):
        command = _whole(command, state)
    return [
        CollectionAdopted(
            collection_id=command.collection_id,
            project_id=command.project_id,
            user_id=command.user_id,
            title=command.title,
            data=command.data,
            encryption_enabled=command.encryption_enabled,
            source_version=command.source_version,
        )
    ]


def _hands_over(command: Adopt | Revise, state: CollectionSource) -> bool:
    return isinstance(command, Revise) and command.user_id is not None and command.user_id != state.user_id


def _whole(command: Revise, state: CollectionSource) -> Adopt:
    if state.project_id is None or state.user_id is None:
        raise LookupError(f"collection {command.collection_id} was revised before it was known")
    return Adopt(
        collection_id=command.collection_id,
        project_id=command.project_id or state.project_id,
        user_id=command.user_id or state.user_id,
        title=state.title if command.title is None else command.title,
        data=state.data if command.data is None else command.data,
        encryption_enabled=state.encryption_enabled
        if command.encryption_enabled is None
        else command.encryption_enabled,
        source_version=max(command.source_version, state.source_version),
    )
