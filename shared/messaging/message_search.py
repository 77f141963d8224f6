"""Finding the message of an event in its owner's stream."""

from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg, StreamState
from nats.js.errors import NotFoundError

from shared.messaging.cloudevents import LATE, foreign_reason, identify
from shared.messaging.consumer_checkpoints import HistoryPoint
from shared.messaging.streams import stream_name

STEPS = 16
"""A search skips this many messages in succession that are not from the owner's relay."""


def point_of(owner: str, message: RawStreamMsg) -> HistoryPoint | None:
    """The point in history of a message that the owner's relay sent in order; None for any other message."""
    headers = message.headers or {}
    identity = identify(headers)
    if identity is None or foreign_reason(owner, headers, identity) or headers.get(LATE):
        return None
    return HistoryPoint.of(identity, message.seq)


async def locate(js: JetStreamContext, owner: str, state: StreamState, point: HistoryPoint) -> int | None:
    """The sequence of the event's message; None when the stream does not hold it.

    That is the point's own sequence, or another one if the stream was filled again, in the order of the owner's events.
    """
    if point.sequence is not None:
        there = await _from(js, owner, point.sequence)
        if there and there.sequence == point.sequence and point.names(there):
            return point.sequence
    low, high = state.first_seq, state.last_seq
    while low <= high:
        middle = (low + high) // 2
        there = await _from(js, owner, middle)
        if there is None or there.sequence is None:
            high = middle - 1
        elif point.names(there):
            return there.sequence
        elif (there.epoch, there.position) < (point.epoch, point.position):
            low = there.sequence + 1
        else:
            high = middle - 1
    return None


async def _from(js: JetStreamContext, owner: str, sequence: int) -> HistoryPoint | None:
    """The first message of the owner's relay at or behind a sequence."""
    for _ in range(STEPS):
        try:
            message = await js.get_msg(stream_name(owner), sequence, subject=">", next=True)
        except NotFoundError:
            return None
        if point := point_of(owner, message):
            return point
        assert message.seq is not None, "every message of a stream has its sequence"
        sequence = message.seq + 1
    return None
