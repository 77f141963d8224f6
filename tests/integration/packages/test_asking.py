"""The collections service requests packages and records their outcomes. Tests act as generation and storage."""

import hashlib
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import msgspec

from services.collections.routes import package_examples
from shared.content.package import PROVENANCE, Contents, canonical, plan
from shared.contracts.collections import PackagePartListed, PackageRequested
from shared.contracts.generation import (
    GenerationCompleted,
    GenerationStarted,
    JobAuthorized,
    JobCompleted,
    JobRequested,
    Output,
    RequestedGeneration,
    StepOutputs,
)
from shared.contracts.storage import AssetStored, ImageScaled, PackageFailed, PackageStored
from tests.support.apps.client import ALICE, BOB
from tests.support.apps.collections import Api, two_steps
from tests.support.patience import eventually
from tests.support.publishing import Publisher
from tests.unit.content.package_file import packaged

CONTENT = {101: b"first", 102: b"second"}


async def a_finished_job(
    api: Api,
    generating: Publisher,
    storing: Publisher,
    scaled: Callable[[int], ImageScaled | None] = ImageScaled,
) -> tuple[dict[str, Any], UUID]:
    """A collection, and a job of it with two artworks, of which the second was completed first."""
    collection = await api.create({"title": "Tides", "data": two_steps()})
    job, gids = uuid4(), [uuid4(), uuid4()]
    data, collection_id = collection["data"], UUID(collection["id"])
    requested = JobRequested(
        job_id=job,
        name="Tides",
        job_type="collection_generation",
        user_id=ALICE,
        collection_id=collection_id,
        project_id=UUID(collection["project_id"]),
        data=data,
        workflow_versions={},
        variables={},
        generations=[RequestedGeneration(gid, f"{number:064x}", 1) for number, gid in enumerate(gids)],
        quoted=2,
    )
    await generating.publish(job, requested, JobAuthorized(job, 2))
    for asset_id, gid, style in ((102, gids[1], "noir"), (101, gids[0], "noir")):
        content = CONTENT[asset_id]
        path = f"generations/{ALICE}/{job}/{gid}/x/{asset_id}.png"
        like = packaged(asset_id, content)
        stored = AssetStored(
            asset_id=asset_id,
            user_id=ALICE,
            name=f"{asset_id}.png",
            path=path,
            mime_type="image/png",
            size=len(content),
            sha256=like.sha256,
            job_id=job,
            gid=gid,
            collection_id=collection_id,
            component_id=data["steps"][1]["id"],
            cid=like.cid,
        )
        await storing.publish(uuid4(), *filter(None, [stored, scaled(asset_id)]))
        output = Output("asset", asset_id, "https://edge.test/x", path, "image/png", like.sha256, len(content))
        started = GenerationStarted(gid, job, ALICE, collection_id, "ab" * 32, {"style": style}, [], 1)
        outputs = [StepOutputs(data["steps"][1]["id"], [output])]
        await generating.publish(gid, started, GenerationCompleted(gid, job, ALICE, 1, outputs, data))
    await generating.publish(job, JobCompleted(job, ALICE, 2))
    return collection, job


async def asked(api: Api, collection: dict[str, Any], job: UUID) -> Any:
    """The answer to the request, once all events of the job have been handled."""

    async def accepted() -> Any:
        answer = await api.post(f"/collections/{collection['id']}/packages", {"job_id": str(job)})
        assert answer.status in {202, 404, 409, 503}, answer
        return answer if answer.status == 202 else None

    return await eventually(accepted, "the package to be accepted")


async def until(api: Api, path: str, status: str) -> Any:
    async def look() -> Any:
        package = (await api.get(path)).data
        return package if package["status"] == status else None

    return await eventually(look, f"{path} to be {status}")


async def listed(api: Api, package_id: str) -> tuple[list[PackagePartListed], PackageRequested]:
    """The events of the last attempt."""
    events = [recorded.event for recorded in await api.store.read_stream(UUID(package_id))]
    request = [event for event in events if isinstance(event, PackageRequested)][-1]
    parts = [event for event in events if isinstance(event, PackagePartListed) and event.attempt == request.attempt]
    return parts, request


def delivered(parts: list[PackagePartListed], request: PackageRequested) -> PackageStored:
    """Storage's event on the attempt."""
    artworks = [artwork for part in parts for artwork in part.artworks]
    documents = [document for part in parts for document in part.documents]
    planned = plan(Contents(request.collection_id, request.job_id, request.title, artworks, [], documents))
    return PackageStored(
        request.package_id, request.attempt, str(planned.root.cid), 900, 5000, "f" * 64, planned.provenance
    )


