"""The faults that keep a collection from being published on a chain, each with its pointer in the collection.

It needs a title, a step, a blockchain, editions, and a price (0 is free) in no smaller fraction than the chain's
smallest unit. A token that is its cover is one of its editions. It may have receivers: all are addresses on the chain.
Values are checked when they are set, too.
"""

from collections.abc import Iterator

from services.collections.domain.addresses import checked_address, is_address
from services.collections.domain.chains import CHAINS
from services.collections.domain.collection.state import Collection
from shared.contracts.problem import Detail

PRICE_DECIMALS = {"ETHEREUM": 18, "BASE": 18, "TEZOS": 6}
"""The smallest units are wei (10^-18) and mutez (10^-6)."""


def faults(state: Collection) -> list[Detail]:
    """The faults that keep it from being published on its own chain; empty if it can be published."""
    all_faults = list(_incomplete(state))
    chain = state.fields.blockchain
    if chain is None:
        all_faults.append(Detail("/blockchain", f"a published collection needs a blockchain: {', '.join(CHAINS)}"))
    return all_faults if chain is None else [*all_faults, *_invalid_on(chain, state)]


def faults_on(chain: str, state: Collection) -> list[Detail]:
    """The faults that would keep it from being published on `chain`."""
    return [*_incomplete(state), *_invalid_on(chain, state)]


def _incomplete(state: Collection) -> Iterator[Detail]:
    if not state.fields.title.strip():
        yield Detail("/title", "a published collection needs a title")
    if not state.data["steps"]:
        yield Detail("/data/steps", "a published collection needs at least one step")
    if state.fields.editions is None:
        yield Detail("/editions", "a published collection needs a number of editions")
    if state.fields.price is None:
        yield Detail("/price", "a published collection needs a price; 0 is free")
    cover, editions = state.fields.cover_token, state.fields.editions
    if cover is not None and editions is not None and cover > editions:
        yield Detail("/cover_token", f"there is no token {cover}: the collection has {editions}")


def _invalid_on(chain: str, state: Collection) -> Iterator[Detail]:
    price, decimals = state.fields.price, PRICE_DECIMALS[chain]
    if price is not None and len(price.partition(".")[2]) > decimals:
        yield Detail("/price", f"a price on {chain} has at most {decimals} decimals")
    for index, receiver in enumerate(state.receivers):
        try:
            checked_address(receiver.address, chain)
        except ValueError as error:
            yield Detail(f"/receivers/{index}/address", f"{receiver.address} can't receive on {chain}: {error}")
    if state.royalty_receiver is not None and not is_address(state.royalty_receiver, chain):
        yield Detail("/royalty_receiver", f"{state.royalty_receiver} can't receive on {chain}: set the receivers again")
