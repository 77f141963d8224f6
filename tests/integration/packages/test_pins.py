"""What a pinning service has made of a published package is recorded, and public."""

from typing import Any
from uuid import UUID, uuid4

from services.collections.routes.package_examples import PIN, PIN_REPORT
from tests.integration.packages.test_asking import a_finished_job, asked, delivered, listed, until
from tests.support.apps.client import BOB
from tests.support.apps.collections import Api
from tests.support.publishing import Publisher


async def a_published_root(api: Api, generating: Publisher, storing: Publisher) -> tuple[str, str]:
    """A published collection's path, and the root of its package."""
    collection, job = await a_finished_job(api, generating, storing)
    path = f"/collections/{collection['id']}"
    refused = await api.post(f"{path}/pins", PIN_REPORT)
    assert refused.code == (409, "CONFLICT"), "it is a draft"
    fields = {"blockchain": "BASE", "editions": 2, "price": "0"}
    await api.put(f"/projects/{collection['project_id']}{path}", fields)
    await asked(api, collection, job)
    assert (await api.post(f"{path}/publish", {"job_id": str(job)})).status == 200
    package_id = (await asked(api, collection, job)).data["id"]
    stored = delivered(*await listed(api, package_id))
    await storing.publish(uuid4(), stored)
    await until(api, f"{path}/packages/{package_id}", "stored")
    return path, stored.root


async def public(api: Api, path: str) -> tuple[Any, str]:
    answer = await api.get(f"{path}/public", None)
    return answer.data["packages"][0]["pins"], answer.headers["etag"]


async def test_the_last_report_of_each_service_is_public(collections: Api, generating: Publisher, storing: Publisher):
    path, root = await a_published_root(collections, generating, storing)
    none, first_tag = await public(collections, path)
    assert none == []
    report = PIN_REPORT | {"cid": root, "status": "failed", "reason": "nobody has the data"}
    answer = await collections.post(f"{path}/pins", report)
    assert (answer.status, set(answer.data)) == (200, set(PIN))
    head = await collections.store.head()
    assert (await collections.post(f"{path}/pins", report)).data == answer.data
    assert await collections.store.head() == head, "repeated, it is recorded once"
    pins, second_tag = await public(collections, path)
    assert [(pin["service"], pin["status"]) for pin in pins] == [(PIN_REPORT["service"], "failed")]
    await collections.post(f"{path}/pins", PIN_REPORT | {"cid": root})
    await collections.post(f"{path}/pins", PIN_REPORT | {"cid": root, "service": "https://other.example"})
    pins, third_tag = await public(collections, path)
    assert [(pin["service"], pin["status"]) for pin in pins] == [
        (PIN_REPORT["service"], "pinned"),
        ("https://other.example", "pinned"),
    ]
    assert len({first_tag, second_tag, third_tag}) == 3


async def test_wrong_reports_are_refused(collections: Api, generating: Publisher, storing: Publisher):
    path, root = await a_published_root(collections, generating, storing)
    right = PIN_REPORT | {"cid": root}
    for changes, pointer in (
        ({"cid": "bafyother"}, "/cid"),
        ({"service": "https://me:secret@pins.example"}, "/service"),
        ({"service": "https://pins.example?token=secret"}, "/service"),
        ({"service": "ftp://pins.example"}, "/service"),
        ({"status": "queued"}, "/status"),
        ({"request_id": ""}, "/request_id"),
        ({"reason": "x" * 501}, "/reason"),
        ({"more": 1}, "/more"),
    ):
        refused = await collections.post(f"{path}/pins", right | changes)
        assert refused.refusal == (400, "VALIDATION_FAILED", [pointer]), changes
    assert (await collections.post(f"{path}/pins", right, BOB)).code == (404, "NOT_FOUND")
    assert (await collections.post(f"/collections/{UUID(int=7)}/pins", right)).code == (404, "NOT_FOUND")
    for number in range(20):
        assert (await collections.post(f"{path}/pins", right | {"service": f"https://{number}.example"})).status == 200
    assert (await collections.post(f"{path}/pins", right | {"service": "https://20.example"})).code[0] == 409
