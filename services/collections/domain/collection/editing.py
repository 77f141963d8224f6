"""Edits by a collection's owner: all fields of a draft; of a published collection, those that buyers don't rely on."""

from collections.abc import Sequence
from typing import Any, assert_never
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from services.collections.domain.collection import components, instructions
from services.collections.domain.collection.fields import FieldChanges, Fields, with_changes
from services.collections.domain.collection.publication_faults import faults
from services.collections.domain.collection.receivers import Receivers, Share, checked_receivers
from services.collections.domain.collection.revision import EDITABLE_ONCE_PUBLISHED, differences, revisions
from services.collections.domain.collection.state import Collection, Preview, owned, refuse_archived
from shared.contracts import collections as events
from shared.contracts.event import Event
from shared.contracts.problem import Detail, invalid, not_found

MAX_PREVIEW_GENERATIONS = 1_000


class EditCollection(msgspec.Struct, frozen=True, kw_only=True):
    """UNSET fields are unchanged, and the instructions if `data` is None.

    `component_ids`: new ids, at least as many as `data` has steps.
    """

    user_id: UUID
    project_id: UUID
    changes: FieldChanges
    data: dict[str, Any] | None = None
    component_ids: Sequence[int] = ()


class ReplaceVariables(msgspec.Struct, frozen=True):
    """`variables` replaces all variables of the instructions."""

    user_id: UUID
    variables: list[dict[str, Any]]


class SetReceivers(msgspec.Struct, frozen=True):
    """`shares` replaces all receivers, and `royalty_receiver` the one before, also if it is None."""

    user_id: UUID
    project_id: UUID
    shares: Sequence[Share]
    royalty_receiver: str | None = None
    pointer: str = "/receivers"


class PreviewChanges(msgspec.Struct, frozen=True, kw_only=True):
    """UNSET fields are unchanged."""

    enabled: bool | UnsetType = UNSET
    max_generations: int | UnsetType = UNSET
    is_remixable: bool | UnsetType = UNSET
    paid_by: events.Payer | UnsetType = UNSET


class ConfigurePreview(PreviewChanges, frozen=True, kw_only=True):
    user_id: UUID


Command = EditCollection | ReplaceVariables | SetReceivers | ConfigurePreview


def decide(command: Command, state: Collection) -> list[Event]:
    """Idempotent: no events if the state already matches.

    Raises VALIDATION_FAILED with a pointer for each fault, NOT_FOUND for a collection that is not the user's, CONFLICT
    for one that is archived.
    """
    collection_id = owned(state, command.user_id)
    if isinstance(command, EditCollection | SetReceivers) and state.project_id != command.project_id:
        raise not_found("The collection")
    refuse_archived(state)
    match command:
        case EditCollection():
            return _edit(command, state, collection_id)
        case ReplaceVariables():
            data = {**state.data, "variables": command.variables}
            return _revise(state, collection_id, state.fields, data)
        case SetReceivers():
            return _set_receivers(command, state, collection_id)
        case ConfigurePreview():
            return _configure_preview(command, state, collection_id)
        case _ as never:
            assert_never(never)


def _set_receivers(command: SetReceivers, state: Collection, collection_id: UUID) -> list[Event]:
    blockchain, splitter = state.fields.blockchain, command.royalty_receiver
    after = checked_receivers(command.shares, blockchain, command.pointer, splitter)
    if after == Receivers(state.receivers, state.royalty_receiver):
        return []
    changed = [events.ReceiversSet(collection_id, after.receivers, after.royalty_receiver)]
    return [*changed, *_next_revision(state, collection_id, ["receivers"])]


def _edit(command: EditCollection, state: Collection, collection_id: UUID) -> list[Event]:
    fields = with_changes(state.fields, command.changes)
    return _revise(state, collection_id, fields, command.data, command.component_ids)


def _revise(
    state: Collection,
    collection_id: UUID,
    fields: Fields,
    data: dict[str, Any] | None,
    component_ids: Sequence[int] = (),
) -> list[Event]:
    if data is None:
        data = state.data
    else:
        instructions.check(data, "/data")
        data = instructions.refuse_large(components.with_components(data, component_ids, existing=state.components))
    if state.status == "published":
        _refuse_changes_of_what_was_sold(state, fields, data)
        _refuse_new_faults(state, fields)
    revised = list[Event](revisions(collection_id, state.fields, fields))
    if data != state.data:
        revised.append(events.InstructionsRevised(collection_id, data))
    return [*revised, *_next_revision(state, collection_id, differences(state.fields, fields))]


def _next_revision(state: Collection, collection_id: UUID, changes: list[str]) -> list[Event]:
    """Of a published collection: what is public is changed in the open."""
    if state.revision is None or not changes:
        return []
    return [events.PublicationRevised(collection_id, state.revision + 1, changes)]


def changed_preview(before: Preview, changes: PreviewChanges, pointer: str = "") -> Preview:
    """The preview after a change. Raises VALIDATION_FAILED with a pointer below `pointer`."""
    names = Preview.__struct_fields__
    values = {name: value for name in names if (value := getattr(changes, name)) is not UNSET}
    after = msgspec.structs.replace(before, **values)
    if not 1 <= after.max_generations <= MAX_PREVIEW_GENERATIONS:
        fault = Detail(f"{pointer}/max_generations", f"max_generations is 1 to {MAX_PREVIEW_GENERATIONS}")
        raise invalid(fault.message, fault)
    return after


def _configure_preview(command: ConfigurePreview, state: Collection, collection_id: UUID) -> list[Event]:
    after = changed_preview(state.preview, command)
    if after == state.preview:
        return []
    return [
        events.PreviewConfigured(collection_id, after.enabled, after.max_generations, after.is_remixable, after.paid_by)
    ]


def _refuse_changes_of_what_was_sold(state: Collection, fields: Fields, data: dict[str, Any]) -> None:
    changes = [name for name in differences(state.fields, fields) if name not in EDITABLE_ONCE_PUBLISHED]
    if data != state.data:
        changes.append("data")
    if changes:
        editable = ", ".join(sorted(EDITABLE_ONCE_PUBLISHED))
        raise invalid(
            f"The collection is published, so what was sold can't change; only {editable} can",
            *(Detail(f"/{name}", f"{name} is part of what was sold") for name in changes),
        )


def _refuse_new_faults(state: Collection, fields: Fields) -> None:
    """Raises VALIDATION_FAILED if a published collection would get a fault that it did not have."""
    before = faults(state)
    new = [fault for fault in faults(msgspec.structs.replace(state, fields=fields)) if fault not in before]
    if new:
        raise invalid(f"The collection is published: {new[0].message}", *new)
