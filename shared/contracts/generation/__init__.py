"""Events of the generation service, a module for each aggregate.

Amounts are integers of 10^-6 credit. `gid` is a generation, `sid` one step of it.
"""

from shared.contracts.event import Event
from shared.contracts.generation.collection_source import CollectionAdopted, CollectionSourceEvent
from shared.contracts.generation.generation import (
    GenerationCompleted,
    GenerationEvent,
    GenerationFailed,
    GenerationStarted,
    Kind,
    Output,
    PlannedStep,
    StepCheckpointed,
    StepCompleted,
    StepError,
    StepFailed,
    StepOutputs,
    StepScheduled,
)
from shared.contracts.generation.job import (
    JobAuthorized,
    JobCompleted,
    JobDisowned,
    JobEvent,
    JobFailed,
    JobGenerationCompleted,
    JobGenerationFailed,
    JobGenerationsListed,
    JobPartiallyCompleted,
    JobRejected,
    JobRequested,
    RequestedGeneration,
    StepQuote,
    generation_id,
)
from shared.contracts.generation.model import ModelDescribed, ModelEvent
from shared.contracts.generation.workflow import WorkflowDeprecated, WorkflowEvent, WorkflowRegistered
from shared.contracts.language import Upcaster

EVENTS: tuple[type[Event], ...] = (
    WorkflowRegistered,
    WorkflowDeprecated,
    ModelDescribed,
    CollectionAdopted,
    JobDisowned,
    JobRequested,
    JobGenerationsListed,
    JobAuthorized,
    JobRejected,
    JobGenerationCompleted,
    JobGenerationFailed,
    JobCompleted,
    JobPartiallyCompleted,
    JobFailed,
    GenerationStarted,
    StepScheduled,
    StepCheckpointed,
    StepCompleted,
    StepFailed,
    GenerationCompleted,
    GenerationFailed,
)

UPCASTERS: dict[str, Upcaster] = {}
"""Upcasters to the next version, by the tag that they take: for versions that are no longer in EVENTS."""

__all__ = [
    "EVENTS",
    "UPCASTERS",
    "CollectionAdopted",
    "CollectionSourceEvent",
    "GenerationCompleted",
    "GenerationEvent",
    "GenerationFailed",
    "GenerationStarted",
    "JobAuthorized",
    "JobCompleted",
    "JobDisowned",
    "JobEvent",
    "JobFailed",
    "JobGenerationCompleted",
    "JobGenerationFailed",
    "JobGenerationsListed",
    "JobPartiallyCompleted",
    "JobRejected",
    "JobRequested",
    "Kind",
    "ModelDescribed",
    "ModelEvent",
    "Output",
    "PlannedStep",
    "RequestedGeneration",
    "StepCheckpointed",
    "StepCompleted",
    "StepError",
    "StepFailed",
    "StepOutputs",
    "StepQuote",
    "StepScheduled",
    "WorkflowDeprecated",
    "WorkflowEvent",
    "WorkflowRegistered",
    "generation_id",
]
