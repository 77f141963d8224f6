"""Stored messages that nats-py can't read: subject or headers are not UTF-8, or don't begin as clients write them.

They end nats-py's read loop without an exception, so they are read through JetStream's API instead.
"""

import base64
from collections.abc import Sequence

import msgspec
import nats.errors
from nats.aio.client import Client

HEADERS = b"NATS/1.0\r\n"
API_TIMEOUT = 5.0
"""Seconds for an answer of JetStream's API."""
MAX_SEARCHED = 10_000
"""Messages that `first_unreadable` reads at most."""
NO_MESSAGE = 10037
"""JetStream's error when there is no such message."""


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


class UnreadableMessage(msgspec.Struct, frozen=True):
    """A stored message that nats-py can't read: it ends nats-py's read loop, without an exception."""

    sequence: int
    subject: str
    headers: bytes
    body: bytes
    time: str


async def first_unreadable(client: Client, stream: str, subject: str, last: int) -> UnreadableMessage | None:
    """The first unreadable message up to the sequence `last`. For a work queue, which holds few messages."""
    sequence = 0
    for _ in range(MAX_SEARCHED):
        message = await _next(client, stream, subject, sequence + 1)
        if message is None or message.seq > last:
            return None
        if unreadable_message := _unreadable(message):
            return unreadable_message
        sequence = message.seq
    return None


async def unreadable(client: Client, stream: str, subjects: Sequence[str], after: int) -> UnreadableMessage | None:
    """The next message for a consumer of these subjects, if nats-py can't read it."""
    messages = [message for subject in subjects if (message := await _next(client, stream, subject, after + 1))]
    if not messages:
        return None
    return _unreadable(min(messages, key=lambda message: message.seq))


def _unreadable(message: _Stored) -> UnreadableMessage | None:
    headers = base64.b64decode(message.hdrs)
    # The server puts U+FFFD where a subject is not UTF-8. Clients begin headers with this line, and nothing else on it.
    if "\ufffd" not in message.subject and (not headers or headers.startswith(HEADERS)):
        return None
    return UnreadableMessage(message.seq, message.subject, headers, base64.b64decode(message.data), message.time)


async def _next(client: Client, stream: str, subject: str, sequence: int) -> _Stored | None:
    """Uses JetStream's API directly, because nats-py drops the first line of the headers."""
    request = msgspec.json.encode({"seq": sequence, "next_by_subj": subject})
    answer = await client.request(f"$JS.API.STREAM.MSG.GET.{stream}", request, timeout=API_TIMEOUT)
    decoded = msgspec.json.decode(answer.data, type=_Answer)
    if decoded.error and decoded.error.err_code not in {0, NO_MESSAGE}:
        raise nats.errors.Error(f"{decoded.error.description} ({decoded.error.err_code})")
    return decoded.message
