"""The dry run of a publication, in the API."""

from typing import Any, Literal

import msgspec

from shared.contracts.problem import Detail


class ChainCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A collection on one chain: the faults that keep it from being published there, and its metadata."""

    faults: list[Detail]
    collection: dict[str, Any]
    token: dict[str, Any]
    """The first token's document; until there is a token, a sample with the variables' test values."""


class PublishCheck(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a dry run. `faults` are those on the collection's own chain, with pointers into the collection."""

    dry_run: Literal[True] = True
    valid: bool
    blockchain: str | None
    faults: list[Detail]
    chains: dict[str, ChainCheck]
    """By chain: ETHEREUM, BASE, TEZOS."""
