"""Events of a collection: its content, how it is sold, and who owns it."""

from typing import Any, Literal
from uuid import UUID

import msgspec

from shared.contracts.collections.collection_event import CollectionEvent
from shared.contracts.collections.document_rules import DocumentRules
from shared.contracts.collections.presentation import (
    BannerImageChosen,
    CollectionTagged,
    CoverTokenChosen,
    MinterNamed,
    RightsStated,
    SymbolChosen,
)

Payer = Literal["visitor", "owner"]
"""Whose credits a visitor's generations take."""
Purpose = Literal["sale", "royalty"]
"""What a receiver gets a share of: the primary sale of a token, or each of its resales."""


class CollectionCreated(CollectionEvent, frozen=True, tag="collection_created.v1"):
    """A draft exists. `data` is its GenerationInput with component ids and rewritten references."""

    collection_id: UUID
    project_id: UUID
    user_id: UUID
    title: str
    description: str
    data: dict[str, Any]
    blockchain: str | None = None
    editions: int | None = None
    price: str | None = None
    """An exact decimal in the chain's unit, written as a string."""
    batch_mint_enabled: bool = False
    batch_max_tokens: int | None = None
    encryption_enabled: bool = False
    cover_image_url: str | None = None
    images: list[Any] = msgspec.field(default_factory=list)
    forked_from: UUID | None = None
    symbol: str | None = None
    tags: list[str] = msgspec.field(default_factory=list)
    rights: str | None = None
    license: str | None = None
    license_url: str | None = None
    minter: str | None = None
    banner_image_url: str | None = None
    cover_token: int | None = None


class PreviewCreated(CollectionEvent, frozen=True, tag="preview_created.v1"):
    """A collection's preview exists, disabled until its creator configures it."""

    collection_id: UUID
    enabled: bool
    max_generations: int
    is_remixable: bool


class ChosenSeries(msgspec.Struct, frozen=True):
    """The artworks that are a collection's tokens: of job `job_id`, by generation, in the order of tokens."""

    job_id: UUID
    gids: list[UUID]


class SeriesChosen(CollectionEvent, frozen=True, tag="series_chosen.v1"):
    """A draft's artworks were chosen and ordered: publishing it without another choice sells these."""

    collection_id: UUID
    series: ChosenSeries


class CollectionPublished(CollectionEvent, frozen=True, tag="collection_published.v1"):
    """The collection is public; what buyers rely on can no longer be changed."""

    collection_id: UUID
    project_id: UUID
    user_id: UUID
    publish_date: str
    """RFC 3339, UTC."""
    series: ChosenSeries | None = None
    """What is sold; it never changes. None in events of early releases: then it is the last job that had finished at
    `publish_date`, or else the first one that finished after it."""
    revision: int | None = None
    """The first revision of what is public, 1. None in events of early releases, whose documents named receivers
    without a purpose as creators with a royalty: they still do."""
    documents: DocumentRules | None = None
    """None in events of early releases: their documents keep their bytes."""


class PublicationRevised(CollectionEvent, frozen=True, tag="publication_revised.v1"):
    """What is public of a published collection was changed, by the events that were recorded with this one.

    What early releases changed after a publication has no number.
    """

    collection_id: UUID
    revision: int
    """From 2: what was published is revision 1."""
    changes: list[str]
    """The members that were changed, such as `description`."""


class CollectionRetitled(CollectionEvent, frozen=True, tag="collection_retitled.v1"):
    """The collection has another title."""

    collection_id: UUID
    title: str


class CollectionDescribed(CollectionEvent, frozen=True, tag="collection_described.v1"):
    """The collection has another description."""

    collection_id: UUID
    description: str


class InstructionsRevised(CollectionEvent, frozen=True, tag="instructions_revised.v1"):
    """A draft's GenerationInput was replaced.

    Steps that the collection had before keep their component ids; new ones get new components.
    """

    collection_id: UUID
    data: dict[str, Any]


class ChainChosen(CollectionEvent, frozen=True, tag="chain_chosen.v1"):
    """The blockchain that the collection is to be minted on was chosen, or the choice was withdrawn (null)."""

    collection_id: UUID
    blockchain: str | None


class EditionsSet(CollectionEvent, frozen=True, tag="editions_set.v1"):
    """How many tokens can be minted was set; null: not decided."""

    collection_id: UUID
    editions: int | None


class CollectionPriced(CollectionEvent, frozen=True, tag="collection_priced.v1"):
    """The price of a token was set; null: not decided."""

    collection_id: UUID
    price: str | None
    """An exact decimal in the chain's unit, written as a string."""


