"""A job's events as Server-Sent Events (WHATWG HTML, section 9.2)."""

from collections.abc import AsyncIterator, Mapping
from uuid import UUID

from services.generation.event_stream.hub import JobEventHub
from shared.contracts.problem import Detail, invalid
from shared.http.strict_urls import read_whole_number

MEDIA_TYPE = "text/event-stream"
HEARTBEAT = 15.0
"""Seconds of silence after which a comment line shows that the stream is alive."""
RETRY = 1000
"""Milliseconds after which a client that lost its stream comes again."""


def last_event_id(headers: Mapping[str, str]) -> int:
    """The position that the client has seen, 0 when it names none. Raises VALIDATION_FAILED for another kind of id."""
    given = headers.get("last-event-id", "")
    if not given:
        return 0
    position = read_whole_number(given)
    if position is None or position < 0:
        message = f"must be the id of an event of this stream, not {given[:40]!r}"
        raise invalid(f"Last-Event-ID {message}", Detail("header:Last-Event-ID", message))
    return position


async def stream(hub: JobEventHub, job_id: UUID, after: int, *, heartbeat: float = HEARTBEAT) -> AsyncIterator[bytes]:
    """The job's events behind position `after`, those recorded and then those that come, to the terminal one."""
    yield b"retry: %d\n\n" % RETRY
    async with hub.follow(job_id, after, progress=True) as follower:
        while True:
            news = await follower.next(heartbeat)
            if not news:
                yield b": still here\n\n"
                continue
            yield b"".join([told.encoded for told in news])
            if any(told.is_last for told in news):
                return
