"""Metadata at the addresses that contracts name: bare, with an ETag, and cached for a short time."""

import hashlib
from typing import Any

import pytest_asyncio

from shared.content.package import canonical
from tests.support.apps.client import ALICE
from tests.support.apps.collections import SELLABLE, Api, two_steps


@pytest_asyncio.fixture
async def collection(api: Api) -> Any:
    """A draft with two artworks, which are not sold yet."""
    created = await api.create({"title": "Birds", "data": two_steps(), **SELLABLE, "editions": 2})
    await api.make_artworks(created, 2)
    return created


async def sell(api: Api, collection: Any) -> None:
    assert (await api.post(f"/collections/{collection['id']}/publish")).status == 200


async def test_a_base_uri_and_a_number_are_the_bare_document(api: Api, collection: Any):
    """With or without `.json`, and as ERC-1155's clients write `{id}`; without `raw`, `metadata` keeps its envelope."""
    await sell(api, collection)
    base = f"/collections/{collection['id']}/tokens/"
    enveloped = await api.get(f"{base}2/metadata", None)
    assert set(enveloped.body) == {"data", "error"}
    for name in ("2", "2.json", f"{2:064x}", f"{2:064x}.json", "2/metadata?raw=true", "2?chain=BASE"):
        answer = await api.get(base + name, None)
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json"), name
        assert answer.raw == canonical(enveloped.data), name
    in_tezos = await api.get(f"{base}2.json?chain=TEZOS", None)
    assert in_tezos.body == (await api.get(f"{base}2/metadata?chain=TEZOS", None)).data
    assert (await api.get(f"{base}3.json", None)).code == (404, "NOT_FOUND")
    for wrong in ("x.json", ".json", "1.JSON", "1.json.json", "01"):
        assert (await api.get(base + wrong, None)).refusal == (400, "VALIDATION_FAILED", ["path:number"]), wrong


async def test_a_document_that_the_client_has_is_not_sent_again(api: Api, collection: Any):
    """Its ETag is the sha256 of its bytes, and changes with what is edited after the publication."""
    await sell(api, collection)
    for name in ("tokens/1.json", "metadata?raw=true"):
        path = f"/collections/{collection['id']}/{name}"
        first = await api.get(path, None)
        tag = first.headers["etag"]
        assert tag == f'"{hashlib.sha256(first.raw).hexdigest()}"'
        assert first.headers["cache-control"] == "public, max-age=60"
        again = await api.get(path, None, headers={"If-None-Match": tag})
        assert (again.status, again.raw, again.headers["etag"]) == (304, b"", tag)
        assert (await api.get(path, None, headers={"If-Match": '"other"'})).code == (412, "VERSION_CONFLICT")
        head = await api.send("HEAD", path, None)
        assert (head.status, head.headers["content-length"], head.headers["etag"]) == (200, str(len(first.raw)), tag)
        edit = {"description": f"Edited at {path}"}
        await api.put(f"/projects/{collection['project_id']}/collections/{collection['id']}", edit)
        changed = await api.get(path, None, headers={"If-None-Match": tag})
        assert (changed.status, changed.body["description"]) == (200, edit["description"])


async def test_a_drafts_documents_are_its_owners_and_stored_by_nobody_else(api: Api, collection: Any):
    path = f"/collections/{collection['id']}/tokens/1.json"
    assert (await api.get(path, None)).code == (404, "NOT_FOUND")
    assert (await api.get(path, ALICE)).headers["cache-control"] == "private, no-cache"