async def test_a_package_is_made_of_the_jobs_tokens_in_their_order(
    collections: Api, generating: Publisher, storing: Publisher
):
    """And the metadata of the collection and its tokens on each chain, as canonical JSON."""
    collection, job = await a_finished_job(collections, generating, storing)
    answer = await asked(collections, collection, job)
    assert answer.headers["location"] == f"/collections/{collection['id']}/packages/{answer.data['id']}"
    assert (answer.data["status"], answer.data["url"], answer.data["manifest"]) == ("requested", None, None)
    (part,), request = await listed(collections, answer.data["id"])
    assert (request.user_id, request.job_id, request.parts) == (ALICE, job, 1)
    assert [(artwork.token, artwork.path, artwork.asset_id) for artwork in part.artworks] == [
        (1, "artworks/1.png", 101),
        (2, "artworks/2.png", 102),
    ]
    texts = {document.path: document.text for document in part.documents}
    assert sorted(texts) == [
        f"metadata/{chain}/{name}.json" for chain in ("base", "ethereum", "tezos") for name in ("1", "2", "collection")
    ]
    for text in texts.values():
        assert canonical(msgspec.json.decode(text)).decode() == text
    second = part.artworks[1]
    assert msgspec.json.decode(texts["metadata/base/2.json"])["image"] == f"ipfs://{second.cid}"
    assert msgspec.json.decode(texts["metadata/tezos/2.json"])["artifactUri"] == f"ipfs://{second.cid}"


async def test_a_package_has_the_tokens_of_the_series(collections: Api, generating: Publisher, storing: Publisher):
    """As the list of tokens, chosen and then published; no other job has a package then."""
    collection, job = await a_finished_job(collections, generating, storing)
    await asked(collections, collection, job)
    path = f"/collections/{collection['id']}"
    gids = [token["gid"] for token in (await collections.get(f"{path}/tokens")).data]
    await collections.put(f"{path}/series", {"job_id": str(job), "generations": gids[::-1]})
    fields = {"blockchain": "BASE", "editions": 2, "price": "0"}
    await collections.put(f"/projects/{collection['project_id']}{path}", fields)
    other, _ = await collections.make_artworks(collection)
    published = await collections.post(f"{path}/publish")
    assert [picture["gid"] for picture in published.data["series"]["pictures"]] == gids[::-1]
    answer = await asked(collections, collection, job)
    assert answer.data["revision"] == 1
    (part,), _ = await listed(collections, answer.data["id"])
    assert [(artwork.token, str(artwork.gid)) for artwork in part.artworks] == [(1, gids[1]), (2, gids[0])]
    tokens = (await collections.get(f"{path}/tokens", None)).data
    assert [token["gid"] for token in tokens] == gids[::-1]
    refused = await collections.post(f"{path}/packages", {"job_id": str(other)})
    assert refused.refusal == (409, "CONFLICT", ["/job_id"])


async def test_a_package_is_for_the_collections_chain_or_those_that_are_named(
    collections: Api, generating: Publisher, storing: Publisher
):
    collection, job = await a_finished_job(collections, generating, storing)
    await collections.put(
        f"/projects/{collection['project_id']}/collections/{collection['id']}", {"blockchain": "BASE"}
    )
    answer = await asked(collections, collection, job)
    assert answer.data["chains"] == ["BASE"]
    (part,), _ = await listed(collections, answer.data["id"])
    assert {document.path.split("/")[1] for document in part.documents} == {"base"}
    path, body = f"/collections/{collection['id']}/packages", {"job_id": str(job)}
    both = (await collections.post(path, {**body, "chains": ["TEZOS", "BASE"]})).data
    assert (both["id"], both["attempt"], both["chains"]) == (answer.data["id"], 2, ["BASE", "TEZOS"])
    for wrong, pointer in (([], "/chains"), (["SOLANA"], "/chains/0"), ("BASE", "/chains")):
        refused = await collections.post(path, {**body, "chains": wrong})
        assert refused.refusal == (400, "VALIDATION_FAILED", [pointer])


async def test_the_roots_of_a_published_collection_are_public_and_stay_listed(
    collections: Api, generating: Publisher, storing: Publisher
):
    """That of the draft is not among them."""
    collection, job = await a_finished_job(collections, generating, storing)
    path = f"/collections/{collection['id']}"
    fields = {"blockchain": "BASE", "editions": 2, "price": "0"}
    await collections.put(f"/projects/{collection['project_id']}{path}", fields)
    package_id = (await asked(collections, collection, job)).data["id"]
    draft = delivered(*await listed(collections, package_id))
    await storing.publish(uuid4(), msgspec.structs.replace(draft, root="bafydraft"))
    await until(collections, f"{path}/packages/{package_id}", "stored")
    assert (await collections.post(f"{path}/publish", {"job_id": str(job)})).status == 200
    before = await collections.get(f"{path}/public", None)
    assert before.data["packages"] == []
    roots: list[str] = []
    for description in ("Ebb", "Flood"):
        edit = f"/projects/{collection['project_id']}{path}"
        assert (await collections.put(edit, {"description": description})).status == 204
        again = (await collections.post(f"{path}/packages", {})).data
        assert (again["id"], again["job_id"], again["status"]) == (package_id, str(job), "requested")
        stored = delivered(*await listed(collections, package_id))
        await storing.publish(uuid4(), stored)
        await until(collections, f"{path}/packages/{package_id}", "stored")
        roots.insert(0, stored.root)
        public = await collections.get(f"{path}/public", None)
        assert [package["root"] for package in public.data["packages"]] == roots
        assert public.data["packages"][0]["provenance"] == {"hash": stored.provenance, "algorithm": PROVENANCE}
        assert public.data["packages"][0]["chains"] == ["BASE"]
        assert roots[0] in public.headers["etag"], "another representation has another ETag"
    assert public.headers["etag"] != before.headers["etag"]
    assert set(public.data) == set(package_examples.PUBLISHED)


