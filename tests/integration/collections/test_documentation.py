"""The OpenAPI document: every operation has examples, and they are true."""

from collections.abc import Iterator
from typing import Any

import jsonschema

from services.collections.routes import examples
from tests.support.apps.collections import Api, two_steps

Document = dict[str, Any]


def operations(document: Document) -> Iterator[tuple[str, Document]]:
    for path, item in document["paths"].items():
        if path.startswith(("/projects", "/collections", "/feed")):
            for method, operation in item.items():
                yield f"{method.upper()} {path}", operation


def bodies(operation: Document) -> Iterator[tuple[str, Document]]:
    """Its examples of the body and of the successful response, by media type."""
    for media_type, media in operation.get("requestBody", {}).get("content", {}).items():
        yield f"takes {media_type}", media
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            for media_type, media in response.get("content", {}).items():
                yield f"gives {status} {media_type}", media


async def test_every_operation_has_examples_of_its_body_and_response(api: Api):
    """Each example is valid by its schema."""
    document = (await api.get("/schema/openapi.json", None)).body
    count = 0
    for name, operation in operations(document):
        for what, media in bodies(operation):
            if what.startswith("gives 204"):
                continue
            assert "example" in media, f"{name} {what} has no example"
            schema = {**media["schema"], "components": document["components"]}
            jsonschema.Draft202012Validator(schema).validate(media["example"])
            count += 1
    assert count > 30


async def test_the_service_accepts_and_returns_the_examples(api: Api):
    """Bodies of examples are accepted, and responses have the members of their examples."""
    collection = await api.create({**examples.FIELDS, "data": examples.INSTRUCTIONS})
    path = f"/projects/{collection['project_id']}/collections/{collection['id']}"
    assert (await api.post(f"{path}/receivers", {"receivers": examples.RECEIVERS})).status == 200
    view = (await api.get(f"/collections/{collection['id']}")).data
    assert list(view) == list_of(examples.DRAFT, view)
    assert {name: view[name] for name in examples.FIELDS} == examples.FIELDS
    assert [set(step) for step in view["data"]["steps"]] == [set(step) for step in examples.ADOPTED["steps"]]
    assert await api.text(f"/collections/{collection['id']}/variables.csv") == examples.VARIABLES_CSV
    metadata = (await api.get(f"/collections/{collection['id']}/metadata")).data
    assert set(metadata) == set(examples.COLLECTION_METADATA)
    assert metadata["royalties"] == examples.COLLECTION_METADATA["royalties"]
    entry = (await api.get(f"/collections/{collection['id']}/history")).data[0]
    assert set(entry) == set(examples.HISTORY)
    assert set((await api.get("/projects")).data[0]) == set(examples.PROJECT)
    await api.put(f"/collections/{collection['id']}/preview", {"enabled": True})
    assert set((await api.get("/feed", None)).data[0]) == set(examples.FEED_ITEM)


def list_of(example: Document, view: Document) -> list[str]:
    """The example's members in the order of the response."""
    return [name for name in view if name in example] + [name for name in example if name not in view]


async def test_each_publishing_field_is_checked(api: Api):
    """Invalid values of every publishing field, with the pointer of the fault."""
    wrong = [
        ({"editions": 0}, "/editions"),
        ({"editions": 1.5}, "/editions"),
        ({"editions": 5, "batch_max_tokens": 6}, "/batch_max_tokens"),
        ({"batch_max_tokens": 0}, "/batch_max_tokens"),
        ({"price": "-1"}, "/price"),
        ({"price": "1e-19"}, "/price"),
        ({"price": "NaN"}, "/price"),
        ({"price": "a lot"}, "/price"),
        ({"blockchain": "SOLANA"}, "/blockchain"),
        ({"cover_image_url": "http://example.com/a.png"}, "/cover_image_url"),
        ({"cover_image_url": "https://user@example.com/a.png"}, "/cover_image_url"),
        ({"images": [{"url": "javascript:alert(1)"}]}, "/images/0/url"),
        ({"title": "x" * 201}, "/title"),
        ({"batch_mint_enabled": "yes"}, "/batch_mint_enabled"),
        ({"encryption_enabled": 1}, "/encryption_enabled"),
    ]
    for fields, pointer in wrong:
        refused = await api.post("/projects/collections", {"data": two_steps(), **fields})
        assert (refused.code, refused.pointers) == ((400, "VALIDATION_FAILED"), [pointer]), fields
    collection = await api.create({"editions": 5, "price": "0.123456789012345678"})
    assert collection["price"] == "0.123456789012345678", "not a digit is lost"
    path = f"/projects/{collection['project_id']}/collections/{collection['id']}"
    assert (await api.put(path, {"batch_max_tokens": 6})).pointers == ["/batch_max_tokens"]
    await api.put(path, {"batch_max_tokens": 5})
    assert (await api.put(path, {"editions": 4})).pointers == ["/batch_max_tokens"]
