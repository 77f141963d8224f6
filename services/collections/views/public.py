"""Collections as anybody may see them.

Each member is named here, so that what is added to a draft stays its owner's.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from services.collections.domain.collection.state import Status
from services.collections.views.collection import CollectionSummary, CollectionView, PreviewView, ReceiverView
from services.collections.views.package import PublishedPackageView


class PublicCollection(msgspec.Struct, frozen=True, kw_only=True):
    """Another user's collection, which is published or has an open preview.

    Of a draft, the terms of its sale (chain, editions, price, batches, receivers, rights) and how it will be presented
    (symbol, tags, banner, cover token) are not told: they are null, false or empty.
    """

    id: UUID
    user_id: UUID
    title: str
    description: str
    status: Status
    blockchain: str | None = None
    editions: int | None = None
    price: str | None = None
    batch_mint_enabled: bool = False
    batch_max_tokens: int | None = None
    cover_image_url: str | None
    images: list[Any]
    symbol: str | None = None
    tags: list[str] = []
    rights: str | None = None
    license: str | None = None
    license_url: str | None = None
    minter: str | None = None
    banner_image_url: str | None = None
    cover_token: int | None = None
    publish_date: datetime | None = None
    revision: int | None = None
    """Of what is public: 1 as it was published, one more for each change since then."""
    receivers: list[ReceiverView] = []
    royalty_receiver: str | None = None
    preview: PreviewView
    forked_from: UUID | None
    is_custodial: bool
    created_at: datetime
    updated_at: datetime
    version: int
    data: None = None
    """Its instructions are its owner's."""


class PublicCollectionView(PublicCollection, frozen=True, kw_only=True):
    """`packages`: the published ones, newest first."""

    packages: list[PublishedPackageView]


def public_collection(collection: CollectionSummary | CollectionView) -> PublicCollection:
    public = PublicCollection(
        id=collection.id,
        user_id=collection.user_id,
        title=collection.title,
        description=collection.description,
        status=collection.status,
        cover_image_url=collection.cover_image_url,
        images=collection.images,
        preview=collection.preview,
        forked_from=collection.forked_from,
        is_custodial=collection.is_custodial,
        created_at=collection.created_at,
        updated_at=collection.updated_at,
        version=collection.version,
    )
    if collection.status != "published":
        return public
    return msgspec.structs.replace(
        public,
        blockchain=collection.blockchain,
        editions=collection.editions,
        price=collection.price,
        batch_mint_enabled=collection.batch_mint_enabled,
        batch_max_tokens=collection.batch_max_tokens,
        symbol=collection.symbol,
        tags=collection.tags,
        rights=collection.rights,
        license=collection.license,
        license_url=collection.license_url,
        minter=collection.minter,
        banner_image_url=collection.banner_image_url,
        cover_token=collection.cover_token,
        publish_date=collection.publish_date,
        revision=collection.revision,
        receivers=collection.receivers,
        royalty_receiver=collection.royalty_receiver,
    )


def with_packages(collection: PublicCollection, packages: list[PublishedPackageView]) -> PublicCollectionView:
    members = {name: getattr(collection, name) for name in PublicCollection.__struct_fields__}
    return PublicCollectionView(**members, packages=packages)
