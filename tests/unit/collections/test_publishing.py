"""When a collection becomes public: at once, at a time, or not."""

from datetime import UTC, datetime, timedelta, timezone

from services.collections.domain import collection
from services.collections.domain.publishing import CallOffPublication, PublishCollection, PublishWhenDue
from shared.contracts import collections as events
from tests.unit.collections.specification import ALICE, BOB, COLLECTION, PROJECT, created, given

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
PUBLISHED = events.CollectionPublished(COLLECTION, PROJECT, ALICE, "2026-11-22T12:00:00.000Z")
PUBLISHED_LATER = events.CollectionPublished(COLLECTION, PROJECT, ALICE, "2026-11-22T13:00:00.000Z")
SCHEDULED = events.PublicationScheduled(COLLECTION, "2026-11-22T13:00:00.000Z")
ARCHIVED = events.CollectionArchived(COLLECTION)


def test_a_draft_is_published_once():
    given(collection, *created()).when(PublishCollection(ALICE, NOON)).then(PUBLISHED)
    given(collection, *created(), PUBLISHED).when(PublishCollection(ALICE, LATER)).then_nothing_happens()
    given(collection, *created(), PUBLISHED).when(PublishCollection(ALICE, NOON, LATER)).then_nothing_happens()


def test_an_incomplete_draft_is_not_published_nor_scheduled():
    history = created({"version": "v2", "steps": []}, ids=(), title=" ")
    for date in (None, LATER):
        given(collection, *history).when(PublishCollection(ALICE, NOON, date)).then_refused(
            "VALIDATION_FAILED", "/title", "/data/steps"
        )


def test_only_its_owner_publishes_and_only_what_is_not_archived():
    given(collection, *created()).when(PublishCollection(BOB, NOON)).then_refused("NOT_FOUND")
    given(collection, *created(), ARCHIVED).when(PublishCollection(ALICE, NOON)).then_refused("CONFLICT")


def test_a_time_in_the_future_is_kept_in_utc():
    """Whatever zone it was given in; the same time again is no news, another one replaces it."""
    in_paris = LATER.astimezone(timezone(timedelta(hours=1)))
    given(collection, *created()).when(PublishCollection(ALICE, NOON, in_paris)).then(SCHEDULED)
    given(collection, *created(), SCHEDULED).when(PublishCollection(ALICE, NOON, LATER)).then_nothing_happens()
    given(collection, *created(), SCHEDULED).when(PublishCollection(ALICE, NOON, LATER + timedelta(days=1))).then(
        events.PublicationScheduled(COLLECTION, "2026-11-23T13:00:00.000Z")
    )


def test_a_time_that_is_past_means_now():
    given(collection, *created()).when(PublishCollection(ALICE, NOON, NOON - timedelta(days=1))).then(PUBLISHED)


def test_a_time_without_a_zone_is_refused():
    naive = LATER.replace(tzinfo=None)
    given(collection, *created()).when(PublishCollection(ALICE, NOON, naive)).then_refused(
        "VALIDATION_FAILED", "/publish_date"
    )


def test_a_scheduled_collection_is_published_when_it_is_due_and_once():
    """Also long after, when the service was down; under the time that it was scheduled for."""
    for now in (LATER, LATER + timedelta(days=3)):
        given(collection, *created(), SCHEDULED).when(PublishWhenDue(now)).then(PUBLISHED_LATER)
    given(collection, *created(), SCHEDULED).when(PublishWhenDue(NOON)).then_nothing_happens()
    given(collection, *created(), SCHEDULED, PUBLISHED_LATER).when(PublishWhenDue(LATER)).then_nothing_happens()
    given(collection, *created()).when(PublishWhenDue(LATER)).then_nothing_happens()


def test_publishing_now_ends_the_schedule():
    history = (*created(), SCHEDULED)
    (published,) = given(collection, *history).when(PublishCollection(ALICE, NOON)).outcome
    assert published == PUBLISHED
    given(collection, *history, published).when(PublishWhenDue(LATER)).then_nothing_happens()


def test_what_is_not_fit_when_it_is_due_is_called_off_with_its_reasons():
    given(collection, *created(), SCHEDULED, ARCHIVED).when(PublishWhenDue(LATER)).then(
        events.PublicationCalledOff(COLLECTION, ["it is archived"])
    )
    given(collection, *created(), SCHEDULED, events.CollectionRetitled(COLLECTION, "")).when(
        PublishWhenDue(LATER)
    ).then(events.PublicationCalledOff(COLLECTION, ["a published collection has a title"]))


def test_its_owner_calls_a_schedule_off():
    called_off = events.PublicationCalledOff(COLLECTION, ["its owner called it off"])
    given(collection, *created(), SCHEDULED).when(CallOffPublication(ALICE)).then(called_off)
    given(collection, *created(), SCHEDULED, called_off).when(PublishWhenDue(LATER)).then_nothing_happens()
    given(collection, *created()).when(CallOffPublication(ALICE)).then_nothing_happens()
    given(collection, *created(), SCHEDULED).when(CallOffPublication(BOB)).then_refused("NOT_FOUND")
