"""What events do to the states of all aggregates, and which events a change of publishing fields is."""

from uuid import UUID

import pytest

from services.collections.app import SERVICE
from services.collections.domain.collection.fields import Fields
from services.collections.domain.collection.revision import revised_fields, revisions
from shared.contracts.collections import EVENTS
from shared.eventstore import Decider
from tests.contracts.examples import full

EVERY_FIELD = Fields(
    title="Tides",
    description="A tide",
    blockchain="TEZOS",
    editions=10,
    price="0.5",
    batch_mint_enabled=True,
    batch_max_tokens=5,
    encryption_enabled=True,
    cover_image_url="ipfs://cover",
    images=[{"url": "ipfs://image"}],
    symbol="TIDE",
    tags=["sea"],
    rights="Print it at home",
    license="CC-BY-4.0",
    license_url="https://creativecommons.org/licenses/by/4.0/",
    minter="tz1VSUr8wwNhLAzempoch5d6hLRiTh8Cjcjb",
    banner_image_url="ipfs://banner",
    cover_token=3,
)


@pytest.mark.parametrize("decider", SERVICE.deciders, ids=lambda decider: decider.name)
def test_evolve_refuses_the_events_of_other_aggregates_and_no_other(decider: Decider):
    refused = set()
    for kind in EVENTS:
        try:
            decider.evolve(decider.initial, full(kind))
        except AssertionError:
            refused.add(kind)
    assert refused == {kind for kind in EVENTS if kind.aggregate != decider.name}


@pytest.mark.parametrize("name", Fields.__struct_fields__)
def test_a_changed_field_is_one_event_that_changes_this_field(name: str):
    after = Fields(**{name: getattr(EVERY_FIELD, name)})
    (event,) = revisions(UUID(int=1), Fields(), after)
    assert Fields(**revised_fields(event)) == after


def test_equal_fields_are_no_event():
    assert list(revisions(UUID(int=1), EVERY_FIELD, EVERY_FIELD)) == []
