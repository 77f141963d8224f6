"""Looks up closed grants and holds by id: in the read tables, then in the account's events after the tables' positions.

A row and its table's position are read in one snapshot, so exactly the events that the row lacks are folded into it. A
decision never waits for the projector and does not depend on how far the tables are: without them, all of the account's
history is read.
"""

from collections.abc import AsyncIterator
from typing import Any, LiteralString
from uuid import UUID

from services.credits.domain.closed import GrantTerms, HoldOutcome, grant_after, outcome_after
from shared.contracts.event import Event
from shared.eventstore import EventStore

# Each returns the table's position, whether the table skips an event of this account, and the row (nulls if none).
SELECT_GRANT = """
select t.position, exists (select from read_table_skips s join events e using (position)
                           where s.table_name = t.name and e.stream_id = %s),
       g.user_id, g.amount, g.source, g.priority, g.expires_at, g.external_id
from read_tables t left join grants_v1 g on g.grant_id = %s where t.name = 'grants_v1'"""
SELECT_HOLD = """
select t.position, exists (select from read_table_skips s join events e using (position)
                           where s.table_name = t.name and e.stream_id = %s),
       h.user_id, h.amount, h.status, h.captured
from read_tables t left join holds_v2 h on h.hold_id = %s where t.name = 'holds_v2'"""
# Returns the account's version at a position; no row before its first event.
SELECT_VERSION_AT = "select version from events where stream_id = %s and position <= %s order by version desc limit 1"
PAGE = 1000


class ClosedGrantsAndHolds:
    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def grant(self, user_id: UUID, grant_id: UUID, position: int) -> GrantTerms | None:
        """A grant's terms, or None; covers the account's events up to `position` at least."""
        row, covered = await self._row(SELECT_GRANT, user_id, grant_id)
        terms = GrantTerms(*row) if row is not None else None
        async for events in self._events_after(user_id, covered, position):
            terms = grant_after(terms, events, grant_id)
        return terms

    async def hold(self, user_id: UUID, hold_id: UUID, position: int) -> HoldOutcome | None:
        """The outcome of a hold, or None; covers the account's events up to `position` at least."""
        row, covered = await self._row(SELECT_HOLD, user_id, hold_id)
        outcome = HoldOutcome(*row) if row is not None else None
        async for events in self._events_after(user_id, covered, position):
            outcome = outcome_after(outcome, events, hold_id)
        return outcome

    async def _row(self, query: LiteralString, user_id: UUID, key: UUID) -> tuple[tuple[Any, ...] | None, int]:
        """The row or None, and the position up to which it covers the account's events (0: none of them)."""
        for position, skips_some, owner, *values in await self._store.pool.rows(query, (user_id, key)):
            if not skips_some and owner in {None, user_id}:
                return (tuple(values) if owner is not None else None), position
        return None, 0

    async def _events_after(self, user_id: UUID, covered: int, position: int) -> AsyncIterator[list[Event]]:
        """All events of the account after position `covered`, in pages of 1000; none if that is `position` or later."""
        if covered >= position:
            return
        rows = await self._store.pool.rows(SELECT_VERSION_AT, (user_id, covered))
        after = rows[0][0] if rows else 0
        while page := await self._store.read_stream(user_id, after=after, limit=PAGE):
            yield [recorded.event for recorded in page]
            after = page[-1].version
