"""Readiness of a worker: whether NATS answers, each kind has a consumer, and the clock is right."""

import time
from collections.abc import Sequence
from datetime import datetime

import msgspec
from nats.aio.client import Client

from shared.clock import Reading
from shared.contracts.work import WORK_STREAM, consumer_name
from shared.http.health import Check, NotReady, agreement
from workers.kit.lane import Lane

FLUSH_SECONDS = 1
ANSWER_SECONDS = 1


class _Answer(msgspec.Struct):
    """JetStream's answer to a request for a consumer's state."""

    ts: datetime | None = None
    """When it answered, by its own clock; None in an error, and from servers before 2.10."""


_decode = msgspec.json.Decoder(_Answer).decode


async def waiting_for_nats() -> str | None:
    """The check that is used until there is a connection. Raises NotReady."""
    raise NotReady("waits for NATS")


def nats_check(client: Client) -> Check:
    """Whether NATS answers."""

    async def check() -> str | None:
        if not client.is_connected:
            raise NotReady("not connected")
        try:
            await client.flush(timeout=FLUSH_SECONDS)
        except Exception as error:
            raise NotReady(f"NATS does not answer within {FLUSH_SECONDS} s") from error
        return None

    return check


def clock_check(client: Client, kind: str) -> Check:
    """Whether this machine's clock agrees with NATS's, the only server that a worker has an open connection to.

    Asks for the consumer of a kind that this worker takes, which is all that a worker may ask. Passes when NATS does
    not answer: `nats_check` and `lanes_check` fail then.
    """
    subject = f"$JS.API.CONSUMER.INFO.{WORK_STREAM}.{consumer_name(kind)}"

    async def clock() -> str | None:
        sent_at, since = time.time(), time.monotonic()
        try:
            message = await client.request(subject, timeout=ANSWER_SECONDS)
            server_time = _decode(message.data).ts
        except Exception:  # noqa: BLE001 - whatever it is, there is no time to compare
            server_time = None
        if server_time is None:
            return "not compared: NATS does not tell its time"
        return agreement("NATS's", Reading(server_time.timestamp(), sent_at, time.monotonic() - since))

    return clock


def lanes_check(lanes: Sequence[Lane]) -> Check:
    """Whether each lane has a consumer to pull from."""

    async def check() -> str | None:
        if unbound := [lane.kind for lane in lanes if not lane.bound]:
            raise NotReady(f"no consumer yet for {', '.join(unbound)}")
        return ", ".join(lane.kind for lane in lanes)

    return check
