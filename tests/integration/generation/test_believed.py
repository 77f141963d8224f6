"""Files are described by storage's events only, whatever a worker's result states."""

import msgspec
import pytest

from services.generation.engine.intake import results_intake
from shared.contracts.generation import Output
from shared.contracts.work import RESULTS_CONSUMER, WorkMessage, WorkResult
from tests.integration.generation.working import Worker, file_of, finished, stored
from tests.support.apps.generation import FOXES, Api, created
from tests.support.patience import eventually

LIES = {"asset_id": 1, "url": "javascript:alert(1)", "mime_type": "text/html", "size": -1}


def lying(work: WorkMessage) -> WorkResult:
    """A result that describes its file otherwise than storage does."""
    return msgspec.structs.replace(finished(work), outputs=[msgspec.structs.replace(file_of(work), **LIES)])


def path_alone(output: Output) -> Output:
    return Output(kind="asset", path=output.path)


async def test_what_storage_recorded_replaces_what_the_worker_says(api: Api, collections, credits_, worker_: Worker):
    """Its id, its address and its type: nothing that a worker made up reaches what is shown or published."""
    worker_.behave = lying
    worker_.told = lambda result, output: msgspec.structs.replace(
        stored(result, path_alone(output)), asset_id=7, url="https://cdn.test/7"
    )
    job_id = (await api.generate(await created(collections, FOXES), generations=1)).data["job_id"]
    job = await api.ended(job_id)
    outputs = job["generations"][0]["outputs"]
    assert [(output["asset_id"], output["url"], output["mime_type"]) for output in outputs] == [
        (7, "https://cdn.test/7", "image/png")
    ] * 2


async def test_another_content_than_the_worker_says_fails_for_good(api: Api, collections, credits_, worker_: Worker):
    """Trying again would not make it true."""
    worker_.behave = lambda work: msgspec.structs.replace(
        finished(work), outputs=[msgspec.structs.replace(file_of(work), sha256="00" * 32)]
    )
    worker_.told = lambda result, output: stored(result, path_alone(output))
    job_id = (await api.generate(await created(collections, FOXES), generations=1)).data["job_id"]
    job = await api.ended(job_id, "failed")
    assert job["error"].startswith("INVALID_RESULT: The worker states another sha256 of the file ")
    assert len(worker_.worked) == 1


async def test_a_file_that_storage_never_tells_of_fails_the_attempt(
    api: Api, collections, credits_, worker_: Worker, monkeypatch: pytest.MonkeyPatch
):
    """After all of storage's events were consumed, and as many retries as for other transient faults."""
    monkeypatch.setattr(results_intake, "MAX_FILE_DELIVERIES", 1)
    worker_.told = lambda _result, _output: None
    job_id = (await api.generate(await created(collections, FOXES), generations=1)).data["job_id"]
    job = await api.ended(job_id, "failed")
    assert job["error"].startswith("UNKNOWN_FILE: ")
    assert job["credits"]["captured"] == 0


async def test_a_result_waits_for_storage_to_tell(api: Api, collections, credits_, worker_: Worker):
    """It is not lost, and not failed, when it is quicker than storage's event."""
    early: list[WorkResult] = []

    def remember(result: WorkResult, _output: Output) -> None:
        early.append(result)

    worker_.told = remember
    job_id = (await api.generate(await created(collections, FOXES), generations=1)).data["job_id"]
    await eventually(lambda: _came_again(worker_), "the result to come again")
    worker_.told = stored
    await worker_.store_files(early[0])
    assert (await api.ended(job_id))["status"] == "completed"


async def _came_again(worker_: Worker) -> bool:
    """Whether the broker has delivered a result again: its first taker gave it back."""
    return (await worker_.js.consumer_info("RESULTS", RESULTS_CONSUMER)).num_redelivered > 0
