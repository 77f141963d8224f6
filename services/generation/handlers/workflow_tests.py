"""Testing a workflow: a job of one step with its test values, marked as a test and not charged."""

from typing import Any
from uuid import UUID

import msgspec

from services.generation.deciders import WORKFLOW
from services.generation.domain.job import Job, RequestJob
from services.generation.domain.job.request import TEST_JOB_TYPE
from services.generation.domain.planning.job_plan import JobRequest, plan_job
from services.generation.domain.workflow import workflow_id, workflow_not_found
from services.generation.domain.workflow.trial import values_to_try
from services.generation.handlers.commands import CommandHandlers
from services.generation.handlers.job_requests import JobRequests, default_hashes, job_id_of
from shared.contracts.generation_input import read
from shared.contracts.problem import Detail, Problem
from shared.eventstore import Context

STEP = 1
_PAYLOAD = "/data/steps/0/nodePayload"


class WorkflowTests:
    def __init__(self, handlers: CommandHandlers, job_requests: JobRequests) -> None:
        self._handlers, self._job_requests = handlers, job_requests

    async def request(self, name: str, values: dict[str, Any], user_id: UUID, context: Context) -> tuple[UUID, Job]:
        """Requests the test of a workflow's newest version: the job's id and its state.

        `values`: by field, instead of the test values. Raises WORKFLOW_NOT_FOUND, and VALIDATION_FAILED with pointers
        into `/values`.
        """
        definition = await self._handlers.workflow_definitions.newest(name)
        if definition is None:
            raise workflow_not_found(name)
        state = (await self._handlers.store.load(WORKFLOW, workflow_id(name))).state
        payload = {**values_to_try(definition, state.definition), **values}
        step = {"id": STEP, "nodeName": name, "nodePayload": payload}
        data = {"version": "v2", "steps": [step], "variables": [], "generations": {"generations": 1}}
        job_id = job_id_of(context)
        hashes = default_hashes(context.command_id, 1)
        try:
            plan = plan_job(read(data), {name: definition}, JobRequest(), job_id, hashes)
        except Problem as problem:
            raise Problem(problem.code, problem.detail, *(_in_values(detail) for detail in problem.details)) from None
        command = RequestJob(
            job_id=job_id,
            user_id=user_id,
            collection_id=workflow_id(name),
            project_id=workflow_id(name),
            title=name,
            data=data,
            workflow_versions={name: definition.version},
            variables={},
            generations=[msgspec.structs.replace(plan.generations[0], cost=0)],
            quoted=0,
            encryption_enabled=False,
            job_type=TEST_JOB_TYPE,
        )
        return job_id, await self._job_requests.request_test(command, context)


def _in_values(detail: Detail) -> Detail:
    """With its pointer into the request's body."""
    if detail.pointer.startswith(_PAYLOAD):
        return Detail(f"/values{detail.pointer.removeprefix(_PAYLOAD)}", detail.message)
    return detail
