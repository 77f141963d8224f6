"""The OpenAPI operation of `create_and_generate.py`, made from those of the two commands that it sends."""

from collections.abc import Mapping
from typing import Any

from services.edge.create_and_generate import CREATION, GENERATION_MEMBERS

PATH = "/api/collections/generate"
GENERATION = "/collections/{collection_id}/generations"
ACCEPTED = {
    "type": "object",
    "required": ["data", "error"],
    "properties": {
        "data": {
            "type": "object",
            "required": ["collection_id", "job_id", "status", "events_url"],
            "properties": {
                "collection_id": {"type": "string", "format": "uuid"},
                "job_id": {"type": "string", "format": "uuid"},
                "status": {"type": "string", "description": "pending until the job's credits are held"},
                "events_url": {"type": "string"},
            },
        },
        "error": {"type": "null"},
    },
}
DESCRIPTION = """Creates a collection as `POST /projects/collections`, and requests its job as
`POST /collections/{id}/generations`. If the job is refused, the collection stays as a draft: Location names it. With
the same `Idempotency-Key`, the request can be repeated until both are done."""


def combined_operation(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The path with its operation; empty while the document lacks one of the two commands."""
    creation = document["paths"].get(CREATION, {}).get("post")
    generation = document["paths"].get(GENERATION, {}).get("post")
    if creation is None or generation is None:
        return {}
    members = _members(document, generation)
    properties = _members(document, creation) | {name: members[name] for name in GENERATION_MEMBERS if name in members}
    refusals = {
        status: response
        for operation in (creation, generation)
        for status, response in operation["responses"].items()
        if status >= "400"
    }
    content = _json({"type": "object", "properties": properties, "additionalProperties": False})
    if (example := _body(creation).get("example")) is not None:
        content["application/json"]["example"] = {**example, "variables": {}, "generations": 1}
    accepted = {"description": "The collection was created, and its job accepted", "content": _json(ACCEPTED)}
    operation = {
        "tags": creation.get("tags", []),
        "summary": "Create a collection and generate its artwork",
        "description": DESCRIPTION,
        "operationId": "createAndGenerate",
        "parameters": creation.get("parameters", []),
        "requestBody": {"required": True, "content": content},
        "responses": {"202": accepted, **dict(sorted(refusals.items()))},
        "security": creation.get("security", []),
    }
    return {PATH: {"post": operation}}


def _json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _body(operation: Mapping[str, Any]) -> dict[str, Any]:
    """The media type of an operation's body; empty if it has none."""
    return dict(operation.get("requestBody", {}).get("content", {}).get("application/json", {}))


def _members(document: Mapping[str, Any], operation: Mapping[str, Any]) -> dict[str, Any]:
    """The properties of an operation's body."""
    schema = _body(operation).get("schema", {})
    for alternative in (schema, *schema.get("oneOf", ()), *schema.get("anyOf", ())):
        *_, section, name = alternative.get("$ref", "/").split("/")
        if section:
            return dict(document["components"][section][name].get("properties", {}))
    return dict(schema.get("properties", {}))
