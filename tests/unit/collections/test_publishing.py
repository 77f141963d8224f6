"""Publishing at once or at a time, and when it is refused or called off."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest

from services.collections.domain.collection import state as collection
from services.collections.domain.collection.publishing import (
    CallOffPublication,
    PublishCollection,
    PublishWhenDue,
    Resolution,
    date_faults,
)
from services.collections.domain.collection.selection import Choice
from shared.contracts import collections as events
from shared.contracts.workflow_forms import RequiredField
from tests.unit.collections.specification import (
    ALICE,
    BOB,
    COLLECTION,
    PROJECT,
    RESOLUTION,
    SELLABLE,
    SERIES,
    created,
    given,
)

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
PUBLISHED = events.CollectionPublished(COLLECTION, PROJECT, ALICE, "2026-11-22T12:00:00.000Z", SERIES, 1)
PUBLISHED_LATER = events.CollectionPublished(COLLECTION, PROJECT, ALICE, "2026-11-22T13:00:00.000Z", SERIES, 1)
SCHEDULED = events.PublicationScheduled(COLLECTION, "2026-11-22T13:00:00.000Z", SERIES)
ARCHIVED = events.CollectionArchived(COLLECTION)
DRAFT = created(**SELLABLE)
CHOSEN = Choice(SERIES.job_id)


def publish(user: UUID, now: datetime, date: datetime | None = None, choice: Choice = CHOSEN) -> PublishCollection:
    return PublishCollection(user, now, date, choice, RESOLUTION)


def test_a_draft_is_published_once():
    given(collection, *DRAFT).when(publish(ALICE, NOON)).then(PUBLISHED)
    given(collection, *DRAFT, PUBLISHED).when(publish(ALICE, LATER)).then_nothing_happens()
    given(collection, *DRAFT, PUBLISHED).when(publish(ALICE, NOON, LATER)).then_nothing_happens()


def test_an_incomplete_draft_is_not_published_nor_scheduled():
    history = created({"version": "v2", "steps": []}, ids=(), title=" ")
    for date in (None, LATER):
        given(collection, *history).when(publish(ALICE, NOON, date)).then_refused(
            "VALIDATION_FAILED", "/title", "/data/steps", "/editions", "/price", "/blockchain"
        )


def test_a_step_that_could_not_run_is_not_published():
    """Of an unknown workflow, or without a field that its workflow requires."""
    data = {
        "version": "v2",
        "steps": [
            {"id": 1, "nodeName": "sketch", "nodePayload": {"prompt": "", "a/b": "set"}},
            {"id": 2, "nodeName": "skecth"},
            {"id": 3, "nodeName": "sketch", "nodePayload": {"prompt": {"$ref": 1}, "a/b": None}},
            {"id": 4, "nodeName": "frame"},
        ],
    }
    draft = created(data, ids=(11, 12, 13, 14), **SELLABLE)
    required = {"sketch": [RequiredField("prompt", "Prompt"), RequiredField("a/b")], "frame": []}
    for date in (None, LATER):
        resolution = msgspec.structs.replace(RESOLUTION, workflows=required)
        command = PublishCollection(ALICE, NOON, date, CHOSEN, resolution)
        given(collection, *draft).when(command).then_refused(
            "VALIDATION_FAILED",
            "/data/steps/0/nodePayload/prompt",
            "/data/steps/1/nodeName",
            "/data/steps/2/nodePayload/a~1b",
        )
    command = PublishCollection(ALICE, NOON, None, CHOSEN, RESOLUTION)
    given(collection, *draft).when(command).then(PUBLISHED)  # while no workflow is known


def test_a_variable_without_a_value_is_not_published():
    variables = [
        {"name": "title", "type": "text", "value": "tide"},
        {"name": "mood", "type": "text"},
        {"name": "noise", "type": "number", "value": None},
        {"name": "zero", "type": "number", "value": 0},
    ]
    data = {"version": "v2", "steps": [{"id": 1, "nodeName": "sketch"}], "variables": variables}
    draft = created(data, ids=(11,), **SELLABLE)
    given(collection, *draft).when(publish(ALICE, NOON)).then_refused(
        "VALIDATION_FAILED", "/data/variables/1/value", "/data/variables/2/value"
    )


def test_publishing_is_refused_to_other_users_and_for_archived_collections():
    given(collection, *DRAFT).when(publish(BOB, NOON)).then_refused("NOT_FOUND")
    given(collection, *DRAFT, ARCHIVED).when(publish(ALICE, NOON)).then_refused("CONFLICT")


def test_a_time_in_the_future_is_recorded_in_utc():
    """In any time zone. The same time again has no events, another one replaces it."""
    in_paris = LATER.astimezone(timezone(timedelta(hours=1)))
    given(collection, *DRAFT).when(publish(ALICE, NOON, in_paris)).then(SCHEDULED)
    given(collection, *DRAFT, SCHEDULED).when(publish(ALICE, NOON, LATER)).then_nothing_happens()
    given(collection, *DRAFT, SCHEDULED).when(publish(ALICE, NOON, LATER + timedelta(days=1))).then(
        events.PublicationScheduled(COLLECTION, "2026-11-23T13:00:00.000Z", SERIES)
    )


def test_a_time_in_the_past_publishes_at_once():
    given(collection, *DRAFT).when(publish(ALICE, NOON, NOON - timedelta(days=1))).then(PUBLISHED)


def test_a_time_without_a_utc_offset_is_refused():
    naive = LATER.replace(tzinfo=None)
    given(collection, *DRAFT).when(publish(ALICE, NOON, naive)).then_refused("VALIDATION_FAILED", "/publish_date")


def test_a_scheduled_collection_is_published_once_when_it_is_due():
    """With the scheduled date, also if it is much later because the service was down."""
    for now in (LATER, LATER + timedelta(days=3)):
        given(collection, *DRAFT, SCHEDULED).when(PublishWhenDue(now)).then(PUBLISHED_LATER)
    given(collection, *DRAFT, SCHEDULED).when(PublishWhenDue(NOON)).then_nothing_happens()
    given(collection, *DRAFT, SCHEDULED, PUBLISHED_LATER).when(PublishWhenDue(LATER)).then_nothing_happens()
    given(collection, *DRAFT).when(PublishWhenDue(LATER)).then_nothing_happens()


def test_publishing_now_ends_the_schedule():
    history = (*DRAFT, SCHEDULED)
    (published,) = given(collection, *history).when(publish(ALICE, NOON)).outcome
    assert published == PUBLISHED
    given(collection, *history, published).when(PublishWhenDue(LATER)).then_nothing_happens()


def test_a_due_collection_that_is_not_valid_is_called_off_with_reasons():
    given(collection, *DRAFT, SCHEDULED, ARCHIVED).when(PublishWhenDue(LATER)).then(
        events.PublicationCalledOff(COLLECTION, ["it is archived"])
    )
    given(collection, *DRAFT, SCHEDULED, events.CollectionRetitled(COLLECTION, "")).when(PublishWhenDue(LATER)).then(
        events.PublicationCalledOff(COLLECTION, ["a published collection needs a title"])
    )


def test_the_owner_calls_a_scheduled_publication_off():
    called_off = events.PublicationCalledOff(COLLECTION, ["its owner called it off"])
    given(collection, *DRAFT, SCHEDULED).when(CallOffPublication(ALICE)).then(called_off)
    given(collection, *DRAFT, SCHEDULED, called_off).when(PublishWhenDue(LATER)).then_nothing_happens()
    given(collection, *DRAFT).when(CallOffPublication(ALICE)).then_nothing_happens()
    given(collection, *DRAFT, SCHEDULED).when(CallOffPublication(BOB)).then_refused("NOT_FOUND")


def test_prices_and_addresses_are_checked_by_chain():
    """The price's decimals and the receivers' addresses; every fault has its pointer."""
    receivers = events.ReceiversSet(
        COLLECTION,
        [
            events.SalesReceiver("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "5", "creator"),
            events.SalesReceiver("tz1VSUr8wwNhLAzempoch5d6hLRiTh8Cjcjb", "2.5", "friend"),
        ],
    )
    priced = {**SELLABLE, "price": Decimal("0.0000001")}
    for chain, pointers in {
        "ETHEREUM": ["/receivers/1/address"],
        "BASE": ["/receivers/1/address"],
        "TEZOS": ["/price", "/receivers/0/address"],
    }.items():
        history = (*created(**{**priced, "blockchain": chain}), receivers)
        given(collection, *history).when(publish(ALICE, NOON)).then_refused("VALIDATION_FAILED", *pointers)


@pytest.mark.parametrize("date", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2027-01-01T00:00:00"])
def test_a_time_that_does_not_exist_in_utc_is_refused(date):
    """At the ends of the calendar, and without a UTC offset; also in a dry run."""
    command = publish(ALICE, NOON, datetime.fromisoformat(date))
    details = given(collection, *created(**SELLABLE)).when(command).then_refused("VALIDATION_FAILED", "/publish_date")
    assert date_faults(datetime.fromisoformat(date)) == details


def test_a_publication_of_an_early_release_is_still_published_when_it_is_due():
    """It chose its series when it was published: the event has none."""
    early = events.PublicationScheduled(COLLECTION, "2026-11-22T13:00:00.000Z")
    published = events.CollectionPublished(COLLECTION, PROJECT, ALICE, "2026-11-22T13:00:00.000Z", revision=1)
    given(collection, *DRAFT, early).when(PublishWhenDue(LATER)).then(published)
    given(collection, *DRAFT, published).when(publish(ALICE, LATER)).then_nothing_happens()


def test_how_metadata_is_written_is_recorded_with_the_publication():
    """And with a schedule, so that a later release publishes what was shown."""
    rules = events.DocumentRules(2, {"mood": "text", "size": "number"})
    resolution = msgspec.structs.replace(RESOLUTION, documents=rules)
    now = PublishCollection(ALICE, NOON, None, CHOSEN, resolution)
    published = msgspec.structs.replace(PUBLISHED, documents=rules)
    given(collection, *DRAFT).when(now).then(published)
    assert given(collection, *DRAFT, published).state.documents == rules
    later = PublishCollection(ALICE, NOON, LATER, CHOSEN, resolution)
    scheduled = msgspec.structs.replace(SCHEDULED, documents=rules)
    given(collection, *DRAFT).when(later).then(scheduled)
    given(collection, *DRAFT, scheduled).when(later).then_nothing_happens()
    due = msgspec.structs.replace(PUBLISHED_LATER, documents=rules)
    given(collection, *DRAFT, scheduled).when(PublishWhenDue(LATER)).then(due)


def test_scheduling_again_what_an_early_release_scheduled_writes_metadata_by_the_present_rules():
    rules = events.DocumentRules(2, {})
    again = PublishCollection(ALICE, NOON, LATER, CHOSEN, msgspec.structs.replace(RESOLUTION, documents=rules))
    given(collection, *DRAFT, SCHEDULED).when(again).then(msgspec.structs.replace(SCHEDULED, documents=rules))


def test_a_cover_that_is_no_token_is_refused():
    history = created(**SELLABLE, cover_token=3)
    given(collection, *history).when(publish(ALICE, NOON)).then_refused("VALIDATION_FAILED", "/cover_token")


def test_a_published_series_is_not_exchanged():
    """The same choice again changes nothing, another one is a conflict."""
    for choice in (Choice(), CHOSEN, Choice(None, SERIES.gids), Choice(SERIES.job_id, SERIES.gids)):
        given(collection, *DRAFT, PUBLISHED).when(publish(ALICE, LATER, None, choice)).then_nothing_happens()
    for choice in (Choice(COLLECTION), Choice(None, SERIES.gids[:1]), Choice(SERIES.job_id, SERIES.gids[::-1])):
        given(collection, *DRAFT, PUBLISHED).when(publish(ALICE, LATER, None, choice)).then_refused("CONFLICT")


def test_a_choice_that_the_request_left_to_the_draft_is_of_its_present_series():
    """One that was made since the request was resolved is a conflict."""
    other = events.SeriesChosen(COLLECTION, events.ChosenSeries(SERIES.job_id, SERIES.gids[::-1]))
    given(collection, *DRAFT, other).when(publish(ALICE, NOON, None, Choice())).then_refused("CONFLICT")
    given(collection, *DRAFT, other).when(publish(ALICE, NOON)).then(PUBLISHED)
    resolved = PublishCollection(ALICE, NOON, None, Choice(), Resolution(other.series, [], other.series))
    (published,) = given(collection, *DRAFT, other).when(resolved).outcome
    assert published.series == other.series


def test_a_scheduled_collection_whose_editions_are_no_longer_those_of_its_series_is_called_off():
    changed = events.EditionsSet(COLLECTION, 3)
    (called_off,) = given(collection, *DRAFT, SCHEDULED, changed).when(PublishWhenDue(LATER)).outcome
    assert called_off.reasons == [
        "3 editions need 3 artworks, and the series has 2: generate more, or set editions to 2"
    ]
