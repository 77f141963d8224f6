"""`POST /collections/custodial/from-template`: images from the web are fetched first, all or none."""

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest

from services.edge.create_from_template import PATH
from services.edge.template_images import MAX_IMAGES
from services.edge.web_images import AT_ONCE
from tests.support.edge_client import Edge, EdgeClient
from tests.support.upstream import Played, UpstreamStub

Services = dict[str, UpstreamStub]
HOST = "https://art.example"
DRAFT = {"id": "6f1c0a52-6f0e-4a55-9d5c-0d8f6f0a7c11", "title": "Foxes"}
IMAGE, NUMBERS = "data.steps[0].nodePayload.image", "[1e22, -0.0]"
JSON = {"Content-Type": "application/json"}


class Storage(Played):
    """It stores every image but those whose URLs are in `refusals`; `hanging` ones are never answered."""

    def __init__(self, stub: UpstreamStub) -> None:
        super().__init__(stub, 201, None, {"emprops_position": "storage:1:3"})
        self.refusals: dict[str, tuple[int, Any]] = {}
        self.hanging: set[str] = set()
        self.open, self.most_open = 0, 0

    @property
    def urls(self) -> list[str]:
        return [json.loads(body)["url"] for body in self.bodies]

    async def reply(self, body: bytes) -> tuple[int, Any]:
        url = json.loads(body)["url"]
        if url in self.hanging:
            await asyncio.Event().wait()
        if url in self.refusals:
            return self.refusals[url]
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        await asyncio.sleep(0.01)
        self.open -= 1
        return 201, {"data": {"id": 7, "url": stored(url)}, "error": None}


def stored(url: str) -> str:
    return f"https://api.test/assets/{url.rpartition('/')[2]}/content"


def refused(message: str, code: str = "VALIDATION_FAILED") -> Any:
    return {"code": code, "detail": f"The image {message}", "details": [{"pointer": "/url", "message": message}]}


@pytest.fixture
def storage(services: Services) -> Storage:
    return Storage(services["storage"])


@pytest.fixture
def collections(services: Services) -> Played:
    headers = {"emprops_position": "collections:1:7", "etag": '"2"'}
    return Played(services["collections"], 201, {"data": DRAFT, "error": None}, headers)


def fetch(name: str) -> dict[str, str]:
    return {"$fetch": f"{HOST}/{name}"}


async def post(edge: EdgeClient, overrides: Any, key: str | None = "k") -> tuple[int, Any]:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await edge.json("POST", PATH, json={"social_org": "lens", "overrides": overrides}, headers=headers)


async def test_images_are_stored_and_their_addresses_sent(edge: EdgeClient, storage: Storage, collections: Played):
    """At any depth of a value of the instructions, each URL once; all else arrives as it was written."""
    deep = {"images": [fetch("b"), fetch("a")], "note": "$fetch"}
    overrides = {"title": "$fetch", IMAGE: fetch("a"), "data.steps[1].nodePayload": deep}
    body = f'{{"odd": {NUMBERS}, "overrides": {json.dumps(overrides)}}}'
    async with edge.request("POST", f"{PATH}", data=body, headers=JSON | {"Idempotency-Key": "k"}) as response:
        assert (response.status, await response.json()) == (201, {"data": DRAFT, "error": None})
    assert response.headers["ETag"] == '"2"'
    assert response.headers["Emprops-Position"] == "storage:1:3, collections:1:7", "the newest of each service"
    assert sorted(storage.urls) == [f"{HOST}/a", f"{HOST}/b"]
    [sent] = collections.bodies
    assert NUMBERS.encode() in sent
    assert json.loads(sent)["overrides"] == {
        "title": "$fetch",
        IMAGE: stored("a"),
        "data.steps[1].nodePayload": {"images": [stored("b"), stored("a")], "note": "$fetch"},
    }
    assert collections.requests[0].headers["emprops-position"] == "storage:1:3"


