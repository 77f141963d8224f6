"""What a worker tells of itself: whether it reaches the broker and has work to pull, and whether its clock is right."""

import time
from collections.abc import Sequence
from datetime import datetime

import msgspec
from nats.aio.client import Client

from shared.clock import Reading
from shared.contracts.work import WORK_STREAM
from shared.http import NotReady
from shared.http.health import Check, agreement
from workers.kit.lane import Lane
from workers.studio.render_pool import RenderPool

FLUSH_SECONDS = 1
ANSWER_SECONDS = 1


class _Answer(msgspec.Struct):
    """Of JetStream, to a question about a stream."""

    ts: datetime | None = None
    """When it answered, by its own clock; None in an error, and from servers before 2.10."""


_decoder = msgspec.json.Decoder(_Answer)


async def waiting_for_nats() -> str | None:
    """Until there is a connection."""
    raise NotReady("waits for NATS")


def nats_check(client: Client) -> Check:
    async def check() -> str | None:
        if not client.is_connected:
            raise NotReady("not connected")
        try:
            await client.flush(timeout=FLUSH_SECONDS)
        except Exception as error:
            raise NotReady(f"NATS does not answer within {FLUSH_SECONDS} s") from error
        return None

    return check


def clock_check(client: Client) -> Check:
    """Whether this machine's clock and that of NATS agree: the only server that a worker has an open connection to.

    While NATS does not tell its time, this passes: `nats_check` and `lanes_check` say why it does not.
    """

    async def clock() -> str | None:
        asked, since = time.time(), time.monotonic()
        try:
            message = await client.request(f"$JS.API.STREAM.INFO.{WORK_STREAM}", timeout=ANSWER_SECONDS)
            theirs = _decoder.decode(message.data).ts
        except Exception:  # noqa: BLE001 - whatever it is, no time was told
            theirs = None
        if theirs is None:
            return "not compared: NATS does not tell its time"
        return agreement("NATS's", Reading(theirs.timestamp(), asked, time.monotonic() - since))

    return clock


def lanes_check(lanes: Sequence[Lane]) -> Check:
    async def check() -> str | None:
        if unbound := [lane.service for lane in lanes if not lane.bound]:
            raise NotReady(f"no consumer yet for {', '.join(unbound)}")
        return ", ".join(lane.service for lane in lanes)

    return check


def renderers_check(pool: RenderPool) -> Check:
    async def check() -> str | None:
        return f"{pool.lost} lost" if pool.lost else None

    return check