async def test_a_stored_package_has_its_manifest(collections: Api, generating: Publisher, storing: Publisher):
    collection, job = await a_finished_job(collections, generating, storing)
    new_package = (await asked(collections, collection, job)).data
    parts, request = await listed(collections, new_package["id"])
    stored = delivered(parts, request)
    await storing.publish(uuid4(), stored)
    path = f"/collections/{collection['id']}/packages/{new_package['id']}"
    package = await until(collections, path, "stored")
    assert (package["root"], package["asset_id"], package["size"]) == (stored.root, 900, 5000)
    assert package["url"] == "https://edge.test/assets/900/content"
    sha256s = "".join(hashlib.sha256(CONTENT[asset_id]).hexdigest() for asset_id in (101, 102))
    assert package["provenance"] == {"hash": hashlib.sha256(sha256s.encode()).hexdigest(), "algorithm": PROVENANCE}
    assert package["manifest"]["provenance"] == package["provenance"]
    assert package["manifest"]["profile"]["name"] == "unixfs-v1-2025"
    assert [artwork["path"] for artwork in package["manifest"]["artworks"]] == ["artworks/1.png", "artworks/2.png"]
    assert set(package) == set(package_examples.STORED)
    assert set(package["manifest"]) == set(package_examples.STORED["manifest"])
    assert (await collections.get(path, BOB)).code == (404, "NOT_FOUND")
    assert (await collections.post(f"/collections/{collection['id']}/packages", {"job_id": str(job)})).data == package


async def test_a_failure_or_changed_metadata_allows_another_attempt(
    collections: Api, generating: Publisher, storing: Publisher
):
    """Otherwise a repeated request changes nothing."""
    collection, job = await a_finished_job(collections, generating, storing)
    first = (await asked(collections, collection, job)).data
    assert (await asked(collections, collection, job)).data == first
    path = f"/collections/{collection['id']}/packages/{first['id']}"
    await storing.publish(uuid4(), PackageFailed(UUID(first["id"]), 1, "An artwork is lost"))
    assert (await until(collections, path, "failed"))["reason"] == "An artwork is lost"
    second = (await asked(collections, collection, job)).data
    assert (second["id"], second["status"], second["attempt"], second["reason"]) == (first["id"], "requested", 2, None)
    late, current = [delivered(*await listed(collections, first["id"])) for _ in range(2)]
    await storing.publish(uuid4(), msgspec.structs.replace(late, attempt=1, root="late"))
    await storing.publish(uuid4(), current)
    assert (await until(collections, path, "stored"))["root"] == current.root
    edit = f"/projects/{collection['project_id']}/collections/{collection['id']}"
    assert (await collections.put(edit, {"title": "Ebb"})).status == 204
    third = (await asked(collections, collection, job)).data
    assert (third["status"], third["attempt"]) == ("requested", 3)


async def test_invalid_requests_are_refused_and_not_recorded(
    collections: Api, generating: Publisher, storing: Publisher
):
    collection, job = await a_finished_job(collections, generating, storing)
    other = await collections.create({"title": "Other"})
    await asked(collections, collection, job)
    head = await collections.store.head()
    path = f"/collections/{collection['id']}/packages"
    assert (await collections.post(path, {"job_id": str(uuid4())})).code == (404, "NOT_FOUND")
    assert (await collections.post(f"/collections/{other['id']}/packages", {"job_id": str(job)})).code[0] == 404
    assert (await collections.post(path, {"job_id": str(job)}, BOB)).code == (404, "NOT_FOUND")
    for wrong in ({}, {"job_id": "x"}, {"job_id": 7}):
        assert (await collections.post(path, wrong)).refusal == (400, "VALIDATION_FAILED", ["/job_id"])
    assert (await collections.get(f"{path}/{uuid4()}")).code == (404, "NOT_FOUND")
    assert await collections.store.head() == head
    running = uuid4()
    event = JobRequested(
        job_id=running,
        name="Tides",
        job_type="collection_generation",
        user_id=ALICE,
        collection_id=UUID(collection["id"]),
        project_id=UUID(collection["project_id"]),
        data=collection["data"],
        workflow_versions={},
        variables={},
        generations=[RequestedGeneration(uuid4(), "ab" * 32, 1)],
        quoted=1,
    )
    await generating.publish(running, event)

    async def known() -> Any:
        answer = await collections.post(path, {"job_id": str(running)})
        return answer if answer.status != 404 else None

    answer = await eventually(known, "the job to be known")
    assert answer.code == (409, "CONFLICT")
