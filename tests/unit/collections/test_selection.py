"""Choosing a draft's series, and the faults and warnings of a series."""

from decimal import Decimal
from functools import reduce
from uuid import UUID

import pytest

from services.collections.domain.artwork.tokens import Token
from services.collections.domain.collection import state as collection
from services.collections.domain.collection.selection import ChooseSeries, FinishedJob
from services.collections.domain.collection.series_faults import (
    edition_faults,
    is_private_host,
    token_faults,
    warnings,
)
from shared.contracts import collections as events
from shared.contracts.collections import ArtworkFile
from tests.unit.collections.specification import ALICE, BOB, COLLECTION, GIDS, PROJECT, SELLABLE, SERIES, created, given

JOB = FinishedJob(SERIES.job_id, [*GIDS, UUID(int=22)])
DRAFT = created(title="Birds", description="Seen", **SELLABLE)
CHOSEN = events.SeriesChosen(COLLECTION, SERIES)
PUBLISHED = events.CollectionPublished(COLLECTION, PROJECT, ALICE, "2026-11-22T12:00:00.000Z", SERIES)
OTHERS = GIDS[::-1]


def test_a_draft_s_artworks_are_left_out_and_ordered():
    """The same again changes nothing; without a list, it is all of the job's."""
    given(collection, *DRAFT).when(ChooseSeries(ALICE, JOB, GIDS)).then(CHOSEN)
    given(collection, *DRAFT, CHOSEN).when(ChooseSeries(ALICE, JOB, GIDS)).then_nothing_happens()
    given(collection, *DRAFT, CHOSEN).when(ChooseSeries(ALICE, JOB, OTHERS)).then(
        events.SeriesChosen(COLLECTION, events.ChosenSeries(JOB.job_id, OTHERS))
    )
    given(collection, *DRAFT).when(ChooseSeries(ALICE, JOB, None)).then(
        events.SeriesChosen(COLLECTION, events.ChosenSeries(JOB.job_id, list(JOB.made)))
    )


def test_a_generation_is_chosen_once_and_of_the_finished_ones():
    unknown = UUID(int=99)
    for generations, pointers in (
        ([], ["/generations"]),
        ([GIDS[0], GIDS[0]], ["/generations/1"]),
        ([unknown, GIDS[0], unknown], ["/generations/0", "/generations/2"]),
    ):
        command = ChooseSeries(ALICE, JOB, generations)
        given(collection, *DRAFT).when(command).then_refused("VALIDATION_FAILED", *pointers)
    many = ChooseSeries(ALICE, JOB, [UUID(int=1000 + number) for number in range(50)])
    details = (
        given(collection, *DRAFT)
        .when(many)
        .then_refused("VALIDATION_FAILED", *[f"/generations/{number}" for number in range(20)])
    )
    assert details[-1].message.endswith("; and 30 more")


def test_a_series_is_chosen_of_the_owner_s_draft_alone():
    given(collection, *DRAFT).when(ChooseSeries(BOB, JOB, GIDS)).then_refused("NOT_FOUND")
    archived = events.CollectionArchived(COLLECTION)
    scheduled = events.PublicationScheduled(COLLECTION, "2026-11-22T13:00:00.000Z", SERIES)
    for event in (archived, scheduled, PUBLISHED):
        given(collection, *DRAFT, event).when(ChooseSeries(ALICE, JOB, OTHERS)).then_refused("CONFLICT")
    given(collection, *DRAFT, PUBLISHED).when(ChooseSeries(ALICE, JOB, GIDS)).then_nothing_happens()


@pytest.mark.parametrize(("editions", "faults"), [(2, 0), (1, 1), (3, 1), (None, 0)])
def test_editions_are_as_many_as_artworks(editions, faults):
    state = reduce(collection.evolve, created(**{**SELLABLE, "editions": editions}), collection.NOTHING)
    details = list(edition_faults(state, SERIES))
    assert [fault.pointer for fault in details] == ["/editions"] * faults


def test_tokens_without_anything_to_show_are_faults():
    """Without a file, and with nothing but a text; a video may be sold, with a warning."""
    tokens = [token(1, "image/png"), token(2), token(3, "text/plain"), token(4, "video/mp4"), token(5, "text/html")]
    tokens.append(token(6, "image/png", "application/json"))
    assert [fault.pointer for fault in token_faults(tokens)] == ["/generations/1", "/generations/2"]


def test_what_may_be_a_mistake_is_a_warning():
    good = state_of()
    assert warnings(good, [token(1, "image/png"), token(2, "image/png")], "https://emprops.example") == []
    assert pointers(state_of(description=" ")) == ["/description"]
    receivers = [events.SalesReceiver("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "100", "creator", "sale")]
    assert pointers(collection.evolve(good, events.ReceiversSet(COLLECTION, receivers))) == ["/receivers"]
    assert pointers(state_of(cover_image_url="https://192.168.0.7/a.png")) == ["/cover_image_url"]
    assert pointers(state_of(banner_image_url="https://emprops.example/assets/7/content")) == ["/banner_image_url"]
    assert pointers(good, public_url="http://localhost:8080") == ["/metadata"]
    assert pointers(good, [token(1, "video/mp4")]) == ["/generations"]
    assert pointers(good, [token(1, "image/png"), token(1, "image/png")]) == ["/generations", "/generations"]
    assert pointers(good, [token(1, "image/png", host="127.0.0.1:9000")]) == ["/metadata"]


@pytest.mark.parametrize(
    ("url", "is_private"),
    [
        ("https://images.example/a.png", False),
        ("ipfs://bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy", False),
        ("https://8.8.8.8/a.png", False),
        ("http://localhost/a.png", True),
        ("http://cover.localhost./a.png", True),
        ("http://printer/a.png", True),
        ("http://10.1.2.3/a.png", True),
        ("http://[::1]:80/a.png", True),
        ("http://[fe80::1/a.png", False),
    ],
)
def test_private_hosts(url, is_private):
    assert is_private_host(url) == is_private


def state_of(**fields):
    values = {"title": "Birds", "description": "Seen", **SELLABLE, "price": Decimal(1), **fields}
    return reduce(collection.evolve, created(**values), collection.NOTHING)


def pointers(state, tokens=(), public_url="https://emprops.example"):
    return [warning.pointer for warning in warnings(state, tokens, public_url)]


def token(number: int, *mime_types: str, host: str = "cdn.example") -> Token:
    files = [
        ArtworkFile(number * 10 + place, f"http://{host}/{number}", "x", mime_type, f"{number}/{place}", 10)
        for place, mime_type in enumerate(mime_types)
    ]
    return Token(number=number, gid=GIDS[0], hash=f"{number}", traits=[], files=files, cids={}, made_at=None)
