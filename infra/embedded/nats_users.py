"""Who may say what on the set's NATS server: its services, its workers, and `operator`, who may do everything.

What a message says of itself is believed because of this: nobody but a service's relay can put one into its stream, and
nobody but the service may change or read what is its own business there. Every user is tried on every kind of subject
by `tests/integration/embedded/test_nats_rights.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

OWNERS = ("collections", "generation", "credits", "storage", "edge")
"""The services: each may have a stream of its own name in capitals."""
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
"""What each service takes from others: the names of its consumers, by the owner of the events."""
ORDERED = "-ordered"


@dataclass(frozen=True)
class NatsUser:
    password: str
    publish: tuple[str, ...] = (">",)
    """Subjects it may publish to, wildcards allowed."""
    subscribe: tuple[str, ...] = (">",)


def service_users(passwords: Mapping[str, str]) -> dict[str, NatsUser]:
    """The users of the set, with no more rights than their code of this release and of the one before needs."""
    users = {"operator": NatsUser(passwords["operator"])}
    for owner in OWNERS:
        publish = [f"events.{owner}.>", "$JS.API.INFO", *_makes(owner.upper()), *_looks(owner.upper())]
        for other, names in CONSUMERS.get(owner, {}).items():
            publish += _looks(other.upper())
            for name in names:
                publish += [*_consumes(other.upper(), name), *_consumes(other.upper(), name + ORDERED)]
        subscribe = [f"_INBOX_{owner}.>", INBOX]
        if owner == "generation":
            publish += ["work.>", "progress.>", *_consumes(RESULTS, RESULTS_INTAKE)]
            for stream in (WORK, RESULTS):
                publish += [*_makes(stream), *_looks(stream)]
            publish.append(f"$JS.API.STREAM.MSG.DELETE.{RESULTS}")  # of one that no client can be given
            subscribe.append("progress.>")
        users[owner] = NatsUser(passwords[owner], tuple(publish), tuple(subscribe))
    users["worker"] = NatsUser(passwords["worker"], WORKER, (INBOX,))
    return users


INBOX = "_INBOX.>"
"""Where answers come to whoever has no private inbox: workers, and services of the release before."""


def _makes(stream: str) -> tuple[str, ...]:
    """To make a stream and to set its limits. To purge or delete one, or messages of it, is for operators."""
    return tuple(f"$JS.API.STREAM.{verb}.{stream}" for verb in ("CREATE", "UPDATE"))


def _looks(stream: str) -> tuple[str, ...]:
    return tuple(f"$JS.API.STREAM.{verb}.{stream}" for verb in ("INFO", "MSG.GET"))


def _consumes(stream: str, name: str) -> tuple[str, ...]:
    """One consumer of that name: to make it, pull from it, and acknowledge what came."""
    verbs = ("CREATE", "DURABLE.CREATE", "INFO", "DELETE", "RESET", "MSG.NEXT")
    return (
        *(f"$JS.API.CONSUMER.{verb}.{stream}.{name}" for verb in verbs),
        f"$JS.API.CONSUMER.CREATE.{stream}.{name}.>",  # with its filter, as some clients write it
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
"""A worker opens work of the kinds that it offers, and says how it goes and what came of it. It sees no event."""
