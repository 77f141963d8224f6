"""The publishing fields in events: those of a new collection, those that an event revises, and events for a change."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from services.collections.domain.collection.fields import Fields
from shared.contracts import collections as events
from shared.contracts.event import Event

EDITABLE_ONCE_PUBLISHED = frozenset(
    {"description", "price", "cover_image_url", "cover_token", "banner_image_url", "images", "tags", "minter"}
)
"""All other fields state what buyers got: the artwork, its rights, the number of editions, the chain, the title."""


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
            values = _presentation(event)
    return values


def _presentation(event: Event) -> dict[str, Any]:
    match event:
        case events.SymbolChosen():
            values: dict[str, Any] = {"symbol": event.symbol}
        case events.CollectionTagged():
            values = {"tags": event.tags}
        case events.RightsStated():
            values = {"rights": event.rights, "license": event.license, "license_url": event.license_url}
        case events.MinterNamed():
            values = {"minter": event.minter}
        case events.BannerImageChosen():
            values = {"banner_image_url": event.banner_image_url}
        case events.CoverTokenChosen():
            values = {"cover_token": event.cover_token}
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
    yield from _presentation_revisions(collection_id, before, after)


def _presentation_revisions(collection_id: UUID, before: Fields, after: Fields) -> Iterator[Event]:
    if after.symbol != before.symbol:
        yield events.SymbolChosen(collection_id, after.symbol)
    if after.tags != before.tags:
        yield events.CollectionTagged(collection_id, after.tags)
    rights = (after.rights, after.license, after.license_url)
    if rights != (before.rights, before.license, before.license_url):
        yield events.RightsStated(collection_id, *rights)
    if after.minter != before.minter:
        yield events.MinterNamed(collection_id, after.minter)
    if after.banner_image_url != before.banner_image_url:
        yield events.BannerImageChosen(collection_id, after.banner_image_url)
    if after.cover_token != before.cover_token:
        yield events.CoverTokenChosen(collection_id, after.cover_token)


def differences(before: Fields, after: Fields) -> list[str]:
    """The names of the fields whose values differ."""
    return [name for name in Fields.__struct_fields__ if getattr(before, name) != getattr(after, name)]
