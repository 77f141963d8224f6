"""direct_job: `job.json` and `inputs.json`, work for external workers that offer `service_required`."""

from collections.abc import Mapping
from typing import Any

from services.generation.domain.workflow.template import Placement, Produces, Template
from services.generation.domain.workflow.types.inputs import read_paths
from services.generation.domain.workflow.types.services import service_faults
from shared.contracts.problem import Detail, invalid

PRODUCES: frozenset[Produces] = frozenset({"image", "video", "audio", "text", "json"})


def read(definition: Mapping[str, Any], fields: frozenset[str]) -> Template:
    """Raises VALIDATION_FAILED. Paths are relative to the whole of `job.json`.

    A path whose first key `job.json` does not have belongs into its `payload`.
    """
    job = definition["job"]
    if not isinstance(job, Mapping):
        raise invalid("The workflow can't be read", Detail("/job", "must be an object"))
    inputs = read_paths(definition.get("inputs"), fields)
    faults = [*inputs.faults, *service_faults(job.get("service_required"), "/job/service_required")]
    priority = job.get("priority", 50)
    if not isinstance(priority, int) or isinstance(priority, bool) or not 0 <= priority <= 100:
        faults.append(Detail("/job/priority", "must be a whole number from 0 to 100"))
    if faults:
        raise invalid("The workflow can't be read", *faults)
    document = {**job, "payload": job.get("payload", {})}
    return Template(
        document=document,
        placements=[_within(placement, job) for placement in inputs.placements],
        service=job["service_required"],
        produces=next((kind for kind in PRODUCES if kind == job.get("response_type")), "any"),
        notes=inputs.notes,
    )


def _within(placement: Placement, job: Mapping[str, Any]) -> Placement:
    first = placement.path[0]
    if first in job or first in {"payload", "service_required"}:
        return placement
    return Placement(placement.source, ("payload", *placement.path), placement.is_required, placement.default)


def priority_of(definition: Mapping[str, Any]) -> int:
    """0 to 100, 50 by default; only direct jobs have one."""
    job = definition.get("job")
    priority = job.get("priority", 50) if isinstance(job, Mapping) else 50
    return priority if isinstance(priority, int) else 50