async def test_a_member_may_be_written_with_escapes(edge: EdgeClient, storage: Storage, collections: Played):
    body = f'{{"overrides": {{"{IMAGE}": {{"\\u0024fetch": "{HOST}/a"}}}}}}'
    async with edge.request("POST", PATH, data=body, headers=JSON) as response:
        assert response.status == 201
    assert json.loads(collections.bodies[0])["overrides"] == {IMAGE: stored("a")}


async def test_a_repeated_request_has_the_same_keys(edge: EdgeClient, storage: Storage, collections: Played):
    """Each image has its own, from the request's and the URL; collections gets the client's, as without images."""
    user = edge.issuer.bearer(UUID(DRAFT["id"]))
    for headers in ({"Idempotency-Key": "one"}, {"Idempotency-Key": "one"}, {"Idempotency-Key": "two"}, {}, {}):
        body = {"overrides": {IMAGE: fetch("a"), "data.b": fetch("b")}}
        assert (await edge.json("POST", PATH, json=body, headers=user | headers))[0] == 201
    every = [request.headers["idempotency-key"] for request in storage.requests]
    keys = [set(every[start : start + 2]) for start in range(0, len(every), 2)]
    assert keys[0] == keys[1]
    assert len(set(every)) == 8
    sent = [request.headers["idempotency-key"] for request in collections.requests]
    assert sent[:3] == ["one", "one", "two"]
    assert len(set(sent)) == 4
    assert collections.bodies[0] == collections.bodies[1]


@pytest.mark.parametrize("overrides", [None, {}, {"title": "x", "data.note": "$fetch"}, [fetch("a")], "$fetch"])
async def test_a_request_without_images_is_sent_as_it_is(
    edge: EdgeClient, storage: Storage, collections: Played, overrides: Any
):
    body = json.dumps({"overrides": overrides}, indent=3)
    async with edge.request("POST", PATH, data=body, headers=JSON) as response:
        assert response.status == 201
    assert collections.bodies == [body.encode()]
    assert not storage.requests


async def test_what_cannot_be_had_is_refused_where_it_is_named(edge: EdgeClient, storage: Storage, collections: Played):
    """All images at once, in the code and the words of storage; and nothing is created."""
    storage.refusals = {
        f"{HOST}/none": (400, refused("can't be read: art.example answered 404")),
        f"{HOST}/page": (400, refused("is not an image")),
    }
    overrides = {"data.a/b~c": fetch("none"), IMAGE: [fetch("a"), fetch("page")], "data.again": fetch("none")}
    status, problem = await post(edge, overrides)
    assert (status, problem["code"]) == (400, "VALIDATION_FAILED")
    assert [(detail["pointer"], detail["message"]) for detail in problem["details"]] == [
        ("/overrides/data.a~1b~0c/$fetch", "can't be read: art.example answered 404"),
        (f"/overrides/{IMAGE}/1/$fetch", "is not an image"),
        ("/overrides/data.again/$fetch", "can't be read: art.example answered 404"),
    ]
    assert problem["detail"].startswith("The image can't be read: art.example answered 404; no collection was created")
    assert "the same Idempotency-Key" in problem["detail"]
    assert not collections.requests


