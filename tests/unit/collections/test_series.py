"""Series and artworks: the order of artworks is the job's, whenever they are completed."""

from uuid import UUID

import pytest

from services.collections.domain import series
from services.collections.domain.artwork import state as artwork
from services.collections.domain.artwork.commands import CompleteArtwork, DrawArtwork
from services.collections.domain.series import BeginSeries, FinishSeries, Series
from shared.contracts.collections import ArtworkDrawn, ArtworkFile, ArtworkMade, SeriesBegun, SeriesFinished, Trait
from shared.contracts.generation import Output, StepOutputs
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
    given(series, event).when(FinishSeries(JOB)).then_nothing_happens()


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
