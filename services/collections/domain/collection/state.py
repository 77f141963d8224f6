"""A collection's state: publishing fields, and the instructions that produce its artwork.

Its commands are in `creation`, `editing`, `selection`, `publishing`, `archiving` and `custody`.
"""

from typing import Any, Literal
from uuid import UUID

import msgspec

from services.collections.domain.collection import components
from services.collections.domain.collection.component_set import ComponentSet
from services.collections.domain.collection.fields import Fields
from services.collections.domain.collection.receivers import with_purposes
from services.collections.domain.collection.revision import first_fields, revised_fields
from shared.contracts import collections as events
from shared.contracts.event import Event
from shared.contracts.problem import Problem, not_found

Status = Literal["draft", "published"]
FIRST_REVISION = 1
"""Of what is public: what was published."""
PREVIEW_GENERATIONS = 3
"""Default bound on the artworks that a visitor of a preview may make."""


class Preview(msgspec.Struct, frozen=True):
    """`paid_by`: whose credits a visitor's generations take."""

    enabled: bool = False
    max_generations: int = PREVIEW_GENERATIONS
    is_remixable: bool = False
    paid_by: events.Payer = "visitor"


class Custody(msgspec.Struct, frozen=True):
    """The social account of the person whom a collection is meant for."""

    social_org: str
    social_identifier: str


class Collection(msgspec.Struct, frozen=True):
    collection_id: UUID | None = None
    project_id: UUID | None = None
    user_id: UUID | None = None
    status: Status = "draft"
    archived: bool = False
    fields: Fields = Fields()
    data: dict[str, Any] = msgspec.field(default_factory=dict)
    components: ComponentSet = ComponentSet()
    """Every component that this collection ever had, so that a step that is put back keeps its component."""
    preview: Preview = Preview()
    receivers: list[events.SalesReceiver] = msgspec.field(default_factory=list)
    royalty_receiver: str | None = None
    forked_from: UUID | None = None
    custody: Custody | None = None
    series: events.ChosenSeries | None = None
    """Of a draft: chosen to be sold. Of a published collection: sold; None if it was published by an early release."""
    scheduled_for: str | None = None
    scheduled_series: events.ChosenSeries | None = None
    """What is sold from `scheduled_for` on; None if an early release scheduled it."""
    documents: events.DocumentRules | None = None
    """Of a publication, also one that is scheduled. None for a draft, and for a publication of an early release."""
    publish_date: str | None = None
    revision: int | None = None
    """Of what is public, from FIRST_REVISION; None for a draft."""

    @property
    def chosen_series(self) -> events.ChosenSeries | None:
        """What is sold, is scheduled to be, or was chosen to be: the first of these that there is."""
        return self.scheduled_series or self.series

    @property
    def has_recorded_rules(self) -> bool:
        """Whether `documents` says how its metadata is written; a draft's is written by the present rules."""
        return self.status == "published" or self.scheduled_for is not None


NOTHING = Collection()


def evolve(state: Collection, event: Event) -> Collection:
    if isinstance(event, events.CollectionCreated):
        return Collection(
            collection_id=event.collection_id,
            project_id=event.project_id,
            user_id=event.user_id,
            fields=first_fields(event),
            data=event.data,
            components=ComponentSet().including(components.step_ids(event.data)),
            forked_from=event.forked_from,
        )
    return msgspec.structs.replace(state, **_changes(state, event))


def _changes(state: Collection, event: Event) -> dict[str, Any]:
    match event:
        case events.PreviewCreated() | events.PreviewConfigured():
            changes: dict[str, Any] = {"preview": _preview(event)}
        case events.InstructionsRevised():
            all_components = state.components.including(components.step_ids(event.data))
            changes = {"data": event.data, "components": all_components}
        case events.ReceiversSet():
            changes = {"receivers": event.receivers, "royalty_receiver": event.royalty_receiver}
        case (
            events.SeriesChosen()
            | events.PublicationScheduled()
            | events.PublicationCalledOff()
            | events.CollectionPublished()
        ):
            changes = _publication_changes(state, event)
        case events.PublicationRevised():
            changes = {"revision": event.revision}
        case events.CollectionArchived() | events.CollectionRestored():
            changes = {"archived": isinstance(event, events.CollectionArchived)}
        case events.CustodyTaken():
            changes = {"custody": Custody(event.social_org, event.social_identifier)}
        case events.CustodyTransferred():
            changes = {"custody": None, "user_id": event.user_id, "project_id": event.project_id}
        case _:
            changes = {"fields": msgspec.structs.replace(state.fields, **revised_fields(event))}
    return changes


def _publication_changes(
    state: Collection,
    event: events.SeriesChosen | events.PublicationScheduled | events.PublicationCalledOff | events.CollectionPublished,
) -> dict[str, Any]:
    match event:
        case events.SeriesChosen():
            return {"series": event.series}
        case events.PublicationScheduled():
            return {
                "scheduled_for": event.publish_date,
                "scheduled_series": event.series,
                "documents": event.documents,
            }
        case events.PublicationCalledOff():
            return {"scheduled_for": None, "scheduled_series": None, "documents": None}
        case events.CollectionPublished():
            return {
                "status": "published",
                "publish_date": event.publish_date,
                "series": event.series,
                "documents": event.documents,
                "scheduled_for": None,
                "scheduled_series": None,
                "revision": event.revision or FIRST_REVISION,
                "receivers": state.receivers if event.revision is None else with_purposes(state.receivers),
            }


def _preview(event: events.PreviewCreated | events.PreviewConfigured) -> Preview:
    preview = Preview(event.enabled, event.max_generations, event.is_remixable)
    if isinstance(event, events.PreviewConfigured):
        return msgspec.structs.replace(preview, paid_by=event.paid_by)
    return preview


def owned(state: Collection, user_id: UUID) -> UUID:
    """The id of a collection that exists and is the user's; raises NOT_FOUND otherwise."""
    if state.collection_id is None or state.user_id != user_id:
        raise not_found("The collection")
    return state.collection_id


def refuse_archived(state: Collection) -> None:
    """Raises CONFLICT."""
    if state.archived:
        raise Problem("CONFLICT", "The collection is archived: restore it first")
