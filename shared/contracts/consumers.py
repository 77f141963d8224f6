"""Which events of which other services each service handles, and the names of its consumers: declared here only.

Services give each its handler (`shared.messaging.Consumer.of`), `emprops asyncapi` describes them, and the permissions
of the NATS users name them. A name is permanent, since the consumer's checkpoint is stored under it; it ends in a
version, which is raised to begin again from the first event, or when `events` grows.
"""

import msgspec

from shared.contracts.collections import (
    COLLECTION_EVENTS,
    EVENTS_OF_CREATION,
    CollectionArchived,
    CollectionPublished,
    CollectionRestored,
    PackageCancelRequested,
    PackagePartListed,
    PackageRequested,
)
from shared.contracts.credits import HoldDeclined, HoldPlaced, HoldQuestioned
from shared.contracts.event import Event
from shared.contracts.generation import (
    GenerationCancelled,
    GenerationCompleted,
    GenerationFailed,
    GenerationStarted,
    JobCancelled,
    JobCompleted,
    JobDisowned,
    JobExpired,
    JobFailed,
    JobHoldConfirmed,
    JobPartiallyCompleted,
    JobRejected,
    JobRequested,
    JobResumed,
    JobResumeRejected,
    WorkflowRegistered,
)
from shared.contracts.storage import (
    AssetDescribed,
    AssetStored,
    ImageScaled,
    PackageFailed,
    PackageProgressed,
    PackageStopped,
    PackageStored,
)

ORDERED_SUFFIX = "-ordered"
"""Ends a consumer's name on the broker. Without it, it would be that of the durable consumer which releases before 0.2
have left in the stream, and which can't be changed into an ordered one."""


class ConsumerDeclaration(msgspec.Struct, frozen=True):
    """The events of the service `owner` that one consumer handles, in their newest versions."""

    name: str
    owner: str
    events: tuple[type[Event], ...]


COLLECTIONS_ASSETS = ConsumerDeclaration("collections-assets-v1", "storage", (AssetStored, AssetDescribed))
"""One consumer for both events, so that a file is linked before it is described."""
COLLECTIONS_ARTWORKS = ConsumerDeclaration(
    "collections-artworks-v2",
    "generation",
    (
        JobRequested,
        JobResumed,
        JobCompleted,
        JobPartiallyCompleted,
        JobFailed,
        JobCancelled,
        JobExpired,
        JobRejected,
        JobResumeRejected,
        GenerationStarted,
        GenerationCompleted,
    ),
)
COLLECTIONS_WORKFLOWS = ConsumerDeclaration("collections-workflows-v1", "generation", (WorkflowRegistered,))
COLLECTIONS_PACKAGES = ConsumerDeclaration(
    "collections-packages-v2", "storage", (PackageProgressed, PackageStored, PackageFailed, PackageStopped)
)
COLLECTIONS_IMAGES = ConsumerDeclaration("collections-images-v1", "storage", (ImageScaled,))

CREDITS_JOBS = ConsumerDeclaration(
    "credits-jobs-v2",
    "generation",
    (
        JobRequested,
        JobResumed,
        JobCompleted,
        JobPartiallyCompleted,
        JobFailed,
        JobCancelled,
        JobExpired,
        JobRejected,
        JobResumeRejected,
        JobDisowned,
    ),
)
"""One consumer for all events of jobs, so that they are handled in order."""

CREDITS_CONFIRMED_HOLDS = ConsumerDeclaration("credits-confirmed-holds-v1", "generation", (JobHoldConfirmed,))
"""Not CREDITS_JOBS, which would begin again. The order does not matter: a hold that is resolved is not extended."""

GENERATION_COLLECTIONS = ConsumerDeclaration(
    "generation-collections-v4",
    "collections",
    tuple(event for event in COLLECTION_EVENTS if event not in EVENTS_OF_CREATION[1:]),
)
"""All events of collections, also those that change nothing that generation needs: it must know each one's version.

Not those that are recorded with the creation, whose version is known with it.
"""
GENERATION_HOLDS = ConsumerDeclaration("generation-holds-v1", "credits", (HoldPlaced, HoldDeclined))
GENERATION_OVERDUE_HOLDS = ConsumerDeclaration("generation-overdue-holds-v1", "credits", (HoldQuestioned,))
GENERATION_FILES = ConsumerDeclaration("generation-files-v1", "storage", (AssetStored,))

STORAGE_GENERATIONS = ConsumerDeclaration(
    "storage-generations-v2", "generation", (GenerationCompleted, GenerationFailed, GenerationCancelled)
)
STORAGE_PACKAGES = ConsumerDeclaration(
    "storage-packages-v2", "collections", (PackagePartListed, PackageRequested, PackageCancelRequested)
)
STORAGE_COLLECTIONS = ConsumerDeclaration(
    "storage-collections-v1", "collections", (CollectionPublished, CollectionArchived, CollectionRestored)
)

CONSUMERS: dict[str, tuple[ConsumerDeclaration, ...]] = {
    "collections": (
        COLLECTIONS_ASSETS,
        COLLECTIONS_ARTWORKS,
        COLLECTIONS_WORKFLOWS,
        COLLECTIONS_PACKAGES,
        COLLECTIONS_IMAGES,
    ),
    "credits": (CREDITS_JOBS, CREDITS_CONFIRMED_HOLDS),
    "generation": (GENERATION_COLLECTIONS, GENERATION_HOLDS, GENERATION_OVERDUE_HOLDS, GENERATION_FILES),
    "storage": (STORAGE_GENERATIONS, STORAGE_PACKAGES, STORAGE_COLLECTIONS),
}
"""By service. A service that is missing here handles no events of others."""
