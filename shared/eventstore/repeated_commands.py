"""Finds commands that are recorded already, by the id of their first event."""

from uuid import UUID

from shared.contracts.problem import Detail, Problem
from shared.eventstore.pool import ReadingPool
from shared.eventstore.records import Context, decode_context, event_id

SELECT_STREAM_ID = "select stream_id from events where event_id = %s"
SELECT_METADATA = "select metadata from events where event_id = %s"


async def is_recorded(pool: ReadingPool, stream_id: UUID, context: Context) -> bool:
    """Whether this command has recorded events. Raises ValueError when it did so in another stream."""
    rows = await pool.rows(SELECT_STREAM_ID, (event_id(context.command_id, 0),))
    check_same_stream(context, same=all(row[0] == stream_id for row in rows))
    return bool(rows)


def check_same_stream(context: Context, *, same: bool) -> None:
    """Raises ValueError unless the command was recorded in the `same` stream."""
    if not same:
        raise ValueError(f"command id {context.command_id} was used for another stream: use a new one per command")


async def check_same_content(pool: ReadingPool, context: Context) -> None:
    """Raises Problem IDEMPOTENCY_KEY_REUSED when the command id was recorded for a request with other content."""
    if context.fingerprint is None:
        return
    for (metadata,) in await pool.rows(SELECT_METADATA, (event_id(context.command_id, 0),)):
        first = decode_context(metadata)
        if first.fingerprint not in {None, context.fingerprint}:
            message = "was used for another request"
            raise Problem(
                "IDEMPOTENCY_KEY_REUSED",
                f"This Idempotency-Key {message}: give each request a key of its own",
                Detail("header:Idempotency-Key", message),
            )
