"""ETHEREUM and BASE: ERC-7572 for the collection, ERC-721 and ERC-1155 with OpenSea's attributes for its tokens.

Royalties on these chains are in the contract (ERC-2981: one receiver, basis points of each resale). `royalties` and
`royalty_shares` are members of our own, for those who deploy the contract: what it is to answer, and how the contract
that receives the royalties is to split them.
"""

from typing import Any

import msgspec

from services.collections.domain.addresses import is_address
from services.collections.domain.artwork.tokens import Token
from services.collections.domain.chains.offer import Offer, Royalty, present
from shared.contracts.collections import Trait

CHAIN = "ETHEREUM"
"""Addresses are the same on all EVM chains."""
TOKEN_ID_DIGITS = 64
"""ERC-1155: clients replace `{id}` in a token's URI with its number in this many lowercase hexadecimal digits."""


def collection_metadata(offer: Offer) -> dict[str, Any]:
    """Without `collaborators`: ERC-7572 lets those edit the contract's page, which receivers must not.

    `royalties` has one receiver. It has several if they share the royalties and there is no contract that splits them,
    which the dry run of publishing warns of.
    """
    shares = offer.royalties_on(CHAIN)
    splitter = offer.royalty_receiver if offer.royalty_receiver and is_address(offer.royalty_receiver, CHAIN) else None
    total = sum(share.basis_points for share in shares)
    royalties = [Royalty(splitter, total)] if splitter and total else shares
    return present(
        name=offer.title,
        symbol=offer.symbol,
        description=offer.description,
        image=offer.image,
        banner_image=offer.banner_image_url,
        featured_image=offer.featured_image,
        external_link=offer.link,
        royalties=msgspec.to_builtins(royalties),
        royalty_shares=msgspec.to_builtins(shares) if splitter else None,
    )


def token_metadata(offer: Offer, token: Token) -> dict[str, Any]:
    """An artwork that is not an image is the `animation_url`; `image` then is an image that represents it."""
    artifact, image = token.artifact, token.image
    animation = artifact if artifact is not None and artifact != image else None
    return present(
        name=offer.token_name(token.number),
        description=offer.description,
        image=token.image_uri,
        animation_url=token.uri(animation) if animation else None,
        external_url=offer.token_link(token.number),
        attributes=[_attribute(trait) for trait in offer.traits(token)],
    )


def token_id(number: int) -> str:
    """A token's number as ERC-1155 clients write it into a URI."""
    return format(number, f"0{TOKEN_ID_DIGITS}x")


def _attribute(trait: Trait) -> dict[str, Any]:
    attribute: dict[str, Any] = {"trait_type": trait.name, "value": trait.value}
    return attribute if isinstance(trait.value, str) else {**attribute, "display_type": "number"}
