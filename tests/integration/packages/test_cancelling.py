"""The owner sees how far a package is, and cancels it; a package may not be larger than the operator's bound."""

from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from services.collections.routes import package_examples
from shared.contracts.collections import PackageCancelRequested
from shared.contracts.storage import PackageFailed, PackageProgressed, PackageStopped
from tests.integration.packages.test_asking import a_finished_job, asked, delivered, listed, until
from tests.support.apps.client import BOB
from tests.support.apps.collections import Api, collections_service
from tests.support.patience import eventually
from tests.support.publishing import Publisher


async def shows(api: Api, path: str, progress: dict[str, Any]) -> bool:
    """Whether the package's progress is this."""
    return bool((await api.get(path)).data["progress"] == progress)


async def test_progress_is_shown_while_a_package_is_built(collections: Api, generating: Publisher, storing: Publisher):
    collection, job = await a_finished_job(collections, generating, storing)
    package = (await asked(collections, collection, job)).data
    assert package["progress"] is None
    package_id, attempts = UUID(package["id"]), uuid4()
    path = f"/collections/{collection['id']}/packages/{package['id']}"
    for phase, files in (("checking", 1), ("writing", 3)):
        await storing.publish(attempts, PackageProgressed(package_id, 1, phase, files, 9, 500 * files, 5000))
        progress = {"phase": phase, "files": files, "of": 9, "bytes": 500 * files, "size": 5000}
        await eventually(partial(shows, collections, path, progress), f"{progress} to be shown")
    assert set(package_examples.CANCELLING["progress"]) == {"phase", "files", "of", "bytes", "size"}
    await storing.publish(attempts, PackageFailed(package_id, 1, "It is too large", "PACKAGE_TOO_LARGE"))
    failed = await until(collections, path, "failed")
    assert (failed["code"], failed["progress"]) == ("PACKAGE_TOO_LARGE", None)
    again = (await asked(collections, collection, job)).data
    assert (again["attempt"], again["code"], again["progress"]) == (2, None, None), "not that of the first attempt"


async def test_a_package_is_cancelled_and_requested_again(collections: Api, generating: Publisher, storing: Publisher):
    collection, job = await a_finished_job(collections, generating, storing)
    package = (await asked(collections, collection, job)).data
    path = f"/collections/{collection['id']}/packages/{package['id']}"
    assert (await collections.post(f"{path}/cancel", user=BOB)).code == (404, "NOT_FOUND")
    elsewhere = f"/collections/{collection['id']}/packages/{uuid4()}/cancel"
    assert (await collections.post(elsewhere)).code == (404, "NOT_FOUND")
    for _ in range(2):
        cancelling = await collections.post(f"{path}/cancel")
        assert (cancelling.status, cancelling.data["status"]) == (202, "cancelling")
    events = [recorded.event for recorded in await collections.store.read_stream(UUID(package["id"]))]
    assert [event for event in events if isinstance(event, PackageCancelRequested)] == [events[-1]]
    await storing.publish(uuid4(), PackageStopped(UUID(package["id"]), 1))
    await until(collections, path, "cancelled")
    cancelled = await collections.post(f"{path}/cancel")
    assert (cancelled.status, cancelled.data["status"]) == (200, "cancelled")
    again = (await asked(collections, collection, job)).data
    assert (again["id"], again["status"], again["attempt"]) == (package["id"], "requested", 2)
    await storing.publish(uuid4(), delivered(*await listed(collections, package["id"])))
    await until(collections, path, "stored")
    refused = await collections.post(f"{path}/cancel")
    assert (refused.code, "is stored" in refused.body["detail"]) == ((409, "CONFLICT"), True)


async def test_a_package_that_is_too_large_is_refused_when_it_is_requested(
    database: str, nats_url: str, tmp_path: Path, generating: Publisher, storing: Publisher
):
    settings = {"public_url": "https://edge.test", "package_max_bytes": 1000}
    async with collections_service(database, nats_url, tmp_path, **settings) as api:
        collection, job = await a_finished_job(api, generating, storing)
        path, body = f"/collections/{collection['id']}/packages", {"job_id": str(job)}

        async def is_known() -> bool:
            answer = await api.post(path, body)
            assert answer.status in {404, 409, 503}, answer
            return bool(answer.body["code"] == "PACKAGE_TOO_LARGE")

        await eventually(is_known, "the package to be refused for its size")
        head = await api.store.head()
        refused = await api.post(path, body)
        assert "a package may have 1000" in refused.body["detail"]
        assert await api.store.head() == head, "nothing is recorded"
