"""Creates a collection and its preview: from instructions, as a fork of another collection, or from a template."""

from collections.abc import Sequence
from typing import Any, assert_never
from uuid import UUID

import msgspec

from services.collections.domain.collection import components, instructions
from services.collections.domain.collection.editing import PreviewChanges, changed_preview
from services.collections.domain.collection.fields import MAX_TITLE, FieldChanges, Fields, with_changes
from services.collections.domain.collection.state import Collection, Custody, Preview
from services.collections.domain.text import line_faults
from shared.contracts import collections as events
from shared.contracts.event import Event
from shared.contracts.problem import Detail, invalid, not_found

SOCIAL_ORGS = ("farcaster", "twitter", "discord", "lens", "github")
MAX_IDENTIFIER = 200


class CreateCollection(msgspec.Struct, frozen=True, kw_only=True):
    """`component_ids`: new ids, at least as many as `data` has steps."""

    collection_id: UUID
    project_id: UUID
    user_id: UUID
    changes: FieldChanges
    data: dict[str, Any]
    component_ids: Sequence[int]


class ForkCollection(msgspec.Struct, frozen=True, kw_only=True):
    """Copies `source` for the user; with `custody`, on behalf of the owner of a social account."""

    collection_id: UUID
    project_id: UUID
    user_id: UUID
    source: Collection
    component_ids: Sequence[int]
    custody: Custody | None = None


class CreateFromTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """`fields` and `data` are the template's with the overrides, as `template` computes them."""

    collection_id: UUID
    project_id: UUID
    user_id: UUID
    template_id: UUID
    fields: Fields
    data: dict[str, Any]
    component_ids: Sequence[int]
    custody: Custody
    preview: PreviewChanges


Command = CreateCollection | ForkCollection | CreateFromTemplate


def decide(command: Command, state: Collection) -> list[Event]:
    """Raises VALIDATION_FAILED with a pointer for each fault; NOT_FOUND for a source that the user may not see."""
    assert state.collection_id is None, "a collection is created once"
    match command:
        case CreateCollection():
            instructions.check(command.data, "/data")
            return _creation(command, with_changes(Fields(), command.changes), command.data, forked_from=None)
        case ForkCollection():
            source = command.source
            refuse_fork(source, command.user_id)
            title = f"Fork of {source.fields.title}"[:MAX_TITLE]
            fields = Fields(title=title, description=source.fields.description)
            created = _creation(command, fields, source.data, forked_from=source.collection_id)
            return created if command.custody is None else [*created, _taken(command.collection_id, command.custody)]
        case CreateFromTemplate():
            created = _creation(
                command, command.fields, command.data, forked_from=command.template_id, pointer="/overrides"
            )
            preview = changed_preview(Preview(), command.preview, "/collection_preview")
            if preview != Preview():
                created.append(events.PreviewConfigured(command.collection_id, **msgspec.structs.asdict(preview)))
            return [*created, _taken(command.collection_id, command.custody)]
        case _ as never:
            assert_never(never)


def _creation(
    command: Command, fields: Fields, data: dict[str, Any], *, forked_from: UUID | None, pointer: str = "/data"
) -> list[Event]:
    preview = Preview()
    return [
        events.CollectionCreated(
            collection_id=command.collection_id,
            project_id=command.project_id,
            user_id=command.user_id,
            data=instructions.refuse_large(components.with_components(data, command.component_ids), pointer),
            forked_from=forked_from,
            **msgspec.structs.asdict(fields),
        ),
        events.PreviewCreated(command.collection_id, preview.enabled, preview.max_generations, preview.is_remixable),
    ]


def refuse_fork(source: Collection, user_id: UUID) -> None:
    """Raises NOT_FOUND or VALIDATION_FAILED unless the collection is the user's own, or remixable."""
    if source.collection_id is None:
        raise not_found("The collection")
    if source.user_id == user_id:
        return
    if source.archived or not (source.status == "published" or source.preview.enabled):
        raise not_found("The collection")
    if not (source.preview.enabled and source.preview.is_remixable):
        raise invalid("The collection is not remixable: its creator has not opened it to forks")


def _taken(collection_id: UUID, custody: Custody) -> events.CustodyTaken:
    faults = []
    if custody.social_org not in SOCIAL_ORGS:
        faults.append(Detail("/social_org", f"the social_org is one of {', '.join(SOCIAL_ORGS)}"))
    faults.extend(line_faults(custody.social_identifier, "/social_identifier", "the social_identifier", MAX_IDENTIFIER))
    if faults:
        raise invalid(f"The custody is not valid: {faults[0].message}", *faults)
    return events.CustodyTaken(collection_id, custody.social_org, custody.social_identifier)
