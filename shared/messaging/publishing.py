"""Many publishes at once, each with its own answer.

nats-py 2.16 has `publish_async` for this, but its futures never end when the stream refuses a message (the error is
raised in its reply handler instead of being put into the future), and the relay's fence depends on these refusals.
"""

import asyncio
from itertools import count
from typing import Any, Self

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg

NO_RESPONDERS, NO_STREAM = "503", 503
"""The status of an answer if no stream has the subject, and the code of that refusal."""
MAX_BUFFERED = 1024 * 1024
"""Bytes to be sent from which a publish may block: half of what nats-py buffers before it flushes."""
SEND_TIMEOUT = 5.0
"""Seconds within which a message must be sent: the socket to a silent server accepts no more bytes once it is full."""


class Ack(msgspec.Struct, frozen=True):
    """The stream has the message at `seq`; `duplicate`: it had the message before."""

    seq: int
    duplicate: bool = False


class Refused(Exception):  # noqa: N818 - what happened to the message
    """The stream did not take the message; `code` is JetStream's error code, `status` the HTTP status beside it."""

    def __init__(self, code: int, description: str, status: int = 0) -> None:
        super().__init__(f"{description} ({code})")
        self.code, self.description, self.status = code, description, status


class _Error(msgspec.Struct):
    description: str = ""
    err_code: int = 0
    code: int = 0


class _Answer(msgspec.Struct):
    seq: int = 0
    duplicate: bool = False
    error: _Error | None = None


_decode = msgspec.json.Decoder(_Answer).decode


class HeaderLines(str):
    """A header's value that has more headers behind it, in the lines that nats-py would write.

    nats-py trims each value and replaces line breaks with `str.translate`, which takes 4 µs for a UUID: for the 18
    headers of an event more than all else in publishing it. Here both leave the text as it is. Were they not called,
    there would be only one header, with blanks between the others: tests/integration/messaging/test_publishing.py.
    """

    __slots__ = ()

    def strip(self, _characters: str | None = None, /) -> Self:
        """The text as it is."""
        return self

    def translate(self, _table: Any, /) -> Self:
        """The text as it is."""
        return self


def joined(headers: dict[str, str]) -> dict[str, str]:
    """The headers in the form that nats-py writes quickest, to the same bytes; any that it must clean as they are."""
    text = "\r\n".join([f"{name}: {value.strip()}" for name, value in headers.items()])
    breaks = len(headers) - 1
    if breaks < 1 or text.count("\r") != breaks or text.count("\n") != breaks:
        return headers
    name, _, rest = text.partition(": ")
    return {name: HeaderLines(rest)}


class Publisher:
    """Publishes over one connection until that is lost. The caller bounds the unacknowledged messages."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._inbox = client.new_inbox()
        self._waiting: dict[str, asyncio.Future[Ack]] = {}
        self._numbers = count()

    @property
    def max_payload(self) -> int:
        """Bytes that one message may have, headers included. For a larger one the server ends the connection."""
        return self._client.max_payload

    async def start(self) -> None:
        """Subscribes to the acknowledgements; call it before the first `publish`."""
        await self._client.subscribe(f"{self._inbox}.*", cb=self._answered)

    async def publish(self, subject: str, body: bytes, headers: dict[str, str]) -> asyncio.Future[Ack]:
        """Returns when the message is sent. The future returns an Ack or raises Refused; cancel it to drop it."""
        token = str(next(self._numbers))
        future = asyncio.get_running_loop().create_future()
        self._waiting[token] = future
        future.add_done_callback(lambda _: self._waiting.pop(token, None))
        await self.send(subject, body, headers, reply=f"{self._inbox}.{token}")
        return future

    async def send(self, subject: str, body: bytes, headers: dict[str, str], *, reply: str = "") -> None:
        """Sends a message without asking for an acknowledgement. Header names must be tokens (RFC 9110)."""
        headers = joined(headers)
        if self._client.pending_data_size + len(body) < MAX_BUFFERED:
            await self._client.publish(subject, body, reply=reply, headers=headers)  # only appends to the buffer
            return
        async with asyncio.timeout(SEND_TIMEOUT):
            await self._client.publish(subject, body, reply=reply, headers=headers)

    async def ask(self, subject: str, body: bytes, headers: dict[str, str], timeout: float) -> str | None:  # noqa: ASYNC109 - for one answer
        """Publishes one message; None when the stream has it, else why it was refused. Raises TimeoutError."""
        ack = await self.publish(subject, body, headers)
        try:
            async with asyncio.timeout(timeout):
                await ack
        except Refused as refused:
            return str(refused)
        return None

    async def _answered(self, message: Msg) -> None:
        future = self._waiting.get(message.subject[len(self._inbox) + 1 :])
        if future is None or future.done():
            return
        if message.headers and message.headers.get("Status") == NO_RESPONDERS:
            future.set_exception(Refused(NO_STREAM, "there is no such stream", NO_STREAM))
            return
        try:
            answer = _decode(message.data)
        except msgspec.MsgspecError as error:
            future.set_exception(Refused(0, f"an answer that is not JetStream's: {error}"))
            return
        if refused := answer.error:
            future.set_exception(Refused(refused.err_code, refused.description, refused.code))
        else:
            future.set_result(Ack(answer.seq, answer.duplicate))
