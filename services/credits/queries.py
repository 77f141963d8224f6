"""What users read of their account."""

from datetime import datetime
from uuid import UUID

import msgspec

from services.credits.domain.amounts import to_credits
from shared.contracts.problem import Problem
from shared.eventstore import EventStore
from shared.http.amounts import Credits

# Two tables that are read together stand at one position, since the projector moves them in one transaction; unless one
# of them can't take an event in. So `levels`, in the statement's own snapshot, must be 1, or the sums mean nothing.

# What expired since the account's last event is still in `available`: it is taken off by the clock.
BALANCE = """
select (select count(distinct position) from read_tables where name in ('accounts_v1', 'grants_v1')) as levels,
       a.available - coalesce((
         select sum(g.available) from grants_v1 g
         where g.user_id = a.user_id and g.available > 0 and g.expires_at <= %b), 0)::int8, a.held, a.spent
from accounts_v1 a where a.user_id = %b"""

# The balance after an entry is today's less all later changes: summed from the newest entry down, so a first page
# costs no more than its own rows.
ENTRIES = """
select (select count(distinct position) from read_tables where name in ('accounts_v1', 'entries_v1')) as levels,
       position, kind, amount, balance_after, job_id, grant_id, recorded_at
from (
  select e.*, a.available - coalesce(sum(e.change) over (
           order by e.position desc rows between unbounded preceding and 1 preceding), 0)::int8 as balance_after
  from entries_v1 e join accounts_v1 a using (user_id)
  where e.user_id = %b) ledger
where position < %b and (%b::uuid is null or job_id = %b::uuid)
order by position desc limit %b"""


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
    """A user's credits at `now`; zeros for a user who never had any."""
    async with store.reader() as cursor:
        await cursor.execute(BALANCE, (now, user_id))
        levels, available, held, spent = await cursor.fetchone() or (1, 0, 0, 0)
    _at_one_position(levels)
    return Balance(to_credits(available), to_credits(held), to_credits(spent))


async def entries(
    store: EventStore, user_id: UUID, *, before: int, limit: int, job_id: UUID | None = None
) -> list[Entry]:
    """A user's entries below position `before`, newest first."""
    async with store.reader() as cursor:
        await cursor.execute(ENTRIES, (user_id, before, job_id, job_id, limit))
        rows = await cursor.fetchall()
    _at_one_position(*(row[0] for row in rows))
    return [
        Entry(position, kind, to_credits(amount), to_credits(after), job, grant, at)
        for _, position, kind, amount, after, job, grant, at in rows
    ]


def _at_one_position(*levels: int) -> None:
    if any(level != 1 for level in levels):
        raise Problem("UNAVAILABLE", "the ledger's tables are not at one point of history right now: try again soon")
