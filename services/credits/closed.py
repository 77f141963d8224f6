"""Looks up what an account's state does not keep: in the read tables, then in the account's later events.

A row and its table's position are read in one snapshot, so exactly the events that the row lacks are folded into it. A
decision never waits for the projector and does not depend on how far the tables are: without them, all of the account's
history is read.
"""

from collections.abc import AsyncIterator
from typing import Any, LiteralString
from uuid import UUID

from services.credits.domain.closed import (
    GrantTerms,
    HoldOutcome,
    ReversalTerms,
    captured_after,
    grant_after,
    outcome_after,
    refunded_after,
    reversal_after,
)
from services.credits.domain.refunds import JobSpending
from shared.contracts.event import Event
from shared.eventstore import EventStore

# Each returns the table's position, whether the table skips an event of this account, and the row (nulls if none).
SELECT_GRANT = """
select t.position, exists (select from read_table_skips s join events e using (position)
                           where s.table_name = t.name and e.stream_id = %s),
       g.user_id, g.amount, g.source, g.priority, g.expires_at, g.external_id, g.job_id, g.reason
from read_tables t left join grants_v2 g on g.grant_id = %s where t.name = 'grants_v2'"""
SELECT_HOLD = """
select t.position, exists (select from read_table_skips s join events e using (position)
                           where s.table_name = t.name and e.stream_id = %s),
       h.user_id, h.amount, h.status, h.captured
from read_tables t left join holds_v3 h on h.hold_id = %s where t.name = 'holds_v3'"""
SELECT_REVERSAL = """
select t.position, exists (select from read_table_skips s join events e using (position)
                           where s.table_name = t.name and e.stream_id = %s),
       r.user_id, r.grant_id, r.requested, r.amount, r.missing, r.reason, r.external_id
from read_tables t left join reversals_v1 r on r.reversal_id = %s where t.name = 'reversals_v1'"""
# These two return a sum instead of a row. A forged request may have given a job's hold to another account, and its row.
SELECT_CAPTURED = """
select t.position, exists (select from read_table_skips s join events e using (position)
                           where s.table_name = t.name and e.stream_id = %s)
                   or exists (select from holds_v3 h where h.job_id = %s and h.user_id <> %s),
       (select coalesce(sum(h.captured), 0)::int8 from holds_v3 h where h.job_id = %s and h.user_id = %s)
from read_tables t where t.name = 'holds_v3'"""
SELECT_REFUNDED = """
select t.position, exists (select from read_table_skips s join events e using (position)
                           where s.table_name = t.name and e.stream_id = %s),
       (select coalesce(sum(g.amount), 0)::int8 from grants_v2 g where g.job_id = %s and g.user_id = %s)
from read_tables t where t.name = 'grants_v2'"""
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

    async def reversal(self, user_id: UUID, reversal_id: UUID, position: int) -> ReversalTerms | None:
        """A reversal, or None; covers the account's events up to `position` at least."""
        row, covered = await self._row(SELECT_REVERSAL, user_id, reversal_id)
        terms = ReversalTerms(*row) if row is not None else None
        async for events in self._events_after(user_id, covered, position):
            terms = reversal_after(terms, events, reversal_id)
        return terms

    async def spending(self, user_id: UUID, job_id: UUID, position: int) -> JobSpending:
        """What a job captured of an account, and what of it was refunded; covers events up to `position` at least."""
        captured, covered = await self._sum(SELECT_CAPTURED, (user_id, job_id, user_id, job_id, user_id))
        async for events in self._events_after(user_id, covered, position):
            captured = captured_after(captured, events, job_id)
        refunded, covered = await self._sum(SELECT_REFUNDED, (user_id, job_id, user_id))
        async for events in self._events_after(user_id, covered, position):
            refunded = refunded_after(refunded, events, job_id)
        return JobSpending(captured, refunded)

    async def _sum(self, query: LiteralString, ids: tuple[UUID, ...]) -> tuple[int, int]:
        """The sum, and the position up to which it covers the account's events (0: none of them)."""
        for position, skips_some, total in await self._store.pool.rows(query, ids):
            if not skips_some:
                return total, position
        return 0, 0

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
