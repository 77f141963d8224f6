"""Finds what an account has let go of, by its own key: in the read tables, and in what they have not seen yet.

The tables of grants and holds serve as indexes into history: they and the positions that they stand at are read in one
snapshot, so it is known exactly which of the account's events a row lacks, and those are folded into it. A decision
never waits for the projector, and is the same whatever the tables have seen: without them, it reads all of the
account's history.
"""

from collections.abc import AsyncIterator
from typing import Any, LiteralString
from uuid import UUID

from services.credits.domain.outcomes import GivenGrant, HoldOutcome, grant_after, outcome_after
from shared.contracts.event import Event
from shared.eventstore import EventStore

# A row of another account's is of no use, nor is a table from which an operator has left an event of this account out.
GRANT = """
select t.position, exists (select from read_table_skips s join events e using (position)
                           where s.table_name = t.name and e.stream_id = %b),
       g.user_id, g.amount, g.source, g.priority, g.expires_at, g.external_id
from read_tables t left join grants_v1 g on g.grant_id = %b where t.name = 'grants_v1'"""
HOLD = """
select t.position, exists (select from read_table_skips s join events e using (position)
                           where s.table_name = t.name and e.stream_id = %b),
       h.user_id, h.amount, h.status, h.captured
from read_tables t left join holds_v1 h on h.job_id = %b where t.name = 'holds_v1'"""
LAST_SEEN = "select version from events where stream_id = %b and position <= %b order by version desc limit 1"
PAGE = 1000


class Outcomes:
    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def grant(self, user_id: UUID, grant_id: UUID, position: int) -> GivenGrant | None:
        """How a grant was given, if it was by the account's event at `position`, or before it."""
        row, seen = await self._row(GRANT, user_id, grant_id)
        found = GivenGrant(*row) if row is not None else None
        async for events in self._unseen(user_id, seen, position):
            found = grant_after(found, events, grant_id)
        return found

    async def hold(self, user_id: UUID, job_id: UUID, position: int) -> HoldOutcome | None:
        """What became of a job's hold, up to the account's event at `position` at least."""
        row, seen = await self._row(HOLD, user_id, job_id)
        found = HoldOutcome(*row) if row is not None else None
        async for events in self._unseen(user_id, seen, position):
            found = outcome_after(found, events, job_id)
        return found

    async def _row(self, query: LiteralString, user_id: UUID, key: UUID) -> tuple[tuple[Any, ...] | None, int]:
        """A row's values, if there is one, and the position up to which the account's events are in it."""
        for position, lacks_some, owner, *values in await self._store.pool.rows(query, (user_id, key)):
            if not lacks_some and owner in {None, user_id}:
                return (tuple(values) if owner is not None else None), position
        return None, 0

    async def _unseen(self, user_id: UUID, seen: int, position: int) -> AsyncIterator[list[Event]]:
        """The account's events after `seen`, in pages, if there are any up to `position`."""
        if seen >= position:
            return
        rows = await self._store.pool.rows(LAST_SEEN, (user_id, seen))
        after = rows[0][0] if rows else 0
        while page := await self._store.read_stream(user_id, after=after, limit=PAGE):
            yield [recorded.event for recorded in page]
            after = page[-1].version
