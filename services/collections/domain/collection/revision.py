"""Which event tells of a change of which publishing fields, and which of them what was sold depends on."""

from uuid import UUID

import msgspec

from services.collections.domain.collection.fields import Fields
from shared.contracts import collections as events
from shared.contracts.event import Event

FIELDS_OF: dict[type[Event], tuple[str, ...]] = {
    events.CollectionRetitled: ("title",),
    events.CollectionDescribed: ("description",),
    events.ChainChosen: ("blockchain",),
    events.EditionsSet: ("editions",),
    events.CollectionPriced: ("price",),
    events.BatchMintingConfigured: ("batch_mint_enabled", "batch_max_tokens"),
    events.EncryptionChosen: ("encryption_enabled",),
    events.CoverImageChosen: ("cover_image_url",),
    events.ImagesArranged: ("images",),
}
"""Each of these events carries the fields it revises, under the fields' own names."""

STILL_OPEN_ONCE_PUBLISHED = frozenset({"description", "price", "cover_image_url", "images"})
"""Everything else says what a buyer got: the artwork, how many there are, on which chain, under which name."""


def revised(fields: Fields, event: Event) -> Fields:
    names = FIELDS_OF.get(type(event), ())
    return msgspec.structs.replace(fields, **{name: getattr(event, name) for name in names})


def revisions(collection_id: UUID, before: Fields, after: Fields) -> list[Event]:
    """One event for each thing that is different, none for what is as it was."""
    changed = set(differences(before, after))
    return [
        kind(collection_id=collection_id, **{name: getattr(after, name) for name in names})
        for kind, names in FIELDS_OF.items()
        if changed.intersection(names)
    ]


def differences(before: Fields, after: Fields) -> list[str]:
    return [name for name in Fields.__struct_fields__ if getattr(before, name) != getattr(after, name)]
