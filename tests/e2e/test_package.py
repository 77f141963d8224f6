"""A publish package through the edge: requested, downloaded and verified offline; a changed byte is detected."""

import os
import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from infra.demo.client import ApiError, Client
from infra.demo.journey import instructions
from tests.support.jobs import answered, until_ended
from tests.support.patience import eventually
from tests.support.pinning_service import TOKEN, PinningServer
from tests.support.running_set import EMPROPS, RunningSet


async def request_package(client: Client, collection_id: str, job_id: str) -> dict[str, Any]:
    """Requests the package when the collections service has handled the job's end, and waits until it is built."""
    path = f"/collections/{collection_id}/packages"
    body = {"job_id": job_id, "allow_local": True}
    [accepted] = await eventually(
        lambda: answered(client.post(path, body), 404, 409, 503), "the job's end to be known", every=0.1
    )

    async def look() -> dict[str, Any] | None:
        package = await client.get(f"{path}/{accepted['id']}")
        return package if package["status"] != "requested" else None

    return await eventually(look, "the package to be made", every=0.1)


def verified(file: Path, *options: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run([*EMPROPS, "verify-package", str(file), "--json", *options], capture_output=True, check=False)
    return done.returncode, msgspec.json.decode(done.stdout)


def pinned(service: PinningServer, *options: str) -> tuple[int, dict[str, Any]]:
    environment = {**os.environ, "PINNING_SERVICE": service.url, "PINNING_TOKEN": TOKEN}
    done = subprocess.run([*EMPROPS, "pin", "--json", *options], capture_output=True, check=False, env=environment)
    return done.returncode, msgspec.json.decode(done.stdout)


async def test_a_demo_jobs_package_is_verified_offline_and_a_tampered_one_is_not(
    running: RunningSet, tmp_path: Path
) -> None:
    user = await running.rich_user()
    async with running.client(user) as client:
        collection = await client.post("/projects/collections", {"title": "First light", "data": instructions()})
        accepted = await client.post(f"/collections/{collection['id']}/generations", {"generations": 2})
        job = await until_ended(client, accepted["job_id"])
        package = await request_package(client, collection["id"], job["id"])
        assert (package["status"], package["reason"]) == ("stored", None)
        body = {"job_id": job["id"], "allow_local": True}
        again = await client.post(f"/collections/{collection['id']}/packages", body)
        assert again == package, "asked for again, it is the same"
        car = tmp_path / "package.car"
        assert await client.download(package["url"], car) == package["sha256"]
        asset = await client.get(f"/assets/{package['asset_id']}")
        assert asset["mime_type"] == "application/vnd.ipld.car"
        assert asset["path"].startswith(f"packages/{user}/")
    code, report = verified(car)
    assert code == 0, report
    assert report["ok"]
    assert report["root"] == package["root"]
    assert report["provenance"] == package["provenance"]["hash"]
    listed = {artwork["path"]: artwork for artwork in package["manifest"]["artworks"]}
    frames = [generation["outputs"][-1]["asset_id"] for generation in job["generations"]]
    assert list(listed) == ["artworks/1.png", "artworks/2.png"]
    async with running.client(user) as client:
        assert [artwork["sha256"] for artwork in listed.values()] == [
            (await client.get(f"/assets/{asset_id}"))["sha256"] for asset_id in frames
        ]
    tampered = bytearray(car.read_bytes())
    at = len(tampered) // 4
    tampered[at] ^= 1
    car.write_bytes(tampered)
    code, report = verified(car)
    assert code == 1
    assert report["difference"]["path"].startswith("artworks/")
    assert report["difference"]["offset"] <= at


async def test_a_published_collections_package_is_compared_with_what_is_public(
    running: RunningSet, tmp_path: Path
) -> None:
    """Of one chain; by each name of a token's document; the package of the draft is not the published one."""
    user, car, draft_car = await running.rich_user(), tmp_path / "package.car", tmp_path / "draft.car"
    async with running.client(user) as client:
        fields = {"blockchain": "TEZOS", "editions": 1, "price": "0"}
        collection = await client.post("/projects/collections", {"title": "Ebb", "data": instructions(), **fields})
        at = f"/collections/{collection['id']}"
        accepted = await client.post(f"{at}/generations", {"generations": 1})
        job = await until_ended(client, accepted["job_id"])
        draft = await request_package(client, collection["id"], job["id"])
        assert await client.download(draft["url"], draft_car) == draft["sha256"]
        await client.post(f"{at}/publish", {"job_id": job["id"]})
        await client.call("PUT", f"/projects/{collection['project_id']}{at}", {"description": "A tide"})
        package = await request_package(client, collection["id"], job["id"])
        assert await client.download(package["url"], car) == package["sha256"]
        async with client.session.get(f"{running.url}{at}/public", headers={"Authorization": ""}) as response:
            public = (await response.json())["data"]
    assert [item["root"] for item in public["packages"]] == [package["root"]]
    paths = {item["path"] for item in package["manifest"]["metadata"]}
    assert paths == {f"metadata/tezos/{name}" for name in ("1", "1.json", "collection.json")}
    code, report = verified(car, "--root", package["root"], "--collection", f"{running.url}{at}")
    assert (code, report.get("chains")) == (0, ["tezos"]), report
    code, report = verified(draft_car, "--collection", f"{running.url}{at}")
    assert (code, "does not list the package" in report["difference"]["message"]) == (1, True), report
    assert verified(draft_car, "--root", package["root"])[0] == 1
    with PinningServer("pinning", "pinned") as service:
        code, report = pinned(service, "--collection", f"{running.url}{at}", "--data", str(running.data))
    assert (code, report["status"], report["recorded"]) == (0, "pinned", True), report
    async with running.client(user) as client:
        [listed] = (await client.get(f"{at}/public"))["packages"]
    assert [(pin["service"], pin["status"]) for pin in listed["pins"]] == [(service.url, "pinned")]


async def test_a_package_is_its_owners_alone(running: RunningSet) -> None:
    async with running.client(uuid4()) as owner, running.client(uuid4()) as stranger:
        collection = await owner.post("/projects/collections", {"title": "Mine"})
        path = f"/collections/{collection['id']}/packages"
        for client in (owner, stranger):
            with pytest.raises(ApiError) as refused:
                await client.post(path, {"job_id": str(uuid4())})
            assert refused.value.status == 404
            with pytest.raises(ApiError) as refused:
                await client.get(f"{path}/{uuid4()}")
            assert refused.value.status == 404


async def test_packages_are_in_the_one_openapi_document(running: RunningSet) -> None:
    async with running.client(uuid4()) as client, client.session.get(f"{running.url}/schema/openapi.json") as response:
        paths = (await response.json())["paths"]
    assert "post" in paths["/collections/{collection_id}/packages"]
    assert "get" in paths["/collections/{collection_id}/packages/{package_id}"]
