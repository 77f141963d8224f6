"""What keeps a collection from being published on a chain: each fault with its pointer in the collection.

Complete is a collection with a title, at least one step to make artworks with, a blockchain, editions and a price (0 is
free). Valid is one whose price its chain can count, and whose receivers are all addresses of it. Images and receivers
are the creator's choice; what there is of them has been checked when it was set.
"""

from collections.abc import Iterator

from services.collections.domain.addresses import checked_address
from services.collections.domain.chains import CHAINS
from services.collections.domain.collection.state import Collection
from shared.contracts.problem import Detail

PRICE_DECIMALS = {"ETHEREUM": 18, "BASE": 18, "TEZOS": 6}
"""A chain's smallest unit: wei, and mutez."""


def faults(state: Collection) -> list[Detail]:
    """The faults that keep it from being published on its own chain; empty if it can be published."""
    problems = list(_incomplete(state))
    chain = state.fields.blockchain
    if chain is None:
        problems.append(Detail("/blockchain", f"a published collection needs a blockchain: {', '.join(CHAINS)}"))
    return problems if chain is None else [*problems, *_invalid_on(chain, state)]


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


def _invalid_on(chain: str, state: Collection) -> Iterator[Detail]:
    price, decimals = state.fields.price, PRICE_DECIMALS[chain]
    if price is not None and len(price.partition(".")[2]) > decimals:
        yield Detail("/price", f"a price on {chain} has at most {decimals} decimals")
    for index, receiver in enumerate(state.receivers):
        try:
            checked_address(receiver.address, chain)
        except ValueError as error:
            yield Detail(f"/receivers/{index}/address", f"{receiver.address} can't receive on {chain}: {error}")
