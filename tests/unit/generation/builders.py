"""Small inputs that specifications of generation are written with."""

import json
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path
from uuid import UUID

from services.generation.cost_function import cost_functions
from services.generation.domain.workflow import read_definition
from shared.contracts.generation import Output, PlannedStep, StepScheduled

JOB, GID, USER, COLLECTION, PROJECT = (UUID(int=n) for n in (1, 2, 3, 4, 5))
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
WORKFLOWS = Path(__file__).parents[3] / "services/generation/workflows"


def folder(name):
    return {path.stem: json.loads(path.read_text()) for path in (WORKFLOWS / name).glob("*.json")}


DEFINITIONS = {name: read_definition(name, 1, folder(name), cost_functions) for name in ("sketch", "frame", "caption")}


def pick(name, *values, weights=None, **more):
    value = {"values": list(values), "display_names": [str(value).title() for value in values]}
    if weights is not None:
        value["weights"] = list(weights)
    return {"name": name, "type": "pick", "value_type": "strings", "value": value, **more}


def step(step_id, workflow="sketch", **payload):
    return {"id": step_id, "nodeName": workflow, "nodePayload": payload}


def data(*steps, variables=(), **generations):
    return {"version": "v2", "steps": list(steps), "variables": list(variables), "generations": generations}


def planned(component_id, *needs, max_attempts=3, **payload):
    payload.update({f"in{need}": {"$ref": need} for need in needs})
    return PlannedStep(
        sid=UUID(int=1000 + component_id),
        component_id=component_id,
        workflow="sketch",
        workflow_version=1,
        workflow_type="direct_job",
        service_required="sketch",
        payload=payload,
        needs=list(needs),
        max_attempts=max_attempts,
    )


def text(value):
    return Output(kind="text", text=value)


def asset(component_id, filename="a.png", **more):
    sid = UUID(int=1000 + component_id)
    path = f"generations/{USER}/{JOB}/{GID}/{sid}/{filename}"
    return Output(
        kind="asset", asset_id=component_id, url=f"http://cdn/{path}", path=path, mime_type="image/png", **more
    )


def after(evolve, initial, events):
    return reduce(evolve, events, initial)


def scheduled_step() -> StepScheduled:
    """The first attempt at a step that may run."""
    return StepScheduled(
        gid=GID,
        job_id=JOB,
        user_id=USER,
        collection_id=COLLECTION,
        sid=UUID(int=12),
        component_id=1,
        attempt=1,
        workflow="sketch",
        workflow_type="direct_job",
        service_required="sketch",
        payload={},
        priority=50,
    )
