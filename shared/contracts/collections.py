"""Events of the collections service: projects and collections."""

from typing import Any, ClassVar
from uuid import UUID

import msgspec

from shared.contracts.event import Event
from shared.contracts.language import Upcaster


class ProjectEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "project"


class ProjectCreated(ProjectEvent, frozen=True, tag="project_created.v1"):
    """A user's folder of collections exists; a user has one default project."""

    project_id: UUID
    user_id: UUID
    name: str
    is_default: bool


class ProjectRenamed(ProjectEvent, frozen=True, tag="project_renamed.v1"):
    project_id: UUID
    name: str


class CurrentCollectionChosen(ProjectEvent, frozen=True, tag="current_collection_chosen.v1"):
    """The collection that a project's owner works on; a project has one at most."""

    project_id: UUID
    collection_id: UUID
    previous_collection_id: UUID | None


class CollectionEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "collection"


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


class PreviewCreated(CollectionEvent, frozen=True, tag="preview_created.v1"):
    """A collection's preview exists, disabled until its creator configures it."""

    collection_id: UUID
    enabled: bool
    max_generations: int
    is_remixable: bool


class CollectionPublished(CollectionEvent, frozen=True, tag="collection_published.v1"):
    """The collection is public; what was sold no longer changes."""

    collection_id: UUID
    project_id: UUID
    user_id: UUID
    publish_date: str
    """RFC 3339, UTC."""


class CollectionRetitled(CollectionEvent, frozen=True, tag="collection_retitled.v1"):
    collection_id: UUID
    title: str


class CollectionDescribed(CollectionEvent, frozen=True, tag="collection_described.v1"):
    collection_id: UUID
    description: str


class InstructionsRevised(CollectionEvent, frozen=True, tag="instructions_revised.v1"):
    """A draft's artwork is made another way from now on.

    Steps that were the collection's before keep their component ids, new ones have components of their own.
    """

    collection_id: UUID
    data: dict[str, Any]


class ChainChosen(CollectionEvent, frozen=True, tag="chain_chosen.v1"):
    collection_id: UUID
    blockchain: str | None


class EditionsSet(CollectionEvent, frozen=True, tag="editions_set.v1"):
    collection_id: UUID
    editions: int | None


class CollectionPriced(CollectionEvent, frozen=True, tag="collection_priced.v1"):
    collection_id: UUID
    price: str | None
    """An exact decimal in the chain's unit, written as a string."""


class BatchMintingConfigured(CollectionEvent, frozen=True, tag="batch_minting_configured.v1"):
    collection_id: UUID
    batch_mint_enabled: bool
    batch_max_tokens: int | None


class EncryptionChosen(CollectionEvent, frozen=True, tag="encryption_chosen.v1"):
    collection_id: UUID
    encryption_enabled: bool


class CoverImageChosen(CollectionEvent, frozen=True, tag="cover_image_chosen.v1"):
    collection_id: UUID
    cover_image_url: str | None


class ImagesArranged(CollectionEvent, frozen=True, tag="images_arranged.v1"):
    collection_id: UUID
    images: list[Any]


class CollectionArchived(CollectionEvent, frozen=True, tag="collection_archived.v1"):
    """The collection is put away: its owner alone still sees it, and nobody changes it until it is restored."""

    collection_id: UUID


class CollectionRestored(CollectionEvent, frozen=True, tag="collection_restored.v1"):
    collection_id: UUID


class SalesReceiver(msgspec.Struct, frozen=True):
    """Who gets which part of a sale. `value` is a percentage, an exact decimal written as a string."""

    address: str
    value: str
    type: str


class ReceiversSet(CollectionEvent, frozen=True, tag="receivers_set.v1"):
    """These and no others share the sales; their percentages sum to 100 at most."""

    collection_id: UUID
    receivers: list[SalesReceiver]


class PreviewConfigured(CollectionEvent, frozen=True, tag="preview_configured.v1"):
    """Whether others may try the collection out, how often each, and whether they may make their own of it."""

    collection_id: UUID
    enabled: bool
    max_generations: int
    is_remixable: bool


class PublicationScheduled(CollectionEvent, frozen=True, tag="publication_scheduled.v1"):
    collection_id: UUID
    publish_date: str
    """RFC 3339, UTC; in the future when this was recorded."""


class PublicationCalledOff(CollectionEvent, frozen=True, tag="publication_called_off.v1"):
    """A scheduled publication won't happen: its owner said so, or the collection was not fit for it when it was due."""

    collection_id: UUID
    reasons: list[str]


class CustodyTaken(CollectionEvent, frozen=True, tag="custody_taken.v1"):
    """The collection's user keeps it for somebody who is known by a social account only, so far."""

    collection_id: UUID
    social_org: str
    social_identifier: str


class CustodyTransferred(CollectionEvent, frozen=True, tag="custody_transferred.v1"):
    """The one whom a collection was kept for has it now, in a project of their own."""

    collection_id: UUID
    user_id: UUID
    project_id: UUID


class ComponentAssetEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "component_asset"


class ComponentAssetLinked(ComponentAssetEvent, frozen=True, tag="component_asset_linked.v1"):
    """A component has made a file. Its bytes and its address are the storage service's."""

    asset_id: int
    user_id: UUID
    collection_id: UUID
    component_id: int
    job_id: UUID | None
    gid: UUID | None
    name: str
    path: str
    mime_type: str
    sha256: str
    size: int | None = None
    cid: str | None = None
    """None for files of a time when storage did not compute it."""


