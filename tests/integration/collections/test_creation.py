"""Creating collections over HTTP."""

import asyncio
from uuid import uuid4

from tests.support.apps.client import ALICE, BOB
from tests.support.apps.collections import Api, two_steps


async def test_a_collection_is_created_from_data(api: Api):
    """201 with an ETag and every field; steps have components, and references are rewritten."""
    answer = await api.post("/projects/collections", {"title": "Birds", "price": 0.05, "data": two_steps()})
    assert answer.status == 201
    assert answer.headers["etag"] == '"2"'
    collection = answer.data
    assert (collection["title"], collection["price"], collection["status"]) == ("Birds", "0.05", "draft")
    assert (collection["user_id"], collection["version"], collection["is_current"]) == (str(ALICE), 2, False)
    assert collection["preview"] == {
        "enabled": False,
        "max_generations": 3,
        "is_remixable": False,
        "paid_by": "visitor",
    }
    first, second = collection["data"]["steps"]
    assert (first["fromId"], second["fromId"]) == (1, 2)
    assert 2**32 < first["id"] < 2**53
    assert second["nodePayload"] == {"image": {"$ref": first["id"]}, "title": f"like {{{{$ref:{first['id']}}}}}"}
    assert collection["data"]["variables"] == two_steps()["variables"]
    assert (await api.get(f"/collections/{collection['id']}")).data == collection


async def test_collection_and_preview_are_one_append(api: Api):
    """With the default project, which was missing: three events of one command."""
    await api.create({"data": two_steps()})
    recorded = await api.store.read_all()
    assert [event.type for event in recorded] == ["collection_created.v1", "preview_created.v1", "project_created.v1"]
    assert len({event.context.command_id for event in recorded}) == 1


async def test_data_is_stored_as_sent(api: Api):
    """Unknown members, the order of members, and numbers are the same; only ids and references differ."""
    data = two_steps()
    data["steps"][0]["position"] = {"y": 1.50, "x": -7, "big": 9223372036854775807, "tiny": 1e-9}
    data = {"zeta": [None, True, {"deep": "ü € 𝄞"}], **data, "alpha": {}}
    collection = await api.create({"data": data})
    view = (await api.get(f"/collections/{collection['id']}")).data["data"]
    assert list(view) == list(data)
    assert view["zeta"] == data["zeta"]
    assert view["steps"][0]["position"] == data["steps"][0]["position"]
    assert list(view["steps"][0]["position"]) == ["y", "x", "big", "tiny"]


async def test_without_data_the_default_instructions_are_used(api: Api):
    for body in ({}, {"data": None}):
        collection = await api.create(body)
        assert collection["data"]["version"] == "v2"
        assert collection["data"]["steps"][0]["fromId"] == 1
        assert collection["title"] == "Untitled"
    assert (await api.send("POST", "/projects/collections")).status == 201


async def test_component_ids_are_unique(api: Api):
    """Among concurrent creations, and if a client used one of them as a step id."""
    collections = await asyncio.gather(*(api.create({"data": two_steps()}) for _ in range(30)))
    ids = [step["id"] for item in collections for step in item["data"]["steps"]]
    assert len(set(ids)) == 60
    guessed = two_steps()
    guessed["steps"][0]["id"] = max(ids) + 1
    guessed["steps"][1]["nodePayload"] = {"image": {"$ref": max(ids) + 1}}
    collection = await api.create({"data": guessed})
    first, second = collection["data"]["steps"]
    assert first["fromId"] == max(ids) + 1
    assert second["nodePayload"]["image"]["$ref"] == first["id"] not in {max(ids) + 1, *ids}


async def test_a_creation_from_a_collections_data_shares_no_component(api: Api):
    first = await api.create({"data": two_steps()})
    second = await api.create({"data": first["data"]})
    assert not {step["id"] for step in first["data"]["steps"]} & {step["id"] for step in second["data"]["steps"]}
    assert [step["fromId"] for step in second["data"]["steps"]] == [step["id"] for step in first["data"]["steps"]]


async def test_a_repeated_request_gives_the_same_collection(api: Api):
    """Also if both are concurrent. The same key of another user is another request."""
    request = {"body": {"data": two_steps()}, "headers": {"Idempotency-Key": "once"}}
    first, second = await asyncio.gather(*(api.create(**request) for _ in range(2)))
    assert first == second == await api.create(**request)
    assert (await api.create(**request, user=BOB))["id"] != first["id"]
    recorded = [event.type for event in await api.store.read_all()]
    assert recorded.count("collection_created.v1") == 2


