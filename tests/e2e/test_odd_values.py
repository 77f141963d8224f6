"""Odd values in every place of every operation, on the real set: never a 5xx, and a refusal that helps.

The operations and their example bodies are those of the API's document. What is refused has a pointer that exists in
what was sent, takes 16 KB at most, and has recorded nothing: no event in any service carries its correlation id.
"""

import asyncio
import json
import os
from dataclasses import replace
from typing import Any
from uuid import uuid4

from tests.support.odd_requests import DEFINITION, ODD_WORKFLOW, Operation, Scene
from tests.support.odd_values import HEADERS, PLAIN, bodies, share
from tests.unit.growth import test_growth, test_more_growth
from tests.unit.growth.operations import EXEMPT, MEASURED

SHARE = int(os.environ.get("ODD_SHARE", "6"))
"""Each place gets every sixth odd value, other ones from place to place; with ODD_SHARE=1 all of them."""
MODEL = {"kind": "vae", "name": "odd.safetensors", "source_url": None, "sha256": None, "size": 5}
OTHER_EXAMPLES: dict[str, Any] = {
    "resumeJob": {"from": "last_completed", "generations": [str(uuid4())]},
    "pauseJob": {"reason": "odd"},
    "registerWorkflow": {"name": ODD_WORKFLOW, "definition": DEFINITION, "type": "direct_job", "dry_run": True},
    "changeWorkflow": {"definition": DEFINITION, "dry_run": True},
    "deprecateWorkflow": {"reason": "odd"},
    "pauseWorkflow": {"reason": "odd"},
    "testWorkflow": {"values": {"prompt": "odd"}},
    "describeModel": MODEL,
    "fetchAsset": {"url": "http://127.0.0.1/odd.png"},
    "changeModel": MODEL,
    "readModels": {"names": ["vae/odd.safetensors"]},
    "generate": {"variables": {"mood": "calm"}, "generations": 1, "hashes": ["a"], "dry_run": True},
    "setLimits": {"daily": "25", "per_job": "0.5", "low_threshold": "1"},
    "setLimitsOfUser": {"daily": "25", "per_job": "0.5"},
    "giveGrant": {
        "user_id": str(uuid4()),
        "amount": "12.5",
        "source": "test",
        "priority": 100,
        "expires_at": "2030-01-01T00:00:00Z",
        "external_id": "odd",
    },
    "reverseGrant": {"user_id": str(uuid4()), "amount": "12.5", "reason": "odd", "external_id": "odd"},
    "refundJob": {
        "user_id": str(uuid4()),
        "job_id": str(uuid4()),
        "amount": "12.5",
        "reason": "odd",
        "external_id": "odd",
    },
}
"""Of operations whose document has none."""
ABOUT_ITS_SUBJECT = {"publishCollection", "generate", "createAndGenerate"}
"""Operations whose refusals point into the collection that they are about, too."""
ENDS_IT = {"publishCollection", "archiveCollection", "transferCustody"}
"""Operations after which the collection takes no others: each try gets a new one."""


async def operations(scene: Scene) -> list[Operation]:
    async with scene.session.get(f"{scene.running.url}/schema/openapi.json") as response:
        document = await response.json()
    documented = []
    for path, item in document["paths"].items():
        for method in ("get", "put", "post", "delete"):
            if method not in item:
                continue
            description = item[method]
            operation = Operation(method.upper(), path, description["operationId"], description.get("parameters", []))
            content = description.get("requestBody", {}).get("content", {}).get("application/json")
            if content is not None:
                examples = content.get("examples") or {}
                values = [example["value"] for example in examples.values()] + [content.get("example")]
                operation.example = OTHER_EXAMPLES.get(operation.id, values[0])
                if operation.id == "createFromTemplate":
                    operation.example = {**operation.example, "template_collection_id": scene.collection["id"]}
                assert operation.example is not None, f"{operation.id} has no example of its body"
                if operation.id == "createFromTemplate":
                    documented.append(replace(operation, example=with_image(operation.example)))
            documented.append(operation)
    return documented


def with_image(template: dict[str, Any]) -> dict[str, Any]:
    """The request with an image from the web, which the edge reads: its own refusals have other places."""
    image = {"data.steps[1].nodePayload": {"image": {"$fetch": "http://127.0.0.1/odd.png"}, "title": "odd"}}
    return {**template, "overrides": {**template["overrides"], **image}}


async def test_odd_values_in_bodies(scene: Scene) -> None:
    for operation in await operations(scene):
        if operation.example is None:
            continue
        works = []
        for body in bodies(operation.example, SHARE):
            try:
                sent = json.loads(body.raw, parse_int=str)
            except (ValueError, RecursionError):
                # What begins as the example does may be refused before it is found to be no JSON.
                sent = operation.example
            address, subject = scene.address(operation), scene.collection
            if operation.id in ENDS_IT:
                subject = await scene.new_collection()
                address = scene.address(operation, collection_id=subject["id"])
            documents = (sent, subject) if operation.id in ABOUT_ITS_SUBJECT else (sent,)
            works.append(scene.ask(operation, address, body.raw, odd=body.pointer, documents=documents))
        await asyncio.gather(*works)
    await scene.assert_no_faults()


async def test_odd_values_in_addresses_and_headers(scene: Scene) -> None:
    turn = 0
    for operation in await operations(scene):
        if operation.id in ENDS_IT:
            continue
        data = None if operation.example is None else json.dumps(operation.example).encode()
        if operation.method != "GET" and data is None and operation.id not in {"storeAsset", "setVariables"}:
            data = b"{}"
        works = []
        for parameter in operation.parameters:
            name, place = parameter["name"], parameter["in"]
            turn += 1
            for odd in share(HEADERS if place == "header" else PLAIN, SHARE, turn):
                address, headers = scene.address(operation), {}
                if place == "path":
                    address = scene.address(operation, **{name: odd})
                elif place == "query":
                    address += f"?{name}={odd}"
                else:
                    headers = {name: odd}
                works.append(
                    scene.ask(
                        operation, address, data, headers, f"{place} {name}", (operation.example, scene.collection)
                    )
                )
        works.append(scene.ask(operation, f"{scene.address(operation)}?unheard_of=1", data, odd="a query"))
        works.append(scene.ask(operation, f"{scene.address(operation)}?limit=1&limit=1", data, odd="a query"))
        await asyncio.gather(*works)
    await scene.assert_no_faults()


async def test_the_growth_of_each_operation_is_measured(scene: Scene) -> None:
    """Or there is a reason why it need not be; and what takes a file or a table is never exempt."""
    by_id = {operation.id: operation for operation in await operations(scene)}
    assert by_id.keys() == MEASURED.keys() | EXEMPT.keys()
    assert MEASURED.keys().isdisjoint(EXEMPT)
    measured = test_growth.OPERATIONS.keys() | test_more_growth.OPERATIONS.keys()
    assert {name for names in MEASURED.values() for name in names} <= measured
    nested = {
        operation.id
        for operation in by_id.values()
        if isinstance(operation.example, dict) and _is_nested(operation.example)
    }
    assert nested <= MEASURED.keys(), "a body with lists or objects in it is of any size"


def _is_nested(example: dict[str, Any]) -> bool:
    return any(isinstance(value, dict | list) for value in example.values())
