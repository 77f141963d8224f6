"""The dry run of a publication, in the API."""

from typing import Any, Literal

import msgspec

from shared.contracts.problem import Detail


class ChainCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A collection on one chain: the faults that keep it from being published there, and its metadata."""

    faults: list[Detail]
    collection: dict[str, Any]
    token: dict[str, Any]
    """The first one's document; with the variables' test values before there is one."""


class PublishCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What publishing would say. `faults` are those of its own chain; each has its pointer in the collection."""

    dry_run: Literal[True] = True
    valid: bool
    blockchain: str | None
    faults: list[Detail]
    chains: dict[str, ChainCheck]
    """By ETHEREUM, BASE and TEZOS."""
