"""What users read of their account."""

from datetime import datetime
from uuid import UUID

import msgspec

from services.credits.domain.amounts import to_credits
from shared.contracts.problem import Problem
from shared.eventstore import EventStore
from shared.http.amounts import Credits

# The projector moves tables that stand at one position together, in one transaction. A table that could not take an
# event in stays behind alone, and sums over it and another would be wrong. So each statement also counts, in its own
# snapshot, at how many positions its tables stand; that row is there also for a user who has no other.

# What expired since the account's last event is still in `available`: it is subtracted by the clock.
BALANCE = """
select stand.positions,
       a.available - coalesce((
         select sum(g.available) from grants_v1 g
         where g.user_id = a.user_id and g.available > 0 and g.expires_at <= %b), 0)::int8, a.held, a.spent
from (select count(distinct position) as positions from read_tables where name in ('accounts_v1', 'grants_v1')) stand
left join accounts_v1 a on a.user_id = %b"""

# The balance after an entry is today's less all later changes: summed from the newest entry down, so a first page
# costs no more than its own rows.
ENTRIES = """
select stand.positions, page.*
from (select count(distinct position) as positions from read_tables where name in ('accounts_v1', 'entries_v1')) stand
left join (
  select position, kind, amount, balance_after, job_id, grant_id, recorded_at
  from (
    select e.*, a.available - coalesce(sum(e.change) over (
             order by e.position desc rows between unbounded preceding and 1 preceding), 0)::int8 as balance_after
    from entries_v1 e join accounts_v1 a using (user_id)
    where e.user_id = %b) ledger
  where position < %b and (%b::uuid is null or job_id = %b::uuid)
  order by position desc limit %b) page on true
order by page.position desc"""


class Balance(msgspec.Struct, frozen=True):
    """What may be spent now, what jobs have set aside, and what they have cost."""

    available: Credits
    held: Credits
    spent: Credits


class Entry(msgspec.Struct, frozen=True):
    """One movement: granted, held, captured, released or expired. `balance_after` is what was available then."""

    position: int
    kind: str
    amount: Credits
    balance_after: Credits
    job_id: UUID | None
    grant_id: UUID | None
    recorded_at: datetime


async def balance(store: EventStore, user_id: UUID, now: datetime) -> Balance:
    """A user's credits at `now`; zeros for a user who never had any. Raises UNAVAILABLE as `entries` does."""
    [(positions, available, held, spent)] = await store.pool.rows(BALANCE, (now, user_id))
    _require_one(positions)
    return Balance(to_credits(available or 0), to_credits(held or 0), to_credits(spent or 0))


async def entries(
    store: EventStore, user_id: UUID, *, before: int, limit: int, job_id: UUID | None = None
) -> list[Entry]:
    """A user's entries below position `before`, newest first. Raises UNAVAILABLE while the tables' positions differ."""
    rows = await store.pool.rows(ENTRIES, (user_id, before, job_id, job_id, limit))
    _require_one(rows[0][0])
    return [
        Entry(position, kind, to_credits(amount), to_credits(after), job, grant, at)
        for _, position, kind, amount, after, job, grant, at in rows
        if position is not None
    ]


def _require_one(positions: int) -> None:
    if positions != 1:
        raise Problem("UNAVAILABLE", "the ledger's tables are not at one point of history right now: try again soon")
