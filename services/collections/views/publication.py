"""Publications and their dry run, in the API."""

from typing import Any, Literal

import msgspec

from services.collections.views.collection import CollectionView
from services.collections.views.series import SeriesView
from shared.contracts.problem import Detail


class ChainCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A collection on one chain: the faults that keep it from being published there, and its metadata."""

    faults: list[Detail]
    warnings: list[Detail]
    """What may be a mistake on this chain; those on the collection's own chain are among the others, too."""
    collection: dict[str, Any]
    token: dict[str, Any]
    """The first token's document; until there is a token, a sample with the variables' test values."""


class PublishCheck(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a dry run. `faults` are those on the collection's own chain, with pointers into the collection."""

    dry_run: Literal[True] = True
    valid: bool
    blockchain: str | None
    faults: list[Detail]
    warnings: list[Detail]
    """What can be published but may be a mistake."""
    series: SeriesView | None
    """What would be sold; null if that is not clear, which is then among the faults."""
    chains: dict[str, ChainCheck]
    """By chain: ETHEREUM, BASE, TEZOS."""


class PublicationView(CollectionView, frozen=True, kw_only=True):
    """A collection that was published or scheduled. `warnings`: what may be a mistake."""

    series: SeriesView | None
    """What is sold; null only if an early release published it and no job has finished yet."""
    warnings: list[Detail]
