"""The publishing fields in events: those of a new collection, those that an event revises, and events for a change."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from services.collections.domain.collection.fields import Fields
from shared.contracts import collections as events
from shared.contracts.event import Event

EDITABLE_ONCE_PUBLISHED = frozenset({"description", "price", "cover_image_url", "images"})
"""All other fields state what buyers got: the artwork, the number of editions, the chain, the title."""


def first_fields(event: events.CollectionCreated) -> Fields:
    """The fields of a new collection: the event's attributes have the same names."""
    return Fields(**{name: getattr(event, name) for name in Fields.__struct_fields__})


def revised_fields(event: Event) -> dict[str, Any]:
    """The values of the fields that an event revises. Raises AssertionError for an event that revises none."""
    match event:
        case events.CollectionRetitled():
            values: dict[str, Any] = {"title": event.title}
        case events.CollectionDescribed():
            values = {"description": event.description}
        case events.ChainChosen():
            values = {"blockchain": event.blockchain}
        case events.EditionsSet():
            values = {"editions": event.editions}
        case events.CollectionPriced():
            values = {"price": event.price}
        case events.BatchMintingConfigured():
            enabled, most = event.batch_mint_enabled, event.batch_max_tokens
            values = {"batch_mint_enabled": enabled, "batch_max_tokens": most}
        case events.EncryptionChosen():
            values = {"encryption_enabled": event.encryption_enabled}
        case events.CoverImageChosen():
            values = {"cover_image_url": event.cover_image_url}
        case events.ImagesArranged():
            values = {"images": event.images}
        case _:
            raise AssertionError(f"{event!r} is not an event of a collection")
    return values


def revisions(collection_id: UUID, before: Fields, after: Fields) -> Iterator[Event]:
    """The events that turn `before` into `after`."""
    if after.title != before.title:
        yield events.CollectionRetitled(collection_id, after.title)
    if after.description != before.description:
        yield events.CollectionDescribed(collection_id, after.description)
    if after.blockchain != before.blockchain:
        yield events.ChainChosen(collection_id, after.blockchain)
    if after.editions != before.editions:
        yield events.EditionsSet(collection_id, after.editions)
    if after.price != before.price:
        yield events.CollectionPriced(collection_id, after.price)
    batches = (after.batch_mint_enabled, after.batch_max_tokens)
    if batches != (before.batch_mint_enabled, before.batch_max_tokens):
        yield events.BatchMintingConfigured(collection_id, *batches)
    if after.encryption_enabled != before.encryption_enabled:
        yield events.EncryptionChosen(collection_id, after.encryption_enabled)
    if after.cover_image_url != before.cover_image_url:
        yield events.CoverImageChosen(collection_id, after.cover_image_url)
    if after.images != before.images:
        yield events.ImagesArranged(collection_id, after.images)


def differences(before: Fields, after: Fields) -> list[str]:
    """The names of the fields whose values differ."""
    return [name for name in Fields.__struct_fields__ if getattr(before, name) != getattr(after, name)]
