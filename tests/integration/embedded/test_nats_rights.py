"""Each NATS user of a set has exactly the permissions that its code needs: every user is tried on every subject."""

from collections.abc import Iterator
from typing import NamedTuple

import nats
import pytest
from nats.aio.client import Client

from infra.embedded.nats import NatsServer
from infra.embedded.nats_users import HTTP_API, HTTP_API_USER, OWNERS, STUDIO, service_users
from shared.contracts.consumers import CONSUMERS, ORDERED_SUFFIX
from shared.contracts.work import RESULTS_CONSUMER, consumer_name
from tests.support.patience import PATIENCE
from tests.support.servers import Servers

WORKERS = {"worker": STUDIO, HTTP_API_USER: HTTP_API, "text": ("direct_job.text",)}
KINDS = {kind: user for user, kinds in WORKERS.items() for kind in kinds}
"""The user of each kind of work."""
USERS = (*OWNERS, *WORKERS)
STREAMS = (*(owner.upper() for owner in OWNERS), "WORK", "RESULTS")
SERVICES = [owner for owner in OWNERS if owner != "edge"]


@pytest.fixture(scope="module")
def server(servers: Servers) -> Iterator[NatsServer]:
    with servers.start_nats(service_users(dict.fromkeys((*USERS, "operator"), "secret"), WORKERS)) as started:
        yield started


class Right(NamedTuple):
    subject: str
    holders: frozenset[str]


def right(subject: str, *holders: str) -> Right:
    return Right(subject, frozenset(holders))


def readers(stream: str) -> set[str]:
    """The services that read a stream, its owner included."""
    return {stream.lower()} & set(OWNERS) | {
        service
        for service, consumers in CONSUMERS.items()
        if stream.lower() in {consumer.owner for consumer in consumers}
    }


def publishing() -> list[Right]:
    rights = [right(f"events.{owner}.thing.id.done.v1", owner) for owner in OWNERS]
    rights += [right("work.image.paint", "generation"), right("results.job.gid")]
    rights += [right(f"results.job.gid.{kind}", user) for kind, user in KINDS.items()]
    rights += [right(f"progress.job.gid.sid.{kind}", "generation", user) for kind, user in KINDS.items()]
    rights += [right(f"checkpoints.{kind}", user) for kind, user in KINDS.items()]
    rights += [right("secrets.API_KEY", HTTP_API_USER)]
    rights += [right("cancel.direct_job.sketch"), right("workers.studio-1", *WORKERS)]
    rights += [right("progress.job.gid", "generation"), right("anything.else"), right("$SYS.REQ.SERVER.PING")]
    rights += [right("_INBOX.somebody"), *(right(f"_INBOX_{owner}.x") for owner in OWNERS)]
    for stream in STREAMS:
        owner = {stream.lower()} & set(OWNERS) or {"generation"}
        rights += [right(f"$JS.API.STREAM.{verb}.{stream}", *owner) for verb in ("CREATE", "UPDATE")]
        for verb in ("DELETE", "PURGE", "MSG.DELETE", "SNAPSHOT", "RESTORE", "LEADER.STEPDOWN", "PEER.REMOVE"):
            holders = ["generation"] if (verb, stream) == ("MSG.DELETE", "RESULTS") else []
            rights.append(right(f"$JS.API.STREAM.{verb}.{stream}", *holders))
        looks = readers(stream) or {"generation"}
        rights.append(right(f"$JS.API.STREAM.MSG.GET.{stream}", *looks))
        rights.append(right(f"$JS.API.STREAM.INFO.{stream}", *looks))
        for verb in ("CREATE", "DURABLE.CREATE", "INFO", "MSG.NEXT", "DELETE", "RESET", "PAUSE", "LEADER.STEPDOWN"):
            rights.append(right(f"$JS.API.CONSUMER.{verb}.{stream}.somebodys"))
        rights.append(right(f"$JS.ACK.{stream}.somebodys.1.1.1.1.1"))
    for kind, user in KINDS.items():
        consumer = consumer_name(kind)
        rights.append(right(f"$JS.API.CONSUMER.CREATE.WORK.{consumer}.work.{kind}", user))
        rights += [right(f"$JS.API.CONSUMER.{verb}.WORK.{consumer}", user) for verb in ("INFO", "MSG.NEXT")]
        for verb in ("CREATE", "DURABLE.CREATE", "DELETE", "RESET"):
            rights.append(right(f"$JS.API.CONSUMER.{verb}.WORK.{consumer}"))
        rights.append(right(f"$JS.API.CONSUMER.CREATE.WORK.{consumer}.work.direct_job.another"))
        rights.append(right(f"$JS.ACK.WORK.{consumer}.1.1.1.1.1", user))
    for service, consumers in CONSUMERS.items():
        for declared in consumers:
            for name in (declared.name, declared.name + ORDERED_SUFFIX):
                stream = declared.owner.upper()
                for verb in ("CREATE", "DURABLE.CREATE", "INFO", "DELETE", "RESET", "MSG.NEXT"):
                    rights.append(right(f"$JS.API.CONSUMER.{verb}.{stream}.{name}", service))
                rights.append(right(f"$JS.ACK.{stream}.{name}.1.1.1.1.1", service))
    rights.append(right(f"$JS.API.CONSUMER.MSG.NEXT.RESULTS.{RESULTS_CONSUMER}", "generation"))
    rights.append(right(f"$JS.ACK.RESULTS.{RESULTS_CONSUMER}.1.1.1.1.1", "generation"))
    return rights


