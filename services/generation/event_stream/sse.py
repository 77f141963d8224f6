"""A job's events as a stream of server-sent events (WHATWG HTML, section 9.2)."""

from collections.abc import AsyncIterator, Mapping
from uuid import UUID

from services.generation.event_stream.hub import JobEventHub
from shared.contracts.problem import Detail, invalid
from shared.http.strict_urls import read_whole_number

MEDIA_TYPE = "text/event-stream"
HEARTBEAT = 15.0
"""Seconds without an event after which a comment is sent, so that clients and proxies keep the connection."""
RETRY = 1000
"""Milliseconds after which a disconnected client reconnects."""


def last_event_id(headers: Mapping[str, str]) -> int:
    """The position in `Last-Event-ID`; 0 without the header. Raises VALIDATION_FAILED if it is not a position."""
    value = headers.get("last-event-id", "")
    if not value:
        return 0
    position = read_whole_number(value)
    if position is None or position < 0:
        message = f"must be the id of an event of this stream, not {value[:40]!r}"
        raise invalid(f"Last-Event-ID {message}", Detail("header:Last-Event-ID", message))
    return position


def gap_event(last_id: int) -> bytes:
    """Tells a client that its last event's id is not of this history, and that all events follow from the first on."""
    return b'event: gap\ndata: {"after": %d}\n\n' % last_id


async def stream(
    hub: JobEventHub, job_id: UUID, after: int, *, lost_id: int | None = None, heartbeat: float = HEARTBEAT
) -> AsyncIterator[bytes]:
    """The job's events after a position, recorded and new, until the terminal one; `lost_id`: see `gap_event`."""
    yield b"retry: %d\n\n" % RETRY
    if lost_id is not None:
        yield gap_event(lost_id)
    async with hub.follow(job_id, after, progress=True) as follower:
        while True:
            events = await follower.next(heartbeat)
            if not events:
                yield b": still here\n\n"
                continue
            yield b"".join([event.encoded for event in events])
            if any(event.is_last for event in events):
                return
