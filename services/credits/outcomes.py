"""Looks up closed grants and holds by id: in the read tables, then in the account's events after the tables' positions.

A row and its table's position are read in one snapshot, so exactly the events that the row lacks are folded into it. A
decision never waits for the projector and does not depend on how far the tables are: without them, all of the account's
history is read.
"""

from collections.abc import AsyncIterator
from typing import Any, LiteralString
from uuid import UUID

from services.credits.domain.outcomes import GivenGrant, HoldOutcome, grant_after, outcome_after
from shared.contracts.event import Event
from shared.eventstore import EventStore

# Each returns the table's position, whether the table skips an event of this account, and the row (nulls if none).
SELECT_GRANT = """
select t.position, exists (select from read_table_skips s join events e using (position)
                           where s.table_name = t.name and e.stream_id = %b),
       g.user_id, g.amount, g.source, g.priority, g.expires_at, g.external_id
from read_tables t left join grants_v1 g on g.grant_id = %b where t.name = 'grants_v1'"""
SELECT_HOLD = """
select t.position, exists (select from read_table_skips s join events e using (position)
                           where s.table_name = t.name and e.stream_id = %b),
       h.user_id, h.amount, h.status, h.captured
from read_tables t left join holds_v1 h on h.job_id = %b where t.name = 'holds_v1'"""
SELECT_SEEN_VERSION = "select version from events where stream_id = %b and position <= %b order by version desc limit 1"
PAGE = 1000


class Outcomes:
    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def grant(self, user_id: UUID, grant_id: UUID, position: int) -> GivenGrant | None:
        """How a grant was given, or None; covers the account's events up to `position` at least."""
        row, seen = await self._row(SELECT_GRANT, user_id, grant_id)
        grant = GivenGrant(*row) if row is not None else None
        async for events in self._unseen(user_id, seen, position):
            grant = grant_after(grant, events, grant_id)
        return grant

    async def hold(self, user_id: UUID, job_id: UUID, position: int) -> HoldOutcome | None:
        """The outcome of a job's hold, or None; covers the account's events up to `position` at least."""
        row, seen = await self._row(SELECT_HOLD, user_id, job_id)
        hold = HoldOutcome(*row) if row is not None else None
        async for events in self._unseen(user_id, seen, position):
            hold = outcome_after(hold, events, job_id)
        return hold

    async def _row(self, query: LiteralString, user_id: UUID, key: UUID) -> tuple[tuple[Any, ...] | None, int]:
        """The row or None, and the position up to which it has the account's events (0: read all of them)."""
        for position, lacks_some, owner, *values in await self._store.pool.rows(query, (user_id, key)):
            if not lacks_some and owner in {None, user_id}:
                return (tuple(values) if owner is not None else None), position
        return None, 0

    async def _unseen(self, user_id: UUID, seen: int, position: int) -> AsyncIterator[list[Event]]:
        """All events of the account after position `seen`, in pages of 1000; none if `seen` has reached `position`."""
        if seen >= position:
            return
        rows = await self._store.pool.rows(SELECT_SEEN_VERSION, (user_id, seen))
        after = rows[0][0] if rows else 0
        while page := await self._store.read_stream(user_id, after=after, limit=PAGE):
            yield [recorded.event for recorded in page]
            after = page[-1].version
