"""Generation's copy of a collection: its owner, title and data, made from the events of the collections service."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from services.generation.domain.file_addresses import files_in
from shared.contracts.event import Event
from shared.contracts.generation import CollectionAdopted, PreviewTerms


class SourcePosition(msgspec.Struct, frozen=True):
    """The position of an event in its collection's history: the collection's version, in an epoch of its store.

    After a restore to an earlier moment, the store assigns the same versions to other events: in a later epoch, or at a
    later time if the broker was restored too, so that no epoch began.
    """

    version: int
    epoch: int = 1
    recorded_at: datetime | None = None
    """None for events that an earlier release took."""

    def covers(self, other: "SourcePosition") -> bool:
        """Whether the event at the other position is this one, or an earlier one of the same history."""
        return (other.epoch, other.version) <= (self.epoch, self.version) and not (
            self.recorded_at and other.recorded_at and other.recorded_at > self.recorded_at
        )


class CollectionSource(msgspec.Struct, frozen=True):
    """`source`: the last event that was taken; version 0: the collection was not adopted.

    `preview`: what visitors may do; None: nothing. `was_public`: whether others than its owner could ever see it.
    `content_version`: that in which anything else last changed, on which jobs depend.
    `inherited_files`: the stored files that the data had at a change of its owner, and whose they were: it may still
    use them, though they are not its new owner's.
    """

    user_id: UUID | None = None
    project_id: UUID | None = None
    title: str = ""
    data: dict[str, Any] = {}
    encryption_enabled: bool = False
    source: SourcePosition = SourcePosition(0)
    is_archived: bool = False
    preview: PreviewTerms | None = None
    was_public: bool = False
    content_version: int = 0
    inherited_files: dict[int, UUID] = {}


def evolve(before: CollectionSource, event: Event) -> CollectionSource:
    if isinstance(event, CollectionAdopted):
        return CollectionSource(
            user_id=event.user_id,
            project_id=event.project_id,
            title=event.title,
            data=event.data,
            encryption_enabled=event.encryption_enabled,
            source=SourcePosition(event.source_version, event.source_epoch, event.source_recorded_at),
            is_archived=event.is_archived,
            preview=event.preview,
            was_public=event.was_public,
            content_version=event.content_version or event.source_version,
            inherited_files=_inherited_files(before, event),
        )
    raise AssertionError(f"{event!r} is not an event of a collection's source")


def _inherited_files(before: CollectionSource, event: CollectionAdopted) -> dict[int, UUID]:
    if before.user_id in (None, event.user_id):
        return before.inherited_files
    if event.source_version <= before.source.version and event.source_epoch == before.source.epoch:
        return before.inherited_files  # the change of the owner came late: the data may be the new owner's
    return dict.fromkeys(files_in(before.data), before.user_id) | before.inherited_files


class Adopt(msgspec.Struct, frozen=True):
    """A collection was created."""

    collection_id: UUID
    project_id: UUID
    user_id: UUID
    title: str
    data: dict[str, Any]
    encryption_enabled: bool
    source: SourcePosition
    is_archived: bool = False
    preview: PreviewTerms | None = None
    was_public: bool = False


class Revise(msgspec.Struct, frozen=True):
    """An adopted collection was changed. None: not by this event."""

    collection_id: UUID
    source: SourcePosition
    title: str | None = None
    data: dict[str, Any] | None = None
    encryption_enabled: bool | None = None
    user_id: UUID | None = None
    project_id: UUID | None = None
    is_archived: bool | None = None
    preview: PreviewTerms | None = None
    is_published: bool = False

    @property
    def changes_content(self) -> bool:
        """Whether jobs of before and after may differ: not if it is only about who may request them."""
        return self.preview is None and not self.is_published


def decide(command: Adopt | Revise, state: CollectionSource) -> Sequence[Event]:
    """No events if the change was taken already, or is older than one that was.

    Changes of the owner and of what visitors may do, publishing, and archiving are taken in any case: earlier releases
    did not consume those events, but later ones of the same collection. Raises LookupError for a revision of a
    collection that was not adopted: its creation must come first.
    """
    if state.source.covers(command.source) and not _changes_what_was_left_out(command, state):
        return []
    source = _latest(state.source, command.source)
    content_version = source.version
    if isinstance(command, Revise):
        if not command.changes_content:
            content_version = state.content_version
        command = _revised(command, state)
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
            is_archived=command.is_archived,
            preview=command.preview,
            was_public=command.was_public,
            content_version=content_version,
        )
    ]


def _latest(current: SourcePosition, event_position: SourcePosition) -> SourcePosition:
    """The position of the copy after the event at `event_position`.

    Its time never decreases, even if the clock of the owner's database did: what was covered stays covered.
    """
    if current.covers(event_position):
        return current
    times = [position.recorded_at for position in (current, event_position) if position.recorded_at]
    return msgspec.structs.replace(event_position, recorded_at=max(times, default=None))


def _changes_what_was_left_out(command: Adopt | Revise, state: CollectionSource) -> bool:
    """Whether it is a change of a kind that earlier releases did not consume."""
    if isinstance(command, Adopt):
        return False
    return (
        command.user_id not in (None, state.user_id)
        or command.is_archived not in (None, state.is_archived)
        or command.preview not in (None, state.preview)
        or (command.is_published and not state.was_public)
    )


def _revised(command: Revise, state: CollectionSource) -> Adopt:
    """The whole collection after the revision."""
    if state.project_id is None or state.user_id is None:
        raise LookupError(f"collection {command.collection_id} was revised before it was adopted")
    preview = state.preview if command.preview is None else command.preview
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
        is_archived=state.is_archived if command.is_archived is None else command.is_archived,
        preview=preview,
        was_public=state.was_public or command.is_published or (preview is not None and preview.enabled),
    )
