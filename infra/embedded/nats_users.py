"""The users of the set's NATS server and their permissions: services, workers, and `operator`, which may do everything.

Consumers trust the headers of a message because of these permissions: only the owning service can publish to its
stream, or change it. `tests/integration/embedded/test_nats_rights.py` tries every user on every kind of subject.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.contracts.consumers import CONSUMERS, ORDERED_SUFFIX
from shared.contracts.work import (
    RESULTS_CONSUMER,
    RESULTS_STREAM,
    WORK_STREAM,
    cancel_subject,
    checkpoint_subject,
    consumer_name,
    work_subject,
)

OWNERS = ("collections", "generation", "credits", "storage", "edge")
"""The services: each may have a stream, named as the service is, in capitals."""
STUDIO = ("direct_job.sketch", "direct_job.frame", "direct_job.caption")
"""The kinds of work of the built-in worker, whose user is `worker`."""
COMFY = ("comfy_workflow.comfy",)
"""The kinds of work of the ComfyUI worker, whose user is `comfy`, in sets that run it."""
HTTP_API_USER = "http-api"
HTTP_API = ("fetch_api.http_api",)
"""The kinds of work of the http worker. Its user may ask for secrets, no other one."""


@dataclass(frozen=True)
class NatsUser:
    password: str
    publish: tuple[str, ...] = (">",)
    """Subjects it may publish to, wildcards allowed."""
    subscribe: tuple[str, ...] = (">",)
    answers: bool = False
    """Whether it may answer the requests that it receives, on any reply subject."""


def service_users(
    passwords: Mapping[str, str], workers: Mapping[str, Sequence[str]] | None = None
) -> dict[str, NatsUser]:
    """The users of the set. Services have only the permissions that this release and the previous one need.

    `workers`: further ones beside the studio, with the kinds of work that each takes.
    """
    users = {"operator": NatsUser(passwords["operator"])}
    for owner in OWNERS:
        publish = [f"events.{owner}.>", "$JS.API.INFO", *_to_define(owner.upper()), *_to_read(owner.upper())]
        for consumer in CONSUMERS.get(owner, ()):
            stream = consumer.owner.upper()
            publish += [*_to_read(stream), *_to_consume(stream, consumer.name)]
            publish += _to_consume(stream, consumer.name + ORDERED_SUFFIX)
        subscribe = [f"_INBOX_{owner}.>", INBOX]
        if owner == "generation":
            publish += ["work.>", "progress.>", *_to_consume(RESULTS_STREAM, RESULTS_CONSUMER)]
            for stream in (WORK_STREAM, RESULTS_STREAM):
                publish += [*_to_define(stream), *_to_read(stream)]
            publish.append(f"$JS.API.STREAM.MSG.DELETE.{RESULTS_STREAM}")  # for a message that no client can receive
            subscribe += ["progress.>", "workers.*", "checkpoints.>", "secrets.>"]
        users[owner] = NatsUser(passwords[owner], tuple(publish), tuple(subscribe), answers=owner == "generation")
    for name, kinds in {"worker": STUDIO, **(workers or {})}.items():
        users[name] = worker_user(name, passwords[name], kinds)
    return users


INBOX = "_INBOX.>"
"""The reply subjects of clients without a private inbox: services of the previous release."""


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


def worker_user(name: str, password: str, kinds: Sequence[str]) -> NatsUser:
    """A worker's user: it takes work of its kinds, and publishes progress and results of these kinds.

    It reads no other work, whose messages contain upload grants, no events, and no replies to other users.
    """
    publish = [*(["secrets.*"] if name == HTTP_API_USER else []), "workers.>"]
    for kind in kinds:
        consumer = consumer_name(kind)
        publish += [
            f"results.*.*.{kind}",
            f"progress.*.*.*.{kind}",
            checkpoint_subject(kind),
            # The filter is part of the subject, and the server compares it with the request's.
            f"$JS.API.CONSUMER.CREATE.{WORK_STREAM}.{consumer}.{work_subject(kind)}",
            f"$JS.API.CONSUMER.INFO.{WORK_STREAM}.{consumer}",
            f"$JS.API.CONSUMER.MSG.NEXT.{WORK_STREAM}.{consumer}",
            f"$JS.ACK.{WORK_STREAM}.{consumer}.>",
            f"$JS.ACK.*.*.{WORK_STREAM}.{consumer}.>",
        ]
    return NatsUser(password, tuple(publish), (f"_INBOX_{name}.>", *(cancel_subject(kind) for kind in kinds)))
