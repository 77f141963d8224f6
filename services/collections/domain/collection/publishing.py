"""Commands to publish a collection at once or at a time, and to call a scheduled publication off."""

from datetime import UTC, datetime
from typing import assert_never
from uuid import UUID

import msgspec

from services.collections.domain.collection.instruction_faults import RequiredFields, variable_faults, workflow_faults
from services.collections.domain.collection.publication_faults import faults
from services.collections.domain.collection.selection import Choice, contradicts
from services.collections.domain.collection.series_faults import edition_faults
from services.collections.domain.collection.state import FIRST_REVISION, Collection, owned, refuse_archived
from shared.contracts import collections as events
from shared.contracts.event import Event
from shared.contracts.problem import Detail, Problem, invalid
from shared.contracts.times import in_utc


class Resolution(msgspec.Struct, frozen=True):
    """The series that a request comes to, by the tables and the collection's state when it was read.

    `series` is None if there is none to sell; `faults` then say why, else what of it can't be sold. `documents`: how
    the metadata of its tokens is to be written.
    """

    series: events.ChosenSeries | None
    faults: list[Detail] = []
    basis: events.ChosenSeries | None = None
    """The `chosen_series` of the collection at that time."""
    workflows: RequiredFields = {}
    """The workflows that generation has told of; a step of another one can't be published."""
    documents: events.DocumentRules | None = None


class PublishCollection(msgspec.Struct, frozen=True):
    """At `publish_date`, or at once when that is None or not in the future.

    `resolution`: what `choice` comes to; None if the collection was published already.
    """

    user_id: UUID
    now: datetime
    publish_date: datetime | None = None
    choice: Choice = Choice()
    resolution: Resolution | None = None


class PublishWhenDue(msgspec.Struct, frozen=True):
    """Publishes a collection whose scheduled time has come; calls the publication off if it is no longer valid."""

    now: datetime


class CallOffPublication(msgspec.Struct, frozen=True):
    user_id: UUID


Command = PublishCollection | PublishWhenDue | CallOffPublication


def decide(command: Command, state: Collection) -> list[Event]:
    """Idempotent: no events if the state already matches.

    Raises VALIDATION_FAILED with a pointer for each thing that is missing or not valid on its chain, NOT_FOUND for a
    collection that is not the user's, CONFLICT for one that is archived.
    """
    match command:
        case PublishCollection():
            return _publish(command, state)
        case PublishWhenDue():
            return _publish_when_due(command, state)
        case CallOffPublication():
            collection_id = owned(state, command.user_id)
            if state.scheduled_for is None:
                return []
            return [events.PublicationCalledOff(collection_id, ["its owner called it off"])]
        case _ as never:
            assert_never(never)


def checked_date(publish_date: datetime | None) -> datetime | None:
    """The time to publish at, in UTC. Raises VALIDATION_FAILED for a time without a UTC offset or out of range."""
    return None if publish_date is None else in_utc(publish_date, "/publish_date")


def date_faults(date: datetime | None) -> list[Detail]:
    """The faults of a time to publish at."""
    try:
        checked_date(date)
    except Problem as problem:
        return problem.details
    return []


def time_text(time: datetime) -> str:
    """A time with an offset in the format of events: RFC 3339 in UTC, to the millisecond."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def publication_faults(state: Collection, resolution: Resolution) -> list[Detail]:
    """All that keeps a collection from being published with a series; empty if it can be."""
    instruction_faults = [*workflow_faults(state.data, resolution.workflows), *variable_faults(state.data)]
    all_faults = [*faults(state), *instruction_faults, *resolution.faults]
    return all_faults if resolution.series is None else [*all_faults, *edition_faults(state, resolution.series)]


def _publish(command: PublishCollection, state: Collection) -> list[Event]:
    collection_id = owned(state, command.user_id)
    if state.status == "published":
        if state.series is not None and contradicts(command.choice, state.series):
            raise Problem("CONFLICT", "The collection is published with other artworks, which no longer change")
        return []
    refuse_archived(state)
    date = checked_date(command.publish_date)
    resolution = command.resolution
    if resolution is None or (not command.choice.is_made and state.chosen_series != resolution.basis):
        raise Problem("CONFLICT", "The collection was changed meanwhile: try again")
    all_faults = publication_faults(state, resolution)
    if all_faults:
        raise invalid(f"The collection can't be published yet: {all_faults[0].message}", *all_faults)
    if date is None or date <= command.now:
        return [_published(state, time_text(command.now), resolution.series, resolution.documents)]
    scheduled = events.PublicationScheduled(collection_id, time_text(date), resolution.series, resolution.documents)
    before = events.PublicationScheduled(
        collection_id, state.scheduled_for or "", state.scheduled_series, state.documents
    )
    return [] if scheduled == before else [scheduled]


def _publish_when_due(command: PublishWhenDue, state: Collection) -> list[Event]:
    due, series = state.scheduled_for, state.scheduled_series
    if state.collection_id is None or due is None or datetime.fromisoformat(due) > command.now:
        return []
    all_faults = faults(state) if series is None else [*faults(state), *edition_faults(state, series)]
    reasons = ["it is archived"] if state.archived else [fault.message for fault in all_faults]
    if reasons:
        return [events.PublicationCalledOff(state.collection_id, reasons)]
    return [_published(state, due, series, state.documents)]


def _published(
    state: Collection, publish_date: str, series: events.ChosenSeries | None, documents: events.DocumentRules | None
) -> Event:
    assert state.collection_id is not None, "only a collection that exists is published"
    assert state.project_id is not None, "a collection is created in a project"
    assert state.user_id is not None, "a collection is created by a user"
    return events.CollectionPublished(
        state.collection_id, state.project_id, state.user_id, publish_date, series, FIRST_REVISION, documents
    )
