"""Events of a collection: how it is presented, and the rights in its artworks."""

from uuid import UUID

from shared.contracts.collections.collection_event import CollectionEvent


class SymbolChosen(CollectionEvent, frozen=True, tag="symbol_chosen.v1"):
    """The symbol of the collection's tokens was chosen; null: it is made of the title."""

    collection_id: UUID
    symbol: str | None


class CollectionTagged(CollectionEvent, frozen=True, tag="collection_tagged.v1"):
    """The tags of the collection were replaced."""

    collection_id: UUID
    tags: list[str]


class RightsStated(CollectionEvent, frozen=True, tag="rights_stated.v1"):
    """What the creator says about the rights in the artworks, and the license that they have; null: nothing."""

    collection_id: UUID
    rights: str | None
    license: str | None
    license_url: str | None


class MinterNamed(CollectionEvent, frozen=True, tag="minter_named.v1"):
    """The address that mints the tokens is known, or no longer (null)."""

    collection_id: UUID
    minter: str | None


class BannerImageChosen(CollectionEvent, frozen=True, tag="banner_image_chosen.v1"):
    """The banner of the collection's page was chosen, or removed (null)."""

    collection_id: UUID
    banner_image_url: str | None


class CoverTokenChosen(CollectionEvent, frozen=True, tag="cover_token_chosen.v1"):
    """The token whose image is the collection's cover was chosen, or none is (null)."""

    collection_id: UUID
    cover_token: int | None
