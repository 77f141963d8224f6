"""Writes that are sent again because their answer was lost: each kind is recognised by its If-Match, and done once."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.support.apps.client import ALICE, BOB, Answer
from tests.support.apps.collections import SELLABLE, Api, collections_service

LATER = "2099-01-01T00:00:00Z"
EDIT = "/projects/{project_id}/collections/{collection_id}"
OF_COLLECTION = "/collections/{collection_id}"
ONE_STEP = {"version": "v2", "steps": [{"id": 1, "nodeName": "sketch", "nodePayload": {"prompt": "a bird"}}]}
CSV = "name,type,value\nmood,text,calm\n"
LIFE: list[tuple[str, str, Any]] = [
    ("PUT", EDIT, {"title": "Fish"}),
    ("POST", f"{EDIT}/receivers", {"receivers": [{"address": f"0x{'0' * 39}1", "value": 5, "type": "creator"}]}),
    ("PUT", f"{OF_COLLECTION}/preview", {"enabled": True}),
    ("PUT", f"{OF_COLLECTION}/variables.csv", CSV),
    ("PUT", f"{OF_COLLECTION}/series", {"job_id": "JOB"}),
    ("POST", f"{OF_COLLECTION}/publish", {"publish_date": LATER}),
    ("DELETE", f"{OF_COLLECTION}/publish", None),
    ("POST", f"{OF_COLLECTION}/archive", {}),
    ("POST", f"{OF_COLLECTION}/restore", {}),
    ("POST", f"{OF_COLLECTION}/publish", {}),
]
"""A collection's life, with every kind of write that If-Match restricts."""


async def write(api: Api, method: str, path: str, body: Any, headers: dict[str, str]) -> Answer:
    if isinstance(body, str):
        return await api.send(method, path, headers={"Content-Type": "text/csv", **headers}, data=body)
    return await api.send(method, path, headers=headers, **({} if body is None else {"json": body}))


async def test_each_kind_of_write_is_recognised_by_its_if_match(api: Api) -> None:
    """Right away, and after later changes; nothing is recorded for the repetition."""
    collection = await api.create({"title": "Birds", "data": ONE_STEP, **SELLABLE})
    job_id, _ = await api.make_artworks(collection)
    names = {"project_id": collection["project_id"], "collection_id": collection["id"]}
    path, stream, sent = OF_COLLECTION.format(**names), UUID(collection["id"]), []
    for method, pattern, example in LIFE:
        body = {"job_id": str(job_id)} if example == {"job_id": "JOB"} else example
        request = (method, pattern.format(**names), body, {"If-Match": (await api.get(path)).headers["etag"]})
        first = await write(api, *request)
        assert first.status < 300, (request, first.body)
        recorded = len(await api.store.read_stream(stream))
        again = await write(api, *request)
        assert (again.status, again.headers.get("etag")) == (first.status, first.headers.get("etag")), request
        assert again.raw == first.raw
        assert len(await api.store.read_stream(stream)) == recorded
        sent.append((request, first.status))
    recorded = len(await api.store.read_stream(stream))
    for request, status in sent:
        assert (await write(api, *request)).status == status, request
    assert len(await api.store.read_stream(stream)) == recorded


async def test_the_kinds_of_writes_above_are_all_that_if_match_restricts(api: Api) -> None:
    paths = (await api.get("/schema/openapi.json")).body["paths"]
    restricted = {
        (method.upper(), path)
        for path, item in paths.items()
        for method, operation in item.items()
        if method in {"put", "post", "delete"}
        and any(parameter["name"] == "If-Match" for parameter in operation.get("parameters", ()))
    }
    assert restricted == {(method, pattern) for method, pattern, _ in LIFE}


async def test_a_write_at_two_replicas_succeeds_at_both(database: str, nats_url: str, tmp_path: Path) -> None:
    """As the edge sends it while one of them is silent: neither is answered 412 for what the other one recorded."""
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    async with (
        collections_service(database, nats_url, folders[0]) as one,
        collections_service(database, nats_url, folders[1]) as two,
    ):
        collection = await one.create({"title": "Birds"})
        path = EDIT.format(project_id=collection["project_id"], collection_id=collection["id"])
        for version in range(2, 32):
            headers, body = {"If-Match": f'"{version}"'}, {"title": f"T{version}"}
            answers = await asyncio.gather(*(api.put(path, body, headers=headers) for api in (one, two, one)))
            assert {(answer.status, answer.headers.get("etag")) for answer in answers} == {(204, f'"{version + 1}"')}


async def test_a_write_with_a_key_is_recognised_before_its_conditions(api: Api) -> None:
    """Its own version is the one that If-None-Match excludes, or that is not the first of If-Match any more."""
    collection = await api.create({"title": "Birds"})
    path = EDIT.format(project_id=collection["project_id"], collection_id=collection["id"])
    for number, condition in enumerate(({"If-None-Match": '"3"'}, {"If-Match": '"3", "9"'}), start=3):
        headers = {"Idempotency-Key": str(number), **condition}
        for _ in range(2):
            answer = await api.put(path, {"title": f"T{number}"}, headers=headers)
            assert (answer.status, answer.headers.get("etag")) == (204, f'"{number}"'), condition
        assert (await api.put(path, {"title": "other"}, headers=condition)).code == (412, "VERSION_CONFLICT")


async def test_a_repeated_transfer_is_not_missing(api: Api) -> None:
    """The sender no longer owns the collection, and is answered as the first time."""
    original = await api.create({"title": "Birds"})
    body = {"is_custodial": True, "social_org": "lens", "social_identifier": "carol"}
    remix = (await api.post(f"/collections/{original['id']}/remix", body)).data
    path, headers = f"/collections/{remix['id']}/custody", {"Idempotency-Key": "k"}
    first = await api.post(path, {"user_id": str(BOB)}, headers=headers)
    again = await api.post(path, {"user_id": str(BOB)}, headers=headers)
    assert (first.status, again.status) == (200, 200)
    assert again.data == first.data
    assert (await api.post(path, {"user_id": str(BOB)})).code == (404, "NOT_FOUND")


@pytest.mark.parametrize("path", ["/projects", "/projects/collections"])
async def test_if_match_is_ignored_where_nothing_has_a_version(api: Api, path: str) -> None:
    """Two equal requests are two commands there."""
    body, headers = {"name": "P"} if path == "/projects" else {"title": "P"}, {"If-Match": '"1"'}
    answers = [await api.post(path, body, ALICE, headers=headers) for _ in range(2)]
    assert answers[0].data["id"] != answers[1].data["id"]
