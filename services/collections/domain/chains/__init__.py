"""The metadata documents of collections and tokens on each chain.

The same input gives the same documents. The metadata endpoints, the dry run of publishing and the publish package all
take them from here.
"""

from typing import Any, Literal

from services.collections.domain.artwork.tokens import Token
from services.collections.domain.chains import evm, tezos
from services.collections.domain.chains.offer import Offer

Chain = Literal["ETHEREUM", "BASE", "TEZOS"]
CHAINS: tuple[Chain, ...] = ("ETHEREUM", "BASE", "TEZOS")
Document = dict[str, Any]


def collection_metadata(chain: Chain, offer: Offer) -> Document:
    """The collection's document: ERC-7572 `contractURI` on EVM chains, TZIP-16 on Tezos."""
    return tezos.collection_metadata(offer) if chain == "TEZOS" else evm.collection_metadata(offer)


def token_metadata(chain: Chain, offer: Offer, token: Token) -> Document:
    """A token's document: ERC-721/1155 with OpenSea's attributes on EVM chains, TZIP-12 and TZIP-21 on Tezos."""
    return tezos.token_metadata(offer, token) if chain == "TEZOS" else evm.token_metadata(offer, token)
