"""A package for ever links to PUBLIC_URL: one that links to a loopback address must be wanted as such."""

from pathlib import Path
from uuid import uuid4

from tests.integration.packages.test_asking import a_finished_job
from tests.support.apps.collections import Api, collections_service
from tests.support.patience import eventually
from tests.support.publishing import Publisher


async def test_a_package_that_links_to_this_machine_is_refused_unless_it_is_allowed(
    database: str, nats_url: str, tmp_path: Path, generating: Publisher, storing: Publisher
):
    async with collections_service(database, nats_url, tmp_path, public_url="http://127.0.0.1:8080") as api:
        collection, job = await a_finished_job(api, generating, storing)
        path, body = f"/collections/{collection['id']}/packages", {"job_id": str(job)}

        async def is_known() -> bool:
            return (await api.post(path, body)).status not in {404, 409, 503}

        await eventually(is_known, "the job's end to be known")
        head = await api.store.head()
        refused = await api.post(path, body)
        assert refused.refusal == (400, "VALIDATION_FAILED", ["/allow_local"])
        assert "http://127.0.0.1:8080" in refused.body["detail"]
        assert (await api.post(path, body | {"allow_local": False})).pointers == ["/allow_local"]
        assert await api.store.head() == head
        await accepted(api, path, body | {"allow_local": True})
        assert (await api.post(path, {"job_id": str(uuid4())})).code == (404, "NOT_FOUND")


async def accepted(api: Api, path: str, body: dict[str, object]) -> None:
    """Once storage's events of the job's files have arrived."""

    async def look() -> bool:
        answer = await api.post(path, body)
        assert answer.status in {202, 409, 503}, answer.body
        return answer.status == 202

    await eventually(look, "the package to be accepted")
