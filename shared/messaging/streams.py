"""The JetStream streams that events travel on: one per owner, named like it, made by whoever comes first."""

from dataclasses import dataclass
from uuid import UUID

from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig, StreamInfo
from nats.js.errors import BadRequestError, NotFoundError

from shared.contracts.event import Event, event_type

MSG_ID = "Nats-Msg-Id"
FIRST_EPOCH = 1
NAME_IN_USE = 10058
"""JetStream's error when a stream of that name exists with another configuration."""


@dataclass(frozen=True)
class StreamLimits:
    """How much of its events a stream keeps.

    The event store keeps all of them; but a consumer that was away for longer than the stream remembers has missed
    some, so by default the stream remembers everything too.
    """

    max_age: float = 0
    """Seconds; 0 keeps them for ever."""
    max_bytes: int = -1
    replicas: int = 1


def stream_name(owner: str) -> str:
    return owner.upper()


def subject_of(owner: str, aggregate: str, stream_id: UUID | str, tag: str) -> str:
    return f"events.{owner}.{aggregate}.{stream_id}.{tag}"


def message_id(owner: str, epoch: int, position: int) -> str:
    """The `Nats-Msg-Id` of the event at a position of its owner's store: what the relay's fence is made of.

    `owner:position` in the store's first epoch, as releases before 0.2 name them all; `owner:epoch:position` later.
    """
    return f"{owner}:{position}" if epoch == FIRST_EPOCH else f"{owner}:{epoch}:{position}"


def filters(owner: str, events: tuple[type[Event], ...]) -> list[str]:
    """The subjects of these events, whatever their stream and their version.

    Also of versions that are older (they are upcast) and newer than this release knows: those are parked, while passed
    over they would be missing for ever.
    """
    return sorted({subject_of(owner, event.aggregate, "*", f"{_name(event)}.*") for event in events})


def _name(event: type[Event]) -> str:
    return event_type(event).rpartition(".")[0]


def stream_config(owner: str, limits: StreamLimits) -> StreamConfig:
    return StreamConfig(
        name=stream_name(owner),
        subjects=[f"events.{owner}.>"],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_age=limits.max_age,
        max_bytes=limits.max_bytes,
        num_replicas=limits.replicas,
        duplicate_window=120,
    )


async def ensure_stream(
    js: JetStreamContext, owner: str, limits: StreamLimits | None = None, *, owned: bool = False
) -> StreamInfo:
    """The owner's stream, created if absent. Only its owner (`owned`) changes the limits of one that exists."""
    config = stream_config(owner, limits or StreamLimits())
    try:
        info = await js.stream_info(stream_name(owner))
    except NotFoundError:
        try:
            return await js.add_stream(config)
        except BadRequestError as error:
            if error.err_code != NAME_IN_USE:
                raise
            info = await js.stream_info(stream_name(owner))
    if owned and _differs(info.config, config):
        return await js.update_stream(config)
    return info


def _differs(found: StreamConfig, wanted: StreamConfig) -> bool:
    return (found.subjects, found.max_age or 0, found.max_bytes, found.num_replicas) != (
        wanted.subjects,
        wanted.max_age or 0,
        wanted.max_bytes,
        wanted.num_replicas,
    )