async def test_a_collection_is_created_in_the_project_of_the_request(api: Api):
    project = (await api.post("/projects", {"name": "Birds"})).data
    collection = await api.create(query=f"?project_id={project['id']}")
    assert collection["project_id"] == project["id"]
    assert (await api.get("/projects")).data == [project]
    listed = (await api.get(f"/projects/{project['id']}/collections")).data
    assert [item["id"] for item in listed] == [collection["id"]]
    assert "data" not in listed[0]


WRONG = [
    ({"title": 5}, "/title"),
    ({"title": "x" * 201}, "/title"),
    ({"blockchain": "DOGE"}, "/blockchain"),
    ({"editions": 0}, "/editions"),
    ({"editions": 1.5}, "/editions"),
    ({"editions": "4"}, "/editions"),
    ({"price": -1}, "/price"),
    ({"price": "cheap"}, "/price"),
    ({"editions": 2, "batch_max_tokens": 3}, "/batch_max_tokens"),
    ({"encryption_enabled": 1}, "/encryption_enabled"),
    ({"cover_image_url": "http://169.254.169.254/"}, "/cover_image_url"),
    ({"images": {}}, "/images"),
    ({"data": []}, "/data"),
    ({"data": {"steps": []}}, "/data/version"),
    ({"data": two_steps() | {"version": "v3"}}, "/data/version"),
    ({"data": two_steps() | {"steps": None}}, "/data/steps"),
    ({"data": {"version": "v2", "steps": [{"id": 1, "nodeName": "a", "nodePayload": {"x": {"$ref": 2}}}]}},
     "/data/steps/0/nodePayload/x/$ref"),
    ({"data": {"version": "v2", "steps": [{"id": 1, "nodeName": "a", "nodePayload": {"x": "{{$ref:1}}"}}]}},
     "/data/steps/0/nodePayload/x"),
    ({"data": {"version": "v2", "steps": [{"id": 1, "nodeName": "a", "nodePayload": {"x": "{{who}}"}}]}},
     "/data/steps/0/nodePayload/x"),
]  # fmt: skip


async def test_invalid_input_is_refused_and_nothing_is_recorded(api: Api):
    """The error body has the code and the JSON pointer of the fault."""
    for body, pointer in WRONG:
        refused = await api.post("/projects/collections", body)
        assert refused.code == (400, "VALIDATION_FAILED"), body
        assert refused.pointers == [pointer]
        assert refused.body["data"] is None
        assert refused.body["error"] == refused.body["detail"] != ""
    assert await api.store.head() == 0


async def test_malformed_requests_are_refused(api: Api):
    """Bad JSON, no body, a wrong media type, a parameter that is no UUID, a body that is too large, no token."""
    path = "/projects/collections"
    for content, status, code in (
        (b"{", 400, "VALIDATION_FAILED"),
        (b"[]", 400, "VALIDATION_FAILED"),
        (b'{"title": "\\u0000"}', 400, "VALIDATION_FAILED"),
        (b'{"title": "' + b"x" * 2**20 + b'"}', 413, "PAYLOAD_TOO_LARGE"),
        (b'{"data": ' + b"[" * 200 + b"]" * 200 + b"}", 400, "VALIDATION_FAILED"),
    ):
        headers = {"Content-Type": "application/json"}
        assert (await api.send("POST", path, data=content, headers=headers)).code == (status, code)
    assert (await api.send("POST", path, data=b"title=x")).code == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert (await api.post(f"{path}?project_id=5")).code == (400, "VALIDATION_FAILED")
    assert (await api.post(path, user=None)).code == (401, "UNAUTHENTICATED")
    assert await api.store.head() == 0


async def test_a_missing_or_another_users_project_is_not_found(api: Api):
    theirs = (await api.post("/projects", {"name": "Bob's"}, BOB)).data["id"]
    head = await api.store.head()
    for project_id in (theirs, uuid4()):
        assert (await api.post(f"/projects/collections?project_id={project_id}")).code == (404, "NOT_FOUND")
    assert await api.store.head() == head
