"""Queries of a user's balance and ledger entries."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from services.credits.handlers import ACCOUNT
from shared.contracts.amounts import to_credits
from shared.contracts.problem import Problem
from shared.eventstore import EventStore
from shared.http import LAST_NUMBER
from shared.http.amounts import Credits

PAGE = 1000

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
from (select count(distinct position) as positions from read_tables
      where name in ('accounts_v2', 'entries_v2', 'grants_v2')) tables
left join (
  select position, kind, amount, change, balance_after, job_id, hold_id, grant_id, source, external_id, reason, actor,
         recorded_at
  from (
    select e.*, a.available - coalesce(sum(e.change) over (
             order by e.position desc rows between unbounded preceding and 1 preceding), 0)::int8 as balance_after
    from entries_v2 e join accounts_v2 a using (user_id)
    where e.user_id = %s) ledger
  left join (select grant_id, source, external_id from grants_v2) g using (grant_id)
  where position < %s and (%s::uuid is null or job_id = %s::uuid) and (%s::text is null or kind = %s::text)
    and (%s::timestamptz is null or recorded_at >= %s::timestamptz)
    and (%s::timestamptz is null or recorded_at < %s::timestamptz)
  order by position desc limit %s) page on true
order by page.position desc"""

Kind = Literal["granted", "refunded", "held", "captured", "released", "expired", "reversed"]


class Balance(msgspec.Struct, frozen=True):
    """Credits: `available` to spend now, `held` for jobs that have not ended, `spent` by jobs so far."""

    available: Credits
    held: Credits
    spent: Credits


class LedgerEntry(msgspec.Struct, frozen=True):
    """One movement, with its cause: a job and its hold, or a grant, and who or what recorded it.

    `change`: its effect on the available credits; `balance_after`: these after it. `source` and `external_id` are those
    of the grant.
    """

    position: int
    kind: str
    amount: Credits
    change: Credits
    balance_after: Credits
    job_id: UUID | None
    hold_id: UUID | None
    grant_id: UUID | None
    source: str | None
    external_id: str | None
    reason: str | None
    actor: str
    recorded_at: datetime


class EntryFilter(msgspec.Struct, frozen=True):
    """Entries that meet all of these. `since`: recorded then or later; `until`: before then."""

    job_id: UUID | None = None
    kind: Kind | None = None
    since: datetime | None = None
    until: datetime | None = None


ALL = EntryFilter()


@dataclass(frozen=True)
class Queries:
    """Queries of one user. Each raises UNAVAILABLE while the tables that it reads are at different positions."""

    store: EventStore

    async def balance(self, user_id: UUID, now: datetime) -> Balance:
        """A user's credits at `now`; zeros for a user without an account."""
        [(positions, available, held, spent)] = await self.store.pool.rows(SELECT_BALANCE, (now, user_id))
        _refuse_different_positions(positions)
        return Balance(to_credits(available or 0), to_credits(held or 0), to_credits(spent or 0))

    async def balance_at(self, user_id: UUID, time: datetime) -> Balance:
        """A user's credits as of an earlier time, from the account's history."""
        account = (await self.store.load(ACCOUNT, user_id, as_of=time)).state
        held = sum(grant.held for grant in account.grants)
        return Balance(to_credits(account.available(time)), to_credits(held), to_credits(account.spent))

    async def entries(self, user_id: UUID, *, before: int, limit: int, chosen: EntryFilter = ALL) -> list[LedgerEntry]:
        """A user's entries below position `before`, newest first; `limit` at most."""
        job, kind, since, until = chosen.job_id, chosen.kind, chosen.since, chosen.until
        parameters = (user_id, before, job, job, kind, kind, since, since, until, until, limit)
        rows = await self.store.pool.rows(SELECT_ENTRIES, parameters)
        _refuse_different_positions(rows[0][0])
        return [
            LedgerEntry(position, kind, to_credits(amount), to_credits(change), to_credits(after), *cause)
            for _, position, kind, amount, change, after, *cause in rows
            if position is not None
        ]

    async def all_entries(self, user_id: UUID, chosen: EntryFilter = ALL) -> AsyncIterator[LedgerEntry]:
        """All of a user's entries, newest first, read in pages of 1000."""
        before = LAST_NUMBER
        while page := await self.entries(user_id, before=before, limit=PAGE, chosen=chosen):
            for entry in page:
                yield entry
            before = page[-1].position


def _refuse_different_positions(positions: int) -> None:
    if positions != 1:
        raise Problem("UNAVAILABLE", "The ledger's tables are at different positions right now: try again in a moment")
