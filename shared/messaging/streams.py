"""The JetStream streams of events: one per owner, which creates it and after which it is named."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
import structlog
from nats.aio.client import Client
from nats.errors import NoRespondersError
from nats.js.api import StreamInfo
from nats.js.errors import APIError, BadRequestError, NotFoundError, ServiceUnavailableError

from shared.contracts.event import Event, event_type

MSG_ID = "Nats-Msg-Id"
FIRST_EPOCH = 1
NAME_IN_USE = 10058
"""JetStream's error when a stream of that name exists with another configuration."""
DUPLICATES_NS = 120_000_000_000
"""Nanoseconds for which a stream detects that a message id is repeated."""
API_TIMEOUT = 5.0
"""Seconds for an answer of JetStream's API."""

log = structlog.get_logger()


@dataclass(frozen=True)
class StreamLimits:
    """How much a stream keeps, and how many replicas it has. None leaves the stream's setting, or JetStream's default.

    By default the stream keeps all events, as the store does: a consumer that is away for longer than the stream keeps
    them would miss some.
    """

    max_age: float | None = None
    """Seconds; 0 for no bound."""
    max_bytes: int | None = None
    """-1 for no bound."""
    replicas: int | None = None

    def as_settings(self) -> dict[str, int]:
        """Those that are not None, under JetStream's names."""
        settings = {
            "max_age": None if self.max_age is None else int(self.max_age * 1e9),
            "max_bytes": self.max_bytes,
            "num_replicas": self.replicas,
        }
        return {name: value for name, value in settings.items() if value is not None}


def stream_name(owner: str) -> str:
    """The JetStream stream of an owner's events."""
    return owner.upper()


def subject_of(owner: str, aggregate: str, stream_id: UUID | str, tag: str) -> str:
    """The subject of an event; `tag` is its stored type. NATS wildcards may stand for parts of it."""
    return f"events.{owner}.{aggregate}.{stream_id}.{tag}"


def message_id(owner: str, epoch: int, position: int) -> str:
    """The `Nats-Msg-Id` of the event at a position of its owner's store, by which the relay fences its messages.

    `owner:position` in the store's first epoch, as releases before 0.2 name them all; `owner:epoch:position` later.
    """
    return f"{owner}:{position}" if epoch == FIRST_EPOCH else f"{owner}:{epoch}:{position}"


def filters(owner: str, events: tuple[type[Event], ...]) -> list[str]:
    """The subjects of these events, in all streams and versions.

    Older versions are upcast. Versions that are newer than this release knows are parked: if they were skipped, they
    would never be handled.
    """
    return sorted({subject_of(owner, event.aggregate, "*", f"{_name(event)}.*") for event in events})


def _name(event: type[Event]) -> str:
    return event_type(event).rpartition(".")[0]


def stream_config(owner: str, limits: StreamLimits) -> dict[str, Any]:
    """The configuration of a new stream, in the form of JetStream's API."""
    return {
        "name": stream_name(owner),
        "subjects": [f"events.{owner}.>"],
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "duplicate_window": DUPLICATES_NS,
        "max_msgs": -1,
        "max_bytes": -1,
        "num_replicas": 1,
        **limits.as_settings(),
    }


async def ensure_stream(client: Client, owner: str, limits: StreamLimits | None = None) -> StreamInfo:
    """The owner's stream of events, created if absent; see `ensure`."""
    limits = limits or StreamLimits()
    return await ensure(client, stream_config(owner, limits), limits)


async def ensure(client: Client, new: dict[str, Any], limits: StreamLimits) -> StreamInfo:
    """The stream, created with the configuration `new` if absent.

    If it exists, only the settings in `limits` are changed, and subjects that it lacks are added. This does not use
    nats-py's calls, which drop settings that they don't know: an operator's settings must stay.
    """
    name: str = new["name"]
    try:
        stream = await _ask(client, "INFO", name, {})
    except NotFoundError:
        try:
            stream = await _ask(client, "CREATE", name, new)
        except BadRequestError as error:
            if error.err_code != NAME_IN_USE:
                raise
            stream = await _ask(client, "INFO", name, {})  # another replica has created it
    config = stream["config"]
    subjects = config.get("subjects") or []
    missing = [subject for subject in new["subjects"] if subject not in subjects]
    changed = {setting: value for setting, value in limits.as_settings().items() if config.get(setting, 0) != value}
    if changed or missing:
        log.info("stream_settings_changed", stream=name, subjects=missing, **changed)
        stream = await _ask(client, "UPDATE", name, config | changed | {"subjects": [*subjects, *missing]})
    info: StreamInfo = StreamInfo.from_response(stream)
    return info


async def _ask(client: Client, verb: str, stream: str, request: dict[str, Any]) -> dict[str, Any]:
    body = msgspec.json.encode(request) if request else b""
    try:
        answer = await client.request(f"$JS.API.STREAM.{verb}.{stream}", body, timeout=API_TIMEOUT)
    except NoRespondersError:
        raise ServiceUnavailableError from None
    decoded: dict[str, Any] = msgspec.json.decode(answer.data)
    if "error" in decoded:
        raise APIError.from_error(decoded["error"])
    return decoded
