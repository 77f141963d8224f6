"""One workflow of each type: registered by an operator, quoted, and sent to its worker complete."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from services.generation.domain.workflow.folder import definition_of
from tests.integration.generation.conftest import BUCKET
from tests.integration.generation.working import Worker, prefix_of
from tests.support.apps.client import ALICE
from tests.support.apps.generation import Api, created, data

LIBRARY = Path(__file__).parents[2] / "fixtures" / "component_library"


def definition(name: str) -> dict[str, Any]:
    lists = {path.name: json.loads(path.read_text()) for path in (LIBRARY / "_form_confs").iterdir()}
    files = {path.name: path.read_bytes() for path in (LIBRARY / name).iterdir() if path.is_file()}
    return definition_of(name, files, lists)


async def registered(api: Api, name: str, document: dict[str, Any] | None = None) -> Any:
    body = {"name": name, "definition": document if document is not None else definition(name)}
    answer = await api.send("POST", "/workflows", ALICE, "operator", json=body)
    assert answer.status in {200, 201}, answer.data
    return answer.data


def component(workflow: str, **payload: Any) -> dict[str, Any]:
    return {"id": 7, "nodeName": workflow, "nodePayload": payload}


CASES = {
    "write-text": ({"prompt": "a poem", "service": "text-large"}, "work.direct_job.text-large", Decimal("0.5")),
    "banner": ({"title": "Autumn", "width": 200}, "work.dynamic_json.banner", Decimal("0.2")),
    "image-service": ({"prompt": "a hill", "quantity": 3}, "work.fetch_api.http_api", Decimal("1.5")),
    "landscape": (
        {"prompt": "a hill", "checkpoint": "portrait-v1.safetensors"},
        "work.comfy_workflow.comfy",
        Decimal("1.5"),
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_a_workflow_of_each_type_is_quoted_run_and_charged(
    api: Api, collections: Any, credits_: Any, worker_: Worker, name: str
) -> None:
    """By the same cost function; what its worker gets is complete."""
    payload, subject, cost = CASES[name]
    assert (await registered(api, name))["outcome"] == "added"
    collection = await created(collections, data(component(name, **payload)))
    quote = (await api.generate(collection, dry_run=True)).data
    assert quote["quoted"] == cost
    job = await api.ended((await api.generate(collection)).data["job_id"])
    assert job["credits"]["captured"] == cost
    [work] = worker_.worked
    assert worker_.subjects == [subject]
    assert complete(name, work.payload, prefix_of(work), work.sid)


def complete(name: str, payload: dict[str, Any], prefix: str, sid: UUID) -> bool:
    if name == "write-text":
        return payload == {"model": "small", "tools": [{"type": "search", "size": "short"}], "prompt": "a poem"}
    if name == "banner":
        size = {"width": 200, "height": 32}
        return payload == {"title": "Autumn", "subtitle": "by nobody in 2026", "colour": "red", "size": size}
    if name == "image-service":
        request = payload["request"]
        return (
            request["headers"]["Authorization"] == "Bearer {{IMAGE_SERVICE_KEY}}"
            and request["body"]["steps"][0]["input"]["quantity"] == 3
            and isinstance(request["body"]["steps"][0]["input"]["seed"], int)
            and (payload["success"], payload["fetch"]) == ([200, 202], "wait")
        )
    graph = payload["graph"]
    return (
        graph["1"]["inputs"]["filename"] == "portrait-v1.safetensors"
        and graph["3"]["inputs"]["text"] == "a hill"
        and graph["9"]["inputs"]["prefix"] == prefix
        and graph["9"]["inputs"]["bucket"] == BUCKET
        and graph["9"]["inputs"]["filename"] == f"{sid}.png"
        and payload["models"] == [{"kind": "vae", "name": "ae.safetensors"}]
    )
