"""Each service's AsyncAPI document names its events, in and out, with their schemas."""

import json
import re
from typing import Any

import jsonschema
import msgspec
import pytest

from shared.contracts import collections, generation, storage
from shared.contracts import credits as credits_
from shared.contracts.consumers import ConsumerDeclaration
from shared.contracts.event import Event, event_type
from shared.messaging.asyncapi import asyncapi

OWNERS = {"collections": collections, "generation": generation, "credits": credits_, "storage": storage}


JOBS = ConsumerDeclaration("credits-jobs-v1", "generation", (generation.JobRequested, generation.JobFailed))


def resolve(document: dict[str, Any], reference: str) -> Any:
    """The object that a local reference names. Raises KeyError if it does not exist."""
    value: Any = document
    for part in reference.removeprefix("#/").split("/"):
        value = value[part]
    return value


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [reference for item in value.values() for reference in references(item)]
    if isinstance(value, list):
        return [reference for item in value for reference in references(item)]
    return []


@pytest.mark.parametrize("service", OWNERS)
def test_every_event_of_the_owner_is_published(service: str) -> None:
    """Each has a channel with its subject, message and payload, which the service sends to."""
    events: tuple[type[Event], ...] = OWNERS[service].EVENTS
    document = asyncapi(service, events)
    assert document["asyncapi"] == "3.0.0"
    for event in events:
        tag = event_type(event)
        channel, operation = document["channels"][tag], document["operations"][tag]
        assert channel["address"] == f"events.{service}.{event.aggregate}.{{stream_id}}.{tag}"
        assert set(channel["parameters"]) == {"stream_id"}
        assert operation["action"] == "send"
        assert resolve(document, operation["channel"]["$ref"]) is channel
        message = resolve(document, resolve(document, operation["messages"][0]["$ref"])["$ref"])
        schema = resolve(document, message["payload"]["$ref"])
        assert schema["properties"]["type"]["enum"] == [tag]
        assert set(schema["properties"]) == {"type", *event.__struct_fields__}


def test_the_events_of_a_consumer_are_received() -> None:
    """From the owner's subjects; operations are named after the consumer."""
    document = asyncapi("credits", credits_.EVENTS, [JOBS])
    operation = document["operations"]["credits-jobs-v1.job_failed.v1"]
    channel = document["channels"]["credits-jobs-v1.job_failed.v1"]
    assert operation["action"] == "receive"
    assert channel["address"] == "events.generation.job.{stream_id}.job_failed.v1"


def test_the_document_is_plain_json_with_names_that_asyncapi_allows() -> None:
    """All references resolve, and every component's key matches AsyncAPI's pattern."""
    document = asyncapi("credits", credits_.EVENTS, [JOBS])
    assert json.loads(json.dumps(document)) == document
    assert {"asyncapi", "info", "servers", "channels", "operations", "components"} <= set(document)
    assert {"title", "version"} <= set(document["info"])
    for kind in document["components"].values():
        assert all(re.fullmatch(r"[\w.\-]+", name) for name in kind)
    assert all(resolve(document, reference) for reference in references(document))


def test_schemas_accept_published_events() -> None:
    """And no other events."""
    document = asyncapi("credits", credits_.EVENTS)
    event = msgspec.json.decode(
        b'{"type":"hold_released.v1","job_id":"6a1cf1ff-4d9c-4ef5-a8a5-0bd7fd70d9a7",'
        b'"user_id":"6a1cf1ff-4d9c-4ef5-a8a5-0bd7fd70d9a7","amount":5,"allocations":[]}',
        type=credits_.HoldReleased,
    )
    body = json.loads(msgspec.json.encode(event))
    components = {"components": document["components"]}
    own = {"$ref": "#/components/schemas/HoldReleased"}
    jsonschema.validate(body, own | components)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(body, {"$ref": "#/components/schemas/HoldPlaced"} | components)
