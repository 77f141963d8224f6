"""Queries of a user's balance and ledger entries."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

from shared.contracts.amounts import to_credits
from shared.contracts.problem import Problem
from shared.eventstore import EventStore
from shared.http.amounts import Credits

# The projector advances tables at the same position in one transaction. A table that failed on an event stays behind
# alone, and sums over it and another table would be wrong. So each statement also counts, in its own snapshot, the
# distinct positions of its tables; that row is returned even for a user without an account.

# `accounts_v2.available` includes grants that expired since the account's last event, so they are subtracted here.
SELECT_BALANCE = """
select tables.positions,
       a.available - coalesce((
         select sum(g.available) from grants_v2 g
         where g.user_id = a.user_id and g.available > 0 and g.expires_at <= %s), 0)::int8, a.held, a.spent
from (select count(distinct position) as positions from read_tables where name in ('accounts_v2', 'grants_v2')) tables
left join accounts_v2 a on a.user_id = %s"""

# The balance after an entry is the present one less all later changes: summed from the newest entry down, so that the
# first page reads only its own rows.
SELECT_ENTRIES = """
select tables.positions, page.*
from (select count(distinct position) as positions from read_tables where name in ('accounts_v2', 'entries_v2')) tables
left join (
  select position, kind, amount, balance_after, job_id, grant_id, recorded_at
  from (
    select e.*, a.available - coalesce(sum(e.change) over (
             order by e.position desc rows between unbounded preceding and 1 preceding), 0)::int8 as balance_after
    from entries_v2 e join accounts_v2 a using (user_id)
    where e.user_id = %s) ledger
  where position < %s and (%s::uuid is null or job_id = %s::uuid)
  order by position desc limit %s) page on true
order by page.position desc"""


class Balance(msgspec.Struct, frozen=True):
    """Credits: `available` to spend now, `held` for jobs that have not ended, `spent` by jobs so far."""

    available: Credits
    held: Credits
    spent: Credits


class LedgerEntry(msgspec.Struct, frozen=True):
    """One movement: granted, refunded, held, captured, released, expired or reversed.

    `balance_after`: available credits after it.
    """

    position: int
    kind: str
    amount: Credits
    balance_after: Credits
    job_id: UUID | None
    grant_id: UUID | None
    recorded_at: datetime


@dataclass(frozen=True)
class Queries:
    """Queries of one user. Each raises UNAVAILABLE while the tables that it reads are at different positions."""

    store: EventStore

    async def balance(self, user_id: UUID, now: datetime) -> Balance:
        """A user's credits at `now`; zeros for a user without an account."""
        [(positions, available, held, spent)] = await self.store.pool.rows(SELECT_BALANCE, (now, user_id))
        _refuse_different_positions(positions)
        return Balance(to_credits(available or 0), to_credits(held or 0), to_credits(spent or 0))

    async def entries(self, user_id: UUID, *, before: int, limit: int, job_id: UUID | None = None) -> list[LedgerEntry]:
        """A user's entries below position `before`, newest first; `limit` at most."""
        rows = await self.store.pool.rows(SELECT_ENTRIES, (user_id, before, job_id, job_id, limit))
        _refuse_different_positions(rows[0][0])
        return [
            LedgerEntry(position, kind, to_credits(amount), to_credits(after), job, grant, at)
            for _, position, kind, amount, after, job, grant, at in rows
            if position is not None
        ]


def _refuse_different_positions(positions: int) -> None:
    if positions != 1:
        raise Problem("UNAVAILABLE", "The ledger's tables are at different positions right now: try again in a moment")
