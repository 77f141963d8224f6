"""Finding the message of a mark in an owner's stream, and stored messages that nats-py can't read."""

import base64
from collections.abc import Sequence

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg, StreamState
from nats.js.errors import NotFoundError

from shared.messaging.cloudevents import LATE, foreign, identify
from shared.messaging.marks import Mark
from shared.messaging.streams import stream_name

STEPS = 16
"""A search skips this many messages in succession that are not from the owner's relay."""
HEADERS = b"NATS/1.0\r\n"
API_TIMEOUT = 5.0
LOOKED_AT = 10_000


def mark_of(owner: str, message: RawStreamMsg) -> Mark | None:
    """The mark of a message that the owner's relay sent in order; None for any other message."""
    headers = message.headers or {}
    identity = identify(headers)
    if identity is None or foreign(owner, headers, identity) or headers.get(LATE):
        return None
    return Mark(identity.epoch, identity.position, identity.recorded_at, identity.event_id, message.seq)


async def locate(js: JetStreamContext, owner: str, state: StreamState, mark: Mark) -> int | None:
    """The sequence of the mark's message; None when the stream does not hold it.

    That is the mark's own sequence, or another one if the stream was filled again, in the order of the owner's events.
    """
    if mark.sequence is not None:
        found = await _from(js, owner, mark.sequence)
        if found and found.sequence == mark.sequence and mark.names(found):
            return mark.sequence
    low, high = state.first_seq, state.last_seq
    while low <= high:
        middle = (low + high) // 2
        found = await _from(js, owner, middle)
        if found is None or found.sequence is None:
            high = middle - 1
        elif mark.names(found):
            return found.sequence
        elif (found.epoch, found.position) < (mark.epoch, mark.position):
            low = found.sequence + 1
        else:
            high = middle - 1
    return None


async def _from(js: JetStreamContext, owner: str, sequence: int) -> Mark | None:
    """The first message of the owner's relay at or behind a sequence."""
    for _ in range(STEPS):
        try:
            message = await js.get_msg(stream_name(owner), sequence, subject=">", next=True)
        except NotFoundError:
            return None
        if mark := mark_of(owner, message):
            return mark
        assert message.seq is not None, "every message of a stream has its sequence"
        sequence = message.seq + 1
    return None


class _Stored(msgspec.Struct):
    subject: str = ""
    seq: int = 0
    data: str = ""
    hdrs: str = ""
    time: str = ""


class _Error(msgspec.Struct):
    err_code: int = 0
    description: str = ""


class _Answer(msgspec.Struct):
    message: _Stored | None = None
    error: _Error | None = None


class Unreadable(msgspec.Struct, frozen=True):
    """A stored message that nats-py can't read: it ends nats-py's read loop, without an exception."""

    sequence: int
    subject: str
    headers: bytes
    body: bytes
    time: str


async def first_unreadable(client: Client, stream: str, subject: str, last: int) -> Unreadable | None:
    """The first such message up to the sequence `last` of a stream that is worked off, so that it holds little."""
    sequence = 0
    for _ in range(LOOKED_AT):
        message = await _next(client, stream, subject, sequence + 1)
        if message is None or message.seq > last:
            return None
        if found := _unreadable(message):
            return found
        sequence = message.seq
    return None


async def unreadable(client: Client, stream: str, subjects: Sequence[str], after: int) -> Unreadable | None:
    """The next message for a consumer of these subjects, if nats-py can't read it."""
    found = [each for subject in subjects if (each := await _next(client, stream, subject, after + 1))]
    if not found:
        return None
    return _unreadable(min(found, key=lambda each: each.seq))


def _unreadable(message: _Stored) -> Unreadable | None:
    headers = base64.b64decode(message.hdrs)
    # The server puts U+FFFD where a subject is not UTF-8. Clients begin headers with this line, and nothing else on it.
    if "\ufffd" not in message.subject and (not headers or headers.startswith(HEADERS)):
        return None
    return Unreadable(message.seq, message.subject, headers, base64.b64decode(message.data), message.time)


async def _next(client: Client, stream: str, subject: str, sequence: int) -> _Stored | None:
    """Uses JetStream's API directly, because nats-py drops the first line of the headers."""
    request = msgspec.json.encode({"seq": sequence, "next_by_subj": subject})
    answer = await client.request(f"$JS.API.STREAM.MSG.GET.{stream}", request, timeout=API_TIMEOUT)
    decoded = msgspec.json.decode(answer.data, type=_Answer)
    if decoded.error and decoded.error.err_code not in {0, NO_MESSAGE}:
        raise nats.errors.Error(f"{decoded.error.description} ({decoded.error.err_code})")
    return decoded.message


NO_MESSAGE = 10037
"""JetStream's error when there is no message that was asked for."""