class BatchMintingConfigured(CollectionEvent, frozen=True, tag="batch_minting_configured.v1"):
    """Whether buyers may mint several tokens in one transaction, and how many at most (null: no bound)."""

    collection_id: UUID
    batch_mint_enabled: bool
    batch_max_tokens: int | None


class EncryptionChosen(CollectionEvent, frozen=True, tag="encryption_chosen.v1"):
    """Whether the texts and files of the collection's generations are to be encrypted was chosen."""

    collection_id: UUID
    encryption_enabled: bool


class CoverImageChosen(CollectionEvent, frozen=True, tag="cover_image_chosen.v1"):
    """The collection's cover image was chosen, or removed (null)."""

    collection_id: UUID
    cover_image_url: str | None


class ImagesArranged(CollectionEvent, frozen=True, tag="images_arranged.v1"):
    """The list of the collection's images was replaced."""

    collection_id: UUID
    images: list[Any]


class CollectionArchived(CollectionEvent, frozen=True, tag="collection_archived.v1"):
    """The collection is archived: visible to its owner only, and not changeable until it is restored."""

    collection_id: UUID


class CollectionRestored(CollectionEvent, frozen=True, tag="collection_restored.v1"):
    """The collection is no longer archived."""

    collection_id: UUID


class SalesReceiver(msgspec.Struct, frozen=True):
    """A receiver's share of sales or of resales. `value` is a percentage, an exact decimal written as a string."""

    address: str
    value: str
    type: str
    """The platform's own word for it, in any text."""
    purpose: Purpose | None = None
    """None in events of early releases: a share of the sale."""
    name: str | None = None
    role: str | None = None
    """Such as `creator`. None in events of early releases."""


class ReceiversSet(CollectionEvent, frozen=True, tag="receivers_set.v1"):
    """Replaces all receivers. Percentages of the sale sum to 100 at most, and those of royalties to 25."""

    collection_id: UUID
    receivers: list[SalesReceiver]
    royalty_receiver: str | None = None
    """The one receiver of all royalties on EVM chains: a contract that splits them; None if there is none."""


class PreviewConfigured(CollectionEvent, frozen=True, tag="preview_configured.v1"):
    """Whether others may generate previews, how many each, at whose cost, and whether they may remix the collection."""

    collection_id: UUID
    enabled: bool
    max_generations: int
    is_remixable: bool
    paid_by: Payer = "visitor"


class PublicationScheduled(CollectionEvent, frozen=True, tag="publication_scheduled.v1"):
    """The collection will be published at `publish_date`, if it is valid then."""

    collection_id: UUID
    publish_date: str
    """RFC 3339, UTC; in the future when this was recorded."""
    series: ChosenSeries | None = None
    """What will be sold. None in events of early releases, which chose it when the collection was published."""
    documents: DocumentRules | None = None
    """Of the publication. None in events of early releases."""


class PublicationCalledOff(CollectionEvent, frozen=True, tag="publication_called_off.v1"):
    """A scheduled publication was cancelled: by its owner, or because the collection was not valid when it was due."""

    collection_id: UUID
    reasons: list[str]


class CustodyTaken(CollectionEvent, frozen=True, tag="custody_taken.v1"):
    """The collection's user holds it for somebody who is so far known by a social account only."""

    collection_id: UUID
    social_org: str
    social_identifier: str


class CustodyTransferred(CollectionEvent, frozen=True, tag="custody_transferred.v1"):
    """The collection was transferred to the user it was held for, into a project of theirs."""

    collection_id: UUID
    user_id: UUID
    project_id: UUID


EVENTS_OF_CREATION: tuple[type[CollectionEvent], ...] = (CollectionCreated, PreviewCreated)
"""Every collection begins with these two, recorded together: who has the first one knows the second."""

COLLECTION_EVENTS: tuple[type[CollectionEvent], ...] = (
    CollectionCreated,
    PreviewCreated,
    CollectionRetitled,
    CollectionDescribed,
    InstructionsRevised,
    ChainChosen,
    EditionsSet,
    CollectionPriced,
    BatchMintingConfigured,
    EncryptionChosen,
    CoverImageChosen,
    ImagesArranged,
    SymbolChosen,
    CollectionTagged,
    RightsStated,
    MinterNamed,
    BannerImageChosen,
    CoverTokenChosen,
    SeriesChosen,
    CollectionPublished,
    PublicationRevised,
    CollectionArchived,
    CollectionRestored,
    ReceiversSet,
    PreviewConfigured,
    PublicationScheduled,
    PublicationCalledOff,
    CustodyTaken,
    CustodyTransferred,
)
