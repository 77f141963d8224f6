"""A collection: publishing fields, and the instructions that produce its artwork. Draft, then published for good."""

from collections.abc import Sequence
from typing import Any, Literal, assert_never
from uuid import UUID

import msgspec

from services.collections.domain import components, instructions
from services.collections.domain.fields import FieldChanges, Fields, changed
from services.collections.domain.revision import STILL_OPEN_ONCE_PUBLISHED, differences, revised, revisions
from shared.contracts import collections as events
from shared.contracts.event import Event
from shared.contracts.problem import Detail, Problem, invalid, not_found

Status = Literal["draft", "published"]
PREVIEW_GENERATIONS = 3
"""How many artworks a visitor of a preview may make, until its creator says otherwise."""


class Preview(msgspec.Struct, frozen=True):
    enabled: bool = False
    max_generations: int = PREVIEW_GENERATIONS
    is_remixable: bool = False


class Collection(msgspec.Struct, frozen=True):
    collection_id: UUID | None = None
    project_id: UUID | None = None
    user_id: UUID | None = None
    status: Status = "draft"
    archived: bool = False
    fields: Fields = Fields()
    data: dict[str, Any] = msgspec.field(default_factory=dict)
    components: frozenset[int] = frozenset()
    """Every component that this collection has ever had: a step may come back with its own."""
    preview: Preview = Preview()
    forked_from: UUID | None = None
    publish_date: str | None = None


NOTHING = Collection()


def evolve(state: Collection, event: Event) -> Collection:
    if isinstance(event, events.CollectionCreated):
        return Collection(
            collection_id=event.collection_id,
            project_id=event.project_id,
            user_id=event.user_id,
            fields=Fields(**{name: getattr(event, name) for name in Fields.__struct_fields__}),
            data=event.data,
            components=frozenset(components.step_ids(event.data)),
            forked_from=event.forked_from,
        )
    return msgspec.structs.replace(state, **_changes(state, event))


def _changes(state: Collection, event: Event) -> dict[str, Any]:
    match event:
        case events.PreviewCreated():
            return {"preview": Preview(event.enabled, event.max_generations, event.is_remixable)}
        case events.InstructionsRevised():
            known = state.components | frozenset(components.step_ids(event.data))
            return {"data": event.data, "components": known}
        case events.CollectionPublished():
            return {"status": "published", "publish_date": event.publish_date}
        case events.CollectionArchived() | events.CollectionRestored():
            return {"archived": isinstance(event, events.CollectionArchived)}
        case _:
            return {"fields": revised(state.fields, event)}


class CreateCollection(msgspec.Struct, frozen=True, kw_only=True):
    """`component_ids`: new ones, as many as `data` has steps or more."""

    collection_id: UUID
    project_id: UUID
    user_id: UUID
    changes: FieldChanges
    data: dict[str, Any]
    component_ids: Sequence[int]
    forked_from: UUID | None = None


class EditCollection(msgspec.Struct, frozen=True, kw_only=True):
    """What is not mentioned stays; `data` None leaves the instructions as they are."""

    user_id: UUID
    project_id: UUID
    changes: FieldChanges
    data: dict[str, Any] | None = None
    component_ids: Sequence[int] = ()


class PublishCollection(msgspec.Struct, frozen=True):
    user_id: UUID
    publish_date: str
    """RFC 3339, UTC."""


class ArchiveCollection(msgspec.Struct, frozen=True):
    user_id: UUID


class RestoreCollection(msgspec.Struct, frozen=True):
    user_id: UUID


Command = CreateCollection | EditCollection | PublishCollection | ArchiveCollection | RestoreCollection


def decide(command: Command, state: Collection) -> list[Event]:
    """What happens to a collection; nothing when it is already so.

    Raises VALIDATION_FAILED with a pointer for each fault, NOT_FOUND for a collection that is not the user's, CONFLICT
    for one that is archived.
    """
    match command:
        case CreateCollection():
            return _create(command)
        case EditCollection():
            return _edit(command, state)
        case PublishCollection():
            return _publish(command, state)
        case ArchiveCollection():
            collection_id = owned(state, command.user_id)
            return [] if state.archived else [events.CollectionArchived(collection_id)]
        case RestoreCollection():
            collection_id = owned(state, command.user_id)
            return [events.CollectionRestored(collection_id)] if state.archived else []
        case _ as never:
            assert_never(never)


def owned(state: Collection, user_id: UUID) -> UUID:
    """The id of a collection that exists and is the user's; NOT_FOUND otherwise, whoever else's it is."""
    if state.collection_id is None or state.user_id != user_id:
        raise not_found("The collection")
    return state.collection_id


def _create(command: CreateCollection) -> list[Event]:
    fields = changed(Fields(), command.changes)
    instructions.check(command.data, "/data")
    preview = Preview()
    return [
        events.CollectionCreated(
            collection_id=command.collection_id,
            project_id=command.project_id,
            user_id=command.user_id,
            data=components.with_components(command.data, command.component_ids),
            forked_from=command.forked_from,
            **msgspec.structs.asdict(fields),
        ),
        events.PreviewCreated(command.collection_id, preview.enabled, preview.max_generations, preview.is_remixable),
    ]


def _edit(command: EditCollection, state: Collection) -> list[Event]:
    collection_id = owned(state, command.user_id)
    if state.project_id != command.project_id:
        raise not_found("The collection")
    _refuse_archived(state)
    fields = changed(state.fields, command.changes)
    data = state.data
    if command.data is not None:
        instructions.check(command.data, "/data")
        data = components.with_components(command.data, command.component_ids, kept=state.components)
    if state.status == "published":
        _refuse_changing_what_was_sold(state, fields, data)
    happened = revisions(collection_id, state.fields, fields)
    return happened if data == state.data else [*happened, events.InstructionsRevised(collection_id, data)]


def _publish(command: PublishCollection, state: Collection) -> list[Event]:
    collection_id = owned(state, command.user_id)
    if state.status == "published":
        return []
    _refuse_archived(state)
    missing = []
    if not state.fields.title.strip():
        missing.append(Detail("/title", "a published collection has a title"))
    if not state.data["steps"]:
        missing.append(Detail("/data/steps", "a published collection has at least one step to generate with"))
    if missing:
        raise invalid("The collection is not complete yet", *missing)
    assert state.project_id is not None, "a collection is created in a project"
    return [
        events.CollectionPublished(collection_id, state.project_id, command.user_id, command.publish_date),
    ]


def _refuse_archived(state: Collection) -> None:
    if state.archived:
        raise Problem("CONFLICT", "The collection is archived: restore it first")


def _refuse_changing_what_was_sold(state: Collection, fields: Fields, data: dict[str, Any]) -> None:
    changes = [name for name in differences(state.fields, fields) if name not in STILL_OPEN_ONCE_PUBLISHED]
    if data != state.data:
        changes.append("data")
    if changes:
        still_open = ", ".join(sorted(STILL_OPEN_ONCE_PUBLISHED))
        raise invalid(
            f"The collection is published: what was sold no longer changes, only {still_open} do",
            *(Detail(f"/{name}", f"{name} is part of what was sold") for name in changes),
        )