async def test_a_refusal_that_lasts_is_answered_before_one_that_does_not(
    edge: EdgeClient, storage: Storage, collections: Played
):
    storage.refusals = {
        f"{HOST}/a": (503, {"code": "UNAVAILABLE", "detail": "The service can't reach its database right now"}),
        f"{HOST}/b": (413, {"code": "PAYLOAD_TOO_LARGE", "detail": "A file may have at most 5 bytes", "details": []}),
    }
    status, problem = await post(edge, {IMAGE: [fetch("a"), fetch("b")]})
    assert (status, problem["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert problem["details"] == [
        {"pointer": f"/overrides/{IMAGE}/1/$fetch", "message": "A file may have at most 5 bytes"}
    ]
    del storage.refusals[f"{HOST}/b"]
    status, problem = await post(edge, {IMAGE: [fetch("a"), fetch("b")]})
    assert (status, problem["code"], len(problem["details"])) == (503, "UNAVAILABLE", 1)
    storage.refusals = {f"{HOST}/a": (502, "<html>")}
    status, problem = await post(edge, {IMAGE: fetch("a")}, key=None)
    assert (status, problem["code"]) == (503, "UNAVAILABLE")
    assert "with an Idempotency-Key" in problem["detail"]
    assert not collections.requests


@pytest.mark.parametrize(
    ("overrides", "pointer", "words"),
    [
        ({IMAGE: {"$fetch": 5}}, f"/overrides/{IMAGE}/$fetch", "must be the http or https URL"),
        ({IMAGE: {"$fetch": {"$fetch": "x"}}}, f"/overrides/{IMAGE}/$fetch", "must be the http or https URL"),
        ({IMAGE: {"a": fetch("a") | {"width": 5}}}, f"/overrides/{IMAGE}/a/width", "can't stand beside $fetch"),
        ({"cover_image_url": fetch("a")}, "/overrides/cover_image_url/$fetch", "is only for values of data"),
        ({"images": [{"url": fetch("a")}]}, "/overrides/images/0/url/$fetch", "is only for values of data"),
        ({"data.all": [fetch(str(n)) for n in range(MAX_IMAGES + 1)]}, "/overrides", "more than 16"),
    ],
)
async def test_what_is_no_image_of_a_value_is_refused_before_any_is_fetched(
    edge: EdgeClient, storage: Storage, collections: Played, overrides: Any, pointer: str, words: str
):
    status, problem = await post(edge, {"data.first": fetch("first"), **overrides})
    assert (status, problem["code"]) == (400, "VALIDATION_FAILED")
    assert problem["details"][0]["pointer"] == pointer
    assert words in problem["details"][0]["message"]
    assert not storage.requests
    assert not collections.requests


async def test_some_images_are_fetched_at_once(edge: EdgeClient, storage: Storage, collections: Played):
    status, _ = await post(edge, {"data.all": [fetch(str(n % MAX_IMAGES)) for n in range(2 * MAX_IMAGES)]})
    assert (status, len(storage.urls), len(set(storage.urls))) == (201, MAX_IMAGES, MAX_IMAGES)
    assert storage.most_open == AT_ONCE


async def test_images_have_one_bound_of_time(start_edge: Edge, storage: Storage, collections: Played):
    """It is answered while a command may still take, and the image that took too long has its pointer."""
    edge = await start_edge(command_timeout=5.0, turn_after=0.05)
    storage.hanging = {f"{HOST}/slow"}
    status, problem = await post(edge, {IMAGE: [fetch("a"), fetch("slow")]})
    assert (status, problem["code"]) == (503, "UNAVAILABLE")
    assert problem["details"] == [
        {"pointer": f"/overrides/{IMAGE}/1/$fetch", "message": "An image was not stored in time"}
    ]
    assert "no collection was created: the same request with the same Idempotency-Key" in problem["detail"]
    assert sorted(storage.urls) == [f"{HOST}/a", f"{HOST}/slow"], "each was requested of one replica, once"
    assert not collections.requests


async def test_a_refusal_by_collections_is_passed_on(edge: EdgeClient, storage: Storage, services: Services):
    refusal = refused("is no field") | {"details": [{"pointer": "/overrides/data.steps[9]", "message": "no [9]"}]}
    Played(services["collections"], 400, refusal, {})
    assert await post(edge, {"data.steps[9]": fetch("a")}) == (400, refusal)


async def test_only_users_may(edge: EdgeClient, storage: Storage) -> None:
    headers = edge.issuer.bearer(roles=["worker"])
    assert (await edge.json("POST", PATH, json={"overrides": {IMAGE: fetch("a")}}, headers=headers))[0] == 403
    assert (await edge.json("POST", PATH, json={}, anonymous=True))[0] == 401
    assert not storage.requests
