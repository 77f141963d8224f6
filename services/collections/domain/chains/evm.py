"""ETHEREUM and BASE: ERC-7572 for the collection, ERC-721 and ERC-1155 with OpenSea's attributes for its tokens.

Royalties on these chains are the contract's own (ERC-2981, one receiver and basis points per sale); who deploys it
takes them from `royalties`, which no standard reads and none forbids.
"""

from typing import Any

import msgspec

from services.collections.domain.artwork.tokens import Token
from services.collections.domain.chains.offer import Offer, present
from shared.contracts.collections import Trait

CHAIN = "ETHEREUM"
"""Addresses are the same on all EVM chains."""
TOKEN_ID_DIGITS = 64
"""ERC-1155: `{id}` in a token's URI stands for its number in so many lowercase hexadecimal digits."""


def collection_metadata(offer: Offer) -> dict[str, Any]:
    """No `collaborators`: ERC-7572 gives those a say over the contract's page, and receivers get a share, no say."""
    return present(
        name=offer.title,
        symbol=offer.symbol,
        description=offer.description,
        image=offer.image,
        featured_image=offer.featured_image,
        external_link=offer.link,
        royalties=msgspec.to_builtins(offer.royalties(CHAIN)),
    )


def token_metadata(offer: Offer, token: Token) -> dict[str, Any]:
    """An artwork that is no image stands as `animation_url`, beside the image that shows it."""
    artifact, image = token.artifact, token.image
    animation = artifact if artifact is not None and artifact != image else None
    return present(
        name=offer.token_name(token.number),
        description=offer.description,
        image=token.uri(image) if image else None,
        animation_url=token.uri(animation) if animation else None,
        external_url=offer.link,
        attributes=[_attribute(trait) for trait in token.traits],
    )


def token_id(number: int) -> str:
    """A token's number as ERC-1155 clients put it in place of `{id}`."""
    return format(number, f"0{TOKEN_ID_DIGITS}x")


def _attribute(trait: Trait) -> dict[str, Any]:
    attribute: dict[str, Any] = {"trait_type": trait.name, "value": trait.value}
    return attribute if isinstance(trait.value, str) else {**attribute, "display_type": "number"}
