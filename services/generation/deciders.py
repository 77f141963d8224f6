"""The service's aggregates, as the event store folds them."""

from typing import Any

from services.generation.domain import collection_source, generation, job, model, preview_allowance, secret, workflow
from services.generation.domain.collection_source import CollectionSource
from services.generation.domain.generation import Generation
from services.generation.domain.generation.state import ENDED
from services.generation.domain.job import Job
from services.generation.domain.model import ModelFile
from services.generation.domain.preview_allowance import PreviewAllowance
from services.generation.domain.secret import Secret
from services.generation.domain.workflow import Workflow
from shared.eventstore import Decider

WORKFLOW: Decider[Workflow] = Decider(name="workflow", initial=Workflow(), evolve=workflow.evolve, state_type=Workflow)
SOURCE: Decider[CollectionSource] = Decider(
    name="collection_source",
    initial=CollectionSource(),
    evolve=collection_source.evolve,
    state_type=CollectionSource,
    state_version=2,
)
JOB: Decider[Job] = Decider(
    name="job", initial=Job(), evolve=job.evolve, state_type=Job, state_version=6, snapshot_every=500
)
GENERATION: Decider[Generation] = Decider(
    name="generation",
    initial=Generation(),
    evolve=generation.evolve,
    state_type=Generation,
    is_cached=lambda state: state.status not in ENDED,  # else a large job would fill the cache with what is done
)
MODEL: Decider[ModelFile] = Decider(name="model", initial=ModelFile(), evolve=model.evolve, state_type=ModelFile)
SECRET: Decider[Secret] = Decider(name="secret", initial=Secret(), evolve=secret.evolve, state_type=Secret)
ALLOWANCE: Decider[PreviewAllowance] = Decider(
    name="preview_allowance",
    initial=PreviewAllowance(),
    evolve=preview_allowance.evolve,
    state_type=PreviewAllowance,
    snapshot_every=500,
)
DECIDERS: tuple[Decider[Any], ...] = (WORKFLOW, MODEL, SOURCE, JOB, ALLOWANCE, GENERATION, SECRET)
