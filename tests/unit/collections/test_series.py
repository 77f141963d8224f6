"""Series and artworks: the order of artworks is the job's, whenever they are completed."""

from types import SimpleNamespace
from uuid import UUID

import pytest

from services.collections.consumers import series_command
from services.collections.domain import series
from services.collections.domain.artwork import state as artwork
from services.collections.domain.artwork.commands import CompleteArtwork, DrawArtwork
from services.collections.domain.series import BeginSeries, FinishSeries, ResumeSeries, Series, StopSeries
from shared.contracts.collections import (
    ArtworkDrawn,
    ArtworkFile,
    ArtworkMade,
    SeriesBegun,
    SeriesFinished,
    SeriesResumed,
    SeriesStopped,
    Trait,
)
from shared.contracts.event import Event
from shared.contracts.generation import (
    JobCancelled,
    JobExpired,
    JobFailed,
    JobPartiallyCompleted,
    JobRejected,
    JobResumed,
    JobResumeRejected,
    Output,
    StepOutputs,
)
from tests.unit.collections.specification import ALICE, COLLECTION, given

JOB, FIRST, SECOND = UUID(int=7), UUID(int=71), UUID(int=72)
BEGUN = SeriesBegun(JOB, COLLECTION, ALICE, [FIRST, SECOND])
DRAWN = ArtworkDrawn(SECOND, JOB, COLLECTION, ALICE, 1, "ab", {"style": "noir"})
DECLARATIONS = [{"name": "style", "value": {"values": ["noir"], "display_names": ["Noir"]}}]
OUTPUTS = [
    StepOutputs(1, [Output(kind="text", text="a sketch")]),
    StepOutputs(2, [Output("asset", 9, "https://x.example/9", "a/9.png", "image/png", "cd", 5)]),
]


def draw(state: Series, gid=SECOND) -> DrawArtwork:
    return DrawArtwork(gid, JOB, COLLECTION, ALICE, "ab", {"style": "noir"}, state)


def test_a_series_begins_and_ends_once():
    given(series).when(BeginSeries(JOB, COLLECTION, ALICE, [FIRST, SECOND])).then(BEGUN)
    given(series, BEGUN).when(BeginSeries(JOB, COLLECTION, ALICE, [FIRST, SECOND])).then_nothing_happens()
    finished = SeriesFinished(JOB, COLLECTION, 1)
    given(series, BEGUN).when(FinishSeries(JOB, failed=1)).then(finished)
    given(series, BEGUN, finished).when(FinishSeries(JOB)).then_nothing_happens()


def test_a_series_without_artworks_numbers_no_tokens():
    given(series, BEGUN).when(FinishSeries(JOB, failed=2)).then_nothing_happens()


def test_a_preview_never_becomes_the_collections_series():
    event = SeriesBegun(JOB, COLLECTION, ALICE, [FIRST], is_preview=True)
    given(series).when(BeginSeries(JOB, COLLECTION, ALICE, [FIRST], is_preview=True)).then(event)
    for command in (FinishSeries(JOB), StopSeries(JOB, "failed"), ResumeSeries(JOB)):
        given(series, event).when(command).then_nothing_happens()


def test_a_series_whose_job_ended_without_it_is_stopped_until_it_is_resumed():
    stopped, resumed = SeriesStopped(JOB, COLLECTION, "cancelled"), SeriesResumed(JOB, COLLECTION)
    given(series, BEGUN).when(StopSeries(JOB, "cancelled")).then(stopped)
    given(series, BEGUN, stopped).when(StopSeries(JOB, "failed")).then_nothing_happens()
    given(series, BEGUN).when(ResumeSeries(JOB)).then_nothing_happens()
    given(series, BEGUN, stopped).when(ResumeSeries(JOB)).then(resumed)
    given(series, BEGUN, stopped, resumed).when(StopSeries(JOB, "failed")).then(
        SeriesStopped(JOB, COLLECTION, "failed")
    )
    finished = SeriesFinished(JOB, COLLECTION, 2)
    given(series, BEGUN, stopped, resumed).when(FinishSeries(JOB)).then(finished)


def test_a_finished_series_stays_finished_whatever_becomes_of_a_resume():
    """As after all events are read again, when a consumer has got another name."""
    finished = SeriesFinished(JOB, COLLECTION, 1)
    for command in (StopSeries(JOB, "failed"), ResumeSeries(JOB), FinishSeries(JOB)):
        given(series, BEGUN, finished).when(command).then_nothing_happens()


@pytest.mark.parametrize(
    ("event", "command"),
    [
        (JobFailed(JOB, ALICE, "no worker"), StopSeries(JOB, "failed")),
        (JobCancelled(JOB, ALICE, 1, 1, 1, 1), StopSeries(JOB, "cancelled")),
        (JobExpired(JOB, ALICE, "it waited", 0, 2, 0, 2), StopSeries(JOB, "expired")),
        (JobRejected(JOB, "INSUFFICIENT_CREDITS", "no credits"), StopSeries(JOB, "rejected")),
        (JobResumed(JOB, ALICE, 1, "start", [], 1), ResumeSeries(JOB)),
        (JobResumeRejected(JOB, ALICE, 1, "X", "no credits", "cancelled", [], 1), StopSeries(JOB, "cancelled")),
        (JobPartiallyCompleted(JOB, ALICE, 1, 1), FinishSeries(JOB, 1)),
    ],
    ids=lambda item: type(item).__name__,
)
def test_the_events_of_a_job_are_commands_on_its_series(event: Event, command: series.Command):
    assert series_command(SimpleNamespace(event=event)) == command


def test_an_artwork_has_its_place_in_the_series():
    given(artwork).when(draw(given(series, BEGUN).state)).then(DRAWN)
    given(artwork, DRAWN).when(draw(given(series, BEGUN).state)).then_nothing_happens()


def test_an_artwork_before_its_series_is_unavailable():
    """The series is another stream, so its event may arrive later: UNAVAILABLE is retried."""
    given(artwork).when(draw(series.NOTHING)).then_refused("UNAVAILABLE")


def test_an_impossible_order_of_events_raises_lookup_error():
    """Retries would not help: the event is parked, and an operator sees it."""
    with pytest.raises(LookupError):
        given(artwork).when(draw(given(series, BEGUN).state, UUID(int=99)))
    with pytest.raises(LookupError):
        given(artwork).when(CompleteArtwork(SECOND, OUTPUTS, DECLARATIONS))
    with pytest.raises(LookupError):
        given(series).when(FinishSeries(JOB))
    with pytest.raises(LookupError):
        given(series).when(StopSeries(JOB, "failed"))


def test_a_complete_artwork_has_its_traits_and_its_files():
    event = ArtworkMade(
        SECOND,
        JOB,
        COLLECTION,
        [Trait("style", "Noir")],
        [ArtworkFile(9, "https://x.example/9", "a/9.png", "image/png", "cd", 5)],
    )
    given(artwork, DRAWN).when(CompleteArtwork(SECOND, OUTPUTS, DECLARATIONS)).then(event)
    given(artwork, DRAWN, event).when(CompleteArtwork(SECOND, OUTPUTS, DECLARATIONS)).then_nothing_happens()
