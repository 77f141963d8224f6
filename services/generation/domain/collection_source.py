"""A collection as generation knows it: its owner, its title and its data, taken from the collections service."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from shared.contracts.event import Event
from shared.contracts.generation import CollectionAdopted


class Place(msgspec.Struct, frozen=True):
    """Of an event in its collection's history: the version of the collection, in which epoch of its owner's store.

    A store that was restored to an earlier moment gives versions a second time, to other events: in a later epoch; or,
    when it was restored together with the broker so that no epoch began, at a later time.
    """

    version: int
    epoch: int = 1
    recorded_at: datetime | None = None
    """None: not known, of events that an earlier release has taken in."""

    def covers(self, other: "Place") -> bool:
        """Whether an event at the other place is this one, or came before it in the same history."""
        return (other.epoch, other.version) <= (self.epoch, self.version) and not (
            self.recorded_at and other.recorded_at and other.recorded_at > self.recorded_at
        )


class CollectionSource(msgspec.Struct, frozen=True):
    """State. `source`: the last event that was taken in; version 0: the collection was not adopted."""

    user_id: UUID | None = None
    project_id: UUID | None = None
    title: str = ""
    data: dict[str, Any] = {}
    encryption_enabled: bool = False
    source: Place = Place(0)


def evolve(state: CollectionSource, event: Event) -> CollectionSource:
    if isinstance(event, CollectionAdopted):
        return CollectionSource(
            user_id=event.user_id,
            project_id=event.project_id,
            title=event.title,
            data=event.data,
            encryption_enabled=event.encryption_enabled,
            source=Place(event.source_version, event.source_epoch, event.source_recorded_at),
        )
    return state


class Adopt(msgspec.Struct, frozen=True):
    collection_id: UUID
    project_id: UUID
    user_id: UUID
    title: str
    data: dict[str, Any]
    encryption_enabled: bool
    source: Place


class Revise(msgspec.Struct, frozen=True):
    """What changed of a collection that was adopted before; None: as it was."""

    collection_id: UUID
    source: Place
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
    if state.source.covers(command.source) and not _hands_over(command, state):
        return []
    if isinstance(command, Revise):
        command = _whole(command, state)
    source = _furthest(state.source, command.source)
    return [
        CollectionAdopted(
            collection_id=command.collection_id,
            project_id=command.project_id,
            user_id=command.user_id,
            title=command.title,
            data=command.data,
            encryption_enabled=command.encryption_enabled,
            source_version=source.version,
            source_epoch=source.epoch,
            source_recorded_at=source.recorded_at,
        )
    ]


def _furthest(known: Place, taken: Place) -> Place:
    """The place up to which history is known once the event at `taken` is.

    The time never goes back, even where the clock of the owner's database did: what was covered stays covered.
    """
    if known.covers(taken):
        return known
    times = [each.recorded_at for each in (known, taken) if each.recorded_at]
    return msgspec.structs.replace(taken, recorded_at=max(times, default=None))


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
        source=command.source,
    )
