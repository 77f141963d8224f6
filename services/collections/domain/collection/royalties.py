"""Who gets what of a collection: shares of its sales, royalties of resales, and who its creators are.

Receivers that an early release recorded have no purpose. They are shares of the sale. The documents of collections
that were published at that time also name them as creators with a royalty, and keep doing so until the receivers are
set again; a draft's do not.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from services.collections.domain.addresses import EVM_CHAINS, is_address
from services.collections.domain.collection.fields import decimal_text
from services.collections.domain.collection.receivers import CREATOR, role_of
from services.collections.domain.collection.state import Collection
from shared.contracts.collections import SalesReceiver
from shared.contracts.problem import Detail

MANY_ROYALTIES = 10
"""Percent: what many marketplaces pay at most."""


def sale_receivers(state: Collection) -> list[SalesReceiver]:
    """Those with a share of the sale."""
    return [receiver for receiver in state.receivers if receiver.purpose != "royalty"]


def royalty_receivers(state: Collection) -> list[SalesReceiver]:
    """Those with a share of resales, as documents name them."""
    return [receiver for receiver in state.receivers if receiver.purpose == "royalty" or _is_early(state, receiver)]


def creators(state: Collection) -> list[SalesReceiver]:
    """The receivers who made the art, each address once."""
    made_it = [
        receiver
        for receiver in state.receivers
        if _is_early(state, receiver) or role_of(receiver.role, receiver.type) == CREATOR
    ]
    by_address: dict[str, SalesReceiver] = {}
    for receiver in made_it:
        if by_address.setdefault(receiver.address, receiver).name is None:
            by_address[receiver.address] = receiver
    return list(by_address.values())


def receiver_warnings(state: Collection) -> Iterator[Detail]:
    """What may be a mistake on any chain."""
    if _total(sale_receivers(state)) == 100:
        yield Detail("/receivers", "sum to 100 %: nothing of a sale is left for its seller")
    if (total := _total(royalty_receivers(state))) > MANY_ROYALTIES:
        message = f"ask for {decimal_text(total)} % of resales: many marketplaces pay {MANY_ROYALTIES} % at most"
        yield Detail("/receivers", message)
    if state.status == "draft" and any(receiver.purpose is None for receiver in state.receivers):
        message = "were set by an early release: they are shares of the sale, and not royalties: set them again"
        yield Detail("/receivers", message)


def chain_warnings(chain: str, state: Collection) -> Iterator[Detail]:
    """What may be a mistake on this chain."""
    shares = [receiver for receiver in royalty_receivers(state) if is_address(receiver.address, chain)]
    if chain in EVM_CHAINS and len(shares) > 1 and state.royalty_receiver is None:
        yield Detail(
            "/royalty_receiver",
            f"is missing: a contract on {chain} names one receiver of royalties (ERC-2981), and {len(shares)} share "
            "them: set the address of a contract that splits them",
        )
    if chain == "TEZOS" and state.receivers and not creators(state):
        yield Detail("/receivers", "have none with the role creator: the tokens' metadata will name no creators")


def _is_early(state: Collection, receiver: SalesReceiver) -> bool:
    return receiver.purpose is None and state.status == "published"


def _total(receivers: Sequence[SalesReceiver]) -> Decimal:
    return sum((Decimal(receiver.value) for receiver in receivers), Decimal(0))
