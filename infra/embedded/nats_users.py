"""The users of the set's NATS server and their permissions: services, workers, and `operator`, which may do everything.

Consumers trust the headers of a message because of these permissions: only the owning service can publish to its
stream, or change it. `tests/integration/embedded/test_nats_rights.py` tries every user on every kind of subject.
"""

from collections.abc import Mapping
from dataclasses import dataclass

OWNERS = ("collections", "generation", "credits", "storage", "edge")
"""The services: each may have a stream, named as the service is, in capitals."""
WORK, RESULTS = "WORK", "RESULTS"
RESULTS_INTAKE = "generation-results-v1"

CONSUMERS: dict[str, dict[str, tuple[str, ...]]] = {
    "collections": {
        "storage": ("collections-assets-v1", "collections-packages-v1"),
        "generation": ("collections-artworks-v1",),
    },
    "generation": {
        "collections": ("generation-collections-v2",),
        "credits": ("generation-holds-v1",),
        "storage": ("generation-files-v1",),
    },
    "credits": {"generation": ("credits-jobs-v1",)},
    "storage": {"generation": ("storage-generations-v1",), "collections": ("storage-packages-v1",)},
}
"""Each service's durable consumers, by the owner of the stream."""
ORDERED = "-ordered"


@dataclass(frozen=True)
class NatsUser:
    password: str
    publish: tuple[str, ...] = (">",)
    """Subjects it may publish to, wildcards allowed."""
    subscribe: tuple[str, ...] = (">",)


def service_users(passwords: Mapping[str, str]) -> dict[str, NatsUser]:
    """The users of the set, with only the permissions that this release and the previous one need."""
    users = {"operator": NatsUser(passwords["operator"])}
    for owner in OWNERS:
        publish = [f"events.{owner}.>", "$JS.API.INFO", *_to_define(owner.upper()), *_to_read(owner.upper())]
        for other, names in CONSUMERS.get(owner, {}).items():
            publish += _to_read(other.upper())
            for name in names:
                publish += [*_to_consume(other.upper(), name), *_to_consume(other.upper(), name + ORDERED)]
        subscribe = [f"_INBOX_{owner}.>", INBOX]
        if owner == "generation":
            publish += ["work.>", "progress.>", *_to_consume(RESULTS, RESULTS_INTAKE)]
            for stream in (WORK, RESULTS):
                publish += [*_to_define(stream), *_to_read(stream)]
            publish.append(f"$JS.API.STREAM.MSG.DELETE.{RESULTS}")  # for a message that no client can receive
            subscribe.append("progress.>")
        users[owner] = NatsUser(passwords[owner], tuple(publish), tuple(subscribe))
    users["worker"] = NatsUser(passwords["worker"], WORKER, (INBOX,))
    return users


INBOX = "_INBOX.>"
"""The reply subjects of clients without a private inbox: workers, and services of the previous release."""


def _to_define(stream: str) -> tuple[str, ...]:
    """The API subjects to create a stream and set its limits. Only operators may purge or delete one, or messages."""
    return tuple(f"$JS.API.STREAM.{verb}.{stream}" for verb in ("CREATE", "UPDATE"))


def _to_read(stream: str) -> tuple[str, ...]:
    """The API subjects to read a stream's state and single messages."""
    return tuple(f"$JS.API.STREAM.{verb}.{stream}" for verb in ("INFO", "MSG.GET"))


def _to_consume(stream: str, name: str) -> tuple[str, ...]:
    """The subjects to create the consumer of that name, pull from it, and acknowledge its messages."""
    verbs = ("CREATE", "DURABLE.CREATE", "INFO", "DELETE", "RESET", "MSG.NEXT")
    return (
        *(f"$JS.API.CONSUMER.{verb}.{stream}.{name}" for verb in verbs),
        f"$JS.API.CONSUMER.CREATE.{stream}.{name}.>",  # some clients append the filter
        f"$JS.ACK.{stream}.{name}.>",
        f"$JS.ACK.*.*.{stream}.{name}.>",
    )


WORKER = (
    "results.>",
    "progress.>",
    f"$JS.API.STREAM.INFO.{WORK}",
    f"$JS.API.STREAM.INFO.{RESULTS}",
    *(f"$JS.API.CONSUMER.{verb}.{WORK}.*" for verb in ("CREATE", "DURABLE.CREATE", "INFO", "MSG.NEXT")),
    f"$JS.ACK.{WORK}.>",
    f"$JS.ACK.*.*.{WORK}.>",
)
"""A worker pulls work, and publishes progress and results. It can't read events."""
