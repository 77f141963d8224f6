"""The AsyncAPI 3.0 document of a service: the events that it publishes, and those that its consumers handle.

FastStream makes channels, operations and bindings. The payload schemas come from msgspec, since FastStream's generator
only supports pydantic models; and messages are named by their event's tag, since FastStream's names contain characters
that AsyncAPI does not allow.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from faststream.nats import JStream, NatsBroker, PullSub
from faststream.specification import AsyncAPI

from shared.contracts.consumers import ConsumerDeclaration
from shared.contracts.event import Event, event_type
from shared.messaging.cloudevents import CONTENT_TYPE
from shared.messaging.streams import stream_name, subject_of

STREAM_ID = "stream_id"
CORRELATION = {"location": "$message.header#/ce-correlationid"}
PARAMETERS = {STREAM_ID: {"description": "The id of the event's stream, a UUID"}}


def asyncapi(
    service: str,
    events: Sequence[type[Event]],
    consumers: Sequence[ConsumerDeclaration] = (),
    *,
    version: str = "1",
    server: str = "nats://localhost:4222",
) -> dict[str, Any]:
    """The document as plain JSON values. Needs no running server."""
    broker = NatsBroker(server, logger=None, apply_types=False)
    channels: dict[str, type[Event]] = {}
    for event in events:
        tag = event_type(event)
        channels[tag] = event
        broker.publisher(_address(service, event), title=tag, description=_sentence(event), schema=dict)
    for consumer in consumers:
        for event in consumer.events:
            title = f"{consumer.name}.{event_type(event)}"
            channels[title] = event
            subscriber = broker.subscriber(
                _address(consumer.owner, event),
                stream=JStream(stream_name(consumer.owner), declare=False),
                durable=consumer.name,
                pull_sub=PullSub(),
                title=title,
                description=_sentence(event),
            )
            subscriber(_receive)
    specification = AsyncAPI(broker, title=f"emprops {service}", version=version, schema_version="3.0.0")
    document: dict[str, Any] = specification.to_specification().to_jsonable()
    _describe(document, channels)
    return document


async def _receive(message: dict[str, Any]) -> None:
    """The handler of each described subscriber; never called."""


def _describe(document: dict[str, Any], channels: dict[str, type[Event]]) -> None:
    """Replaces the messages and schemas that FastStream made."""
    distinct = list(dict.fromkeys(channels.values()))
    references, schemas = msgspec.json.schema_components(distinct, ref_template="#/components/schemas/{name}")
    schemas["CloudEventHeaders"] = HEADERS
    document["components"] = {
        "messages": {
            event_type(event): {
                "name": event_type(event),
                "title": event.__name__,
                "summary": _sentence(event),
                "contentType": CONTENT_TYPE,
                "correlationId": CORRELATION,
                "headers": {"$ref": "#/components/schemas/CloudEventHeaders"},
                "payload": reference,
            }
            for event, reference in zip(distinct, references, strict=True)
        },
        "schemas": schemas,
    }
    for name, event in channels.items():
        tag = event_type(event)
        document["channels"][name]["messages"] = {tag: {"$ref": f"#/components/messages/{tag}"}}
        document["channels"][name]["parameters"] = PARAMETERS
        document["operations"][name]["messages"] = [{"$ref": f"#/channels/{name}/messages/{tag}"}]


def _address(owner: str, event: type[Event]) -> str:
    return subject_of(owner, event.aggregate, f"{{{STREAM_ID}}}", event_type(event))


def _sentence(event: type[Event]) -> str:
    """The event's own docstring, on one line; its name if it has none."""
    return " ".join((event.__dict__.get("__doc__") or event.__name__).split())


def _header(description: str, **schema: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **schema}


HEADERS: dict[str, Any] = {
    "type": "object",
    "description": "CloudEvents 1.0, binary content mode",
    "properties": {
        "ce-specversion": {"const": "1.0"},
        "ce-id": _header("The event's id", format="uuid"),
        "ce-source": _header("/emprops/<service>"),
        "ce-type": _header("The versioned tag"),
        "ce-subject": _header("The id of the event's stream", format="uuid"),
        "ce-time": _header("When it was recorded", format="date-time"),
        "content-type": {"const": CONTENT_TYPE},
        "ce-epoch": _header(
            "The epoch of its owner's store; grows when the store was restored to an earlier moment", pattern="^[0-9]+$"
        ),
        "ce-position": _header("Its position in its owner's store; grows, with gaps", pattern="^[0-9]+$"),
        "ce-streamversion": _header("The version of its stream with this event", pattern="^[0-9]+$"),
        "ce-withheld": _header("Why the broker refused the event that this message replaces; there is no body"),
        "ce-late": _header("Published after later events of its owner, because it was withheld at first"),
        "ce-actor": _header("Who issued the command, percent-encoded"),
        "ce-commandid": _header("The id of the command that led to it", format="uuid"),
        "ce-correlationid": _header("Shared by all that one request caused", format="uuid"),
        "ce-causationid": _header("The event that caused the command", format="uuid"),
        "traceparent": _header("W3C Trace Context"),
    },
    "required": [
        "ce-specversion",
        "ce-id",
        "ce-source",
        "ce-type",
        "ce-subject",
        "ce-time",
        "content-type",
        "ce-position",
        "ce-streamversion",
        "ce-actor",
        "ce-commandid",
    ],
}