def subscribing() -> list[Right]:
    rights = [
        right(">"),
        right("events.>"),
        right("work.>"),
        right("results.>"),
        right("$JS.API.>"),
    ]
    rights += [right(f"events.{owner}.>") for owner in OWNERS]
    rights += [right(f"_INBOX_{user}.answer", user) for user in USERS]
    rights += [
        right("cancel.>"),
        right("workers.*", "generation"),
        right("secrets.>", "generation"),
        right("checkpoints.>", "generation"),
    ]
    rights += [right(f"cancel.{kind}", user) for kind, user in KINDS.items()]
    return [*rights, right("progress.job.>", "generation"), right("_INBOX.answer", *OWNERS)]


async def flush_and_close(client: Client) -> None:
    """Waits until the server has processed everything. Flushes twice: nats-py sends a PING before pending data."""
    await client.flush(timeout=int(PATIENCE))
    await client.flush(timeout=int(PATIENCE))
    await client.close()


@pytest.mark.parametrize("user", USERS)
async def test_who_may_publish_where(server: NatsServer, user: str) -> None:
    """The server reports the refused subjects; all others are allowed."""
    rights = publishing()
    refused: set[str] = set()

    async def note(error: Exception) -> None:
        # nats-py reports the subject in lower case.
        refused.update(right.subject for right in rights if f'"{right.subject}"'.lower() in str(error))

    client = await nats.connect(server.url(user), error_cb=note, allow_reconnect=False)
    for right in rights:
        await client.publish(right.subject, b"{}")
    await flush_and_close(client)
    allowed = {right.subject for right in rights} - refused
    assert allowed == {right.subject for right in rights if user in right.holders}


@pytest.mark.parametrize("user", USERS)
async def test_who_may_listen_where(server: NatsServer, user: str) -> None:
    """No user can read replies to other users, or core NATS messages that it does not need."""
    rights = subscribing()
    refused: set[str] = set()

    async def note(error: Exception) -> None:
        refused.update(right.subject for right in rights if f'"{right.subject}"'.lower() in str(error))

    client = await nats.connect(server.url(user), error_cb=note, allow_reconnect=False)
    for right in rights:
        await client.subscribe(right.subject)
    await flush_and_close(client)
    allowed = {right.subject for right in rights} - refused
    assert allowed == {right.subject for right in rights if user in right.holders}
