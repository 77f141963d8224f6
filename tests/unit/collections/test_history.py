"""The sentences of a collection's history."""

from uuid import UUID

import pytest

from services.collections.domain.collection.history import sentence_of
from shared.contracts import collections as events
from tests.unit.collections.specification import BOB, COLLECTION, OTHER_PROJECT, SERIES, created

RECEIVER = events.SalesReceiver("tz1VSUr8wwNhLAzempoch5d6hLRiTh8Cjcjb", "2.5", "creator")
ROYALTY = events.SalesReceiver("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "5", "artist", "royalty", "Ada", "creator")


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (created(title="Birds")[0], "created “Birds”, with 2 steps"),
        (events.CollectionRetitled(COLLECTION, "Fish"), "retitled it “Fish”"),
        (events.CollectionDescribed(COLLECTION, ""), "removed the description"),
        (events.InstructionsRevised(COLLECTION, {"steps": [{}]}), "revised how the artwork is made: 1 step now"),
        (events.CollectionPriced(COLLECTION, "0.05"), "set the price to 0.05"),
        (events.EditionsSet(COLLECTION, None), "removed the editions"),
        (
            events.BatchMintingConfigured(COLLECTION, batch_mint_enabled=True, batch_max_tokens=5),
            "allowed minting in batches of 5 tokens at most",
        ),
        (
            events.ReceiversSet(COLLECTION, [RECEIVER]),
            "shared the sales: 2.5 % to tz1VSUr8wwNhLAzempoch5d6hLRiTh8Cjcjb (creator)",
        ),
        (events.ReceiversSet(COLLECTION, []), "removed all receivers"),
        (
            events.ReceiversSet(COLLECTION, [RECEIVER, ROYALTY], "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb"),
            (
                "shared the sales: 2.5 % to tz1VSUr8wwNhLAzempoch5d6hLRiTh8Cjcjb (creator); "
                "set the royalties: 5 % to Ada, 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed (artist); "
                "all royalties go to 0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb"
            ),
        ),
        (
            events.PreviewConfigured(COLLECTION, enabled=True, max_generations=3, is_remixable=True),
            "opened the preview: 3 artworks for each visitor to try, and to remix",
        ),
        (events.SeriesChosen(COLLECTION, SERIES), f"chose 2 artworks of job {SERIES.job_id} to be sold"),
        (
            events.CollectionPublished(COLLECTION, OTHER_PROJECT, BOB, "noon", SERIES),
            f"published it with 2 artworks of job {SERIES.job_id} as of noon",
        ),
        (events.CollectionPublished(COLLECTION, OTHER_PROJECT, BOB, "noon"), "published it as of noon"),
        (
            events.PreviewConfigured(COLLECTION, enabled=True, max_generations=3, is_remixable=False, paid_by="owner"),
            "opened the preview: 3 artworks for each visitor to try at the owner's cost, but not to remix",
        ),
        (
            events.PublicationRevised(COLLECTION, 3, ["price", "cover_image_url"]),
            "made revision 3 of what is public: price, cover image url",
        ),
        (events.PublicationCalledOff(COLLECTION, ["it is archived"]), "called the publication off: it is archived"),
        (events.CustodyTransferred(COLLECTION, BOB, OTHER_PROJECT), f"handed it over to user {BOB}"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_events_have_a_sentence_in_plain_english(event, text):
    assert sentence_of(event) == text


@pytest.mark.parametrize("kind", events.COLLECTION_EVENTS, ids=lambda kind: kind.__name__)
def test_every_event_of_a_collection_has_a_sentence(kind):
    """So the history of any collection can be read."""
    values = {
        "collection_id": COLLECTION,
        "data": {"steps": []},
        "receivers": [],
        "reasons": [],
        "images": [],
        "changes": [],
        "tags": ["sea"],
    }
    values["series"] = SERIES
    event = kind(**{name: values.get(name, UUID(int=9)) for name in kind.__struct_fields__})
    assert sentence_of(event)
