"""`workflow_registered` of a fetch_api workflow → `emprops up` is asked to start the http worker."""

from shared.contracts.generation import WorkflowRegistered

NAME = "want-http-worker-v1"


def calls_an_api(event: WorkflowRegistered) -> bool:
    """Whether steps of the workflow are done by the http worker."""
    return "api" in event.definition