class ComponentAssetDescribed(ComponentAssetEvent, frozen=True, tag="component_asset_described.v1"):
    """What a component's file was made from is known: a collection can be created from it."""

    asset_id: int
    gen_in_data: dict[str, Any]
    gen_out_data: dict[str, Any]


class SeriesEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "series"


class SeriesBegun(SeriesEvent, frozen=True, tag="series_begun.v1"):
    """A job will make artworks of a collection; `gids` in the order that their tokens will have.

    Those that fail get no token: `services.collections.token_list` reads which artwork has which number.
    """

    job_id: UUID
    collection_id: UUID
    user_id: UUID
    gids: list[UUID]


class SeriesFinished(SeriesEvent, frozen=True, tag="series_finished.v1"):
    """A job has made what it could: `artworks` of them, at least one. They number the collection's tokens."""

    job_id: UUID
    collection_id: UUID
    artworks: int


class ArtworkEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "artwork"


class ArtworkDrawn(ArtworkEvent, frozen=True, tag="artwork_drawn.v1"):
    """What one artwork will be like is known. `place` counts from 0 within its series."""

    gid: UUID
    job_id: UUID
    collection_id: UUID
    user_id: UUID
    place: int
    hash: str
    variables: dict[str, Any]
    """Every variable's value, as it was drawn from the hash or set by the request."""


class Trait(msgspec.Struct, frozen=True):
    """A variable's value under the name that it is shown by; numbers stay numbers."""

    name: str
    value: str | int | float


class ArtworkFile(msgspec.Struct, frozen=True):
    """A stored file of an artwork. `url` is where it was found when it was made."""

    asset_id: int
    url: str
    path: str
    mime_type: str
    sha256: str
    size: int


class ArtworkMade(ArtworkEvent, frozen=True, tag="artwork_made.v1"):
    """An artwork is complete. `files` in the order of the steps that made them: the last one is the artwork itself."""

    gid: UUID
    job_id: UUID
    collection_id: UUID
    traits: list[Trait]
    files: list[ArtworkFile]


class PackageEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "package"


class PackagedArtwork(msgspec.Struct, frozen=True):
    """A token's artwork: the file at `source` in storage, and where it lies in the package."""

    token: int
    gid: UUID
    hash: str
    path: str
    """In the package, such as `artworks/1.png`."""
    asset_id: int
    source: str
    mime_type: str
    size: int
    sha256: str
    cid: str


class PackagedDocument(msgspec.Struct, frozen=True):
    """A file of metadata: `text` is its content, canonical JSON (sorted keys, no spaces, UTF-8)."""

    path: str
    text: str


class PackagePartListed(PackageEvent, frozen=True, tag="package_part_listed.v1"):
    """Some of what a package is made of. Parts are numbered from 0 and recorded before the request that needs them."""

    package_id: UUID
    attempt: int
    number: int
    artworks: list[PackagedArtwork]
    documents: list[PackagedDocument]
    displays: list[PackagedArtwork] = msgspec.field(default_factory=list)
    """What shows those artworks that are no images themselves."""


class PackageRequested(PackageEvent, frozen=True, tag="package_requested.v1"):
    """A job's artworks and their metadata shall become one package: what all its `parts` list, in their order."""

    package_id: UUID
    collection_id: UUID
    job_id: UUID
    user_id: UUID
    title: str
    attempt: int
    parts: int
    digest: str
    """sha256 of what the parts list: the same request again changes nothing."""


class PackageDelivered(PackageEvent, frozen=True, tag="package_delivered.v1"):
    """The package lies in storage."""

    package_id: UUID
    attempt: int
    root: str
    asset_id: int
    size: int
    sha256: str
    provenance: str


class PackageGivenUp(PackageEvent, frozen=True, tag="package_given_up.v1"):
    """The package can't be made; `reason` is a sentence for its owner."""

    package_id: UUID
    attempt: int
    reason: str


PROJECT_EVENTS: tuple[type[ProjectEvent], ...] = (ProjectCreated, ProjectRenamed, CurrentCollectionChosen)

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
    CollectionPublished,
    CollectionArchived,
    CollectionRestored,
    ReceiversSet,
    PreviewConfigured,
    PublicationScheduled,
    PublicationCalledOff,
    CustodyTaken,
    CustodyTransferred,
)

COMPONENT_ASSET_EVENTS: tuple[type[ComponentAssetEvent], ...] = (ComponentAssetLinked, ComponentAssetDescribed)

SERIES_EVENTS: tuple[type[SeriesEvent], ...] = (SeriesBegun, SeriesFinished)

ARTWORK_EVENTS: tuple[type[ArtworkEvent], ...] = (ArtworkDrawn, ArtworkMade)

PACKAGE_EVENTS: tuple[type[PackageEvent], ...] = (PackagePartListed, PackageRequested, PackageDelivered, PackageGivenUp)

EVENTS: tuple[type[Event], ...] = (
    *PROJECT_EVENTS,
    *COLLECTION_EVENTS,
    *COMPONENT_ASSET_EVENTS,
    *SERIES_EVENTS,
    *ARTWORK_EVENTS,
    *PACKAGE_EVENTS,
)

UPCASTERS: dict[str, Upcaster] = {}
"""By the tag that it takes: what makes the next version out of a version that is no longer among EVENTS."""
